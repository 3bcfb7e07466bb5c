"""The dashboard's card of a strategy, as pydantic models."""

from __future__ import annotations

import bisect
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal

from execlog.db.rows import Row, aware
from execlog.models import (
    STATUSES,
    CaseNameCount,
    DurationPercentiles,
    ErrorCodeCount,
    Model,
)
from execlog.repository import histogram

__all__ = [
    "FRACTIONS",
    "DurationMetrics",
    "HistogramBucket",
    "StatusBreakdown",
    "StrategyMetrics",
    "strategy_metrics",
    "weight_of",
]

FRACTIONS = (0.5, 0.95, 0.99)
# The upper edges that sql/metrics.sql counts by, in milliseconds.
_DURATION_EDGES = (5, 10, 25, 50, 100, 150, 200, 250, 500, 1000, 2500, 5000)
_POINTS_BUCKETS = 10


class StatusBreakdown(Model):
    """How many stored executions ended in each status; `other` is any but the four."""

    ok: int
    error: int
    timeout: int
    limit: int
    other: int
    total: int


class DurationMetrics(Model):
    """Durations in milliseconds; zeros if the window holds no row.

    In average and percentiles each row weighs 1/sample_rate; the maximum is of the stored rows. If
    `method` is "exact", the percentiles are of every row. If it is "sketch" (many rows), each is at
    most `relative_error` of itself off; if that is None, one may be further off: below a
    microsecond, or above thirty years. If it is "sample", they are of the newest `sample_size`
    rows, and the error is unknown: None.
    """

    avg_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    sample_size: int
    method: Literal["exact", "sketch", "sample"]
    relative_error: float | None


class HistogramBucket(Model):
    """One bar: the rows between the bar before it and `upper_bound`, None if it has no end.

    A duration equal to `upper_bound` belongs to this bar; points equal to it belong to the next
    one, except in the last bar.
    """

    label: str
    upper_bound: float | None
    count: int


class StrategyMetrics(Model):
    """The card of one strategy over a window.

    Counts, sums and histograms are of every stored row. Rates, averages, percentiles and
    `estimated_total` are of the executions that the rows stand for: each row weighs 1/sample_rate,
    1e9 at most. `error_rate` is the share of error, timeout and limit; rates are between 0 and 1,
    and 0 if nothing ran.

    Attributes:
        top_errors: The ten most frequent codes, ties by code; rows without one are left out.
        top_cases: The ten most frequent cases, ties by name; None (no rule matched) last.
        points_histogram: Ten equal bars from the least to the most points; one if these are the
            same (or 1e-290 apart), and one "0" with count 0 if no points were awarded. If
            `duration.method` is "sketch", the counts are exact too, and each bound is moved down by
            at most 2 % of itself, to an edge of the rollups; bars whose bounds then meet are one.
        rows_from: Set if the window begins earlier: some or all rows before this time were removed,
            and runs before it are counted from rollups, in whole minutes or hours. Else None.
    """

    strategy_id: str
    window_from: datetime | None
    window_until: datetime | None
    status_breakdown: StatusBreakdown
    success_rate: float
    error_rate: float
    duration: DurationMetrics
    duration_histogram: list[HistogramBucket]
    top_errors: list[ErrorCodeCount]
    top_cases: list[CaseNameCount]
    points_histogram: list[HistogramBucket]
    points_sum: float
    nodes_avg: float
    nodes_max: int
    estimated_total: float
    other_errors: int = 0
    other_cases: int = 0
    rows_from: datetime | None = None
    versions_from: datetime | None = None


def strategy_metrics(
    record: Row,
    *,
    strategy_id: str,
    window: tuple[datetime | None, datetime | None],
    percentiles: DurationPercentiles | None = None,
    versions: bool = False,
) -> StrategyMetrics:
    """The card that a row of sql/metrics.sql holds. Never raises for such a row.

    Args:
        record: The row.
        strategy_id: The card's strategy.
        window: The card's window.
        percentiles: The percentiles at `FRACTIONS`, if the row holds none.
        versions: Whether only some versions were asked for.
    """
    statuses = {name: record[name] for name in (*STATUSES, "other")}
    total = sum(statuses.values())
    return StrategyMetrics(
        strategy_id=strategy_id,
        window_from=window[0],
        window_until=window[1],
        status_breakdown=StatusBreakdown(**statuses, total=total),
        success_rate=record["ok_weight"] / weight_of(record),
        error_rate=record["failed_weight"] / weight_of(record),
        duration=_duration(record, total, percentiles),
        duration_histogram=_duration_histogram(record),
        top_errors=[
            ErrorCodeCount(code=code, count=count)
            for code, count in json.loads(record["top_errors"])
        ],
        top_cases=[
            CaseNameCount(case_name=name, count=count)
            for name, count in json.loads(record["top_cases"])
        ],
        points_histogram=_points_histogram(record),
        points_sum=record["points_sum"],
        nodes_avg=record["nodes_avg"],
        nodes_max=record["nodes_max"],
        estimated_total=record["weight"],
        other_errors=record["other_errors"],
        other_cases=record["other_cases"],
        rows_from=aware(record["rows_from"]),
        versions_from=aware(record["versions_from"]) if versions else None,
    )


