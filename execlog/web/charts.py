"""The geometry of the charts: paths, ticks and labels; templates draw them, a style sheet paints.

A plot is stretched to the available width: x is in tenths of a bucket, y in pixels. Labels stand
beside it, at percentages and pixels, and keep the size of text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby

from execlog.display.format import number
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web.zones import round_times

__all__ = [
    "HEIGHT",
    "STATUSES",
    "Chart",
    "Mark",
    "Path",
    "Step",
    "counts",
    "durations",
    "spark",
    "step",
    "times",
    "volume",
]

HEIGHT = 168
"""The height of a plot, in pixels."""

STATUSES = ("error", "timeout", "limit", "other", "ok")
"""From the base line up: failures come first, where changes of them are seen best."""

_TOP = 14  # room for the label of the highest line
_LEAST = 1.5  # pixels of a bar that is not empty: one failure in a million is visible
_UNIT = 10  # of x, for a bucket
_DAY = timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC)
_STEPS = tuple(
    timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
) + tuple(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 2160))
_LABELS = 5  # at most, so that they fit on a phone
_FINEST = 0.001  # ms


@dataclass(frozen=True)
class Mark:
    """A label and its position: pixels from the top, or a percentage from the left."""

    at: str
    label: str
    anchor: str = "start"


@dataclass(frozen=True)
class Path:
    """A line, or the bars of one status; `kind` is its class in the style sheet."""

    kind: str
    d: str


@dataclass(frozen=True)
class Chart:
    """A plot of `width` units, its lines and the labels beside it.

    `levels` are positions in pixels from the top, `times` percentages from the left.
    """

    width: int
    paths: Sequence[Path]
    levels: Sequence[Mark]
    times: Sequence[Mark]


@dataclass(frozen=True)
class Step:
    """When something changed, and between which times that lies: percentages from the left."""

    at: str
    begins: str
    width: str


def volume(buckets: Sequence[TimeseriesBucket], zone: tzinfo = UTC) -> Chart:
    """The number of runs by status, one bar a bucket. Never raises."""
    levels, scale = _levels(max((one.total for one in buckets), default=0), _count)
    paths = {status: "" for status in STATUSES}
    for place, one in enumerate(buckets):
        base = float(HEIGHT)
        for status in STATUSES:
            count = getattr(one, status)
            if count:
                tall = max(count * scale, _LEAST)
                base -= tall
                paths[status] += _bar(place, base, tall)
    return Chart(
        len(buckets) * _UNIT,
        [Path(status, d) for status, d in paths.items() if d],
        levels,
        times(buckets, zone),
    )


def durations(
    series: Sequence[tuple[str, Sequence[TimeseriesBucket], str]], zone: tzinfo = UTC
) -> Chart:
    """Durations over time, with a gap if nothing ran, on a logarithmic scale.

    It shows both a p50 of 5 ms and a p99 of 5 s.

    Args:
        series: The class, the time series and the field of each line; all over the same
            window.
        zone: The zone of the labels below.

    Never raises for fields that hold numbers.
    """
    found = [
        value
        for _, buckets, field in series
        for one in buckets
        if one.total and (value := getattr(one, field)) > 0
    ]
    low = 10.0 ** math.floor(math.log10(max(min(found, default=1.0), _FINEST)) + 1e-9)
    high = max(max(found, default=1.0), low * 10)
    scale = (HEIGHT - _TOP) / math.log10(high / low)

    def above(value: float) -> float:
        return math.log10(max(value, low) / low) * scale

    decades = range(int(math.log10(high / low) + 1e-9) + 1)
    every = max(math.ceil(len(decades) / _LABELS), 1)
    levels = [
        Mark(_short(HEIGHT - above(low * 10.0**n)), _duration(low * 10.0**n))
        for n in decades[::every]
    ]
    return _lined(series, levels, above, zone)


def counts(
    series: Sequence[tuple[str, Sequence[TimeseriesBucket], str]], zone: tzinfo = UTC
) -> Chart:
    """Counts over time as lines. Never raises. Arguments: see `durations`."""
    most = max((getattr(one, field) for _, all_, field in series for one in all_), default=0)
    levels, scale = _levels(most, _count)
    return _lined(series, levels, lambda value: value * scale, zone)


def _lined(
    series: Sequence[tuple[str, Sequence[TimeseriesBucket], str]],
    levels: Sequence[Mark],
    above: Callable[[float], float],
    zone: tzinfo,
) -> Chart:
    first = series[0][1]
    return Chart(
        len(first) * _UNIT,
        [Path(kind, _line(buckets, field, above)) for kind, buckets, field in series],
        levels,
        times(first, zone),
    )


def spark(values: Sequence[int], failures: Sequence[int], height: int = 28) -> list[Path]:
    """A small chart without labels: all runs, and the failed ones of them. Never raises."""
    scale = (height - 2) / max([*values, 1])

    def bars(counts: Sequence[int]) -> str:
        return "".join(
            _bar(place, height - tall, tall)
            for place, count in enumerate(counts)
            if count and (tall := max(count * scale, 1.0))
        )

    return [Path("all", bars(values)), Path("error", bars(failures))]


def times(buckets: Sequence[TimeseriesBucket], zone: tzinfo = UTC) -> list[Mark]:
    """Times of a window that are round in a zone, as labels below its chart. Never raises."""
    if not buckets:
        return []
    begin = buckets[0].start
    width = buckets[1].start - begin if len(buckets) > 1 else timedelta(minutes=1)
    whole = width * len(buckets)
    step = next((one for one in _STEPS if whole / one <= _LABELS), whole)
    found = []
    for after, here in round_times(begin, min(whole, _LAST - begin), step, zone):
        share = after / whole
        anchor = "start" if share < 0.08 else "end" if share > 0.92 else "middle"
        found.append(Mark(f"{share * 100:.4g}%", _clock(here, step), anchor))
    return found


def step(
    buckets: Sequence[TimeseriesBucket], low: datetime, at: datetime, high: datetime
) -> Step | None:
    """A change on the charts of a window; None if it lies outside of them. Never raises.

    Args:
        buckets: The time series of the charts, of two buckets or more.
        low: The earliest time of the change.
        at: Its time.
        high: The latest time.
    """
    if len(buckets) < 2:
        return None
    begin = buckets[0].start
    whole = (buckets[1].start - begin) * len(buckets)
    if not begin <= at <= begin + whole:
        return None
    left, middle, right = (min(max((one - begin) / whole, 0.0), 1.0) for one in (low, at, high))
    return Step(*(f"{share * 100:.4g}%" for share in (middle, left, right - left)))


def _clock(moment: datetime, step: timedelta) -> str:
    if step >= _DAY or (step >= timedelta(hours=6) and moment.hour == 0):
        return f"{moment:%b} {moment.day}"
    return f"{moment:%H:%M:%S}" if step < timedelta(minutes=1) else f"{moment:%H:%M}"


def _levels(highest: float, label: Callable[[float], str]) -> tuple[list[Mark], float]:
    """About three round levels up to the highest number, and the pixels of one unit."""
    if highest <= 0:
        return [], 0.0
    step = _round_step(highest)
    scale = (HEIGHT - _TOP) / highest
    marks = []
    for times_step in range(1, int(highest / step + 1e-9) + 1):
        level = times_step * step
        marks.append(Mark(_short(HEIGHT - level * scale), label(level)))
    return marks, scale


def _round_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, of which two to four fit."""
    raw = highest / 3.2
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(one for one in (1, 2, 5, 10) if one * power >= raw * 0.78)


def _line(buckets: Sequence[TimeseriesBucket], field: str, above: Callable[[float], float]) -> str:
    """One line through the middles of the buckets; a single bucket is as wide as itself."""

    def steps() -> Iterator[str]:
        for ran, found in groupby(enumerate(buckets), key=lambda found: found[1].total > 0):
            if not ran:
                continue
            points = [
                (place * _UNIT + _UNIT // 2, _short(HEIGHT - above(getattr(one, field))))
                for place, one in found
            ]
            if len(points) == 1:
                [(x, y)] = points
                yield f"M{x - _UNIT // 2} {y}h{_UNIT}"
            else:
                yield "".join(f"{'L' if n else 'M'}{x} {y}" for n, (x, y) in enumerate(points))

    return "".join(steps())


def _bar(place: int, top: float, tall: float) -> str:
    wide = _UNIT - 2
    return f"M{place * _UNIT + 1} {_short(top)}h{wide}v{_short(tall)}h-{wide}z"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _duration(value: float) -> str:
    return f"{value / 1000:,.10g} s" if value >= 1000 else f"{value:.10g} ms"


def _count(value: float) -> str:
    return number(round(value)) if value >= 1 else ""
