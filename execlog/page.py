"""What the page of a strategy shows, of one statement: its card, its time series, and before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from execlog.metrics import StrategyMetrics, strategy_metrics
from execlog.models import Model
from execlog.slices import Pace, sliced
from execlog.timeseries import Buckets, TimeseriesBucket, before, bucket_of

__all__ = ["StrategyReport", "strategy_report"]


class StrategyReport(Model):
    """A strategy over a window, as one moment saw it.

    Attributes:
        metrics: Its card.
        before: The window of the same length that ends just before, as one bucket.
        timeseries: The window in buckets.
    """

    metrics: StrategyMetrics
    before: TimeseriesBucket
    timeseries: list[TimeseriesBucket]


async def strategy_report(
    record: asyncpg.Record, *, strategy_id: str, buckets: Buckets
) -> StrategyReport:
    """The model of the row of sql/report.sql. Never raises for such a row.

    Args:
        record: The row.
        strategy_id: The strategy that it is of.
        buckets: The window that it is of, and how it is cut.
    """
    pace = Pace()
    card = json.loads(record["metrics"])
    window = buckets.since, buckets.until
    await pace.rest()
    metrics = strategy_metrics(_timed(card), strategy_id=strategy_id, window=window)
    await pace.rest()
    earlier = bucket_of(json.loads(record["before"]), before(*window))
    series = json.loads(record["timeseries"])
    await pace.rest()
    timeseries = await sliced(buckets.filled(series))
    return StrategyReport(metrics=metrics, before=earlier, timeseries=timeseries)


def _timed(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """A card that was JSON, whose time is a text there."""
    time = card["rows_from"]
    return {**card, "rows_from": time and datetime.fromisoformat(time)}
