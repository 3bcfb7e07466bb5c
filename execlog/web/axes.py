"""The axes of the charts: round levels and times, with labels that people read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from execlog.display.format import number
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web.zones import round_times

__all__ = [
    "HEIGHT",
    "ROOM",
    "Mark",
    "count",
    "decades",
    "duration",
    "elapsed",
    "length",
    "levels",
    "rate",
    "readable",
    "short",
    "times",
    "width_of",
]

HEIGHT = 168
"""The height of a plot, in pixels."""

ROOM = HEIGHT - 14
"""How high the highest value is: above it there is room for its label."""

_DAY, _LAST = timedelta(days=1), datetime.max.replace(tzinfo=UTC)
_STEPS = tuple(
    timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
) + tuple(
    timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 96, 168, 240, 336, 720, 2160)
)
_LEVELS = 5  # at most
_RUNS, _BUCKETS = 20, 12  # of a bucket whose rate is drawn, and of a window, at least
_FINEST = 0.001  # ms
_MILLION = 1_000_000
_UNITS = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Mark:
    """A label and its position: pixels from the top, or a percentage from the left."""

    at: str
    label: str
    anchor: str = "start"


def times(buckets: Sequence[TimeseriesBucket], zone: tzinfo = UTC) -> list[Mark]:
    """Times of a window that are round in a zone, as labels below its chart. Never raises."""
    if not buckets:
        return []
    begin = buckets[0].start
    whole = width_of(buckets) * len(buckets)
    step = _step(whole)
    return [
        _mark(after / whole, _clock(here, step))
        for after, here in round_times(begin, min(whole, _LAST - begin), step, zone)
    ]


def elapsed(buckets: Sequence[TimeseriesBucket]) -> list[Mark]:
    """Round lengths of time since the begin of a window, as labels below. Never raises."""
    if not buckets:
        return []
    whole = width_of(buckets) * len(buckets)
    step = _step(whole, most=4)
    return [_mark(n * step / whole, f"+{length(n * step)}") for n in range(whole // step + 1)]


def width_of(buckets: Sequence[TimeseriesBucket]) -> timedelta:
    """The width of buckets; of a single one a minute stands for it. Never raises."""
    return buckets[1].start - buckets[0].start if len(buckets) > 1 else timedelta(minutes=1)


def readable(width: timedelta, whole: timedelta, runs: int) -> timedelta:
    """The width of buckets whose rates are no mere noise: of twenty runs on average, if possible.

    Args:
        width: The usual width, which it is at least.
        whole: The length of the window, of which there are twelve buckets at least.
        runs: How many runs the window has.

    Never raises.
    """
    found = width
    for wider in _STEPS:
        if wider <= width:
            continue
        if runs * (found / whole) >= _RUNS or whole / wider < _BUCKETS:
            break
        found = wider
    return found


def length(time: timedelta) -> str:
    """A length of time in the largest unit that has a whole number of it. Never raises."""
    seconds = time.total_seconds()
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            many = int(seconds // size)
            return f"{many} {unit}{'s' if unit == 'day' and many > 1 else ''}"
    return f"{seconds:.4g} s"


def levels(highest: float, label: Callable[[float], str]) -> tuple[list[Mark], float]:
    """About three round levels up to the highest number, and the pixels of one unit. Never raises.

    Args:
        highest: The highest number.
        label: Writes a level.
    """
    if highest <= 0:
        return [], 0.0
    step = _round_step(highest)
    scale = ROOM / highest
    every = range(1, int(highest / step + 1e-9) + 1)
    return [Mark(short(HEIGHT - n * step * scale), label(n * step)) for n in every], scale


def decades(values: Sequence[float]) -> tuple[list[Mark], Callable[[float], float]]:
    """Levels of a logarithmic scale, and how many pixels a value is high. Never raises.

    It begins and ends with 1, 2 or 5 times a power of ten; of a wide range only powers are levels.

    Args:
        values: What is drawn.
    """
    lowest = max(min(values, default=1.0), _FINEST)
    highest = max(max(values, default=1.0), lowest)
    low, high = _round_down(lowest), max(highest, 2 * _round_down(lowest))
    marks = _between(low, high)
    if len(marks) > _LEVELS:
        low = 10.0 ** math.floor(math.log10(low) + 1e-9)
        powers = [low * 10.0**n for n in range(int(math.log10(high / low) + 1e-9) + 1)]
        marks = powers[:: max(math.ceil(len(powers) / _LEVELS), 1)]
    scale = ROOM / math.log10(high / low)

    def above(value: float) -> float:
        return math.log10(max(value, low) / low) * scale

    return [Mark(short(HEIGHT - above(one)), duration(one)) for one in marks], above


def duration(value: float) -> str:
    """A level of durations. Never raises."""
    return f"{value / 1000:,.10g} s" if value >= 1000 else f"{value:.10g} ms"


def count(value: float) -> str:
    """A level of counts, in millions from there on; empty below 1. Never raises."""
    if value >= _MILLION:
        return f"{number(round(value / _MILLION, 1)).removesuffix('.0')}M"
    return number(round(value)) if value >= 1 else ""


def rate(value: float) -> str:
    """A level of shares, as a percentage. Never raises."""
    return f"{value * 100:.4g} %"


def short(value: float) -> str:
    """A number of pixels. Never raises."""
    return f"{value:.1f}".removesuffix(".0")


def _mark(share: float, label: str) -> Mark:
    anchor = "start" if share < 0.08 else "end" if share > 0.92 else "middle"
    return Mark(f"{share * 100:.4g}%", label, anchor)


def _step(whole: timedelta, most: int = 0) -> timedelta:
    """The step between two labels; by itself so wide that they never overlap on a phone."""
    return next((one for one in _STEPS if whole / one <= (most or _most(one))), whole)


def _most(step: timedelta) -> int:
    """How many steps there are room for: with seconds, with minutes, with days."""
    return 3 if step < timedelta(minutes=1) else 5 if step < timedelta(hours=6) else 4


def _clock(moment: datetime, step: timedelta) -> str:
    if step >= _DAY or (step >= timedelta(hours=6) and moment.hour == 0):
        return f"{moment:%b} {moment.day}"
    return f"{moment:%H:%M:%S}" if step < timedelta(minutes=1) else f"{moment:%H:%M}"


def _round_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, of which two to four fit."""
    raw = highest / 3.2
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(one for one in (1, 2, 5, 10) if one * power >= raw * 0.78)


def _round_down(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above the value."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return max(one * power for one in (1, 2, 5) if one == 1 or one * power <= value * (1 + 1e-9))


def _between(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten within a range."""
    first, last = (math.floor(math.log10(one) + 1e-9) for one in (low, high))
    rounds = (one * 10.0**power for power in range(first, last + 1) for one in (1, 2, 5))
    return [one for one in rounds if low * (1 - 1e-9) <= one <= high * (1 + 1e-9)]
