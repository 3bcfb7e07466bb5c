"""The repository of one command: a connection of its own, for as long as the command needs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import typer

from execlog import StrategyExecutionLogRepository
from execlog.db.connect import Connector
from execlog.errors import driver_errors
from execlog.repository.repository import patient

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["SECONDS", "ask", "connected", "dsn_of"]

SECONDS = 60.0
"""What one statement of a command may take."""

Answer = TypeVar("Answer")


def ask(
    dsn: str | None,
    schema: str,
    question: Callable[[StrategyExecutionLogRepository], Awaitable[Answer]],
    *,
    writes: bool = False,
) -> Answer:
    """What the repository on this server answers.

    Args:
        dsn: The server, as it was given.
        schema: Where the log is.
        question: What it is asked.
        writes: Whether that changes rows, which may take long: see `Connector` and `patient`.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """

    async def asked() -> Answer:
        async with connected(dsn, writes=writes) as pool:
            with _interruptible():
                kind = patient if writes else StrategyExecutionLogRepository
                return await question(kind(pool, timeout=SECONDS, schema=schema))

    return asyncio.run(asked())


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A Ctrl-C ends a read or a write too that does not move.

    To asyncio it is a wish, which the event loop grants when it has its turn: a pipe that stands
    still never gives it one. So what goes on after half a second is broken off.
    """
    noted = signal.getsignal(signal.SIGINT)
    if sys.platform == "win32":  # which has no such timer
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
async def connected(dsn: str | None, *, writes: bool = False) -> AsyncIterator[Pool]:
    """A pool of one connection to this server.

    Args:
        dsn: The server, as it was given.
        writes: Whether it is to be written there: see `Connector`.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """
    connect = Connector(dsn_of(dsn), "dsn", writes=writes, seconds=SECONDS)
    with driver_errors("connect"):
        # One statement does not repay being kept, and a pooler may stand in between.
        pool = await asyncpg.create_pool(
            connect=connect, min_size=1, max_size=1, statement_cache_size=0
        )
    try:
        yield pool
    finally:
        pool.terminate()


def dsn_of(given: str | None) -> str:
    """The server that is meant. Raises typer.BadParameter: it is empty."""
    if given == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--dsn")
    # Without host and database asyncpg reads PGHOST, PGUSER, ..., as libpq does.
    return given or os.environ.get("EXECLOG_DSN") or "postgresql://"
