"""A store for long work, whose statements the server's limits do not end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from execlog.db.copying import copy
from execlog.db.executor import Store
from execlog.db.statements import Query, Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["PatientStore"]


class PatientStore(Store):
    """A store for long work: the server's limits end none of its statements.

    Each statement is a transaction of its own, of four round trips.
    """

    async def fetch(
        self,
        query: Query,
        *,
        budget: float | None = None,
        deadline: float | None = None,
    ) -> list[asyncpg.Record]:
        """As `fetch_long`; budget and deadline are ignored. Raises: see there."""
        return await self.fetch_long(query)

    async def together(
        self, *queries: Query, budget: float | None = None, deadline: float | None = None
    ) -> list[list[asyncpg.Record]]:
        """As `Store.together`; budget and deadline are ignored. Raises: see there."""
        async with self._lifted(queries[-1].name, "repeatable_read") as (connection, remaining):
            async with asyncio.timeout(remaining):
                return [await connection.fetch(one.sql, *one.values) for one in queries]

    @contextlib.asynccontextmanager
    async def _writing(self, name: str) -> AsyncIterator[tuple[Connection, float]]:
        async with self._lifted(name, "read_committed") as lifted:
            yield lifted

    async def copy(self, statement: Statement, lines: Iterable[bytes]) -> None:
        """As `Store.copy`. Raises: see there."""
        async with self._lifted(statement.name) as (connection, remaining):
            await copy(connection, statement, lines, remaining)
