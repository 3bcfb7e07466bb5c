"""The executions themselves: one, the newest, all, each question one statement."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Collection, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from execlog import arguments
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog
from execlog.rows import from_record
from execlog.slices import sliced
from execlog.statements import Statement
from execlog.store import Store

__all__ = ["Executions"]


class Executions:
    """Reads executions back, whole.

    Args:
        store: What the statements are sent to.
        statements: The statement of each method by its name.
    """

    _row = staticmethod(from_record)  # what a row that was read becomes

    def __init__(self, store: Store, statements: Mapping[str, Statement]) -> None:
        """Takes the parts. Never raises."""
        self._store = store
        self._statements = statements

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
        return self._row(found[0]) if found else None

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
        found = await self._fetch(
            "list_for_strategy",
            arguments.name("strategy_id", strategy_id),
            arguments.optional_text("status", status),
            arguments.limit(limit, 200),
            *_keyset(before),
        )
        return await sliced(map(self._row, found))

    async def list_newest(
        self,
        *,
        status: str | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
    ) -> list[StrategyExecutionLog]:
        """The newest executions of all strategies, newest first, those without a time last.

        Args:
            status: Only this status.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list goes on after it.

        Raises:
            InvalidArgument: An argument is of another type.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch(
            "list_newest",
            arguments.optional_text("status", status),
            arguments.limit(limit, 200),
            *_keyset(before),
        )
        return await sliced(map(self._row, found))

    async def list_executions(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        status: str | None = None,
        error_code: str | None = None,
        case_name: str | None = None,
        min_duration_ms: float | None = None,
        max_duration_ms: float | None = None,
        above_duration_ms: float | None = None,
        min_points: float | None = None,
        max_points: float | None = None,
        below_points: float | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
        payloads: bool = True,
    ) -> list[StrategyExecutionLog]:
        """The newest executions behind a number of a card, newest first, those without a time last.

        A bar of durations is what is above the bar before it, up to its bound; one of points what
        is from that bound on, and below its own.

        Args:
            strategy_id: The strategy.
            realm_id: Only those of this tenant, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            status: Only this status; "failed": whatever is not ok; "errors": error, timeout and
                limit, which an error rate counts; "other": whatever is none of these and not ok.
            error_code: Only this code.
            case_name: Only this rule case; "": no rule matched.
            min_duration_ms: The least duration, in milliseconds.
            max_duration_ms: The greatest.
            above_duration_ms: What all are longer than.
            min_points: The least points; rows without points are left out then.
            max_points: The most; so here.
            below_points: What all are fewer than; and here.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list goes on after it.
            payloads: False: without traces, which are None then and are not read.

        Raises:
            InvalidArgument: As for `count_by_status`, a bound is no finite number, or `payloads` no
                bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        bounds = {
            "min_duration_ms": min_duration_ms,
            "max_duration_ms": max_duration_ms,
            "above_duration_ms": above_duration_ms,
            "min_points": min_points,
            "max_points": max_points,
            "below_points": below_points,
        }
        name, *window = arguments.scope(strategy_id, since, until)
        found = await self._fetch(
            "list_executions",
            name,
            arguments.texts("realm_id", realm_id),
            *window,
            arguments.optional_text("status", status),
            arguments.optional_text("error_code", error_code),
            arguments.optional_text("case_name", case_name),
            *(arguments.number(bound, value) for bound, value in bounds.items()),
            arguments.limit(limit, 200),
            *_keyset(before),
            arguments.flag("payloads", payloads),
        )
        return await sliced(map(self._row, found))

    async def list_failures(
        self,
        *,
        realm_id: str | Collection[str] | None = None,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
        payloads: bool = True,
    ) -> list[StrategyExecutionLog]:
        """The newest runs whose status is not ok, across strategies, those without a time last.

        Args:
            realm_id: Only those of this tenant, or of these; None: of all.
            strategy_id: Only those of this strategy, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list goes on after it.
            payloads: False: without traces, which are None then and are not read.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` or `strategy_id` is no text and no
                list of texts, `limit` no integer, or `payloads` no bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch(
            "list_failures",
            arguments.texts("realm_id", realm_id),
            arguments.texts("strategy_id", strategy_id),
            *arguments.window(since, until),
            arguments.limit(limit, 200),
            *_keyset(before),
            arguments.flag("payloads", payloads),
        )
        return await sliced(map(self._row, found))

    async def stream(
        self,
        *,
        strategy_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncGenerator[StrategyExecutionLog]:
        """All executions, newest first, those without a time last, as they were when it began.

        They come by a cursor, some at a time: memory stays flat however many there are. It keeps a
        connection of the pool until its end; whoever leaves earlier closes it
        (`contextlib.aclosing`). The time that a call may take is that of each step.

        Args:
            strategy_id: Only this strategy's; None: all.
            since: The window's begin.
            until: The window's end.

        Raises:
            InvalidArgument: As for `count_by_status`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        strategy = None if strategy_id is None else arguments.name("strategy_id", strategy_id)
        statement = self._statements["stream"]
        found = self._store.stream(statement, strategy, *arguments.window(since, until))
        async with contextlib.aclosing(found) as records:
            async for record in records:
                yield self._row(record)

    async def _fetch(self, name: str, *values: object) -> list[asyncpg.Record]:
        return await self._store.fetch(self._statements[name], *values)


def _keyset(before: object) -> tuple[datetime | None, UUID | None]:
    """Where a page begins: the place of the last row of the page before."""
    if before is None:
        return None, None
    if not isinstance(before, StrategyExecutionLog):
        raise InvalidArgument("before", "must be a row of the page before")
    return arguments.time("before", before.created_at), arguments.identifier("before", before.id)
