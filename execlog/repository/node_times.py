"""Which nodes take the time of slow runs, and which are in runs that fail, from their traces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from execlog.db import traces
from execlog.db.rows import Row, aware
from execlog.db.slices import Pace, sliced
from execlog.display.trace_tree import own_times
from execlog.models import Model
from execlog.repository.intervals import wilson
from execlog.repository.metrics import FRACTIONS
from execlog.repository.percentiles import percentile_cont

__all__ = ["MOST_BYTES", "NEWEST", "TRACE_BYTES", "NodeTime", "NodeTimes", "node_times"]

NEWEST = 2000
"""How many failed runs, and how many slow ones, are read at most."""

TRACE_BYTES = 256_000
"""The longest text of a trace that is read."""

MOST_BYTES = 16_000_000
"""The most bytes of all traces together, as they are stored."""


class NodeTime(Model):
    """One node, as the traces of some runs show it.

    Times are those that the node took itself, without the nodes below it, in milliseconds, all
    visits of a run added up; None if no trace says them.

    Attributes:
        name: Its name.
        runs: The runs that visited it.
        failures: Those of them that failed.
        visits: How often it was visited.
        error_rate: The share of the runs that failed with error, timeout or limit; each weighs
            1/sample_rate here, in the average and in the percentiles.
        error_rate_low: The low end of Wilson's interval of 95 % of that share.
        error_rate_high: Its high end.
        total_ms: The time that it took in all of these runs.
        avg_ms: The average time of a run.
        p50_ms: The median.
        p95_ms: The 95th percentile.
        p99_ms: The 99th percentile.
        first_seen: The time of the first of the runs; None if none has a time.
        last_seen: The time of the last.
    """

    name: str
    runs: int
    failures: int
    visits: int
    error_rate: float
    error_rate_low: float
    error_rate_high: float
    total_ms: float | None
    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    first_seen: datetime | None
    last_seen: datetime | None


class NodeTimes(Model):
    """The nodes of the newest failed and slow runs, those that took the most time first.

    Attributes:
        nodes: The nodes, ties by name.
        runs: The runs whose traces were read.
        failures: Those of them that failed; the others are slow.
        newest: How many of either kind are read at most.
        slower_than_ms: The 95th percentile of the duration of all runs of the window, which the
            slow ones exceed; None if none was found.
        left_out: The runs whose traces were too large.
    """

    nodes: list[NodeTime]
    runs: int
    failures: int
    newest: int
    slower_than_ms: float | None
    left_out: int


async def node_times(records: Sequence[Row]) -> NodeTimes:
    """The nodes of the traces that `sql/node_times.sql` finds. Never raises for such rows."""
    read = [record for record in records if record["trace"] is not None]
    found: defaultdict[str, _Tally] = defaultdict(_Tally)
    pace = Pace()
    for record in read:
        _add(record, found)
        await pace.rest()
    nodes = await sliced(tally.node(name) for name, tally in found.items())
    return NodeTimes(
        nodes=sorted(nodes, key=lambda one: (-(one.total_ms or 0.0), one.name.encode())),
        runs=len(read),
        failures=sum(record["is_failed"] for record in read),
        newest=NEWEST,
        slower_than_ms=records[0]["slower_than_ms"] if records else None,
        left_out=len(records) - len(read),
    )


@dataclass
class _Tally:
    """What is counted of one node.

    Attributes:
        weights: The weight of each run.
        times: The time of each run that says one, with its weight.
        seen: The times of the runs that have one.
    """

    failures: int = 0
    visits: int = 0
    failed_weight: float = 0.0
    weights: list[float] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    seen: list[datetime] = field(default_factory=list)

    def node(self, name: str) -> NodeTime:
        weight = sum(self.weights)
        rate = self.failed_weight / weight
        low, high = wilson(rate, weight * weight / sum(one * one for one in self.weights))
        values, weights = [time for time, _ in self.times], [held for _, held in self.times]
        p50, p95, p99 = percentile_cont(values, FRACTIONS, weights) if values else (None,) * 3
        weighed = sum(time * held for time, held in self.times)
        return NodeTime(
            name=name,
            runs=len(self.weights),
            failures=self.failures,
            visits=self.visits,
            error_rate=rate,
            error_rate_low=low,
            error_rate_high=high,
            total_ms=sum(values) if values else None,
            avg_ms=weighed / sum(weights) if values else None,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            first_seen=min(self.seen, default=None),
            last_seen=max(self.seen, default=None),
        )


def _add(record: Row, found: defaultdict[str, _Tally]) -> None:
    """Counts a run for each node that it visited."""
    weight, at = record["weight"], aware(record["created_at"])
    for name, visits in _visits(record["trace"]):
        tally = found[name]
        times = [time for time in visits if time is not None]
        tally.visits += len(visits)
        tally.weights.append(weight)
        tally.failures += record["is_failed"]
        tally.failed_weight += weight if record["is_error"] else 0.0
        if times:
            tally.times.append((sum(times), weight))
        if at is not None:
            tally.seen.append(at)


def _visits(trace: str) -> Iterator[tuple[str, list[float | None]]]:
    """Each node of a trace, with the time of each visit."""
    visits: defaultdict[str, list[float | None]] = defaultdict(list)
    for name, took in own_times(traces.read(trace)):
        visits[name].append(took)
    return iter(visits.items())
