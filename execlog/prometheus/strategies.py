"""How often strategies ran, with which outcome, and how long that took, from rollups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.prometheus.labels import Labels, checked
from execlog.repository.metrics import StrategyMetrics
from execlog.repository.repository import StrategyExecutionLogRepository

__all__ = ["StrategyCollector"]

_OWN = frozenset({"strategy", "status", "le"})
_MOST = 50
_STATUSES = ("ok", "error", "timeout", "limit", "other")


class StrategyCollector(Collector):
    """Exports runs by status and durations of strategies, since midnight in UTC.

    A scrape asks no server: have a task call `read` once a minute. It reads a card for each
    strategy, those that ran most since midnight. Counts are of stored executions: of a sampled
    strategy, of those that were kept, and its durations have no sum.

    Args:
        log: The repository.
        labels: Additional labels of each metric, by name.
        most: 1 to 50 strategies.

    Raises:
        InvalidArgument: `log` is no repository, `most` is not in its range, a label's name is not
            valid in Prometheus, or is one of the metrics' own.
    """

    def __init__(
        self,
        log: StrategyExecutionLogRepository,
        labels: Labels | None = None,
        *,
        most: int = _MOST,
    ) -> None:
        """Takes the parts; nothing is sent. Raises: see the class."""
        if not isinstance(log, StrategyExecutionLogRepository):
            problem = validation.must_be("a StrategyExecutionLogRepository", log)
            raise InvalidArgument("log", problem)
        self._log = log
        self._labels = checked(labels, _OWN)
        self._most = validation.count("most", most, least=1)
        if self._most > _MOST:
            raise InvalidArgument("most", f"must be at most {_MOST}")
        self._cards: list[StrategyMetrics] = []
        self._midnight = datetime.min.replace(tzinfo=UTC)
        self._read_at: float | None = None

    async def read(self) -> None:
        """Reads the cards; until then there are no metrics.

        If it fails, the metrics stay as they were, and `execlog_strategy_read_seconds` grows.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        ranked = await self._log.rank_strategies(since=midnight, by="runs", limit=self._most)
        cards = [
            await self._log.metrics(strategy_id=one.strategy_id, since=midnight) for one in ranked
        ]
        self._cards, self._midnight, self._read_at = cards, midnight, time.monotonic()

    def describe(self) -> Iterator[Metric]:
        """No metric, so that a registry accepts a second collector. Never raises."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The metrics as of the last `read`. Never raises."""
        if self._read_at is None:
            return
        names, values = list(self._labels), list(self._labels.values())
        began = self._midnight.timestamp()
        text = "Stored executions since midnight in UTC."
        runs = CounterMetricFamily(
            "execlog_strategy_runs", text, labels=[*names, "strategy", "status"]
        )
        text = "How long they took, in seconds."
        took = HistogramMetricFamily(
            "execlog_strategy_duration_seconds", text, labels=[*names, "strategy"]
        )
        for card in self._cards:
            for status in _STATUSES:
                count = getattr(card.status_breakdown, status)
                runs.add_metric([*values, card.strategy_id, status], count, created=began)
            bounds, seconds = _histogram(card)
            took.add_metric([*values, card.strategy_id], bounds, sum_value=seconds)
        yield runs
        yield took
        text = "Seconds since this was read."
        age = GaugeMetricFamily("execlog_strategy_read_seconds", text, labels=names)
        age.add_metric(values, time.monotonic() - self._read_at)
        yield age


def _histogram(card: StrategyMetrics) -> tuple[list[tuple[str, float]], float | None]:
    """The runs up to each bound in seconds, and their sum; None: ok runs were sampled.

    What a card knows then is an average of what the rows stand for; times their number it could
    fall, which Prometheus would take for a restart.
    """
    bounds, count = [], 0
    for bar in card.duration_histogram:
        count += bar.count
        bound = "+Inf" if bar.upper_bound is None else f"{bar.upper_bound / 1000:g}"
        bounds.append((bound, float(count)))
    is_sampled = abs(card.estimated_total - count) > 0.5
    return bounds, None if is_sampled else card.duration.avg_ms / 1000 * count
