"""The repository: a method is one hand-written statement, `sql/<method>.sql`, and one round trip.

Every method checks its arguments before anything is sent and raises from one tree (`errors.py`):

- `InvalidArgument`: an argument is wrong; nothing was sent.
- `SchemaOutdated`: the database is not migrated.
- `StoreUnavailable`: the server is away or out of time; the same call may work later.
- `QueryRejected`: the server refuses; the same call will be refused again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import asyncpg

from execlog import arguments
from execlog.errors import InvalidArgument, QueryRejected, StoreUnavailable
from execlog.models import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErrorCodeCount,
    StrategyExecutionLog,
)
from execlog.percentiles import percentile_cont
from execlog.resources import folder
from execlog.rows import copy_lines, from_record, row_arguments
from execlog.statements import Statement, load_statements
from execlog.store import Store

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["StrategyExecutionLogRepository"]

_LARGEST_SAMPLE = 5000
# No such function; not supported; the server's own time limit.
_NO_PERCENTILES = frozenset({"42883", "0A000"})
_CANCELED = "57014"


class StrategyExecutionLogRepository:
    """Stores executions and reads them back.

    Windows: `since` and `until` are included, None is open. A row without a time is in every
    unbounded window and in no other. Limits are brought into their range, never refused.

    Args:
        pool: An asyncpg pool; it stays the caller's. `statement_cache_size=0` is fine.
        timeout: Seconds that a call may take, waiting for a connection included. A server that is
            frozen holds it up for one second more, until its connection is given up.

    Raises:
        InvalidArgument: `pool` is no pool, or `timeout` is no positive number.
        QueryFileError: The install lacks SQL files, or has others.
    """

    def __init__(self, pool: Pool, *, timeout: float = 30.0) -> None:
        """Takes the pool and loads the statements. Raises: see the class."""
        self._store = Store(pool, timeout)
        self._statements = statements()

    async def insert_row(self, row: StrategyExecutionLog | Mapping[str, Any]) -> None:
        """Stores one execution and commits.

        Args:
            row: The execution, or a mapping of its fields.

        Raises:
            InvalidArgument: A value can't be stored; names the field (`row.points`).
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time. Whether the row was stored is then
                not known. Storing the same model again is safe: see QueryRejected.
            QueryRejected: The server refuses; sqlstate 23505: this id and time are stored already.
                (A mapping without `id` is another execution each time.)
        """
        await self._fetch("insert_row", *row_arguments(row, "row"))

    async def insert_rows(self, rows: Iterable[StrategyExecutionLog | Mapping[str, Any]]) -> int:
        """Stores many executions by COPY, all or none, and answers how many.

        Args:
            rows: Executions, or mappings of their fields. All are held in memory at once.

        Raises:
            InvalidArgument: A value can't be stored; names row and field (`rows[3].points`).
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: As for `insert_row`.
            QueryRejected: As for `insert_row`.
        """
        batch = _sequence(rows)
        if not batch:
            return 0
        await self._store.copy(self._statements["insert_rows"], await _copy_text(batch))
        return len(batch)

    async def get(
        self, *, id: UUID | str, strategy_id: str | None = None
    ) -> StrategyExecutionLog | None:
        """One execution whole, with its trace; None where there is none.

        Args:
            id: The execution's id.
            strategy_id: Its strategy, where known: on a cluster only one machine is asked then.

        Raises:
            InvalidArgument: `id` is no UUID, `strategy_id` is empty or no text.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        key = arguments.identifier("id", id)
        strategy = None if strategy_id is None else arguments.name("strategy_id", strategy_id)
        found = await self._fetch("get", key, strategy)
        return from_record(found[0]) if found else None

    async def list_for_strategy(
        self,
        *,
        strategy_id: str,
        status: str | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
    ) -> list[StrategyExecutionLog]:
        """The newest executions of a strategy, newest first, those without a time last.

        Args:
            strategy_id: The strategy.
            status: Only this status.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list goes on after it.

        Raises:
            InvalidArgument: An argument is of another type, or `strategy_id` is empty.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        if before is not None and not isinstance(before, StrategyExecutionLog):
            raise InvalidArgument("before", "must be a row of the page before")
        found = await self._fetch(
            "list_for_strategy",
            arguments.name("strategy_id", strategy_id),
            arguments.optional_text("status", status),
            arguments.limit(limit, 200),
            None if before is None else arguments.time("before", before.created_at),
            None if before is None else arguments.identifier("before", before.id),
        )
        return [from_record(record) for record in found]

    async def count_by_status(
        self, *, strategy_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, int]:
        """How many executions ended in each status, most frequent first.

        Raises:
            InvalidArgument: An argument is of another type, `strategy_id` is empty, a datetime has
                no time zone, or `since` is later than `until`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch("count_by_status", *_scope(strategy_id, since, until))
        return {record["status"]: record["count"] for record in found}

    async def count_by_error_code(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10,
    ) -> list[ErrorCodeCount]:
        """The most frequent error codes, ties by code. Rows without a code are left out.

        `limit` is 1 to 50 codes.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        found = await self._fetch("count_by_error_code", *scope, arguments.limit(limit, 50))
        return [ErrorCodeCount(code=r["code"], count=r["count"]) for r in found]

    async def count_by_case_name(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10,
    ) -> list[CaseNameCount]:
        """The rule cases that fire most, ties by name, None (no rule matched) last among them.

        `limit` is 1 to 50 cases.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        found = await self._fetch("count_by_case_name", *scope, arguments.limit(limit, 50))
        return [CaseNameCount(case_name=r["case_name"], count=r["count"]) for r in found]

    async def duration_and_nodes_summary(
        self, *, strategy_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> DurationAndNodesSummary:
        """Count, duration (milliseconds), nodes and points of a window; zeros where it is empty.

        Raises:
            InvalidArgument: As for `count_by_status`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        [record] = await self._fetch("duration_and_nodes_summary", *scope)
        return DurationAndNodesSummary(**dict(record))

    async def sample_durations(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[float]:
        """The newest durations in milliseconds, newest first. `limit` is 1 to 5000 rows.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        limit = arguments.limit(limit, _LARGEST_SAMPLE)
        return [r["duration_ms"] for r in await self._fetch("sample_durations", *scope, limit)]

    async def sample_points(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[float]:
        """The newest points awarded, newest first, NULL left out. `limit` is 1 to 5000 rows.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        limit = arguments.limit(limit, _LARGEST_SAMPLE)
        return [r["points"] for r in await self._fetch("sample_points", *scope, limit)]

    async def duration_percentiles(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        fractions: Sequence[float] = (0.5, 0.95, 0.99),
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    ) -> DurationPercentiles:
        """Percentiles of the duration in milliseconds, exact where the server gives them in time.

        Where it lacks `percentile_cont`, or is not done within `timeout` seconds, they are computed
        here from the newest 5,000 rows, and `method` says "sample" (a second round trip).

        Raises:
            InvalidArgument: As for `count_by_status`, a fraction is outside [0, 1], or `timeout`
                is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the sample too.
            QueryRejected: The server refuses.
        """
        scope = _scope(strategy_id, since, until)
        wanted = arguments.fractions(fractions)
        budget = arguments.seconds("timeout", timeout)
        try:
            written = f"{{{','.join(map(repr, wanted))}}}"
            found = await self._fetch("duration_percentiles", *scope, written, budget=budget)
        except (StoreUnavailable, QueryRejected) as error:
            if not _lacks_percentiles(error):
                raise
        else:
            size = found[0]["sample_size"]
            values = [record["value_ms"] for record in found] if size else [0.0] * len(wanted)
            return _percentiles(wanted, values, "exact", size)
        sample = await self.sample_durations(
            strategy_id=strategy_id, since=since, until=until, limit=_LARGEST_SAMPLE
        )
        return _percentiles(wanted, percentile_cont(sample, wanted), "sample", len(sample))

    async def _fetch(
        self, name: str, *values: object, budget: float | None = None
    ) -> list[asyncpg.Record]:
        return await self._store.fetch(self._statements[name], *values, budget=budget)


@functools.cache
def statements() -> Mapping[str, Statement]:
    """The statement of each repository method, loaded once.

    Raises:
        QueryFileError: A file is missing, unknown or malformed; lists all of them.
    """
    methods = {
        name
        for name, _ in inspect.getmembers(
            StrategyExecutionLogRepository, inspect.iscoroutinefunction
        )
        if not name.startswith("_")
    }
    return load_statements(folder("sql"), methods)


def _scope(
    strategy_id: str, since: datetime | None, until: datetime | None
) -> tuple[str, datetime | None, datetime | None]:
    """The first three parameters of every statement over a window."""
    return arguments.name("strategy_id", strategy_id), *arguments.window(since, until)


def _sequence(rows: object) -> list[object]:
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise InvalidArgument("rows", "must be a list of executions")
    return list(rows)


async def _copy_text(batch: Sequence[object]) -> list[bytes]:
    """All rows are checked before the first byte is sent; in between others get their turn."""
    texts = []
    for text in copy_lines(batch):
        texts.append(text)
        await asyncio.sleep(0)
    return texts


def _lacks_percentiles(error: StoreUnavailable | QueryRejected) -> bool:
    """Whether the server has no `percentile_cont`, or had not the time for it."""
    out_of_time = isinstance(error.__cause__, TimeoutError) or error.sqlstate == _CANCELED
    return out_of_time or error.sqlstate in _NO_PERCENTILES


def _percentiles(
    fractions: tuple[float, ...],
    values_ms: Sequence[float],
    method: Literal["exact", "sample"],
    sample_size: int,
) -> DurationPercentiles:
    return DurationPercentiles(
        fractions=fractions, values_ms=tuple(values_ms), method=method, sample_size=sample_size
    )
