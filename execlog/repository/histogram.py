"""Histograms in the form of the rollups: one number, 24 decimal digits a bar.

Its unit is 1e-8. Bar 0 holds values below 0.001, bar n those from 0.001 * 1.02^(n-1) up to the
next bar, the last one all from 1e12 on: `execlog.rollup_bar` in migrations/0003_rollup.sql. So the
middle of a bar is at most one percent off any value in it, except in the first and the last one.
"""

from __future__ import annotations

import bisect
import itertools
import math
import struct
from collections.abc import Mapping, Sequence

__all__ = ["RELATIVE_ERROR", "lower_bound", "percentiles", "unpacked", "upper_bound"]

RELATIVE_ERROR = 0.01
"""The relative error of a percentile, at most; for values from a microsecond to thirty years."""

_DIGITS = 24
_UNITS = 10**8
_NONE = b"0" * _DIGITS
_FIRST, _GROWTH, _LAST = 0.001, 1.02, 1745


def unpacked(number: str | None) -> dict[int, float]:
    """The bars that are not empty, in order, of a number as the server writes it; {} for None.

    Never raises for such a number.
    """
    if number is None:
        return {}
    lowest = (len(number) - len(number.rstrip("0"))) // _DIGITS
    kept = number[: len(number) - lowest * _DIGITS].encode()
    kept = kept.zfill(-(-len(kept) // _DIGITS) * _DIGITS)
    # From the highest bar down; most are empty.
    groups = [group for (group,) in struct.iter_unpack(f"{_DIGITS}s", kept)]
    groups.reverse()
    return {bar: int(group) / _UNITS for bar, group in enumerate(groups, lowest) if group != _NONE}


def lower_bound(bar: int) -> float:
    """The least value of a bar. Never raises."""
    return _FIRST * _GROWTH ** (bar - 1) if bar else 0.0


def upper_bound(bar: int) -> float:
    """The least value above a bar; infinite for the last one. Never raises."""
    return lower_bound(bar + 1) if bar < _LAST else math.inf


def percentiles(
    bars: Mapping[int, float], fractions: Sequence[float], low: float, high: float
) -> tuple[tuple[float, ...], float | None]:
    """Weighed percentiles, each value taken as the middle of its bar; and how far off they may be.

    Args:
        bars: The weight of the values in each bar, in order.
        fractions: Within [0, 1].
        low: The least value, a lower bound of the result.
        high: The greatest value, an upper bound.

    Returns them in the order of the fractions, 0.0 each if there are no values; and a bound of the
    relative error of each: `RELATIVE_ERROR`, or None if one lies in the first or the last bar, of
    which none holds unless the least or the greatest value is near. Never raises for such
    arguments.
    """
    order = list(bars)
    upto = list(itertools.accumulate(bars.values()))
    if not upto:
        return (0.0,) * len(fractions), 0.0
    reached = set()

    def value(place: int) -> float:
        reached.add(order[place])
        return min(max(_middle(order[place]), low), high)

    found = []
    for fraction in fractions:
        # A bar holds the positions from the weight before it up to that and its own, less 1.
        position = fraction * (upto[-1] - 1)
        place = min(bisect.bisect_left(upto, position + 1), len(upto) - 1)
        over = upto[place - 1] - position if place else 0.0
        here = value(place)
        found.append(here if over <= 0 else here + over * (value(place - 1) - here))
    is_bounded = all(_is_bounded(bar, low, high) for bar in reached)
    return tuple(found), RELATIVE_ERROR if is_bounded else None


def _is_bounded(bar: int, low: float, high: float) -> bool:
    """Whether the value that stands for a bar is near to all values that it may hold."""
    most = min(high, upper_bound(bar))
    near = most - min(max(_middle(bar), low), high) <= RELATIVE_ERROR * most
    return near or bar not in (0, _LAST)


def _middle(bar: int) -> float:
    """The value with the same relative distance from both ends of a bar."""
    if bar in (0, _LAST):
        return lower_bound(bar)
    lower = lower_bound(bar)
    return 2 * lower * _GROWTH / (1 + _GROWTH)
