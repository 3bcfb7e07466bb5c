"""Two cards side by side, their differences, and which of these are more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from execlog.db.rows import Row
from execlog.models import Model
from execlog.repository.metrics import StrategyMetrics, weight_of
from execlog.repository.verdicts import (
    Blocks,
    Interval,
    intervals,
    of_mean,
    of_percentile,
    of_rate,
)

__all__ = ["ComparisonIntervals", "MetricsDelta", "StrategyComparison", "comparison"]


class MetricsDelta(Model):
    """By how much B is above A; `points_avg` is points per run, with the weights of the rates."""

    success_rate: float
    error_rate: float
    p95_ms: float
    avg_ms: float
    points_avg: float


class ComparisonIntervals(Model):
    """How sure each difference of `MetricsDelta` is; the five are judged together."""

    success_rate: Interval
    error_rate: Interval
    p95_ms: Interval
    avg_ms: Interval
    points_avg: Interval


class StrategyComparison(Model):
    """Two slices of the log, each a strategy over a window, and B - A.

    Attributes:
        a: The card of the one.
        b: The card of the other.
        delta: The differences.
        intervals: How sure they are.
    """

    a: StrategyMetrics
    b: StrategyMetrics
    delta: MetricsDelta
    intervals: ComparisonIntervals


def comparison(
    a: StrategyMetrics, b: StrategyMetrics, records: Sequence[Row], blocks: Sequence[Blocks]
) -> StrategyComparison:
    """Both cards and B - A. Never raises for such arguments.

    Args:
        a: The one card.
        b: The other.
        records: The rows of both cards.
        blocks: The blocks of both.
    """
    points_a, points_b = (record["points_weighed"] / weight_of(record) for record in records)
    is_same = math.isclose(points_a, points_b, rel_tol=1e-9)  # but for rounding
    return StrategyComparison(
        a=a,
        b=b,
        delta=MetricsDelta(
            success_rate=b.success_rate - a.success_rate,
            error_rate=b.error_rate - a.error_rate,
            p95_ms=b.duration.p95_ms - a.duration.p95_ms,
            avg_ms=b.duration.avg_ms - a.duration.avg_ms,
            points_avg=0.0 if is_same else points_b - points_a,
        ),
        intervals=_intervals(a, b, *blocks),
    )


def _intervals(
    a: StrategyMetrics, b: StrategyMetrics, one: Blocks, two: Blocks
) -> ComparisonIntervals:
    p95 = a.duration.p95_ms, b.duration.p95_ms
    found = intervals(
        [
            of_rate(one, two, "ok"),
            of_rate(one, two, "failed"),
            of_percentile(one, two, 0.95, p95),
            of_mean(one, two, "duration"),
            of_mean(one, two, "points"),
        ]
    )
    return ComparisonIntervals(**dict(zip(ComparisonIntervals.model_fields, found, strict=True)))
