"""The small charts of a row: how often a strategy ran, and its error rate on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from execlog.repository.activity import StrategyActivity

__all__ = ["HEIGHT", "Spark", "rates", "runs"]

HEIGHT = 28
"""The height of a small chart, in pixels."""

_UNIT = 10  # of x, for a bucket
_MOST = 32  # buckets that are drawn; neighbours are taken together
_LEAST = 1  # pixels of what is not zero


@dataclass(frozen=True)
class Spark:
    """A small chart of `width` units, without labels.

    Attributes:
        width: In units.
        whole: The path of whole buckets.
        part: The path of the first and the last one, which the window cuts off.
        most: The number at its top; what is cut off may be above it.
    """

    width: int
    whole: str
    part: str
    most: float


def runs(activity: StrategyActivity) -> Spark:
    """How often a strategy ran. Never raises."""
    counts = [sum(activity.runs[n] for n in part) for part in _parts(len(activity.runs))]
    return _drawn([float(count) for count in counts], float(max(counts, default=0)))


def rates(activity: StrategyActivity) -> Spark:
    """The error rate of a strategy, from zero to the highest of a whole bucket.

    Never raises. A bucket in which nothing ran is as one in which nothing failed.
    """
    shares: list[float] = []
    for part in _parts(len(activity.runs)):
        weight = sum(activity.weights[n] for n in part)
        failed = sum(activity.weights[n] * activity.error_rates[n] for n in part)
        shares.append(failed / weight if weight else 0.0)
    # Few runs of a part of a bucket do not set the scale.
    return _drawn(shares, max(shares[1:-1], default=0.0) or max(shares, default=0.0))


def _drawn(values: Sequence[float], most: float) -> Spark:
    """Steps from the base line, and apart the first and the last one."""
    tall = [
        HEIGHT - max(round(min(value / most, 1.0) * (HEIGHT - 1)), _LEAST) if value else HEIGHT
        for value in values
    ]
    last = len(tall) - 1
    ends = [_steps(tall[place : place + 1], place) for place in sorted({0, last}) if tall]
    return Spark(len(tall) * _UNIT, _steps(tall[1:last], 1), "".join(ends), most)


def _steps(tops: Sequence[int], first: int) -> str:
    """The outline of neighbouring bars, from the left to the right."""
    path, reached = f"M{first * _UNIT} {HEIGHT}", HEIGHT
    for top, bars in groupby(tops):
        path += f"V{top}" if top != reached else ""
        path += f"h{len(list(bars)) * _UNIT}"
        reached = top
    return "" if all(top == HEIGHT for top in tops) else f"{path}V{HEIGHT}z"


def _parts(count: int) -> Sequence[range]:
    """The buckets in groups, as few as possible in each; the last ones are whole groups."""
    size = -(-count // _MOST)
    first = count % size or size
    return [range(first), *(range(n, n + size) for n in range(first, count, size))]
