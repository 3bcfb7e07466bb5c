"""The geometry of the charts: paths, marks and labels; templates draw them, a style sheet paints.

A plot is stretched to the available width: x is in tenths of a bucket, y in pixels. Labels stand
beside it, at percentages and pixels, and keep the size of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby

from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import axes
from execlog.web.axes import HEIGHT, Mark, short, width_of

__all__ = [
    "STATUSES",
    "Chart",
    "Flag",
    "Path",
    "Series",
    "Step",
    "counts",
    "durations",
    "flags",
    "has_part",
    "rates",
    "step",
    "volume",
]

STATUSES = ("error", "timeout", "limit", "other", "ok")
"""From the base line up: failures come first, where changes of them are seen best."""

_LEAST = 1.5  # pixels of a bar that is not empty: one failure in a million is visible
_UNIT = 10  # of x, for a bucket
_PART = "part"  # the class of what is drawn of a bucket that the window cuts off
_FLAG = 13  # pixels between two labels of flags

Series = tuple[str, Sequence[TimeseriesBucket], str]
"""The class of a line, its time series and its field."""


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


@dataclass(frozen=True)
class Flag:
    """When something began: a percentage from the left, and pixels from the top for its label."""

    at: str
    label: str
    anchor: str
    top: int


def has_part(buckets: Sequence[TimeseriesBucket], until: datetime | None) -> bool:
    """Whether the window ends within its last bucket. Never raises.

    The first bucket begins with the window, so it is whole.

    Args:
        buckets: The time series of the window.
        until: The window's end, which it includes.
    """
    if until is None or len(buckets) < 2:
        return False
    return until - buckets[-1].start < width_of(buckets) - timedelta(microseconds=1)


def volume(buckets: Sequence[TimeseriesBucket], zone: tzinfo = UTC, *, part: bool = False) -> Chart:
    """The number of runs by status, one bar a bucket. Never raises.

    Args:
        buckets: The time series.
        zone: The zone of the labels below.
        part: Whether the last bucket is cut off, and its bar is paler.
    """
    levels, scale = axes.levels(max((one.total for one in buckets), default=0), axes.count)
    paths: dict[str, str] = {}
    for status in STATUSES:
        paths |= {status: "", f"{status} {_PART}": ""}
    for place, one in enumerate(buckets):
        base = float(HEIGHT)
        suffix = f" {_PART}" if part and place == len(buckets) - 1 else ""
        for status in STATUSES:
            count = getattr(one, status)
            if count:
                tall = max(count * scale, _LEAST)
                base -= tall
                paths[status + suffix] += _bar(place, base, tall)
    drawn = [Path(kind, d) for kind, d in paths.items() if d]
    return Chart(len(buckets) * _UNIT, drawn, levels, axes.times(buckets, zone))


def durations(series: Sequence[Series], zone: tzinfo | None = UTC, *, part: bool = False) -> Chart:
    """Durations over time, with a gap if nothing ran, on a logarithmic scale.

    It shows both a p50 of 5 ms and a p99 of 5 s.

    Args:
        series: The lines; buckets of all are equally wide.
        zone: The zone of the labels below; None: lines are of several windows, and the labels are
            the time since each began.
        part: Whether the last bucket is cut off.

    Never raises for fields that hold numbers.
    """
    ran = [value for value in _values(series) if value > 0]
    levels, above = axes.decades(ran)
    return _lined(series, levels, above, zone, part)


def counts(series: Sequence[Series], zone: tzinfo | None = UTC, *, part: bool = False) -> Chart:
    """Counts over time as lines. Never raises. Arguments: see `durations`."""
    levels, scale = axes.levels(max(_values(series), default=0), axes.count)
    return _lined(series, levels, lambda value: value * scale, zone, part)


def rates(series: Sequence[Series], zone: tzinfo | None = UTC, *, part: bool = False) -> Chart:
    """Shares over time, from zero to the highest of a whole bucket. Never raises.

    The last bucket may be of a few runs only: if it is cut off, it does not set the scale.

    Args:
        series: As for `durations`, as the others.
        zone: As there.
        part: As there.
    """
    whole = [(kind, buckets[:-1] if part else buckets, field) for kind, buckets, field in series]
    highest = max(_values(whole), default=0.0) or max(_values(series), default=0.0)
    levels, scale = axes.levels(highest, axes.rate)
    zero = Mark(short(HEIGHT), axes.rate(0))
    return _lined(
        series, [zero, *levels], lambda value: min(value * scale, HEIGHT - 2.0), zone, part
    )


def _values(series: Sequence[Series]) -> list[float]:
    """What is drawn, of buckets in which something ran."""
    return [getattr(one, field) for _, buckets, field in series for one in buckets if one.total]


def _lined(
    series: Sequence[Series],
    levels: Sequence[Mark],
    above: Callable[[float], float],
    zone: tzinfo | None,
    part: bool,
) -> Chart:
    longest = max((buckets for _, buckets, _ in series), key=len)
    paths = []
    for kind, buckets, field in series:
        is_cut = part and len(buckets) > 1
        whole = buckets[:-1] if is_cut else buckets
        paths.append(Path(kind, _line(whole, field, above)))
        if is_cut and buckets[-1].total:
            joined = len(buckets) - (2 if buckets[-2].total else 1)
            d = _line(buckets[joined:], field, above, first=joined)
            paths.append(Path(f"{kind} {_PART}", d))
    marks = axes.elapsed(longest) if zone is None else axes.times(longest, zone)
    return Chart(len(longest) * _UNIT, paths, levels, marks)


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
    whole = width_of(buckets) * len(buckets)
    if not begin <= at <= begin + whole:
        return None
    left, middle, right = (min(max((one - begin) / whole, 0.0), 1.0) for one in (low, at, high))
    return Step(*(f"{share * 100:.4g}%" for share in (middle, left, right - left)))


def flags(
    buckets: Sequence[TimeseriesBucket], begins: Sequence[tuple[datetime, str]]
) -> list[Flag]:
    """Marks of when something began on the charts of a window, labels below each other.

    Args:
        buckets: The time series of the charts.
        begins: The times, which lie in the window, and the labels.

    Never raises.
    """
    whole = width_of(buckets) * len(buckets) if buckets else timedelta(1)
    found = []
    for place, (at, label) in enumerate(sorted(begins)):
        share = min(max((at - buckets[0].start) / whole, 0.0), 1.0)
        anchor = "end" if share > 0.7 else "start"
        found.append(Flag(f"{share * 100:.4g}%", label, anchor, _FLAG * (place + 1) - 4))
    return found


def _line(
    buckets: Sequence[TimeseriesBucket],
    field: str,
    above: Callable[[float], float],
    *,
    first: int = 0,
) -> str:
    """One line through the middles of the buckets; a single bucket is as wide as itself."""

    def steps() -> Iterator[str]:
        numbered = enumerate(buckets, first)
        for ran, found in groupby(numbered, key=lambda found: found[1].total > 0):
            if not ran:
                continue
            points = [
                (place * _UNIT + _UNIT // 2, short(HEIGHT - above(getattr(one, field))))
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
    return f"M{place * _UNIT + 1} {short(top)}h{wide}v{short(tall)}h-{wide}z"
