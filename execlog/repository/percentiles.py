"""Percentiles of a sample, by the interpolation of Postgres' `percentile_cont`."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence

__all__ = ["percentile_cont"]


def percentile_cont(
    values: Sequence[float], fractions: Sequence[float], weights: Sequence[float] | None = None
) -> tuple[float, ...]:
    """The percentiles of the values, in the order of the fractions; 0.0 each if there are none.

    The position of a fraction among n sorted values is fraction * (n - 1); between two neighbours
    it interpolates linearly. With weights n is their sum, and a value has the positions from the
    sum of the weights before it to that sum plus its own weight, less 1: with whole weights, as if
    the value were repeated.

    Args:
        values: Finite numbers.
        fractions: Within [0, 1].
        weights: The weight of each value, at least 1; None: 1.

    Never raises for such arguments.
    """
    if not values:
        return (0.0,) * len(fractions)
    pairs = sorted(zip(values, itertools.repeat(1.0) if weights is None else weights, strict=False))
    ordered = [value for value, _ in pairs]
    upto = list(itertools.accumulate(weight for _, weight in pairs))
    return tuple(_at(ordered, upto, fraction * (upto[-1] - 1)) for fraction in fractions)


def _at(ordered: list[float], upto: list[float], place: float) -> float:
    index = min(bisect.bisect_right(upto, place), len(upto) - 1)
    beyond = place - (upto[index] - 1)
    if beyond <= 0 or index + 1 == len(ordered):
        return ordered[index]
    return ordered[index] + beyond * (ordered[index + 1] - ordered[index])
