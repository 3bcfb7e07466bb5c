"""Histograms in the form of the rollups: one number, ten decimal digits a bar.

Bar 0 holds values below 0.001, bar n those from 0.001 * 1.02^(n-1) up to the next bar, the last one
all from 1e12 on: `execlog.rollup_bar` in migrations/0003_rollup.sql. So the middle of a bar is at
most one percent off any value in it.
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

_DIGITS = 10
_NONE = b"0" * _DIGITS
_FIRST, _GROWTH, _LAST = 0.001, 1.02, 1745


def unpacked(number: str | None) -> dict[int, int]:
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
    return {bar: int(group) for bar, group in enumerate(groups, lowest) if group != _NONE}


def lower_bound(bar: int) -> float:
    """The least value of a bar. Never raises."""
    return _FIRST * _GROWTH ** (bar - 1) if bar else 0.0


def upper_bound(bar: int) -> float:
    """The least value above a bar; infinite for the last one. Never raises."""
    return lower_bound(bar + 1) if bar < _LAST else math.inf


def percentiles(
    bars: Mapping[int, int], fractions: Sequence[float], low: float, high: float
) -> tuple[float, ...]:
    """Percentiles as of `percentile_cont`, each value taken as the middle of its bar.

    Args:
        bars: The number of values in each bar, in order.
        fractions: Within [0, 1].
        low: The least value, a lower bound of the result.
        high: The greatest value, an upper bound.

    Returns them in the order of the fractions, each at most `RELATIVE_ERROR` off; 0.0 each if
    there are no values. Never raises for such arguments.
    """
    order = list(bars)
    upto = list(itertools.accumulate(bars.values()))
    if not upto:
        return (0.0,) * len(fractions)

    def number(rank: int) -> float:
        return min(max(_middle(order[bisect.bisect_right(upto, rank)]), low), high)

    found = []
    for fraction in fractions:
        place = fraction * (upto[-1] - 1)
        rank = int(place)
        first = number(rank)
        over = place - rank
        found.append(first + over * (number(rank + 1) - first) if over else first)
    return tuple(found)


def _middle(bar: int) -> float:
    """The value with the same relative distance from both ends of a bar."""
    if bar in (0, _LAST):
        return lower_bound(bar)
    lower = lower_bound(bar)
    return 2 * lower * _GROWTH / (1 + _GROWTH)
