"""A recorder's account for Prometheus (extra `prometheus`).

    prometheus_client.REGISTRY.register(RecorderCollector(recorder))

Each scrape reads `stats()` once, so its figures add up. The names and what to alert on:

- `execlog_executions_total{outcome, reason}`: all that was offered, by what became of it; alert on
  any rate of outcome "dropped" or "rejected";
- `execlog_pending_executions`, `execlog_pending_bytes`: what waits; alert if it grows for minutes:
  the store is away, or refuses, and is tried again until it takes them;
- `execlog_altered_total{reason}`, `execlog_batches_total`, `execlog_retries_total`;
- `execlog_seconds_since_success`: missing until the first rows are stored;
- `execlog_alive`: 0 if it was not started, was closed, or has nothing to connect to; alert on that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "execlog.prometheus needs its extra: pip install 'execlog[prometheus]'"
    ) from (error)

from execlog import arguments
from execlog.errors import InvalidArgument
from execlog.recorder import ExecutionRecorder

__all__ = ["RecorderCollector"]


class RecorderCollector(Collector):
    """Hands a recorder's account to a registry.

    Args:
        recorder: The recorder; where a process has several, give each a registry or a label of its
            own.
        labels: Names and values that each metric carries besides, for example `{"log": "audit"}`.

    Raises:
        InvalidArgument: `recorder` is none.
    """

    def __init__(self, recorder: ExecutionRecorder, labels: dict[str, str] | None = None) -> None:
        """Takes the recorder. Raises: see the class."""
        if not isinstance(recorder, ExecutionRecorder):
            problem = arguments.must_be("an ExecutionRecorder", recorder)
            raise InvalidArgument("recorder", problem)
        self._recorder = recorder
        self._labels = dict(labels or {})

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment. Never raises."""
        stats = self._recorder.stats()
        outcomes = {("written", ""): stats.written, ("sampled_out", ""): stats.sampled_out}
        outcomes |= {("rejected", why): count for why, count in stats.rejected.items()}
        outcomes |= {("dropped", why): count for why, count in stats.dropped.items()}
        yield self._counter(
            "executions", "Executions by what became of them.", ("outcome", "reason"), outcomes
        )
        altered = {(why,): count for why, count in stats.altered.items()}
        yield self._counter("altered", "Executions not kept as they were.", ("reason",), altered)
        yield self._counter("batches", "Transactions that stored rows.", (), {(): stats.batches})
        yield self._counter("retries", "Tries that failed.", (), {(): stats.retries})
        yield self._gauge("pending_executions", "Executions that wait.", stats.pending_rows)
        yield self._gauge("pending_bytes", "Memory that these take, in bytes.", stats.pending_bytes)
        yield self._gauge("alive", "1 while it stores, 0 where it has ended.", float(stats.alive))
        if stats.seconds_since_success is not None:
            yield self._gauge(
                "seconds_since_success",
                "Seconds since rows were last stored.",
                stats.seconds_since_success,
            )

    def _counter(
        self,
        name: str,
        text: str,
        names: tuple[str, ...],
        values: Mapping[Any, int],
    ) -> Metric:
        family = CounterMetricFamily(f"execlog_{name}", text, labels=[*self._labels, *names])
        for labels, value in values.items():
            family.add_metric([*self._labels.values(), *labels], value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"execlog_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family
