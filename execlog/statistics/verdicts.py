"""Whether two slices of a log differ by more than chance: intervals of differences, and verdicts.

Blocks of the same time that both slices have are compared within themselves, so that what befell
both at once is no difference. What neighbouring blocks have in common is no chance of each alone:
an interval is the widest of blocks by themselves, in twos and in fours.

The interval of a percentile is that of Woodruff (1952, Journal of the American Statistical
Association 47): the share of runs above it, whose error the blocks tell, is moved to the ends of
its interval, and the percentiles at these are the ends. The two intervals are joined to that of the
difference as Zou and Donner do (2008, Statistics in Medicine 27).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from execlog.statistics.blocks import Estimate, ratio
from execlog.statistics.distributions import t_quantile, t_two_sided
from execlog.statistics.effects import LEAST_COUNTED, LEAST_RUNS
from execlog.statistics.multiplicity import stand

__all__ = [
    "LEAST_BLOCKS",
    "LEVEL",
    "Difference",
    "Place",
    "Sums",
    "difference",
    "is_enough",
    "of_percentiles",
    "verdicts",
]

LEVEL = 0.05
"""The share of false verdicts among those of one page or comparison, at most."""
LEAST_BLOCKS = 6
"""Fewer blocks with runs in a slice do not tell how much they scatter."""

Place = tuple[int, int]
"""Where a block lies: its begin, and its width."""


@dataclass(frozen=True, slots=True)
class Sums:
    """A measure of the runs of a slice, by block, in the order of time.

    Attributes:
        places: Where the blocks lie.
        weights: Of each the sum of the weights.
        outcomes: Of each the sum of weight times outcome.
    """

    places: Sequence[Place]
    weights: Sequence[float]
    outcomes: Sequence[float]


class Difference(NamedTuple):
    """The interval of a difference, and the probability of one as far from 0 by chance."""

    low: float
    high: float
    p_value: float


def is_enough(runs: tuple[int, int], blocks: tuple[int, int], counted: int | None = None) -> bool:
    """Whether two slices have enough runs for a verdict. Never raises.

    Args:
        runs: The rows of each.
        blocks: The blocks of each.
        counted: The rows of both whose outcome is the rarer one; None: the outcome is a number.
    """
    few = counted is not None and counted < LEAST_COUNTED
    return min(runs) >= LEAST_RUNS and min(blocks) >= LEAST_BLOCKS and not few


def difference(a: Sums, b: Sums, level: float = LEVEL) -> Difference | None:
    """By how much the mean outcome of B is above that of A; None: it can't be told.

    Args:
        a: The one slice.
        b: The other.
        level: The interval covers with 1 - level.

    Never raises.
    """
    places = sorted({*a.places, *b.places})
    try:
        found = _mean(b, places).minus(_mean(a, places))
        tried = [one.tested(level) for one in _joined(found, min(len(a.places), len(b.places)))]
    except (ArithmeticError, ValueError):
        return None
    widest = max(tried, key=lambda one: (one.p_value, one.high - one.low))
    return _plain(widest.low, widest.high, widest.p_value)


def of_percentiles(
    shares: tuple[Sums, Sums],
    values: tuple[float, float],
    at: tuple[Callable[[float], float], Callable[[float], float]],
    fraction: float,
    *,
    within: float,
    level: float = LEVEL,
) -> Difference | None:
    """By how much a percentile of B is above that of A; None: it can't be told.

    Args:
        shares: Of A and of B: the outcome is whether a run is above the percentile of its slice.
        values: Both percentiles.
        at: The percentile of each slice at any fraction.
        fraction: Which percentile it is.
        within: How exact `at` is, as a part of the value.
        level: The interval covers with 1 - level.

    Never raises for such arguments.
    """
    reaches = []
    for sums, value, percentile in zip(shares, values, at, strict=True):
        try:
            spread = _spread(sums, level)
        except (ArithmeticError, ValueError):
            return None
        # With few runs beyond it, the end of the interval is beyond all that ran.
        if not 0 < fraction - spread < fraction + spread < 1 and spread:
            return None
        middle = percentile(fraction)
        reaches.append(
            tuple(
                abs(percentile(fraction + sign * spread) - middle) + within * value
                for sign in (-1, 1)
            )
        )
    (below_a, above_a), (below_b, above_b) = reaches
    moved = values[1] - values[0]
    low = moved - math.hypot(below_b, above_a)
    high = moved + math.hypot(above_b, below_a)
    degrees = min(len(one.places) for one in shares) - 2
    reach = moved - low if moved > 0 else high - moved
    error = reach / t_quantile(1 - level / 2, degrees)
    p_value = t_two_sided(moved / error, degrees) if error > 0 and moved else float(not moved)
    return _plain(low, high, p_value)


def verdicts(found: Sequence[Difference | None], level: float = LEVEL) -> list[bool | None]:
    """Which differences chance does not explain, by Benjamini and Hochberg over all of them.

    Args:
        found: The differences that are shown together; None: there is no verdict on one.
        level: The share of false ones, at most.

    Never raises.
    """
    kept = iter(stand([one.p_value for one in found if one is not None], level))
    return [None if one is None else next(kept) for one in found]


def _mean(sums: Sums, places: Sequence[Place]) -> Estimate:
    """The mean outcome, as an estimate from the blocks of both slices."""
    weights = dict(zip(sums.places, sums.weights, strict=True))
    outcomes = dict(zip(sums.places, sums.outcomes, strict=True))
    return ratio(
        [outcomes.get(one, 0.0) for one in places],
        [weights.get(one, 0.0) for one in places],
        range(len(places)),
    )


def _joined(found: Estimate, blocks: int) -> list[Estimate]:
    """The estimate from blocks, and from neighbours taken together."""
    count = len(found.influences)
    return [
        found.joined(range(n, min(n + size, count)) for n in range(0, count, size))
        for size in (1, 2, 4)
        if size == 1 or blocks // size >= LEAST_BLOCKS
    ]


def _spread(sums: Sums, level: float) -> float:
    """Half of the interval of the share of runs."""
    share = _mean(sums, sums.places)
    tried = (one.tested(level) for one in _joined(share, len(sums.places)))
    return max((one.high - one.low) / 2 for one in tried)


def _plain(low: float, high: float, p_value: float) -> Difference | None:
    is_finite = all(map(math.isfinite, (low, high, p_value)))
    return Difference(low, high, p_value) if is_finite else None