def weight_of(record: Row) -> float:
    """What the rates of a card are shares of; 1 if nothing ran. Never raises."""
    weight: float = record["weight"]
    return weight or 1.0  # nothing ran: every rate is 0


def _duration(record: Row, total: int, percentiles: DurationPercentiles | None) -> DurationMetrics:
    method: Literal["exact", "sketch", "sample"] = "exact"
    error: float | None = 0.0
    size = total
    values: Sequence[float] = [record[name] or 0.0 for name in ("p50_ms", "p95_ms", "p99_ms")]
    if record["durations"] is not None:
        method = "sketch"
        ends = record["duration_min_ms"], record["duration_max_ms"]
        bars = histogram.unpacked(record["durations"])
        values, error = histogram.percentiles(bars, FRACTIONS, *ends)
    elif percentiles is not None:
        method, error = percentiles.method, None
        values, size = percentiles.values_ms, percentiles.sample_size
    p50, p95, p99 = values
    return DurationMetrics(
        avg_ms=record["duration_avg_ms"],
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=record["duration_max_ms"],
        sample_size=size,
        method=method,
        relative_error=error,
    )


def _duration_histogram(record: Row) -> list[HistogramBucket]:
    rolled = histogram.unpacked(record["bars"])
    counts = _between(json.loads(record["durations_above"]))
    bars = [count + round(rolled.get(bar, 0)) for bar, count in enumerate(counts)]
    bounded = zip(_DURATION_EDGES, bars, strict=False)
    return [
        *(HistogramBucket(label=f"≤{edge}ms", upper_bound=edge, count=n) for edge, n in bounded),
        HistogramBucket(label=f">{_DURATION_EDGES[-1]}ms", upper_bound=None, count=bars[-1]),
    ]


def _points_histogram(record: Row) -> list[HistogramBucket]:
    low, step, high = (record[f"points_{name}"] for name in ("min", "step", "max"))
    if low is None:
        return [HistogramBucket(label="0", upper_bound=0.0, count=0)]
    # The same sums as in the statement, so that each bar's count fits its bounds.
    edges = [low, *(low + step * n for n in range(1, _POINTS_BUCKETS)), high]
    if record["points"] is not None:
        edges, counts = _rolled_points(record, edges)
    else:
        counts = _between(json.loads(record["points_at_least"]))
    if not step or len(counts) == 1:
        label = _labels([high])[0]
        return [HistogramBucket(label=label, upper_bound=high, count=sum(counts))]
    labels = pairwise(_labels(edges))
    return [
        HistogramBucket(label=f"{lower}\u2013{upper}", upper_bound=edge, count=count)
        for (lower, upper), edge, count in zip(labels, edges[1:], counts, strict=True)
    ]


def _rolled_points(record: Row, edges: Sequence[float]) -> tuple[list[float], list[int]]:
    """Bounds and counts from rollups: an edge within a bar of theirs is moved to its start."""
    kept = _points_bars(record)
    lowers = [lower for lower, _, _ in kept]
    first, last = edges[0], edges[-1]
    moved = set()
    for edge in edges[1:-1]:
        lower, upper, _ = kept[max(bisect.bisect_right(lowers, edge) - 1, 0)]
        moved.add(lower if edge < upper else edge)
    bounds = [first, *sorted(at for at in moved if first < at < last), last]
    bars = [0] * (len(bounds) - 1)
    for lower, _, count in kept:
        bars[max(bisect.bisect_right(bounds, lower, hi=len(bars)) - 1, 0)] += count
    return bounds, bars


def _points_bars(record: Row) -> list[tuple[float, float, int]]:
    """The lower and upper bound and the count of each bar that is not empty, in order."""
    below, above = (
        {bar: round(runs) for bar, runs in histogram.unpacked(record[name]).items()}
        for name in ("points_below", "points")
    )
    near_zero = record["points_runs"] - sum(below.values()) - sum(above.values())
    low, high = histogram.lower_bound, histogram.upper_bound
    bars = [(-high(bar), -low(bar), below[bar]) for bar in reversed(below)]
    if near_zero:
        bars.append((-low(1), low(1), near_zero))
    return [*bars, *((low(bar), high(bar), above[bar]) for bar in above)]


def _labels(edges: Sequence[float]) -> list[str]:
    """The edges in the fewest digits that tell them apart, at least six."""
    for digits in (6, 9, 12, 15, 17):
        labels = [f"{edge + 0.0:.{digits}g}" for edge in edges]  # + 0.0: no -0
        if len(set(labels)) == len(set(edges)):
            break
    return labels


def _between(at_least: Sequence[int]) -> list[int]:
    """The counts between consecutive edges, given the counts above each edge."""
    return [here - above for here, above in zip(at_least, [*at_least[1:], 0], strict=True)]
