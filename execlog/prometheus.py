"""A recorder's account for Prometheus (extra `prometheus`).

    prometheus_client.REGISTRY.register(RecorderCollector(recorder))

Each scrape reads `stats()` once, so its figures add up. The names and what to alert on:

- `execlog_executions_total{outcome, reason}`: all executions offered, by outcome; alert on
  any rate of outcome "dropped" or "rejected";
- `execlog_pending_executions`, `execlog_pending_bytes`: what waits; alert if it grows for minutes:
  the store is away or refuses, and is retried until it accepts;
- `execlog_altered_total{reason}`, `execlog_batches_total`, `execlog_retries_total`;
- `execlog_seconds_since_success`: missing until the first rows are stored;
- `execlog_alive`: 0 if it was not started, was closed, or can't connect at all; alert on that.

The sum over all processes is in the log. `LogCollector` exports it, as it was read last:

- `execlog_day_executions{outcome, reason}`: the executions of the last day, by outcome; alert on
  outcome "dropped" or "rejected";
- `execlog_day_offered`, `execlog_day_recovered`: their sum is that of all outcomes;
- `execlog_day_open_recorders`, `execlog_day_most_missing`: recorders that were neither closed nor
  seen for two minutes, and how many executions are missing of them at most; alert on any;
- `execlog_day_read_seconds`: how long ago that was read; alert if it grows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "execlog.prometheus needs its extra: pip install 'execlog[prometheus]'"
    ) from (error)

from execlog.admin.account import recorder_account
from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.errors import InvalidArgument
from execlog.models import RecorderStats
from execlog.recorder.recorder import ExecutionRecorder
from execlog.repository.accounts import AccountTotal, RecorderAccount, total_of

if TYPE_CHECKING:
    from typing import Self

    from execlog.db.connections import Target

__all__ = ["LogCollector", "RecorderCollector"]

Labels: TypeAlias = Mapping[str, str]

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = frozenset({"outcome", "reason"})
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
        self._names = tuple(_checked(labels))
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
        own = _checked(labels)
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
            {values: _outcomes(one) for values, one in stats.items()},
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


class LogCollector(Collector):
    """Exports the accounts of the recorders of all processes, of the last day.

    A scrape asks no server: have a task call `read` once a minute.

    Args:
        target: A DSN, a Connection or a Pool.
        labels: Additional labels of each metric, by name.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `schema` can't be a name; a label's name is not valid in Prometheus, or is
            one of the metrics' own.
    """

    def __init__(
        self, target: Target, labels: Labels | None = None, *, schema: str = SCHEMA
    ) -> None:
        """Takes the parts; nothing is sent. Raises: see the class."""
        self._target = target
        self._labels = _checked(labels)
        self._schema = validation.schema(schema)
        self._accounts: list[RecorderAccount] = []
        self._read_at: float | None = None

    async def read(self) -> None:
        """Reads the accounts; until then there are no metrics. Raises: see `recorder_account`."""
        since = datetime.now(UTC) - timedelta(days=1)
        self._accounts = await recorder_account(self._target, since=since, schema=self._schema)
        self._read_at = time.monotonic()

    def describe(self) -> Iterator[Metric]:
        """No metric, so that a registry accepts a second collector. Never raises."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The metrics as of the last `read`. Never raises."""
        if self._read_at is None:
            return
        names = [*self._labels, "outcome", "reason"]
        total = total_of(self._accounts)
        text = "Executions of the last day by outcome, of all processes."
        family = GaugeMetricFamily("execlog_day_executions", text, labels=names)
        for outcome, count in {("pending", ""): total.pending, **_outcomes(total)}.items():
            family.add_metric([*self._labels.values(), *outcome], count)
        yield family
        lost = [one for one in self._accounts if one.state == "open"]
        for name, text, value in (
            ("offered", "Executions that were offered.", total.offered),
            ("recovered", "Executions taken over from other processes.", total.recovered),
            ("open_recorders", "Recorders not closed and not seen for two minutes.", len(lost)),
            (
                "most_missing",
                "Executions that these may have lost at most.",
                sum(one.most_missing for one in lost),
            ),
            ("read_seconds", "Seconds since this was read.", time.monotonic() - self._read_at),
        ):
            gauge = GaugeMetricFamily(f"execlog_day_{name}", text, labels=list(self._labels))
            gauge.add_metric(list(self._labels.values()), value)
            yield gauge


def _checked(labels: object) -> dict[str, str]:
    if not isinstance(labels, Mapping | None):
        problem = validation.must_be("a dict of names and values", labels)
        raise InvalidArgument("labels", problem)
    found = dict(labels or {})
    for name, value in found.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name) or name in _OWN:
            raise InvalidArgument("labels", f"{name!r} can't be the name of a label here")
        validation.text(f"labels[{name!r}]", value)
    return found


def _outcomes(stats: RecorderStats | AccountTotal) -> dict[tuple[str, str], int]:
    return {
        ("written", ""): stats.written,
        ("sampled_out", ""): stats.sampled_out,
        **{("rejected", why): count for why, count in stats.rejected.items()},
        **{("dropped", why): count for why, count in stats.dropped.items()},
    }
