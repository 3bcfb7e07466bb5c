"""Since when: the step in the rates of many short buckets of time, and an interval for it.

The step is where the likelihood of one rate before and another after it is greatest. The rates of
buckets scatter more than chance has runs scatter, so the log-likelihood is divided by the
dispersion that is left on both sides of the step (McCullagh and Nelder, Generalized Linear Models,
4.5). The interval holds every step whose likelihood ratio to the best is below the quantile of
P(x) = (1 - exp(-x/2))^2 (Eo and Morley, 2015, Quantitative Economics 6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Step", "step"]

_LEAST = 2  # buckets on either side
_PARTS = 12  # of the series, that neighbours are taken together in


class Step(NamedTuple):
    """Where a series steps: positions of buckets, each the first after a step.

    Attributes:
        at: The most likely one.
        low: The first of the interval.
        high: The last of the interval.
    """

    at: int
    low: int
    high: int


def step(
    weights: Sequence[float], outcomes: Sequence[float], level: float, *, is_rate: bool
) -> Step | None:
    """The step of a series; None: there are too few buckets with runs, or all are the same.

    Args:
        weights: Of each bucket the sum of the weights; 0: it has no run.
        outcomes: Of each bucket the sum of weight times outcome.
        level: The interval holds the step with a probability of 1 - level.
        is_rate: Whether an outcome is 0 or 1.

    Never raises for such arguments.
    """
    places = [n for n, weight in enumerate(weights) if weight > 0]
    if len(places) < 2 * _LEAST + 1:
        return None
    ns, ys = [weights[n] for n in places], [outcomes[n] for n in places]
    n_upto, y_upto = list(accumulate(ns)), list(accumulate(ys))
    best, gain = 0, -math.inf
    gains = []
    for cut in range(_LEAST, len(ns) - _LEAST + 1):
        n, y = n_upto[cut - 1], y_upto[cut - 1]
        rest_n, rest_y = n_upto[-1] - n, y_upto[-1] - y
        found = _fit(n, y, is_rate) + _fit(rest_n, rest_y, is_rate)
        gains.append(found)
        if found > gain:
            best, gain = cut, found
    dispersion = _dispersion(ns, ys, best, is_rate)
    if gain - _fit(n_upto[-1], y_upto[-1], is_rate) <= 0:
        return None
    within = -2 * math.log(1 - math.sqrt(1 - level)) * dispersion / 2
    near = [cut for cut, found in enumerate(gains, _LEAST) if gain - found <= within]
    return Step(places[best], places[min(near)], places[min(max(near), len(places) - 1)])


def _fit(n: float, y: float, is_rate: bool) -> float:
    """The log-likelihood of buckets that all have the rate y / n, but for a constant."""
    if not is_rate:
        return y * y / n / 2  # half of the sum of squares that the mean explains
    return _times_log(y, y / n) + _times_log(n - y, (n - y) / n)


def _times_log(times: float, rate: float) -> float:
    return times * math.log(rate) if times > 0 and rate > 0 else 0.0


def _dispersion(ns: Sequence[float], ys: Sequence[float], cut: int, is_rate: bool) -> float:
    """How much more the buckets scatter than their runs do by chance, alone and as neighbours."""
    sides = []
    for side in (slice(0, cut), slice(cut, None)):
        rate = math.fsum(ys[side]) / math.fsum(ns[side])
        spread = rate * (1 - rate) if is_rate else 1.0
        if spread > 0:
            sides.append(
                [
                    (y - n * rate) / math.sqrt(n * spread)
                    for n, y in zip(ns[side], ys[side], strict=True)
                ]
            )
    alone = sum(one * one for side in sides for one in side) / (len(ns) - 2)
    found = max(alone, _of_neighbours(sides, max(len(ns) // _PARTS, 1)))
    return max(found, 1.0) if is_rate else found


def _of_neighbours(sides: Sequence[Sequence[float]], size: int) -> float:
    """The same of `size` neighbours together: greater if what they have in common scatters."""
    sums = [
        (math.fsum(side[n : n + size]), len(side[n : n + size]))
        for side in sides
        for n in range(0, len(side), size)
    ]
    if len(sums) <= 4:
        return 0.0
    return sum(one * one / count for one, count in sums) / (len(sums) - 2)
