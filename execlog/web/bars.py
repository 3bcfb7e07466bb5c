"""The histograms of a card as bars that people read: no tail of zeros, each bar with its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from execlog.display.format import number
from execlog.models import PointsCount
from execlog.repository.metrics import HistogramBucket, StrategyMetrics
from execlog.web import axes

__all__ = ["Bar", "Bars", "durations", "pair", "points"]

_SECOND = 1000.0  # ms
_TO = " \u2013 "


@dataclass(frozen=True)
class Bar:
    """The runs between two bounds.

    Attributes:
        label: The bounds.
        counts: How many they are; of each side if two are compared.
        filters: The filters that give them.
    """

    label: str
    counts: tuple[int, ...]
    filters: dict[str, Any]


@dataclass(frozen=True)
class Bars:
    """A histogram.

    Attributes:
        rows: Its bars, from the first that is not empty to the last.
        note: What is left out, or why there is no bar; empty: nothing is.
    """

    rows: Sequence[Bar]
    note: str = ""


def durations(card: StrategyMetrics) -> Bars:
    """The durations of a card. Never raises."""
    return _trimmed([card.duration_histogram])


def pair(a: StrategyMetrics, b: StrategyMetrics) -> Bars:
    """The durations of two cards, from the first bar of either to the last. Never raises."""
    return _trimmed([a.duration_histogram, b.duration_histogram])


def points(card: StrategyMetrics, whole: Sequence[PointsCount] | None) -> Bars:
    """The points of a card. Never raises.

    Args:
        card: The card.
        whole: The bars of whole points; None or empty: they are not whole, and the card's bars are
            of equal width between the least and the most.
    """
    found = card.points_histogram
    awarded = sum(bar.count for bar in found)
    if not awarded:
        return Bars((), "No points: no run awarded any.")
    if len(found) == 1 and found[0].upper_bound == 0:
        runs = f"{number(awarded)} {'run' if awarded == 1 else 'runs'}"
        return Bars((), f"No points: {runs} awarded 0.")
    return Bars(list(_whole(whole)) if whole else list(_equal(found)))


def _trimmed(sides: Sequence[Sequence[HistogramBucket]]) -> Bars:
    bounds = [bar.upper_bound for bar in sides[0]]
    counts = list(zip(*([bar.count for bar in side] for side in sides), strict=True))
    filled = [place for place, one in enumerate(counts) if any(one)]
    if not filled:
        return Bars(())
    first, last = filled[0], filled[-1]
    rows = []
    for place in range(first, last + 1):
        low, high = (bounds[place - 1] if place else None), bounds[place]
        ends = {"above_duration_ms": low, "max_duration_ms": high}
        filters = {name: _plain(end) for name, end in ends.items() if end is not None}
        rows.append(Bar(_between(low, high), counts[place], filters))
    notes = []
    if first and (low := bounds[first - 1]) is not None:
        notes.append(f"none up to {axes.duration(low)}")
    if (high := bounds[last]) is not None:
        notes.append(f"none above {axes.duration(high)}")
    note = ", ".join(notes)
    return Bars(rows, f"{note[:1].upper()}{note[1:]}." if note else "")


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f"≤ {axes.duration(high)}"
    if high is None:
        return f"> {axes.duration(low)}"
    if (low >= _SECOND) != (high >= _SECOND):
        return _TO.join((axes.duration(low), axes.duration(high)))
    begin = axes.duration(low).partition(" ")[0]
    return _TO.join((begin, axes.duration(high)))


def _equal(found: Sequence[HistogramBucket]) -> Iterator[Bar]:
    """The bars of a card; of its last one the upper bound is a part."""
    low: float | None = None
    for place, bar in enumerate(found):
        end = "max_points" if place == len(found) - 1 else "below_points"
        filters = {} if low is None else {"min_points": _plain(low)}
        if bar.upper_bound is not None:
            filters[end] = _plain(bar.upper_bound)
        yield Bar(bar.label.replace(_TO.strip(), _TO), (bar.count,), filters)
        low = bar.upper_bound


def _whole(found: Sequence[PointsCount]) -> Iterator[Bar]:
    """The bars of whole points, and what lies between them as one empty bar."""
    after: float | None = None
    for bar in found:
        if after is not None and bar.low > after:
            yield Bar(_range(after, bar.low - 1), (0,), {})
        ends = {"min_points": _plain(bar.low), "max_points": _plain(bar.high)}
        yield Bar(_range(bar.low, bar.high), (bar.count,), ends)
        after = bar.high + 1


def _range(low: float, high: float) -> str:
    first, last = number(int(low)), number(int(high))
    return first if first == last else _TO.join((first, last))


def _plain(value: float) -> str:
    """A number as a URL takes it."""
    return repr(float(value)).removesuffix(".0")
