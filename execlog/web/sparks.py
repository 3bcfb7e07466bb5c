"""The small charts of a row: how often a strategy ran, and its error rate on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from execlog.repository.activity import StrategyActivity

__all__ = ["HEIGHT", "Spark", "rates", "runs"]

HEIGHT = 28
"""The height of a small chart, in pixels."""

_UNIT = 10  # of x, for a bucket
_MOST = 32  # buckets that are drawn; neighbours are taken together
_LEAST = 1.0  # pixels of what is not zero


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
    """How often a strategy ran, as bars. Never raises."""
    counts = [sum(activity.runs[n] for n in part) for part in _parts(len(activity.runs))]
    most = max([*counts, 1])
    bars = []
    for place, count in enumerate(counts):
        tall = max(count * (HEIGHT - 2) / most, _LEAST) if count else 0.0
        x = place * _UNIT + 1
        bars.append(f"M{x} {HEIGHT}V{_short(HEIGHT - tall)}h8V{HEIGHT}z" if count else "")
    ends = {0, len(counts) - 1}
    return Spark(
        len(counts) * _UNIT,
        "".join(bar for place, bar in enumerate(bars) if place not in ends),
        "".join(bars[place] for place in sorted(ends)),
        float(max(counts, default=0)),
    )


def rates(activity: StrategyActivity) -> Spark:
    """The error rate of a strategy, from zero to the highest of a whole bucket.

    Never raises. A bucket in which nothing ran is a gap.
    """
    shares: list[float | None] = []
    for part in _parts(len(activity.runs)):
        weight = sum(activity.weights[n] for n in part)
        failed = sum(activity.weights[n] * activity.error_rates[n] for n in part)
        shares.append(failed / weight if weight else None)
    ends = {0, len(shares) - 1}
    known = [(share, place in ends) for place, share in enumerate(shares) if share is not None]
    # Few runs of a part of a bucket do not set the scale.
    most = max((share for share, is_end in known if not is_end), default=0.0)
    most = most or max((share for share, _ in known), default=0.0)
    drawn = []
    for place, share in enumerate(shares):
        if share:
            tall = max(min(share / most, 1.0) * (HEIGHT - 2), _LEAST)
            drawn.append(f"M{place * _UNIT} {HEIGHT}V{_short(HEIGHT - tall)}h10V{HEIGHT}z")
        else:
            drawn.append("")
    return Spark(
        len(shares) * _UNIT,
        "".join(one for place, one in enumerate(drawn) if place not in ends),
        "".join(drawn[place] for place in sorted(ends)),
        most,
    )


def _parts(count: int) -> Sequence[range]:
    """The buckets in groups, as few as possible in each; the last ones are whole groups."""
    size = -(-count // _MOST)
    first = count % size or size
    return [range(first), *(range(n, n + size) for n in range(first, count, size))]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
