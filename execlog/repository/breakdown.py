"""How executions do by the values of one column or attribute, or by the nodes of their traces."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack, get_args

import asyncpg

from execlog import context
from execlog.archive.asking import Moved, TooMuch
from execlog.db import validation
from execlog.db.rows import Row
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument
from execlog.repository.both import Both
from execlog.repository.filters import Filters, conditions
from execlog.repository.groups import Breakdown, BreakdownOrder, of_nodes, of_record
from execlog.repository.node_times import (
    MOST_BYTES,
    NEWEST,
    TRACE_BYTES,
    NodeTimes,
    node_times,
)

__all__ = ["BY", "MOST_COUNTED", "MOST_GROUPS", "OF_ROLLUPS", "Breakdowns"]

MOST_COUNTED = 10_000
"""The most executions that `count_executions` counts; its limit within the SQL is one more."""

MOST_GROUPS = 10_000
"""The most groups of a breakdown."""

BY = (
    "strategy_id",
    "realm_id",
    "strategy_version",
    "strategy_type",
    "status",
    "error_code",
    "case_name",
    "external_user_id",
    "external_game_id",
    "external_task_id",
    "parent_strategy_id",
    "trace_id",
)
"""The columns that a breakdown may be by."""

OF_ROLLUPS = "breakdown_of_rollups"
"""The second statement of `breakdown`, for what rollups tell apart."""

_ROLLED_UP = frozenset({"strategy_id", "realm_id", "strategy_version"})

_ATTRIBUTE = "attributes."


class Breakdowns(Both):
    """Counts the executions of a window, together or by what they have in common."""

    async def count_executions(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
        **filters: Unpack[Filters],
    ) -> int:
        """How many stored executions pass the filters; 10,001 stands for more than 10,000.

        It is the length of the whole list that `list_executions` has a page of.

        Args:
            strategy_id: The strategy, or several; None: all.
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
        switches, values = _asked("count_executions", filters, strategy_id, since, until)
        budget = validation.seconds("timeout", timeout)
        query = self._statements["count_executions"].query(*switches, **values)
        [record], reach = await self._asked(query, values, budget)
        return await reach.count(record["count"], MOST_COUNTED + 1, *switches, **values)

    async def breakdown(
        self,
        *,
        by: str,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: BreakdownOrder = "failures",
        limit: int = 50,
        details: bool = True,
        **filters: Unpack[Filters],
    ) -> list[Breakdown]:
        """How executions do by the values of a column or attribute, or by nodes of their traces.

        All numbers are exact, of every row of the window, but for those of rollups. These answer by
        strategy, realm and version, if no other filter is given and the window has more than
        50,000 runs (`exact_runs`; of all strategies, unless one is asked for): counts, rates,
        averages and times of the last are the same, percentiles are sketched, users are not known,
        and the interval takes runs of a status in an hour, or a day, to weigh the same. Runs that
        were summed up before versions were told apart have none. Any other filter reads rows
        (`min_nodes=0` leaves none out), and so does a log that is spread over a cluster. A window
        that reaches into files of the archive is of rows too, if the log holds 100,000 of it at
        most.

        By node the numbers are those of `node_times`: runs are those that visited the node, and
        times the ones that it took itself.

        Args:
            by: One of `BY` (the filters that compare a column), `attributes.KEY` for the text of an
                attribute, or `node`.
            strategy_id: The strategy, or several; None: all.
            since: The window's begin.
            until: The window's end.
            order: "failures", "runs", "error_rate" or "p99", the largest first, ties by value, no
                value last.
            limit: 1 to 10,000 groups.
            details: False: without percentiles and users, which takes a fourth of the time.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `list_executions`, `by` or `order` is none of these, `limit` is
                no integer, or `details` no bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        column, attribute = _by(by)
        wanted: Any = validation.one_of("order", order, get_args(BreakdownOrder))
        most = validation.limit(limit, MOST_GROUPS)
        has_details = validation.flag("details", details)
        switches, values = _asked("breakdown", filters, strategy_id, since, until)
        if column == "node":
            times = await self._nodes(switches, values)
            return of_nodes(times, wanted, most, details=has_details)
        more = [f"by_{column}"] if column != "strategy_id" else []  # which is that of no switch
        if wanted == "p99":
            more += ["slowest_first", "details"]
        elif has_details:
            more.append("details")
        asked = {"attribute": attribute, "order": wanted, "limit": most}
        found = await self._settled(
            lambda: self._groups(column, filters, switches, more, values, asked)
        )
        return await sliced(of_record(one, column, details=has_details) for one in found)

    async def _groups(
        self,
        column: str,
        filters: Filters,
        switches: Sequence[str],
        more: Sequence[str],
        values: dict[str, Any],
        asked: Mapping[str, Any],
    ) -> Sequence[Row]:
        is_rolled_up = _is_rolled_up(column, filters)
        found: Sequence[Row] | None
        if is_rolled_up and await self._begins_before_files(values):
            found = await self._of_rollups(filters, values, more, asked)
            if found and not found[0]["is_exact"]:
                return found
        try:
            found = await self._groups_of_both(switches, more, values, f"by_{column}", asked)
        except TooMuch:
            found = await self._of_rollups(filters, values, more, asked) if is_rolled_up else None
            if not found or found[0]["is_exact"]:
                raise
        if found is None and is_rolled_up:
            found = await self._of_rollups(filters, values, more, asked)
            if found and found[0]["is_exact"] and await self._is_in_files("breakdown", values):
                raise Moved("breakdown")  # it is of the log's rows, of which some are gone
        if found is None:
            found = await self._of_log("breakdown", *switches, *more, **values, **asked)
        return found

    async def _of_rollups(
        self,
        filters: Filters,
        values: dict[str, Any],
        more: Sequence[str],
        asked: Mapping[str, Any],
    ) -> list[asyncpg.Record] | None:
        """The groups of rollups, or of rows if these are few; None if the server can't."""
        given, its = _rolled_up(filters, values)
        its |= {"order": asked["order"], "limit": asked["limit"]}
        return await self._fetch_grouped(OF_ROLLUPS, *given, *more, **its)

    async def node_times(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        **filters: Unpack[Filters],
    ) -> NodeTimes:
        """Which nodes take the time, and which are in runs that fail.

        Read are the traces of the newest 2,000 failed runs, and of the newest 2,000 ok runs that
        took longer than the 95th percentile of the window. Runs without a trace are passed over.
        If files of the archive hold some of them, what is slow is told before the traces are read.

        Args:
            strategy_id: The strategy, or several; None: all.
            since: The window's begin.
            until: The window's end.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `list_executions`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        return await self._nodes(*_asked("node_times", filters, strategy_id, since, until))

    async def _nodes(self, switches: Sequence[str], values: Mapping[str, Any]) -> NodeTimes:
        asked = {
            **values,
            "newest": NEWEST,
            "most_bytes": MOST_BYTES,
            "trace_bytes": TRACE_BYTES,
        }
        return await node_times(await self._settled(lambda: self._traces(switches, asked)))

    async def _traces(self, switches: Sequence[str], asked: Mapping[str, Any]) -> Sequence[Row]:
        found = await self._traces_of_both(switches, asked)
        if found is None:
            return await self._of_log("node_times", *switches, **asked, slower_than_ms=None)
        return found


def _by(value: object) -> tuple[str, str | None]:
    """The column, or "attribute" and its key. Raises InvalidArgument: it is neither."""
    text = validation.text("by", value)
    key = text.removeprefix(_ATTRIBUTE)
    if key != text:
        if not context.is_attribute(key, ""):
            raise InvalidArgument("by", "has a key that is not 1 to 64 letters, digits, _ . or -")
        return "attribute", key
    if text not in BY and text != "node":
        raise InvalidArgument("by", f"must be one of {', '.join(BY)}, attributes.KEY or node")
    return text, None


def _asked(
    method: str, filters: Filters, strategy_id: object, since: object, until: object
) -> tuple[list[str], dict[str, Any]]:
    """The switches and values of a statement that includes `sql/part/filtered.sql`."""
    wanted = conditions(method, filters)
    names = validation.strategies("strategy_id", strategy_id)
    begin, end = validation.window(since, until)
    scope = {"since": begin, "until": end}
    if names is not None and len(names) == 1:
        return list(wanted.switches), {**wanted.values, **scope, "strategy_id": names[0]}
    return ["of_all", *wanted.across], {**wanted.values, **scope, "strategy_ids": names}


def _is_rolled_up(column: str, filters: Filters) -> bool:
    """Whether rollups tell apart all that is asked for."""
    given = {name for name, value in filters.items() if value is not None and value is not False}
    return {column, *given} <= _ROLLED_UP


def _rolled_up(filters: Filters, asked: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The switches and values of the statement that reads rollups, for those of the other one."""
    one = asked.get("strategy_id")
    values = {
        "strategy_id": one,
        "strategy_ids": asked.get("strategy_ids") if one is None else [one],
        "since": asked["since"],
        "until": asked["until"],
        "realm_ids": asked["realm_ids"],
        "strategy_versions": validation.versions(
            "strategy_version", filters.get("strategy_version")
        ),
    }
    return [] if one is None else ["of_one"], values
