"""Percentiles of a sample, by the interpolation of Postgres' `percentile_cont`."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["percentile_cont"]


def percentile_cont(values: Sequence[float], fractions: Sequence[float]) -> tuple[float, ...]:
    """The percentiles of the values, in the order of the fractions; 0.0 each if there are none.

    The position of a fraction among n sorted values is fraction * (n - 1); between two neighbours
    it interpolates linearly. Never raises for finite values and fractions within [0, 1].
    """
    if not values:
        return (0.0,) * len(fractions)
    ordered = sorted(values)
    return tuple(_at(ordered, fraction * (len(ordered) - 1)) for fraction in fractions)


def _at(ordered: list[float], place: float) -> float:
    low, high = math.floor(place), math.ceil(place)
    if low == high:
        return ordered[low]
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
