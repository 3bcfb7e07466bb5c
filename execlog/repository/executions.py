"""The executions themselves: one, the newest, all, each question one statement."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from execlog.db import validation
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument, QueryRejected
from execlog.models import StrategyExecutionLog
from execlog.repository.questions import MAY_NOT, Questions

__all__ = ["LARGEST_PAGE", "Executions"]

LARGEST_PAGE = 200
"""The most rows of a page; the limit within `sql/part/newest_rows.sql` and `execution_keys.sql`."""

_DAY = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC) + _DAY

# A status that stands for several, in the words of `sql/list_executions.sql`.
_STATUSES: dict[str | None, list[str]] = {
    None: [],
    "ok": [],
    "failed": ["failed"],
    "errors": ["failed", "errors"],
    "other": ["failed", "other"],
}


class Executions(Questions):
    """Reads executions back, whole."""

    async def get(
        self, *, id: UUID | str, strategy_id: str | None = None
    ) -> StrategyExecutionLog | None:
        """One execution whole, with its trace; None if there is none.

        Args:
            id: The execution's id.
            strategy_id: Its strategy, if known: then a cluster asks one machine only.

        Raises:
            InvalidArgument: `id` is no UUID, `strategy_id` is empty or no text.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        key = validation.identifier("id", id)
        strategy = None if strategy_id is None else validation.name("strategy_id", strategy_id)
        found = await self._fetch_whole("get", id=key, strategy_id=strategy)
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
            before: The last row of the page before; the list continues after it.

        Raises:
            InvalidArgument: An argument is of another type, or `strategy_id` is empty.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = validation.optional_text("status", status)
        return await self._listed(
            "list_for_strategy",
            *(["failed"] if wanted not in (None, "ok") else []),
            strategy_id=validation.name("strategy_id", strategy_id),
            status=wanted,
            limit=limit,
            before=before,
        )

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
            before: The last row of the page before; the list continues after it.

        Raises:
            InvalidArgument: An argument is of another type.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = validation.optional_text("status", status)
        return await self._listed(
            "list_newest",
            *self._spread,
            *(["failed_of_all"] if wanted not in (None, "ok") else []),
            status=wanted,
            limit=limit,
            before=before,
        )

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

        A bar of durations excludes its lower bound and includes its upper one
        (`above_duration_ms`, `max_duration_ms`); a bar of points is the other way round
        (`min_points`, `below_points`).

        Args:
            strategy_id: The strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            status: Only this status; "failed": every status but ok; "errors": error, timeout and
                limit, which an error rate counts; "other": all that are none of these and not ok.
            error_code: Only this code.
            case_name: Only this rule case; "": no rule matched.
            min_duration_ms: The least duration, in milliseconds.
            max_duration_ms: The greatest duration.
            above_duration_ms: Only longer durations than this.
            min_points: The least points; this and the next two leave out rows without points.
            max_points: The most points.
            below_points: Only fewer points than this.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.
            payloads: False: traces are not read, and are None.

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
        scope = validation.scope(strategy_id, since, until)
        wanted = validation.optional_text("status", status)
        switches = _STATUSES.get(wanted, ["failed"])
        return await self._listed(
            "list_executions",
            *switches,
            *_bare(payloads),
            **scope,
            realm_ids=validation.texts("realm_id", realm_id),
            status=wanted if wanted == "ok" or wanted not in _STATUSES else None,
            error_code=validation.optional_text("error_code", error_code),
            case_name=validation.optional_text("case_name", case_name),
            **{bound: validation.number(bound, value) for bound, value in bounds.items()},
            limit=limit,
            before=before,
        )

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
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_id: Only runs of this strategy, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.
            payloads: False: traces are not read, and are None.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` or `strategy_id` is no text and no
                list of texts, `limit` no integer, or `payloads` no bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        realms = validation.texts("realm_id", realm_id)
        begin, end = validation.window(since, until)
        of_one = realms is not None and len(realms) < 2 and not self._spread
        return await self._listed(
            "list_failures",
            *self._spread,
            *_bare(payloads),
            *(["of_one_realm"] if of_one else []),
            realm_ids=realms,
            strategy_ids=validation.texts("strategy_id", strategy_id),
            since=begin,
            until=end,
            limit=limit,
            before=before,
        )

    async def stream(
        self,
        *,
        strategy_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncGenerator[StrategyExecutionLog]:
        """All executions, newest first, those without a time last, as of its first step.

        They are read through a cursor, some at a time: memory stays flat however many there are. It
        holds a connection of the pool until its end; a caller that leaves earlier closes it
        (`contextlib.aclosing`). The timeout of a call applies to each step.

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
        strategy = None if strategy_id is None else validation.name("strategy_id", strategy_id)
        begin, end = validation.window(since, until)
        scope = {"strategy_id": strategy, "since": begin, "until": end}
        async with contextlib.aclosing(self._streamed("stream", **scope)) as records:
            async for record in records:
                yield self._row(record)

    async def _streamed(self, name: str, **values: Any) -> AsyncGenerator[asyncpg.Record]:
        """As `_fetch_whole`, through a cursor: a right is refused before the first row."""
        if self._rights.inputs:
            found = self._store.stream(self._statements[name].query(**values))
            try:
                async with contextlib.aclosing(found) as records:
                    async for record in records:
                        yield record
                return
            except QueryRejected as error:
                if error.sqlstate != MAY_NOT:
                    raise
        found = self._store.stream(self._statements[name].query("no_input", **values))
        async with contextlib.aclosing(found) as records:
            async for record in records:
                self._rights.inputs = False
                yield record

    async def _listed(
        self, name: str, *switches: str, limit: object, before: object, **filters: Any
    ) -> list[StrategyExecutionLog]:
        cursor = _cursor(before)
        most = validation.limit(limit, LARGEST_PAGE)
        found: list[asyncpg.Record] = []
        if "spread" in switches and "before_undated_id" not in cursor:
            # Each shard plans each statement, with all partitions that the window does not exclude.
            # A page that the newest day fills is the page of the whole window too.
            day = _newest_day(cursor.get("before_created_at"), filters.get("until"))
            if (since := filters.get("since")) is None or since < day:
                found = await self._fetch_whole(
                    name, *switches, **{**filters, "since": day}, **cursor, limit=most
                )
        if len(found) < most:
            is_open = filters.get("since") is None and filters.get("until") is None
            # Rows without a time follow those that a cursor with a time finds.
            follow = ["undated_follow"] if is_open and "before_id" in cursor else []
            found = await self._fetch_whole(
                name, *switches, *follow, **filters, **cursor, limit=most
            )
        return await sliced(map(self._row, found))


def _newest_day(*ends: datetime | None) -> datetime:
    """The start of the last day before now, or before the earliest of these times."""
    end = min([datetime.now(UTC), *(end for end in ends if end is not None)])
    return max(end, _EARLIEST) - _DAY


def _bare(payloads: object) -> list[str]:
    return [] if validation.flag("payloads", payloads) else ["bare"]


def _cursor(before: object) -> dict[str, Any]:
    """The keyset cursor of a page: time and id of the last row of the page before."""
    if before is None:
        return {}
    if not isinstance(before, StrategyExecutionLog):
        raise InvalidArgument("before", "must be a row of the page before")
    time = validation.time("before", before.created_at)
    key = validation.identifier("before", before.id)
    if time is None:
        return {"before_undated_id": key}
    return {"before_created_at": time, "before_id": key}
