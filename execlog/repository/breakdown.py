"""How executions do by the values of one column or attribute, or by the nodes of their traces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Literal, Unpack, get_args
from uuid import UUID

import asyncpg

from execlog import context
from execlog.db import validation
from execlog.db.rows import aware_fields
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument
from execlog.models import Model
from execlog.repository.filters import Filters, conditions
from execlog.repository.intervals import wilson
from execlog.repository.node_times import (
    MOST_BYTES,
    NEWEST,
    TRACE_BYTES,
    NodeTime,
    NodeTimes,
    node_times,
)
from execlog.repository.questions import Questions

__all__ = ["BY", "MOST_GROUPS", "Breakdown", "BreakdownOrder", "Breakdowns", "of_nodes"]

BreakdownOrder = Literal["failures", "runs", "error_rate", "p99"]
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

_ATTRIBUTE = "attributes."
_NO_DETAILS = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "users"))
_TYPED: dict[str, Callable[[str], str | int]] = {
    "strategy_version": int,
    "trace_id": lambda text: UUID(text).hex,
}


class Breakdown(Model):
    """The executions of a window with one value of a column: how they ended, how long they took.

    Attributes:
        value: An integer for versions, 32 hexadecimal digits for trace ids, else a text; None: the
            executions without a value.
        runs: The stored executions.
        failures: Those of them whose status is not ok.
        error_rate: The share of error, timeout and limit; each row weighs 1/sample_rate here, in
            the average, the percentiles and the points.
        error_rate_low: The low end of Wilson's interval of 95 % of that share.
        error_rate_high: Its high end.
        avg_ms: The average duration in milliseconds; of a node the time that it took itself in a
            run, None if no trace says how long.
        p50_ms: The median duration; None without details, as the next two.
        p95_ms: The 95th percentile.
        p99_ms: The 99th percentile.
        points_avg: Points per run; None for nodes.
        users: How many distinct users they are of; None without details, and for nodes.
        first_seen: The time of the first; None if none has a time.
        last_seen: The time of the last.
    """

    value: str | int | None
    runs: int
    failures: int
    error_rate: float
    error_rate_low: float
    error_rate_high: float
    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    points_avg: float | None
    users: int | None
    first_seen: datetime | None
    last_seen: datetime | None


class Breakdowns(Questions):
    """Splits the executions of a window by what they have in common."""

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

        All numbers are exact, of every row of the window. By node they are those of `node_times`:
        runs are those that visited the node, and times the ones that it took itself.

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
        if column != "strategy_id":  # which is that of no switch
            switches.append(f"by_{column}")
        if wanted == "p99":
            switches += ["slowest_first", "details"]
        elif has_details:
            switches.append("details")
        records = await self._fetch(
            "breakdown", *switches, **values, attribute=attribute, order=wanted, limit=most
        )
        value = _TYPED.get(column, str)
        return await sliced(_of_record(one, value, has_details) for one in records)

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

    async def _nodes(self, switches: Sequence[str], values: dict[str, Any]) -> NodeTimes:
        found = await self._fetch(
            "node_times",
            *switches,
            **values,
            newest=NEWEST,
            most_bytes=MOST_BYTES,
            trace_bytes=TRACE_BYTES,
        )
        return await node_times(found)


def of_nodes(
    times: NodeTimes, order: BreakdownOrder, most: int, *, details: bool = True
) -> list[Breakdown]:
    """The nodes as groups, in the order of a breakdown. Never raises.

    Args:
        times: The nodes.
        order: As for `breakdown`.
        most: How many of them.
        details: As for `breakdown`.
    """
    measures: dict[BreakdownOrder, Callable[[NodeTime], float]] = {
        "failures": lambda one: one.failures,
        "runs": lambda one: one.runs,
        "error_rate": lambda one: one.error_rate,
        "p99": lambda one: -1.0 if one.p99_ms is None else one.p99_ms,
    }
    by_name = sorted(times.nodes, key=lambda one: one.name.encode())
    ordered = sorted(by_name, key=measures[order], reverse=True)[:most]
    found = [_of_node(one) for one in ordered]
    return found if details else list(map(_without_details, found))


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


def _of_record(
    record: asyncpg.Record, value: Callable[[str], str | int], has_details: bool
) -> Breakdown:
    fields = aware_fields(record)
    text, weight = fields.pop("value"), fields.pop("weight")
    rate = fields.pop("failed_weight") / weight
    low, high = wilson(rate, weight * weight / fields.pop("weight_squares"))
    duration, points = fields.pop("duration_ms"), fields.pop("points")
    found = Breakdown(
        value=None if text is None else value(text),
        error_rate=rate,
        error_rate_low=low,
        error_rate_high=high,
        avg_ms=duration / weight,
        points_avg=(points or 0.0) / weight,
        **fields,
    )
    return found if has_details else _without_details(found)


def _of_node(one: NodeTime) -> Breakdown:
    shared = {name: getattr(one, name) for name in Breakdown.model_fields if hasattr(one, name)}
    return Breakdown(**shared, value=one.name, points_avg=None, users=None)


def _without_details(one: Breakdown) -> Breakdown:
    return one.model_copy(update=_NO_DETAILS)
