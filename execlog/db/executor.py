"""Runs one statement on one borrowed connection, with a time limit and errors of one tree."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import asyncpg

from execlog.db import session_limits, validation
from execlog.db.copying import copy
from execlog.db.farewell import Farewell
from execlog.db.files import folder
from execlog.db.pulse import Pulse
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

__all__ = ["Store"]

_Isolation = Literal["read_committed", "repeatable_read"] | None

# How long a connection may take to become usable after its query was cancelled.
_RELEASE_SECONDS = 1.0
_APART_SECONDS = 5.0
_STREAMED_AT_ONCE = 200  # rows; more are hardly faster, and each may have a trace of a megabyte


class _Refused(Exception):
    """What was written is not to be committed."""


class Store:
    """A caller's pool, used for one statement at a time.

    Args:
        pool: An asyncpg pool, owned by the caller. If it was never opened, each method raises
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
        """The end of a call that begins now, on the clock of the event loop. Never raises."""
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
        """The rows that a statement returns.

        Args:
            query: The statement with its values.
            budget: Seconds that the server may take, if fewer than what is left.
            deadline: The deadline of a call that sends several statements.

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

    async def fetch_apart(self, query: Query) -> list[asyncpg.Record]:
        """Like `fetch`, on a connection of its own, which sees what is stored now.

        It waits for one for some seconds only: its caller may hold the only one.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        now = asyncio.get_running_loop().time()
        return await self.fetch(query, deadline=min(self.deadline(), now + _APART_SECONDS))

    async def fetch_long(self, query: Query) -> list[asyncpg.Record]:
        """Like `fetch`, without the server's time limits: only the timeout of the call applies.

        It runs in a transaction of its own, because a statement before it lifts the limits.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        async with self._lifted(query.name) as (connection, remaining):
            return await connection.fetch(query.sql, *query.values, timeout=remaining)

    async def fetch_read_only(self, query: Query) -> list[asyncpg.Record]:
        """Like `fetch`, in a transaction that can't write, unless it is in one already.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with driver_errors(query.name):
            async with self._connection(query.name) as (connection, remaining):
                if connection.is_in_transaction():  # of a page, which can't write either
                    return await connection.fetch(query.sql, *query.values, timeout=remaining)
                async with asyncio.timeout(remaining), connection.transaction(readonly=True):
                    return await connection.fetch(query.sql, *query.values)

    async def together(
        self, *queries: Query, budget: float | None = None, deadline: float | None = None
    ) -> list[list[asyncpg.Record]]:
        """The rows of several statements, all from one snapshot.

        Args:
            queries: The statements with their values.
            budget: Seconds that the server may take, if fewer than what is left.
            deadline: The deadline of a call that sends more.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        name = queries[-1].name
        with driver_errors(name):
            async with self._connection(name, deadline) as (connection, remaining):
                limit = remaining if budget is None else min(budget, remaining)
                async with asyncio.timeout(limit):
                    async with connection.transaction(isolation="repeatable_read", readonly=True):
                        return [await connection.fetch(one.sql, *one.values) for one in queries]

    async def renew(self) -> None:
        """Has the next statement see what is stored by then; here each does. Never raises."""

    async def write_unless(
        self, write: Query, check: Query, is_refused: Callable[[list[asyncpg.Record]], bool]
    ) -> tuple[list[asyncpg.Record] | None, list[asyncpg.Record]]:
        """The rows of a statement that writes, and of one that is asked before and after it.

        Args:
            write: The statement that writes.
            check: The other one, which sees what was committed until then each time.
            is_refused: Whether its rows keep the first one from being sent, or committed: then
                there are no rows of that, and nothing was written.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with contextlib.suppress(_Refused):
            async with self._writing(write.name) as (connection, remaining):
                async with asyncio.timeout(remaining):
                    found = await connection.fetch(check.sql, *check.values)
                    if is_refused(found):
                        raise _Refused
                    written = await connection.fetch(write.sql, *write.values)
                    found = await connection.fetch(check.sql, *check.values)
                    if is_refused(found):
                        raise _Refused
                    return written, found
        return None, found

    @contextlib.asynccontextmanager
    async def _writing(self, name: str) -> AsyncIterator[tuple[Connection, float]]:
        """A connection in a transaction, and the seconds left."""
        with driver_errors(name):
            async with self._connection(name) as (connection, remaining):
                async with connection.transaction(isolation="read_committed"):
                    yield connection, remaining

    async def stream(
        self,
        query: Query,
        first: Query | None = None,
        told: Callable[[list[asyncpg.Record]], None] | None = None,
        pulse: Pulse | None = None,
    ) -> AsyncGenerator[asyncpg.Record]:
        """The rows that a statement returns, a few hundred at a time, from one snapshot.

        Args:
            query: The statement with its values.
            first: A statement that is asked before, in the same snapshot.
            told: What gets its rows.
            pulse: What keeps the transaction alive while the reader waits for something else.

        Each step may take as long as a call, the whole has no limit: the session's limits for a
        statement and a transaction are lifted. The limit for an idle transaction stays, so a
        reader that stops does not hold up the server for ever. Close the generator if you leave it
        before its end.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with driver_errors(query.name):
            async with self._connection(query.name) as (connection, remaining):
                isolation: _Isolation = None if first is None else "repeatable_read"
                transaction = connection.transaction(isolation=isolation, readonly=True)
                async with asyncio.timeout(remaining):
                    await transaction.start()
                farewell = Farewell(connection)
                pulse = pulse or Pulse(query.name)
                try:
                    await connection.fetch(_lift_limits(), timeout=remaining)
                    if first is not None and told is not None:
                        told(await connection.fetch(first.sql, *first.values, timeout=remaining))
                    # Prepared again, even if the pool has it cached: a generic plan sorts, a custom
                    # plan walks along an index.
                    prepared = await connection.prepare(query.sql, timeout=remaining)
                    cursor = await prepared.cursor(*query.values, timeout=remaining)
                    while rows := await cursor.fetch(_STREAMED_AT_ONCE, timeout=self._timeout):
                        farewell.rest()
                        pulse.begin(connection, farewell)
                        for row in rows:
                            yield row
                        pulse.end()
                        await farewell.ask()
                except BaseException:
                    await _roll_back(transaction)
                    raise
                finally:
                    pulse.end()
                    farewell.end()
                # Nothing was written, but the server's statistics count only what is committed.
                async with asyncio.timeout(self._timeout):
                    await transaction.commit()

    async def explain(self, query: Query, *, analyze: bool = False) -> list[str]:
        """The lines of the plan that the server makes for exactly these parameters.

        Args:
            query: The statement with its values; a COPY has no plan.
            analyze: Also run it, in a read-only transaction, and report what was read.

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
        """Stores rows by a COPY statement, all or none.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        with driver_errors(statement.name):
            async with self._connection(statement.name) as (connection, remaining):
                await copy(connection, statement, lines, remaining)

    @contextlib.asynccontextmanager
    async def _lifted(
        self, name: str, isolation: _Isolation = None
    ) -> AsyncIterator[tuple[Connection, float]]:
        """A connection in a transaction without the server's limits, and the seconds left."""
        with driver_errors(name):
            async with self._connection(name) as (connection, remaining):
                transaction = connection.transaction(isolation=isolation)
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
            # After a timeout the pool waits until the server has cancelled the query, or closes the
            # connection. A failure of that must not replace the query's answer or error.
            with contextlib.suppress(Exception):
                await self._pool.release(connection, timeout=_RELEASE_SECONDS)


async def _roll_back(transaction: asyncpg.transaction.Transaction) -> None:
    """Rolls back, in whatever state the connection is."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_RELEASE_SECONDS):
            await transaction.rollback()


@functools.cache
def _lift_limits() -> str:
    return (folder("sql") / "reading" / "lift_limits.sql").read_text()
