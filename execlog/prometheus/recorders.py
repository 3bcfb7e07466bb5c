"""The accounts of this process's recorders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.models import RecorderStats
from execlog.prometheus.labels import Labels, checked, outcomes
from execlog.recorder.recorder import ExecutionRecorder

if TYPE_CHECKING:
    from typing import Self

__all__ = ["RecorderCollector"]

_GAUGES: tuple[tuple[str, str, Callable[[RecorderStats], float | None]], ...] = (
    ("pending_executions", "Executions that wait.", lambda stats: stats.pending_rows),
    ("pending_bytes", "Memory that they take, in bytes.", lambda stats: stats.pending_bytes),
    ("alive", "1 while it stores, 0 if it has ended.", lambda stats: float(stats.alive)),
    (
        "seconds_since_success",
        "Seconds since rows were last stored.",
        lambda stats: stats.seconds_since_success,
    ),
)


class RecorderCollector(Collector):
    """Exports the accounts of a process's recorders to a registry.

    Add several recorders to one collector, each with labels of its own, since the text format has
    each metric once: `RecorderCollector(a, {"log": "a"}).add(b, {"log": "b"})`. Two collectors in
    one registry, with labels that differ, work for Prometheus; stricter readers of the format
    refuse them.

    Args:
        recorder: The recorder.
        labels: Additional labels of each of its metrics, by name.

    Raises:
        InvalidArgument: `recorder` is no ExecutionRecorder; a label's name is not valid in
            Prometheus, or is one of the metrics' own.
    """

    def __init__(self, recorder: ExecutionRecorder, labels: Labels | None = None) -> None:
        """Takes the recorder. Raises: see the class."""
        self._names = tuple(checked(labels))
        self._recorders: dict[tuple[str, ...], ExecutionRecorder] = {}
        self.add(recorder, labels)

    def add(self, recorder: ExecutionRecorder, labels: Labels | None = None) -> Self:
        """Adds another recorder; returns the collector itself.

        Raises:
            InvalidArgument: See the class; or the labels' names differ from those of the first
                recorder, or their values equal those of another one.
        """
        if not isinstance(recorder, ExecutionRecorder):
            problem = validation.must_be("an ExecutionRecorder", recorder)
            raise InvalidArgument("recorder", problem)
        own = checked(labels)
        if own.keys() != set(self._names):
            raise InvalidArgument("labels", "must have the names that the first recorder's have")
        values = tuple(own[name] for name in self._names)
        if values in self._recorders:
            raise InvalidArgument("labels", "are those of another recorder")
        self._recorders[values] = recorder
        return self

    def describe(self) -> Iterator[Metric]:
        """No metric, so that a registry accepts a second collector. Never raises."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The present metrics. Never raises."""
        stats = {values: recorder.stats() for values, recorder in self._recorders.items()}
        yield self._counter(
            "executions",
            "Executions by outcome.",
            ("outcome", "reason"),
            {values: outcomes(one) for values, one in stats.items()},
        )
        altered = {
            values: {(why,): count for why, count in one.altered.items()}
            for values, one in stats.items()
        }
        yield self._counter("altered", "Executions stored with changes.", ("reason",), altered)
        batches = {values: {(): one.batches} for values, one in stats.items()}
        yield self._counter("batches", "Transactions that stored rows.", (), batches)
        retries = {values: {(): one.retries} for values, one in stats.items()}
        yield self._counter("retries", "Tries that failed.", (), retries)
        for name, text, read in _GAUGES:
            yield self._gauge(name, text, {values: read(one) for values, one in stats.items()})

    def _counter(
        self,
        name: str,
        text: str,
        names: tuple[str, ...],
        counts: Mapping[tuple[str, ...], Mapping[Any, int]],
    ) -> Metric:
        family = CounterMetricFamily(f"execlog_{name}", text, labels=[*self._names, *names])
        for values, of_recorder in counts.items():
            for labels, count in of_recorder.items():
                family.add_metric([*values, *labels], count)
        return family

    def _gauge(self, name: str, text: str, found: Mapping[tuple[str, ...], float | None]) -> Metric:
        family = GaugeMetricFamily(f"execlog_{name}", text, labels=list(self._names))
        for values, value in found.items():
            if value is not None:
                family.add_metric(list(values), value)
        return family
