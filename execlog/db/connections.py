"""Connects to what administrative functions are given: a DSN, a connection or a pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from execlog.db import validation
from execlog.db.connect import Connector
from execlog.errors import InvalidArgument, pool_errors

if TYPE_CHECKING:
    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
    Target = str | Connection | asyncpg.Pool[asyncpg.Record]

__all__ = ["LONGEST_SECONDS", "connection_to"]

LONGEST_SECONDS = 86_400.0
"""The limit of long work, in place of the command timeout of the caller's pool."""

_CONNECT_SECONDS = 10.0


@asynccontextmanager
async def connection_to(target: Target, *, writes: bool = True) -> AsyncIterator[Connection]:
    """A connection: a new one to a DSN, the one that is given, or one of the pool.

    Args:
        target: The DSN, connection or pool.
        writes: Whether the connection will write: see `Connector`.

    Raises:
        InvalidArgument: `target` is none of the three, is no connection string, or is a pool that
            was never opened.
        OSError, TimeoutError, PostgresError: As the driver raises them.
    """
    if isinstance(target, str):
        # No statement cache: behind a pooler the next server does not know the statement's name.
        connect = Connector(target, "target", writes=writes, seconds=_CONNECT_SECONDS)
        own = await connect(statement_cache_size=0)
        try:
            yield own
        finally:
            await own.close(timeout=_CONNECT_SECONDS)
    elif isinstance(target, asyncpg.Pool):
        with pool_errors("target"):
            borrowed = await target.acquire(timeout=_CONNECT_SECONDS)
        try:
            yield borrowed
        finally:
            await target.release(borrowed)
    elif isinstance(target, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        yield target
    else:
        problem = validation.must_be("a DSN, a Connection or a Pool", target)
        raise InvalidArgument("target", problem)
