"""How long executions took, as histograms by strategy and status."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    Histogram,
    HistogramDataPoint,
    Metric,
    ResourceMetrics,
    ScopeMetrics,
)

from execlog.models import StrategyExecutionLog
from execlog.otel.values import Value, attributes, nanoseconds, resource, scope

__all__ = ["BOUNDS", "METRIC", "Durations", "Temporality"]

METRIC = "execlog.execution.duration"
"""The name of the metric; its unit is the second."""
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds, each included: those of the semantic conventions for durations."""

_MOST_SERIES = 2000  # as in OpenTelemetry's own SDKs
_REPEATED_NS = 60 * 10**9
_OVERFLOW = (("otel.metric.overflow", True),)

_Key = tuple[tuple[str, Value], ...]


class Temporality(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """What each histogram counts: what was sent with it, or all since the sender began."""

    delta = "delta"
    cumulative = "cumulative"


@dataclass
class _Series:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    least: float = float("inf")
    most: float = 0.0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def add(self, one: StrategyExecutionLog, now: int) -> None:
        seconds = one.duration_ms / 1000
        bucket = bisect_left(BOUNDS, seconds)
        self.counts[bucket] += 1
        self.seconds += seconds
        self.least, self.most = min(self.least, seconds), max(self.most, seconds)
        if one.trace_id is not None:  # of each bucket the last one
            self.exemplars[bucket] = Exemplar(
                as_double=seconds,
                time_unix_nano=nanoseconds(one.created_at) or now,
                trace_id=one.trace_id.bytes,
                filtered_attributes=attributes([("execlog.id", str(one.id))]),
            )


class Durations:
    """Makes the histograms of executions that are sent.

    A request holds the series that the executions change. If they are cumulative, there are 2,000
    at most, and one more for all others; each minute in which nothing is sent, all are repeated.

    Args:
        temporality: What they count.
    """

    def __init__(self, temporality: Temporality = Temporality.delta) -> None:
        """Begins now. Never raises."""
        self._is_delta = temporality is Temporality.delta
        self._since = self._told = time.time_ns()
        self._series: dict[_Key, _Series] = {}

    def request(
        self, rows: Iterable[StrategyExecutionLog], sender: Mapping[str, Value]
    ) -> ExportMetricsServiceRequest:
        """The request that tells of these executions, each of which is told of once.

        Args:
            rows: The executions.
            sender: The resource's attributes.

        Never raises.
        """
        now = max(time.time_ns(), self._since + 1)  # a clock may be set back
        if self._is_delta:
            self._series = {}
        changed: dict[_Key, _Series] = {}
        for one in rows:
            key = self._key(one)
            if key not in changed:
                changed[key] = self._series.setdefault(key, _Series())
                changed[key].exemplars = {}
            changed[key].add(one, now)
        points = [self._point(key, series, now) for key, series in changed.items()]
        if self._is_delta:
            self._since = now
        self._told = now
        return self._of(points, sender)

    def repeated(self, sender: Mapping[str, Value]) -> ExportMetricsServiceRequest | None:
        """All series as they are; None: they are deltas, or were told of in the last minute.

        Args:
            sender: The resource's attributes.

        Never raises.
        """
        now = time.time_ns()
        if self._is_delta or not self._series or now < self._told + _REPEATED_NS:
            return None
        self._told = now
        for series in self._series.values():
            series.exemplars = {}
        return self._of([self._point(*one, now) for one in self._series.items()], sender)

    def _key(self, one: StrategyExecutionLog) -> _Key:
        key = (("execlog.strategy.id", one.strategy_id), ("execlog.status", one.status))
        is_new = not self._is_delta and key not in self._series
        return _OVERFLOW if is_new and len(self._series) >= _MOST_SERIES else key

    def _point(self, key: _Key, series: _Series, now: int) -> HistogramDataPoint:
        point = HistogramDataPoint(
            attributes=attributes(key),
            start_time_unix_nano=self._since,
            time_unix_nano=now,
            count=sum(series.counts),
            sum=series.seconds,
            bucket_counts=series.counts,
            explicit_bounds=BOUNDS,
            exemplars=series.exemplars.values(),
        )
        if self._is_delta:  # of all time they would say nothing
            point.min, point.max = series.least, series.most
        return point

    def _of(
        self, points: Iterable[HistogramDataPoint], sender: Mapping[str, Value]
    ) -> ExportMetricsServiceRequest:
        temporality = (
            AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
            if self._is_delta
            else AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        )
        metric = Metric(
            name=METRIC,
            unit="s",
            description="How long stored executions took.",
            histogram=Histogram(data_points=points, aggregation_temporality=temporality),
        )
        metrics = ScopeMetrics(scope=scope(), metrics=[metric])
        return ExportMetricsServiceRequest(
            resource_metrics=[ResourceMetrics(resource=resource(sender), scope_metrics=[metrics])]
        )
