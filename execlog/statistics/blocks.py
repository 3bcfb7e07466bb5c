"""Weighed ratios from sums by whole blocks of time, and how sure they are.

Runs of one minute fail together, so a run is no independent observation, but a block of time nearly
is. A ratio is sum(outcome) / sum(weight) over the blocks of a window. Its variance comes from the
residuals of the blocks, (outcome - ratio * weight) / sum(weight), which are the influences of each
block on it: the variance of a ratio of two sums over clusters (Cochran, Sampling Techniques, 6.3
and 9.6; Liang and Zeger, 1986, Biometrika 73). The influences of a difference, a product with a
constant, a logarithm or a quotient are those of its parts, combined by the delta method; so
estimates of the same blocks may be correlated, and need not be of the same windows.

The test is Student's t with blocks - 2 degrees, the variance multiplied by blocks / (blocks - 2):
each window has a mean of its own (Donald and Lang, 2007, Review of Economics and Statistics 89).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from execlog.statistics.distributions import t_quantile, t_two_sided

__all__ = ["Estimate", "Tested", "change", "ratio"]

_NOISE = 1e-9  # of a value: the server's sums of a million runs are off by a hundredth of it
_LEAST_PARTS = 6  # in each window, if neighbours are taken together


class Tested(NamedTuple):
    """An estimate with its interval, and the probability of one as far from 0 by chance.

    Attributes:
        value: The estimate.
        low: The lower end of the interval; -infinity if there are too few blocks.
        high: The upper end.
        p_value: Two-sided; 1.0 if there are too few blocks.
        degrees: Degrees of freedom.
    """

    value: float
    low: float
    high: float
    p_value: float
    degrees: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that was estimated from blocks, and the influence of each of them on it."""

    value: float
    influences: Sequence[float]

    def plus(self, other: Estimate, factor: float = 1.0) -> Estimate:
        """This and `factor` times the other, of the same blocks. Never raises.

        What is left of two equal values is rounding, and no difference: it is 0.
        """
        added = factor * other.value
        is_noise = math.isclose(self.value, -added, rel_tol=_NOISE)
        return Estimate(
            0.0 if is_noise else self.value + added,
            [a + factor * b for a, b in zip(self.influences, other.influences, strict=True)],
        )

    def minus(self, other: Estimate) -> Estimate:
        """The difference. Never raises."""
        return self.plus(other, -1.0)

    def times(self, factor: float) -> Estimate:
        """The product with a constant. Never raises."""
        return Estimate(self.value * factor, [factor * one for one in self.influences])

    def over(self, other: Estimate) -> Estimate:
        """The quotient.

        Raises:
            ZeroDivisionError: The other is 0.
        """
        quotient = self.value / other.value
        return self.plus(other, -quotient)._with(quotient, 1 / other.value)

    def log(self) -> Estimate:
        """The natural logarithm.

        Raises:
            ValueError: It is not above 0.
        """
        return self._with(math.log(self.value), 1 / self.value)

    def joined(self, parts: Iterable[range]) -> Estimate:
        """The same from larger blocks: of each part the influences are added. Never raises.

        Args:
            parts: The positions of neighbouring blocks that become one.
        """
        own = self.influences
        return Estimate(self.value, [sum(own[part.start : part.stop]) for part in parts])

    def error(self, blocks: int) -> float:
        """The standard error; `blocks` is how many have a part in it. Never raises."""
        if blocks <= 2:
            return math.inf
        return math.sqrt(sum(one * one for one in self.influences) * blocks / (blocks - 2))

    def tested(self, level: float, blocks: int | None = None) -> Tested:
        """The estimate with its interval of 1 - level, and its p-value against 0.

        Args:
            level: Within (0, 1).
            blocks: How many have a part in it; None: all.

        Never raises for such arguments.
        """
        used = len(self.influences) if blocks is None else blocks
        error = self.error(used)
        degrees = max(used - 2, 0)
        if math.isinf(error):
            return Tested(self.value, -math.inf, math.inf, 1.0, degrees)
        wide = t_quantile(1 - level / 2, degrees) * error
        return Tested(
            self.value,
            self.value - wide,
            self.value + wide,
            _p_value(self.value, error, degrees),
            degrees,
        )

    def p_value(self, blocks: int) -> float:
        """The p-value of `tested` alone. Never raises."""
        return _p_value(self.value, self.error(blocks), max(blocks - 2, 1))

    def _with(self, value: float, factor: float) -> Estimate:
        return Estimate(value, [factor * one for one in self.influences])


def ratio(outcomes: Sequence[float], weights: Sequence[float], window: range) -> Estimate:
    """sum(outcome) / sum(weight) over the blocks of a window.

    Args:
        outcomes: Of each block the sum of weight times outcome.
        weights: Of each block the sum of the weights.
        window: The positions of the blocks; the others have no influence.

    Raises:
        ZeroDivisionError: There is no run in the window.
    """
    begin, end = window.start, window.stop
    weight = math.fsum(weights[begin:end])
    value = math.fsum(outcomes[begin:end]) / weight
    influences = [0.0] * len(weights)
    influences[begin:end] = [
        (outcome - value * one) / weight
        for outcome, one in zip(outcomes[begin:end], weights[begin:end], strict=True)
    ]
    return Estimate(value, influences)


def change(outcomes: Sequence[float], weights: Sequence[float], after: int, level: float) -> Tested:
    """The change of a ratio from the blocks before `after` to the others.

    What neighbouring blocks have in common is no chance of each alone: the interval is the widest
    of blocks by themselves, in twos and in fours, as long as each window has six of them.

    Args:
        outcomes: As for `ratio`.
        weights: As for `ratio`.
        after: The first block of the second window.
        level: Within (0, 1).

    Raises:
        ZeroDivisionError: There is no run in one of the windows.
    """
    count = len(weights)
    found = ratio(outcomes, weights, range(after, count)).minus(
        ratio(outcomes, weights, range(after))
    )
    tried = [found.tested(level)]
    for size in (2, 4):
        if min(after, count - after) // size >= _LEAST_PARTS:
            parts = [range(n, min(n + size, after)) for n in range(0, after, size)]
            parts += [range(n, min(n + size, count)) for n in range(after, count, size)]
            tried.append(found.joined(parts).tested(level))
    return max(tried, key=lambda one: (one.p_value, one.high - one.low))


def _p_value(value: float, error: float, degrees: int) -> float:
    if value == 0 or math.isinf(error):
        return 1.0
    return t_two_sided(value / error if error > 0 else math.inf, degrees)
