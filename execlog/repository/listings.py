"""Lists of executions, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from execlog.archive.reading import Reach
from execlog.db import validation
from execlog.db.rows import Row
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog
from execlog.repository.filters import Conditions, Filters, conditions
from execlog.repository.questions import Questions

__all__ = ["LARGEST_PAGE", "Listings"]

LARGEST_PAGE = 200
"""The most rows of a page; the limit within `sql/part/newest_rows.sql` and `execution_keys.sql`."""

_DAY = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC) + _DAY


class Listings(Questions):
    """Lists executions, newest first, those without a time last.

    `before` is the last row of the page before: the list continues after it.
    """

    async def list_for_strategy(
        self,
        *,
        strategy_id: str,
        status: str | Collection[str] | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
    ) -> list[StrategyExecutionLog]:
        """The newest executions of a strategy, newest first, those without a time last.

        Args:
            strategy_id: The strategy.
            status: Only this status, or these; the words of `Filters` too.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.

        Raises:
            InvalidArgument: An argument is of another type, or `strategy_id` is empty.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = conditions("list_for_strategy", {"status": status})
        return await self._listed(
            "list_for_strategy",
            *wanted.switches,
            **wanted.values,
            strategy_id=validation.name("strategy_id", strategy_id),
            limit=limit,
            before=before,
        )

    async def list_newest(
        self,
        *,
        status: str | Collection[str] | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
    ) -> list[StrategyExecutionLog]:
        """The newest executions of all strategies, newest first, those without a time last.

        Args:
            status: Only this status, or these; the words of `Filters` too.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.

        Raises:
            InvalidArgument: An argument is of another type.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        return await self.list_executions(status=status, limit=limit, before=before)

    async def list_executions(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
        payloads: bool = True,
        **filters: Unpack[Filters],
    ) -> list[StrategyExecutionLog]:
        """The newest executions that pass the filters, those without a time last.

        Args:
            strategy_id: The strategy, or several; None: all.
            since: The window's begin.
            until: The window's end.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.
            payloads: False: traces and inputs are not read, and are None; `payloads_left_out` is
                true for these rows.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `count_by_status`, a filter is as `Filters` does not take it,
                or `payloads` is no bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = conditions("list_executions", filters)
        names = validation.strategies("strategy_id", strategy_id)
        begin, end = validation.window(since, until)
        page: dict[str, Any] = {"since": begin, "until": end, "limit": limit, "before": before}
        if names is not None and len(names) == 1 and not wanted.are_of_users:
            return await self._listed(
                "list_executions",
                *wanted.switches,
                **wanted.values,
                **page,
                strategy_id=names[0],
                payloads=payloads,
            )
        return await self._across("list_newest", wanted, names, payloads=payloads, **page)

    async def list_failures(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        before: StrategyExecutionLog | None = None,
        payloads: bool = True,
        **filters: Unpack[Filters],
    ) -> list[StrategyExecutionLog]:
        """The newest runs whose status is not ok, across strategies, those without a time last.

        Args:
            strategy_id: Only runs of this strategy, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            limit: 1 to 200 rows.
            before: The last row of the page before; the list continues after it.
            payloads: As for `list_executions`.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `list_executions`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = conditions("list_failures", filters, of_failures=True)
        names = validation.texts("strategy_id", strategy_id)
        begin, end = validation.window(since, until)
        page: dict[str, Any] = {"since": begin, "until": end, "limit": limit, "before": before}
        name = "list_newest" if wanted.are_of_users else "list_failures"
        return await self._across(name, wanted, names, payloads=payloads, **page)

    async def list_absent(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
        **filters: Unpack[Filters],
    ) -> dict[str, list[str]]:
        """Which of the values that are asked for no execution of the window has, whatever else.

        It explains a list that is empty. Looked at are the strategy and the filters by realm,
        version, code, case and status; the answer has the values of each that are absent, as text,
        by the name of the filter. A value that is absent costs one look at all rows of the window.

        Args:
            strategy_id: The strategy, or several; None: none is asked for.
            since: The window's begin.
            until: The window's end.
            timeout: Seconds that the answer may take, if fewer than those of a call.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `list_executions`, or `timeout` is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time.
            QueryRejected: The server refuses.
        """
        wanted = conditions("list_absent", filters).values
        begin, end = validation.window(since, until)
        query = self._statements["list_absent"].query(
            strategies=validation.strategies("strategy_id", strategy_id) or [],
            realms=wanted["realm_ids"] or [],
            versions=wanted["strategy_versions"] or [],
            codes=wanted["error_codes"] or [],
            cases=wanted["case_names"] or [],
            words=validation.texts("status", filters.get("status")) or [],
            since=begin,
            until=end,
        )
        budget = validation.seconds("timeout", timeout)
        answer: dict[str, list[str]] = {}
        scope = {"since": begin, "until": end}
        absent, reach = await self._asked(query, scope, budget)
        for record in absent:
            name, value = record["filter"], record["value"]
            switches, values = _only(name, value)
            if not await reach.count(0, 1, *switches, **values, **scope):
                answer.setdefault(name, []).append(value)
        return answer

    async def _across(
        self, name: str, wanted: Conditions, names: list[str] | None, **page: Any
    ) -> list[StrategyExecutionLog]:
        """A list of several strategies, by the statement of this name."""
        realms = wanted.values["realm_ids"]
        switches = wanted.across
        if name == "list_failures":
            switches = (*(one for one in switches if one != "failed_of_all"),)
        of_one = realms is not None and len(realms) < 2 and not self._spread
        if of_one and "failed_of_all" in wanted.across:
            switches = (*switches, "of_one_realm")
        return await self._listed(
            name, *self._spread, *switches, **wanted.values, **page, strategy_ids=names
        )

    async def _listed(
        self,
        name: str,
        *switches: str,
        limit: object,
        before: object,
        payloads: object = True,
        **filters: Any,
    ) -> list[StrategyExecutionLog]:
        has_payloads = validation.flag("payloads", payloads)
        switches = switches if has_payloads else (*switches, "bare", "no_input")
        cursor = _cursor(before, of_one=name == "list_executions")
        most = validation.limit(limit, LARGEST_PAGE)
        found: Sequence[Row] = []
        reach = Reach()
        if "spread" in switches and "before_undated_id" not in cursor:
            # Each shard plans each statement, with all partitions that the window does not exclude.
            # A page that the newest day fills is the page of the whole window too.
            day = _newest_day(cursor.get("before_created_at"), filters.get("until"))
            if (since := filters.get("since")) is None or since < day:
                found, _ = await self._fetch_whole(
                    name, *switches, **{**filters, "since": day}, **cursor, limit=most
                )
        if len(found) < most:
            is_open = filters.get("since") is None and filters.get("until") is None
            # Rows without a time follow those that a cursor with a time finds.
            follow = ["undated_follow"] if is_open and "before_id" in cursor else []
            found, reach = await self._fetch_whole(
                name, *switches, *follow, **filters, **cursor, limit=most
            )
        if name == "list_failures":
            switches = (*switches, "failed_of_all")
        found = await reach.page(found, most, *self._shown(*switches), **filters, **cursor)
        return await sliced(map(self._row if has_payloads else self._outlined, found))


def _only(name: str, value: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The switches and values for executions of one value."""
    if name == "strategy_id":
        return (), {"strategy_id": value}
    wanted = conditions("list_absent", {name: int(value) if name == "strategy_version" else value})
    return wanted.switches, wanted.values


def _newest_day(*ends: datetime | None) -> datetime:
    """The start of the last day before now, or before the earliest of these times."""
    end = min([datetime.now(UTC), *(end for end in ends if end is not None)])
    return max(end, _EARLIEST) - _DAY


def _cursor(before: object, *, of_one: bool) -> dict[str, Any]:
    """The keyset cursor of a page: time and id of the last row of the page before.

    Unless the list is of one strategy, it has that of the row too. A row that was made without one
    counts as the last of its time and id.
    """
    if before is None:
        return {}
    if not isinstance(before, StrategyExecutionLog):
        raise InvalidArgument("before", "must be a row of the page before")
    time = validation.time("before", before.created_at)
    key = validation.identifier("before", before.id)
    place = "before_strategy_id" if time is not None else "before_undated_strategy_id"
    strategy = validation.text("before", getattr(before, "strategy_id", ""))
    tie = {} if of_one else {place: strategy}
    if time is None:
        return {"before_undated_id": key, **tie}
    return {"before_created_at": time, "before_id": key, **tie}
