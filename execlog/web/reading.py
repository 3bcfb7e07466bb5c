"""Reads the log for viewers: one snapshot a page, read-only, with a limit of time and connections.

A page borrows one connection. At most half of the pool is used at once, so that the rest is free
for its other users however many viewers there are; further viewers wait for their turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from execlog.archive.reading import Reach
from execlog.db import validation
from execlog.db.connect import Connector
from execlog.db.executor import Store
from execlog.db.files import folder
from execlog.db.sqltext import filled
from execlog.db.statements import Query
from execlog.errors import (
    InvalidArgument,
    QueryRejected,
    StoreUnavailable,
    driver_errors,
)
from execlog.repository.activity import StrategyActivity
from execlog.repository.explanation import Explanation
from execlog.repository.questions import Rights
from execlog.repository.repository import Reads, files_of, statements
from execlog.web.archived import Archived, Archives, Windows
from execlog.web.details import Details
from execlog.web.kept import Kept
from execlog.web.live import Live
from execlog.web.stored import stored

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["Reader"]

_OWN_CONNECTIONS = 5
# Times the limit of one statement: the longest wait for a turn, and the longest page.
_PATIENCE = 2.0
_END_SECONDS = 1.0
_CAUSES_SECONDS, _MOST_CAUSES = 60.0, 100
_LEVELS_SECONDS, _MOST_LEVELS = 5.0, 20


class Reader:
    """Lends snapshots of a log.

    Args:
        source: A pool, owned by the caller, or a DSN: then a pool is made on first use, and closed
            by `aclose`.
        timeout: Seconds that one statement may take. Waiting for a turn may take twice as long, and
            so may a whole page.
        schema: The schema of the log.
        archive: The folder of the archive; None: pages show the rows of the log only.

    Attributes:
        schema: The schema of the log.
        causes: The explanations on the pages of strategies.
        details: What these pages show beside their reports.
        levels: How often strategies ran and failed over time, on the overview: all viewers of a
            process share it for less time than it takes to refresh itself.
        live: The new rows of lists that are open.

    Raises:
        InvalidArgument: `source` is neither, `timeout` is no positive number, `schema` can't be a
            name, or `archive` is no path.
        ArchiveError: The extra for `archive` is not installed.
        QueryFileError: The install lacks SQL files, or has others.
    """

    def __init__(
        self, source: Pool | str, timeout: float, schema: str, archive: object = None
    ) -> None:
        """Takes the parts and loads the statements. Raises: see the class."""
        self._archive = files_of(archive)
        if not isinstance(source, str | asyncpg.Pool):
            problem = validation.must_be("an asyncpg.Pool or a DSN", source)
            raise InvalidArgument("pool_or_dsn", problem)
        self._timeout = validation.seconds("timeout", timeout)
        self._connect = None
        if isinstance(source, str):
            dsn = validation.name("pool_or_dsn", source)
            self._connect = Connector(dsn, "pool_or_dsn", writes=False, seconds=self._timeout)
        self._pool = None if isinstance(source, str) else source
        self.schema = where = validation.schema(schema)
        self._statements = statements(where)
        self._archives = Archives(self._archive is not None)
        self._rights = {inputs: Rights(inputs=inputs) for inputs in (True, False)}
        self.causes = Kept[Explanation](seconds=_CAUSES_SECONDS, most=_MOST_CAUSES)
        self.details = Details()
        self.levels = Kept[list[StrategyActivity]](seconds=_LEVELS_SECONDS, most=_MOST_LEVELS)
        self.live = Live(self.snapshot)
        words = {"timeout": validation.server_timeout("timeout", timeout)}
        self._begin = filled((folder("sql") / "reading" / "begin.sql").read_text(), where, words)
        self._end = (folder("sql") / "reading" / "end.sql").read_text()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: asyncio.Semaphore | None = None

    @contextlib.asynccontextmanager
    async def snapshot(self, *, inputs: bool = False) -> AsyncIterator[Reads]:
        """The log at one moment: its methods read in one transaction that can't write.

        If one of them fails, the next one uses a new transaction.

        Args:
            inputs: Whether the inputs of executions are read too.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or no connection was free in time.
            QueryRejected: The server refuses.
        """
        async with self._turn() as pool:
            with driver_errors("connect"):
                try:
                    connection = await pool.acquire(timeout=self._timeout)
                except ValueError as error:
                    if isinstance(error, OSError):  # a certificate error is both
                        raise
                    # The driver's text would quote it; and a viewer can't correct it.
                    problem = "connect: pool_or_dsn is not a connection string that can be used"
                    raise QueryRejected(problem) from None
            try:
                store = _Snapshot(connection, Store(pool, self._timeout), self._begin, self._end)
                try:
                    yield _Viewed(
                        store, self._statements, rights=self._rights[inputs], archive=self._archive
                    )
                finally:
                    await store.end()
            finally:
                with contextlib.suppress(Exception):
                    await pool.release(connection, timeout=_END_SECONDS)

    async def archived(
        self,
        log: Reads,
        since: datetime | None,
        until: datetime | None,
    ) -> Archived | None:
        """What a page must say of runs in files, after it has read its rows. Never raises.

        Args:
            log: The page's snapshot.
            since: The begin of its window.
            until: Its end.
        """
        windows = log.windows if isinstance(log, _Viewed) else []
        return await self._archives.of(log, windows, since, until)

    async def aclose(self) -> None:
        """Ends the poll, and closes the pool that was made for a DSN. Never raises."""
        await self.live.aclose()
        if self._connect is not None:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.terminate()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[Pool]:
        """A turn: less than half of the pool's connections are used by viewers."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Turns that belong to another loop can't be used here.
            self._loop, self._turns = loop, None
            self._pool = self._pool if self._connect is None else None
        pool = await self._opened()
        if self._turns is None:
            self._turns = asyncio.Semaphore(max(pool.get_max_size() // 2, 1))
        turns = self._turns
        wait = _PATIENCE * self._timeout
        try:
            async with asyncio.timeout(wait):
                await turns.acquire()
        except TimeoutError:
            raise StoreUnavailable(f"no connection was free within {wait:g} s") from None
        try:
            yield pool
        finally:
            turns.release()

    async def _opened(self) -> Pool:
        if self._pool is None:
            # Making it opens no connection and awaits nothing, so there is only one pool. No
            # statement cache: a pooler may be in between.
            self._pool = asyncpg.create_pool(
                connect=self._connect,
                min_size=0,
                max_size=_OWN_CONNECTIONS,
                statement_cache_size=0,
            )
            await self._pool
        return self._pool


class _Viewed(Reads):
    """The log as viewers read it: no JSON is parsed, which would hold the event loop."""

    _row = staticmethod(stored)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.windows: Windows = []

    def _reads_rows_only(self, name: str, since: datetime | None, until: datetime | None) -> None:
        self.windows.append((since, until))

    def _reach_of(
        self,
        listed: Sequence[asyncpg.Record],
        deadline: float,
        values: Mapping[str, Any] | None = None,
    ) -> Reach:
        reach = super()._reach_of(listed, deadline, values)
        if reach.listed:
            asked = values or {}
            self.windows.append((asked.get("since"), asked.get("until")))
        return reach


class _Snapshot(Store):
    """A borrowed connection, in one transaction from its first statement on."""

    def __init__(self, connection: Connection, whole: Store, begin: str, end: str) -> None:
        self._borrowed, self._whole = connection, whole
        self._timeout = whole._timeout
        self._begin, self._end = begin, end
        self._until = asyncio.get_running_loop().time() + _PATIENCE * self._timeout

    def deadline(self) -> float:
        return min(super().deadline(), self._until)

    async def together(
        self, *queries: Query, budget: float | None = None, deadline: float | None = None
    ) -> list[list[asyncpg.Record]]:
        """The rows of several statements: all are of this snapshot."""
        return [await self.fetch(one, budget=budget, deadline=deadline) for one in queries]

    async def fetch_apart(self, query: Query) -> list[asyncpg.Record]:
        """As `Store.fetch_apart`: beside this snapshot. Raises: see there."""
        return await self._whole.fetch_apart(query)

    async def renew(self) -> None:
        """Ends this snapshot: the next statement begins another. Never raises."""
        await self.end()

    async def end(self) -> None:
        """Ends the transaction; a failure is ignored, since it only read."""
        with contextlib.suppress(Exception):  # of a connection that was given up, each call fails
            if not self._borrowed.is_closed() and self._borrowed.is_in_transaction():
                await self._borrowed.execute(self._end, timeout=_END_SECONDS)

    @contextlib.asynccontextmanager
    async def _connection(
        self, name: str, deadline: float | None = None
    ) -> AsyncIterator[tuple[Connection, float]]:
        end = self.deadline() if deadline is None else deadline
        if not self._borrowed.is_in_transaction():
            await self._borrowed.execute(self._begin, timeout=self.remaining(end))
        try:
            yield self._borrowed, self.remaining(end)
        except BaseException:
            # The transaction is aborted: end it, and the next statement begins another.
            await self.end()
            raise
