"""One statement on one borrowed connection, within a limit of time, its errors from one tree."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import asyncpg

from execlog.db import session_limits, validation
from execlog.db.copy_format import NULL
from execlog.db.farewell import Farewell
from execlog.db.files import folder
from execlog.db.statements import Query, Statement
from execlog.errors import (
    InvalidArgument,
    StoreUnavailable,
    driver_errors,
    pool_errors,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["PatientStore", "Store", "in_pieces"]

# How long a connection may take to become usable again after a query was given up.
_RELEASE_SECONDS = 1.0
_LARGEST_MESSAGE = 1024 * 1024
_STREAMED_AT_ONCE = 200  # rows; more are hardly faster, and each may have a trace of a megabyte


class Store:
    """A caller's pool, used for one statement at a time.

    Args:
        pool: An asyncpg pool; it stays the caller's. Where it was never opened, each method raises
            InvalidArgument.
        timeout: Seconds that a call may take, waiting for a connection included.

    Raises:
        InvalidArgument: `pool` is no pool, or `timeout` is no positive number.
    """

    def __init__(self, pool: Pool, timeout: float) -> None:
        """Takes the pool. Raises: see the class."""
        if not isinstance(pool, asyncpg.Pool):
            raise InvalidArgument("pool", validation.must_be("an asyncpg.Pool", pool))
        self._pool = pool
        self._timeout = validation.seconds("timeout", timeout)

    def deadline(self) -> float:
        """When a call that begins now must end, on the clock of the event loop. Never raises."""
        return asyncio.get_running_loop().time() + self._timeout

    def remaining(self, deadline: float) -> float:
        """Seconds until a deadline, a millisecond at least. Never raises."""
        return max(deadline - asyncio.get_running_loop().time(), 0.001)

    async def fetch(
        self,
        query: Query,
        *,
        budget: float | None = None,
        deadline: float | None = None,
    ) -> list[asyncpg.Record]:
        """The rows that a statement answers.

        Args:
            query: The statement with its values.
            budget: Seconds that the server may take, where they are less than what is left.
            deadline: Of a call that sends more than this statement.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time; in the latter case the cause is a
                TimeoutError, or the sqlstate is 57014.
            QueryRejected: The server refuses.
        """
        with driver_errors(query.name):
            async with self._connection(query.name, deadline) as (connection, remaining):
                limit = remaining if budget is None else min(budget, remaining)
                return await connection.fetch(query.sql, *query.values, timeout=limit)

    async def fetch_long(self, query: Query) -> list[asyncpg.Record]:
        """The same as `fetch`, without the server's limits: only the time of a call ends it.

        It takes a transaction of its own, for a limit that ends a statement is set before it.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        async with self._lifted(query.name) as (connection, remaining):
            return await connection.fetch(query.sql, *query.values, timeout=remaining)

    async def stream(self, query: Query) -> AsyncGenerator[asyncpg.Record]:
        """The rows that a statement answers, a few hundred at a time, from one snapshot.

        Each step has the time that a call has, and all of it as long as it takes: the session's
        limits for a statement and for a transaction are lifted. That of an idle transaction is not,
        so a reader that stops does not hold the server up for ever. Close it where it is left
        before its end.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with driver_errors(query.name):
            async with self._connection(query.name) as (connection, remaining):
                transaction = connection.transaction(readonly=True)
                async with asyncio.timeout(remaining):
                    await transaction.start()
                farewell = Farewell(connection)
                try:
                    await connection.fetch(_lift_limits(), timeout=remaining)
                    # Prepared anew, whatever the pool keeps: a plan for any parameters would sort
                    # where one for these walks along an index.
                    prepared = await connection.prepare(query.sql, timeout=remaining)
                    cursor = await prepared.cursor(*query.values, timeout=remaining)
                    while rows := await cursor.fetch(_STREAMED_AT_ONCE, timeout=self._timeout):
                        farewell.rest()
                        for row in rows:
                            yield row
                        await farewell.ask()
                except BaseException:
                    await _roll_back(transaction)
                    raise
                finally:
                    farewell.end()
                # Nothing was written, but only what ends well is in the server's statistics.
                async with asyncio.timeout(self._timeout):
                    await transaction.commit()

    async def explain(self, query: Query, *, analyze: bool = False) -> list[str]:
        """The lines of the plan that the server makes for these parameters, and no others.

        Args:
            query: The statement with its values; a COPY has no plan.
            analyze: Carry it out too, in a transaction that can't write, and tell what was read.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        options = "(analyze, buffers)" if analyze else ""
        with driver_errors(query.name):
            async with self._connection(query.name) as (connection, remaining):
                async with asyncio.timeout(remaining), connection.transaction(readonly=True):
                    found = await connection.fetch(f"explain {options} {query.sql}", *query.values)
        return [record[0] for record in found]

    async def copy(self, statement: Statement, lines: Iterable[bytes]) -> None:
        """Stores rows by the COPY that the statement is, all or none.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with driver_errors(statement.name):
            async with self._connection(statement.name) as (connection, remaining):
                await _copy(connection, statement, lines, remaining)

    @contextlib.asynccontextmanager
    async def _lifted(self, name: str) -> AsyncIterator[tuple[Connection, float]]:
        """A connection in a transaction without the server's limits, and the seconds for it."""
        with driver_errors(name):
            async with self._connection(name) as (connection, remaining):
                transaction = connection.transaction()
                try:
                    async with asyncio.timeout(remaining):
                        await transaction.start()
                        await session_limits.lift(connection)
                    yield connection, remaining
                except BaseException:
                    await _roll_back(transaction)
                    raise
                async with asyncio.timeout(self._timeout):
                    await transaction.commit()

    @contextlib.asynccontextmanager
    async def _connection(
        self, name: str, deadline: float | None = None
    ) -> AsyncIterator[tuple[Connection, float]]:
        """A connection of the pool, and the seconds that are left for its query."""
        end = self.deadline() if deadline is None else deadline
        wait = self.remaining(end)
        try:
            with pool_errors("pool"):
                connection = await self._pool.acquire(timeout=wait)
        except TimeoutError:
            raise StoreUnavailable(f"{name}: no connection within {wait:.3g} s") from None
        try:
            yield connection, self.remaining(end)
        finally:
            # After a timeout the pool waits until the server has let go, or throws the connection
            # away. How that ends must replace neither the answer nor the error of the query.
            with contextlib.suppress(Exception):
                await self._pool.release(connection, timeout=_RELEASE_SECONDS)


