"""Whether the log has files in an archive, which the server can't look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from execlog.archive.files import on_days
from execlog.errors import driver_errors

if TYPE_CHECKING:
    from execlog.db.connections import Connection

    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["has_files", "lists_files"]

_SECONDS = 60.0


async def has_files(pool: Pool, schema: str) -> bool:
    """Whether files hold executions that the log lacks. Raises ExeclogError: it is away.

    Args:
        pool: A pool of the log.
        schema: The schema of the log.
    """
    with driver_errors("import"):
        async with pool.acquire() as connection:
            return await lists_files(connection, schema)


async def lists_files(connection: Connection, schema: str) -> bool:
    """The same on a connection. Raises as the driver does.

    Args:
        connection: The connection.
        schema: The schema of the log.
    """
    query = on_days(schema).query(days=None)
    found = await connection.fetch(query.sql, *query.values, timeout=_SECONDS)
    return found[0]["path"] is not None
