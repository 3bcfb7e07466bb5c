"""The repository of one command: a connection of its own, for as long as the command needs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import typer

from execlog import StrategyExecutionLogRepository
from execlog.errors import driver_errors, dsn_errors

__all__ = ["ask", "dsn_of"]

Answer = TypeVar("Answer")
_SECONDS = 60.0


def ask(
    dsn: str | None, question: Callable[[StrategyExecutionLogRepository], Awaitable[Answer]]
) -> Answer:
    """What the repository on this server answers.

    Raises:
        ExeclogError: The server can't be reached or refuses.
    """
    return asyncio.run(_asked(dsn_of(dsn), question))


async def _asked(
    dsn: str, question: Callable[[StrategyExecutionLogRepository], Awaitable[Answer]]
) -> Answer:
    with driver_errors("connect"), dsn_errors("dsn"):
        # One statement does not repay being kept, and a pooler may stand in between.
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1, statement_cache_size=0)
    try:
        return await question(StrategyExecutionLogRepository(pool, timeout=_SECONDS))
    finally:
        pool.terminate()


def dsn_of(given: str | None) -> str:
    """The server that is meant. Raises typer.BadParameter: it is empty."""
    if given == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--dsn")
    # Without host and database asyncpg reads PGHOST, PGUSER, ..., as libpq does.
    return given or os.environ.get("EXECLOG_DSN") or "postgresql://"
