"""The data of a strategy's page, of one statement: card, time series, and the window before."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import asyncpg

from execlog.db.slices import Pace, sliced
from execlog.models import Model
from execlog.repository.metrics import StrategyMetrics, strategy_metrics
from execlog.repository.timeseries import Buckets, TimeseriesBucket, bucket_of
from execlog.repository.verdicts import (
    Blocks,
    Interval,
    intervals,
    of_percentile,
    of_rate,
    read_blocks,
)
from execlog.statistics.verdicts import Difference

__all__ = ["ReportIntervals", "StrategyReport", "strategy_report"]

# The doubles in a row of sql/timeseries.sql.
_DOUBLES = (
    "error_rate",
    "duration_avg_ms",
    "duration_p50_ms",
    "duration_p95_ms",
    "duration_p99_ms",
    "duration_min_ms",
    "duration_max_ms",
    "points_sum",
)


class ReportIntervals(Model):
    """How sure each change since the window before is; the four are judged together."""

    error_rate: Interval
    p50_ms: Interval
    p95_ms: Interval
    p99_ms: Interval


class StrategyReport(Model):
    """A strategy over a window, at one moment.

    Attributes:
        metrics: Its card.
        before: The window of the same length that ends just before, as one bucket.
        timeseries: The window in buckets.
        intervals: How sure the changes since the window before are.
    """

    metrics: StrategyMetrics
    before: TimeseriesBucket
    timeseries: list[TimeseriesBucket]
    intervals: ReportIntervals


async def strategy_report(
    record: asyncpg.Record, *, strategy_id: str, buckets: Buckets, versions: bool = False
) -> StrategyReport:
    """The model of the row of sql/report.sql. Never raises for such a row.

    Args:
        record: The row.
        strategy_id: Its strategy.
        buckets: Its window and buckets.
        versions: Whether only some versions were asked for.
    """
    pace = Pace()
    window = buckets.since, buckets.until
    metrics = strategy_metrics(record, strategy_id=strategy_id, window=window, versions=versions)
    await pace.rest()
    earlier = bucket_of(_row(json.loads(record["before"])), buckets.before().since)
    series = json.loads(record["timeseries"])
    await pace.rest()
    timeseries = await sliced(buckets.filled(map(_row, series)))
    now, then = await sliced(map(read_blocks, (record["blocks"], record["blocks_before"])))
    sure = intervals(await sliced(_changes(then, now, earlier, metrics)))
    return StrategyReport(
        metrics=metrics,
        before=earlier,
        timeseries=timeseries,
        intervals=ReportIntervals(**dict(zip(ReportIntervals.model_fields, sure, strict=True))),
    )


def _changes(
    then: Blocks, now: Blocks, earlier: TimeseriesBucket, metrics: StrategyMetrics
) -> Iterator[Difference | None]:
    """The changes of `ReportIntervals`, in its order."""
    took = metrics.duration
    pairs = (
        (0.5, (earlier.duration_p50_ms, took.p50_ms)),
        (0.95, (earlier.duration_p95_ms, took.p95_ms)),
        (0.99, (earlier.duration_p99_ms, took.p99_ms)),
    )
    yield of_rate(then, now, "failed")
    for fraction, values in pairs:
        yield of_percentile(then, now, fraction, values)


def _row(fields: dict[str, Any]) -> dict[str, Any]:
    """A row of sql/timeseries.sql, whose doubles were sent as their bytes."""
    return fields | {name: _double(fields[name]) for name in _DOUBLES}


def _double(digits: str | None) -> float | None:
    if digits is None:
        return None
    [value] = struct.unpack(">d", bytes.fromhex(digits))
    return float(value)
