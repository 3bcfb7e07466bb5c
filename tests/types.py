"""Names for asyncpg's generic types, which can't be written at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record]
    Borrowed = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = Connection = Borrowed = object
