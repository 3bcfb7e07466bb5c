"""The groups of a breakdown, made of rows of its statements and of the nodes of traces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from execlog.db.rows import Row, aware_fields
from execlog.models import Model
from execlog.repository import histogram
from execlog.repository.intervals import wilson
from execlog.repository.metrics import FRACTIONS
from execlog.repository.node_times import NodeTime, NodeTimes

__all__ = ["Breakdown", "BreakdownOrder", "of_nodes", "of_record"]

BreakdownOrder = Literal["failures", "runs", "error_rate", "p99"]

_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")
_AS_THEY_ARE = (
    *("runs", "failures", *_PERCENTILES, "users"),
    *("first_seen", "last_seen", "method", "relative_error"),
)
_NO_DETAILS = dict.fromkeys((*_PERCENTILES, "users"))
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
        failed_rate: The share of all that are not ok, weighed too; None for nodes.
        avg_ms: The average duration in milliseconds; of a node the time that it took itself in a
            run, None if no trace says how long.
        p50_ms: The median duration; None without details, as the next two.
        p95_ms: The 95th percentile.
        p99_ms: The 99th percentile.
        points_avg: Points per run; None for nodes.
        users: How many distinct users they are of; None without details, from rollups, and for
            nodes.
        first_seen: The time of the first; None if none has a time. From rollups it may be the begin
            of its hour (or of its day in UTC, if rollups of hours were removed).
        last_seen: The time of the last.
        method: "exact": all is of rows. "sketch": of rollups, as `breakdown` says.
        relative_error: How far off each percentile may be, as a share of itself, at most; None if
            one may be further off, below a microsecond or above thirty years, and if "sketch" has
            no percentiles.
    """

    value: str | int | None
    runs: int
    failures: int
    error_rate: float
    error_rate_low: float
    error_rate_high: float
    failed_rate: float | None
    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    points_avg: float | None
    users: int | None
    first_seen: datetime | None
    last_seen: datetime | None
    method: Literal["exact", "sketch"] = "exact"
    relative_error: float | None = 0.0


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


def of_record(record: Row, column: str, *, details: bool) -> Breakdown:
    """The group that a row of a statement holds. Never raises for such a row.

    Args:
        record: The row.
        column: The column that the groups are by.
        details: As for `breakdown`.
    """
    value = _TYPED.get(column, str)
    fields = aware_fields(record)
    text, weight = fields.pop("value"), fields.pop("weight")
    failed = fields.pop("failed_weight")
    rate, failed_rate = failed / weight, (failed + fields.pop("other_weight")) / weight
    low, high = wilson(rate, weight * weight / fields.pop("weight_squares"))
    duration, points = fields.pop("duration_ms"), fields.pop("points")
    if not fields.get("is_exact", True):
        fields.update(_sketch(fields))
    found = Breakdown(
        value=None if text is None else value(text),
        error_rate=rate,
        error_rate_low=low,
        error_rate_high=high,
        failed_rate=failed_rate,
        avg_ms=duration / weight,
        points_avg=(points or 0.0) / weight,
        **{name: fields[name] for name in _AS_THEY_ARE if name in fields},
    )
    return found if details else _without_details(found)


def _sketch(fields: dict[str, Any]) -> dict[str, Any]:
    """The percentiles of a group from rollups, if it has a histogram."""
    if fields["durations"] is None:
        return {"method": "sketch", "relative_error": None}
    ends = fields["duration_min_ms"], fields["duration_max_ms"]
    found, error = histogram.percentiles(histogram.unpacked(fields["durations"]), FRACTIONS, *ends)
    named = dict(zip(_PERCENTILES, found, strict=True))
    return {"method": "sketch", "relative_error": error, **named}


def _of_node(one: NodeTime) -> Breakdown:
    shared = {name: getattr(one, name) for name in Breakdown.model_fields if hasattr(one, name)}
    return Breakdown(**shared, value=one.name, failed_rate=None, points_avg=None, users=None)


def _without_details(one: Breakdown) -> Breakdown:
    known = {} if one.method == "exact" else {"relative_error": None}
    return one.model_copy(update={**_NO_DETAILS, **known})
