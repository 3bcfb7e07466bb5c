"""The repository of one command: a connection of its own, while the command needs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, TypeVar

import asyncpg
import typer

from execlog import StrategyExecutionLogRepository
from execlog.cli.away import Noting, say_noted
from execlog.db.connect import Connector
from execlog.errors import driver_errors
from execlog.repository.repository import patient

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["SECONDS", "ask", "connected", "dsn_of", "work"]

SECONDS = 60.0
"""The time limit of one statement of a command."""

Answer = TypeVar("Answer")


def ask(
    dsn: str | None,
    schema: str,
    question: Callable[[StrategyExecutionLogRepository], Awaitable[Answer]],
    *,
    writes: bool = False,
    archive: Path | Literal[False] | None = False,
) -> Answer:
    """The answer of the repository on this server.

    If runs of its window are in files, and it was given from rows of the log only, that is said.

    Args:
        dsn: The server, as it was given.
        schema: The schema of the log.
        question: Asks the repository.
        writes: Whether it changes rows, which may take long: see `Connector` and `patient`.
        archive: The folder of the archive, whose rows are read too; False: the command has no
            option for it.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """
    kind = patient if writes else Noting

    async def answered(pool: Pool) -> Answer:
        log = kind(pool, timeout=SECONDS, schema=schema, archive=archive or None)
        answer = await question(log)
        await say_noted(log, has_option=archive is not False)
        return answer

    return work(dsn, answered, writes=writes)


def work(
    dsn: str | None, done: Callable[[Pool], Awaitable[Answer]], *, writes: bool = False
) -> Answer:
    """The answer of what is done on a connection to this server.

    Args:
        dsn: The server, as it was given.
        done: Does it, on a pool of one connection.
        writes: Whether the connection will write: see `Connector`.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """
    answers: list[Answer] = []

    async def doing() -> None:
        async with connected(dsn, writes=writes) as pool:
            with _interruptible():
                answers.append(await done(pool))

    # Not as the task's result: to set the signal's handler back, Python 3.11 makes the text of it.
    asyncio.run(doing())
    return answers[0]


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Lets a Ctrl-C also end a read or a write that is stuck.

    asyncio cancels when its event loop has its turn, which a blocked pipe never gives it. So
    what still runs after half a second is interrupted.
    """
    noted = signal.getsignal(signal.SIGINT)
    if sys.platform == "win32":  # it has no such timer
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        if callable(noted):
            noted(number, frame)

    def break_off(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, break_off)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, noted)


@contextlib.asynccontextmanager
async def connected(
    dsn: str | None, *, writes: bool = False, argument: str = "dsn"
) -> AsyncIterator[Pool]:
    """A pool of one connection to this server, and of a second one beside a stream.

    Args:
        dsn: The server, as it was given.
        writes: Whether the connection will write: see `Connector`.
        argument: The name of the argument, for errors.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """
    connect = Connector(dsn_of(dsn), argument, writes=writes, seconds=SECONDS)
    with driver_errors("connect" if argument == "dsn" else f"connect to {argument}"):
        # One statement does not repay a cache, and a pooler may be in between.
        pool = await asyncpg.create_pool(
            connect=connect, min_size=1, max_size=2, statement_cache_size=0
        )
    try:
        yield pool
    finally:
        pool.terminate()


def dsn_of(given: str | None) -> str:
    """The server's DSN. Raises typer.BadParameter: it is empty."""
    if given == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--dsn")
    # Without host and database asyncpg reads PGHOST, PGUSER, ..., as libpq does.
    return given or os.environ.get("EXECLOG_DSN") or "postgresql://"
