"""Transactions that read a table of another program, with the settings that they need."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from execlog.db import session_limits
from execlog.db.files import folder
from execlog.db.sqltext import pieces
from execlog.errors import driver_errors

if TYPE_CHECKING:
    from execlog.db.connections import Connection

    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["SECONDS", "reading"]

SECONDS = 3600.0
"""The time limit of a statement, in place of the server's own."""


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction without the server's limits, with the settings of `begin.sql`.

    Args:
        pool: A pool of the table's database.

    Raises:
        ExeclogError: The server is away or refuses; so may what the block sends.
    """
    with driver_errors("import"):
        async with pool.acquire() as connection, connection.transaction():
            await session_limits.lift(connection)
            for setting in _settings():
                await connection.execute(setting)
            yield connection


@functools.cache
def _settings() -> list[str]:
    return pieces((folder("sql") / "moving" / "step" / "begin.sql").read_text())
