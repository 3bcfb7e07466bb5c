"""Whether a rate has another level now, and since when.

Each split of a series of blocks is tried: by how much two rates, one before and one after it, are
more likely than one. Runs of one block fail together, so the likelihood ratio is divided by the
dispersion of the blocks: of both sides, of neighbours taken together, and of the side that fails
more, whichever is greatest (McCullagh and Nelder, Generalized Linear Models, 4.5). The p-value is
that of the best of all splits (Miller and Siegmund, 1982, Biometrics 38), which is at most that of
this split times their number.

A few minutes in which many runs fail at once are no level: the change must stand without the block
that fails most, too. If failures come in bursts, or too few to tell, it must stand as one of how
many blocks have any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from execlog.statistics.distributions import normal_quantile, t_two_sided
from execlog.statistics.effects import LEAST_RUNS

__all__ = ["Level", "level"]

_LEAST_BEFORE, _LEAST_AFTER = 6, 4  # blocks with runs on either side of a split
_LEAST_FAILING = 3  # of the side that fails more: blocks with failures, beside the one left out
_LEAST_FAILED = 5  # and failures
_PARTS = 12  # of the series, that neighbours are taken together in
_SCATTERED = 1.3  # a dispersion up to this is that of independent runs, whose error is known
_SELDOM = 0.4  # of the blocks: of more that have failures their number tells little
_BURST = 1.5  # times as many failures in a block that has any as independent ones are
_USUAL, _FAR = 5.0, 10.0  # the square of a score that chance has often, and seldom
_NEAR = 0.85  # of the largest score
_LARGE = 0.1  # a p-value of one split that tells nothing once all are looked at
_CERTAIN = 0.01  # for a further change within one side
_MOST = 4  # changes that are looked for after the first one


class Level(NamedTuple):
    """The last change of a rate.

    Attributes:
        at: The position of the first block after it.
        then: The rate before, back to the change before that.
        since: The rate since.
        p_value: The probability that chance makes such a change at any split, at most.
    """

    at: int
    then: float
    since: float
    p_value: float


class _Split(NamedTuple):
    at: int
    p_value: float


def level(weights: Sequence[float], outcomes: Sequence[float], unit: float = 1.0) -> Level | None:
    """The last change of a rate; None: there are too few blocks or runs to try any split.

    Args:
        weights: Of each block the sum of the weights of runs; 0: it has none.
        outcomes: Of each block the sum of the weights of failures.
        unit: The weight of one failure, 1 at least.

    Never raises for such arguments.
    """
    places = [n for n, weight in enumerate(weights) if weight > 0]
    ns, ys = [weights[n] for n in places], [min(outcomes[n], weights[n]) for n in places]
    first = _best(ns, ys, unit)
    if first is None:
        return None
    begin, at = 0, first.at
    if first.p_value <= _CERTAIN:
        # What holds now is the part after the last change; beside it, the part just before.
        for _ in range(_MOST):
            later = _best(ns[at:], ys[at:], unit)
            if later is None or later.p_value > _CERTAIN:
                break
            begin, at = at, at + later.at
        earlier = _best(ns[begin:at], ys[begin:at], unit)
        if earlier is not None and earlier.p_value <= _CERTAIN:
            begin += earlier.at
    then = math.fsum(ys[begin:at]) / math.fsum(ns[begin:at])
    since = math.fsum(ys[at:]) / math.fsum(ns[at:])
    return Level(places[at], then, since, first.p_value)


def _best(ns: Sequence[float], ys: Sequence[float], unit: float) -> _Split | None:
    """The split that is most likely, with its p-value over all of them."""
    n_upto, y_upto = list(accumulate(ns)), list(accumulate(ys))
    last = len(ns) - _LEAST_AFTER
    cuts = [cut for cut in range(_LEAST_BEFORE, last + 1) if n_upto[cut - 1] >= LEAST_RUNS]
    if not cuts:
        return None
    n_all, y_all = n_upto[-1], y_upto[-1]
    if min(y_all, n_all - y_all) < _LEAST_FAILED * unit:
        return _Split(cuts[0], 1.0)
    # The score, which needs no logarithm, is large where the likelihood is largest.
    scores = [_score(n_upto[cut], y_upto[cut], n_all, y_all) for cut in range(last)]
    apart = max(scores) * n_all / (y_all * (n_all - y_all))
    if apart < _USUAL:
        return _Split(cuts[0], 1.0)
    near = [cut for cut, score in enumerate(scores) if score >= _NEAR * max(scores)]
    best = max(near, key=lambda cut: _gain(n_upto[cut], y_upto[cut], n_all, y_all)) + 1
    if best < cuts[0]:
        # If it changed there, too few runs say from what.
        return None if apart > _FAR else _Split(cuts[0], 1.0)
    sides = (range(best), range(best, len(ns)))
    rates = [math.fsum(ys[p] for p in side) / math.fsum(ns[p] for p in side) for side in sides]
    high = int(rates[1] > rates[0])
    p_value = max(_p_value(ns, ys, sides, high, unit), _of_bursts(ys, sides, high, unit))
    if p_value < _LARGE:
        worst = max(sides[high], key=lambda p: ys[p] - ns[p] * rates[high])
        without = [[p for p in side if p != worst] for side in sides]
        p_value = max(p_value, _p_value(ns, ys, without, high, unit))
    ends = n_upto[cuts[0] - 1] / n_all, n_upto[cuts[-1] - 1] / n_all
    return _Split(best, min(_of_all(p_value, *ends), p_value * len(cuts), 1.0))


def _of_bursts(ys: Sequence[float], sides: Sequence[range], high: int, unit: float) -> float:
    """The p-value of one split if failures come in bursts: by which blocks have any.

    0 if they do not, on the side that fails less, or if most blocks have failures: then the
    dispersion tells.
    """
    failing = [sum(ys[p] > 0 for p in side) for side in sides]
    low = 1 - high
    if sum(failing) > _SELDOM * len(ys):
        return 0.0
    if failing[low] >= _LEAST_FAILING:
        wrong = math.fsum(ys[p] for p in sides[low]) / unit
        mean = wrong / len(sides[low])
        if wrong / failing[low] <= _BURST * mean / -math.expm1(-mean):
            return 0.0
    gain = _gain(len(sides[0]), failing[0], len(ys), sum(failing))
    return math.erfc(math.sqrt(max(gain, 0.0) / 2))


def _of_all(p_value: float, low: float, high: float) -> float:
    """The probability that any split of a series is as far from chance as its best one.

    Args:
        p_value: Of the best split.
        low: The part of the runs before the first split.
        high: The part of the runs before the last split.
    """
    if not 0 < p_value < _LARGE:
        return 1.0 if p_value else 0.0
    z = -normal_quantile(p_value / 2)
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    span = math.log(high * (1 - low) / ((1 - high) * low))
    return density * (4 / z + (z - 1 / z) * span)


def _score(n: float, y: float, n_all: float, y_all: float) -> float:
    return (y * n_all - n * y_all) ** 2 / (n * (n_all - n))


def _gain(n: float, y: float, n_all: float, y_all: float) -> float:
    """Twice the logarithm of how much more likely two rates are than one."""
    found = 0.0
    for weight, outcome in ((n, y), (n_all - n, y_all - y)):
        left = weight - outcome
        if outcome > 0:
            found += outcome * math.log(outcome * n_all / (weight * y_all))
        if left > 0:
            found += left * math.log(left * n_all / (weight * (n_all - y_all)))
    return 2 * found


def _p_value(
    ns: Sequence[float],
    ys: Sequence[float],
    sides: Sequence[Sequence[int]],
    high: int,
    unit: float,
) -> float:
    """Of one split, whose blocks before and after are given, and which of these fails more."""
    sums = [(math.fsum(ns[p] for p in side), math.fsum(ys[p] for p in side)) for side in sides]
    rates = [y / n for n, y in sums]
    failing = sum(ys[p] > 0 for p in sides[high])
    is_enough = failing >= _LEAST_FAILING and sums[high][1] >= _LEAST_FAILED * unit
    if not is_enough or rates[high] <= rates[1 - high]:
        return 1.0
    (n, y), (rest_n, rest_y) = sums
    residuals = [
        [(ys[p] - ns[p] * rate) / math.sqrt(ns[p] * rate * (1 - rate)) for p in side]
        if 0 < rate < 1
        else [0.0] * len(side)
        for side, rate in zip(sides, rates, strict=True)
    ]
    count = len(sides[0]) + len(sides[1])
    scatter = max(unit, _dispersion(residuals, high))
    z = math.sqrt(max(_gain(n, y, n + rest_n, y + rest_y), 0.0) / scatter)
    if scatter <= _SCATTERED * unit:
        return math.erfc(z / math.sqrt(2))
    return t_two_sided(z, count - 2)


def _dispersion(residuals: Sequence[Sequence[float]], high: int) -> float:
    """How much more the blocks scatter than independent runs do."""
    squares = [sum(one * one for one in side) for side in residuals]
    count = sum(map(len, residuals))
    size = max(count // _PARTS, 1)
    parts = [side[n : n + size] for side in residuals for n in range(0, len(side), size)]
    together = sum(sum(part) ** 2 / len(part) for part in parts) / max(len(parts) - 2, 1)
    failing = squares[high] / max(len(residuals[high]) - 1, 1)
    return max(sum(squares) / (count - 2), together, failing)