class PatientStore(Store):
    """A store for long work: the server's limits end none of its statements.

    Each is a transaction of its own, and takes four round trips for it.
    """

    async def fetch(
        self,
        query: Query,
        *,
        budget: float | None = None,
        deadline: float | None = None,
    ) -> list[asyncpg.Record]:
        """As `fetch_long`; the limits given are those of a call. Raises: see there."""
        return await self.fetch_long(query)

    async def copy(self, statement: Statement, lines: Iterable[bytes]) -> None:
        """As that of `Store`. Raises: see there."""
        async with self._lifted(statement.name) as (connection, remaining):
            await _copy(connection, statement, lines, remaining)


async def _copy(
    connection: Connection, statement: Statement, lines: Iterable[bytes], seconds: float
) -> None:
    schema, table, columns = statement.copy_target()
    await connection.copy_to_table(
        table,
        schema_name=schema,
        columns=columns,
        source=in_pieces(lines),
        format="text",
        null=NULL,
        timeout=seconds,
    )


async def _roll_back(transaction: asyncpg.transaction.Transaction) -> None:
    """Whatever has happened to its connection."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_RELEASE_SECONDS):
            await transaction.rollback()


@functools.cache
def _lift_limits() -> str:
    return (folder("sql") / "reading" / "lift_limits.sql").read_text()


async def in_pieces(texts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Texts for COPY as messages of a megabyte at most: the server refuses one of a gigabyte.

    They are written while the server stores those before them. Never raises.
    """
    for text in texts:
        for begin in range(0, len(text), _LARGEST_MESSAGE):
            yield text[begin : begin + _LARGEST_MESSAGE]
