"""Differences of two slices of the log with their intervals, and whether they are significant."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from execlog.models import Model
from execlog.repository import histogram
from execlog.statistics.verdicts import (
    Difference,
    Place,
    Sums,
    difference,
    is_enough,
    of_percentiles,
    verdicts,
)

__all__ = ["Blocks", "Interval", "intervals", "of_mean", "of_percentile", "of_rate", "read_blocks"]


class Interval(Model):
    """How sure a difference is.

    Runs of one minute fail together, so that variances are by whole blocks of time, and not by
    runs: Student's t with blocks - 2 degrees.

    Attributes:
        low: The lower end of the interval, which holds with 95 %; None: it can't be told.
        high: The upper end.
        significant: Whether chance does not explain the difference, false alarms held at 5 % over
            all differences that are asked for together (Benjamini-Hochberg); None: there are too
            few runs or blocks of time for a verdict.
    """

    low: float | None
    high: float | None
    significant: bool | None


@dataclass(frozen=True)
class Blocks:
    """What the runs of a slice add up to, by whole blocks of time.

    Attributes:
        places: Where each block lies.
        runs: The stored runs of all blocks.
        failed: Those that an error rate counts.
        ok: Those that are ok.
        weights: The weight of each block.
        sums: What each block adds up to, by measure: "failed", "ok", "duration", "points".
        durations: The weight of the durations in each bar of a histogram, by block.
    """

    places: Sequence[Place]
    runs: int
    failed: int
    ok: int
    weights: Sequence[float]
    sums: Mapping[str, Sequence[float]]
    durations: Sequence[Mapping[int, float]]

    def of(self, measure: str) -> Sums:
        """One of the sums. Never raises for a measure that is there."""
        return Sums(self.places, self.weights, self.sums[measure])


def read_blocks(text: str | None) -> Blocks:
    """The blocks that sql/part/block_sums.sql answers. Never raises for such a text."""
    rows = json.loads(text) if text else []
    columns = list(zip(*rows, strict=True)) if rows else [()] * 11
    begins, widths, runs, failed, ok, weights, *sums, durations = columns
    return Blocks(
        places=list(zip(begins, widths, strict=True)),
        runs=sum(runs),
        failed=sum(failed),
        ok=sum(ok),
        weights=weights,
        sums=dict(zip(("failed", "ok", "duration", "points"), sums, strict=True)),
        durations=[histogram.unpacked(one) for one in durations],
    )


def of_rate(a: Blocks, b: Blocks, measure: str) -> Difference | None:
    """The difference of a share, of "failed" or "ok" runs; None: no verdict. Never raises."""
    if measure == "ok":
        counted = a.runs + b.runs - a.ok - b.ok
    else:
        counted = a.failed + b.failed
    rarer = min(counted, a.runs + b.runs - counted)
    return difference(a.of(measure), b.of(measure)) if _is_enough(a, b, rarer) else None


def of_mean(a: Blocks, b: Blocks, measure: str) -> Difference | None:
    """The difference of a mean, of "duration" or "points"; None: no verdict. Never raises."""
    return difference(a.of(measure), b.of(measure)) if _is_enough(a, b) else None


def of_percentile(
    a: Blocks, b: Blocks, fraction: float, values: tuple[float, float]
) -> Difference | None:
    """The difference of a percentile of the durations; None: no verdict. Never raises.

    Args:
        a: The one slice.
        b: The other.
        fraction: Which percentile.
        values: Both percentiles.
    """
    beyond = int((1 - fraction) * min(a.runs, b.runs))
    if not _is_enough(a, b, beyond):
        return None
    sides = [_shares(one, fraction) for one in (a, b)]
    return of_percentiles(
        (sides[0][0], sides[1][0]),
        values,
        (sides[0][1], sides[1][1]),
        fraction,
        within=histogram.RELATIVE_ERROR,
    )


def intervals(found: Iterable[Difference | None]) -> list[Interval]:
    """The intervals of differences that are shown together. Never raises."""
    differences = list(found)
    return [
        Interval(
            low=None if one is None else one.low,
            high=None if one is None else one.high,
            significant=verdict,
        )
        for one, verdict in zip(differences, verdicts(differences), strict=True)
    ]


def _is_enough(a: Blocks, b: Blocks, counted: int | None = None) -> bool:
    return is_enough((a.runs, b.runs), (len(a.places), len(b.places)), counted)


def _shares(blocks: Blocks, fraction: float) -> tuple[Sums, Callable[[float], float]]:
    """The weight of the runs above a percentile, by block; and the percentile at any fraction."""
    total: dict[int, float] = {}
    for bars in blocks.durations:
        for bar, weight in bars.items():
            total[bar] = total.get(bar, 0.0) + weight
    order = sorted(total)
    upto = list(itertools.accumulate(total[bar] for bar in order))
    bar = order[min(bisect.bisect_left(upto, fraction * upto[-1]), len(order) - 1)]
    above = [sum(weight for own, weight in bars.items() if own > bar) for bars in blocks.durations]
    whole = {own: total[own] for own in order}

    def at(share: float) -> float:
        low, high = histogram.lower_bound(order[0]), histogram.lower_bound(order[-1] + 1)
        [value], _ = histogram.percentiles(whole, (share,), low, high)
        return value

    weights = [sum(bars.values()) for bars in blocks.durations]
    return Sums(blocks.places, weights, above), at
