"""The normal distribution and Student's t: their cumulative probabilities and quantiles.

Student's t is the regularized incomplete beta function, of which Lentz's method computes the
continued fraction (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.8 and 26.7.1;
Press et al., Numerical Recipes, 6.4). All are accurate to 1e-9 or better.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

__all__ = [
    "incomplete_beta",
    "normal_cdf",
    "normal_quantile",
    "t_cdf",
    "t_quantile",
    "t_two_sided",
]

_TINY = 1e-300
_CLOSE = 1e-15
_MOST_STEPS = 10_000


def normal_cdf(value: float) -> float:
    """The probability of at most this value. Never raises."""
    return math.erfc(-value / math.sqrt(2)) / 2


def normal_quantile(probability: float) -> float:
    """The value that is exceeded with 1 - probability, which is within (0, 1).

    Raises:
        ValueError: `probability` is not within (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError("a probability is within (0, 1)")
    return NormalDist().inv_cdf(probability)


def t_two_sided(value: float, degrees: float) -> float:
    """The probability of a value of Student's t at least this far from 0.

    Args:
        value: The value, which may be infinite.
        degrees: Degrees of freedom, above 0.

    Never raises for such arguments.
    """
    if math.isinf(value):
        return 0.0
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + value * value))


def t_cdf(value: float, degrees: float) -> float:
    """The probability of at most this value. Arguments as for `t_two_sided`. Never raises."""
    tail = t_two_sided(value, degrees) / 2
    return tail if value < 0 else 1 - tail


@functools.lru_cache(1024)
def t_quantile(probability: float, degrees: float) -> float:
    """The value of Student's t that is exceeded with 1 - probability.

    Args:
        probability: Within (0, 1).
        degrees: Degrees of freedom, above 0.

    Raises:
        ValueError: `probability` is not within (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError("a probability is within (0, 1)")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    outside = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while t_two_sided(high, degrees) > outside:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if t_two_sided(middle, degrees) > outside:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b).

    Args:
        a: Above 0.
        b: Above 0.
        x: Within [0, 1].

    Never raises for such arguments.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    scale = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The fraction converges fast on this side of the mean, and I_x(a, b) = 1 - I_1-x(b, a).
    if x < (a + 1) / (a + b + 2):
        return scale * _fraction(a, b, x) / a
    return 1 - scale * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    product = d
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            d = 1 / _away(1 + coefficient * d)
            c = _away(1 + coefficient / c)
            product *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return product


def _away(value: float) -> float:
    """The value, kept away from 0."""
    return value if abs(value) > _TINY else _TINY
