"""The geometry of the charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import axes, charts

BEGIN = datetime(2026, 11, 24, 13, 7, tzinfo=UTC)


def bucket(place: int = 0, width: timedelta = timedelta(minutes=15), **counts: Any) -> Any:
    found: dict[str, Any] = dict.fromkeys(TimeseriesBucket.model_fields, 0)
    statuses = {name: counts.get(name, 0) for name in charts.STATUSES}
    found |= {"start": BEGIN + place * width, "method": "exact", "total": sum(statuses.values())}
    return TimeseriesBucket(**{**found, **statuses, **counts})


def heights(d: str) -> list[float]:
    return [float(tall) for tall in re.findall(r"v([\d.]+)", d)]


def test_bars_stand_on_one_another() -> None:
    """What failed stands on the base line, and as tall as it is many."""
    chart = charts.volume([bucket(0, ok=80, error=20), bucket(1), bucket(2, ok=50)])
    paths = {path.kind: path.d for path in chart.paths}
    assert list(paths) == ["error", "ok"]
    [failed] = heights(paths["error"])
    ok = heights(paths["ok"])
    assert ok[0] == pytest.approx(4 * failed, rel=0.02)
    assert ok[1] == pytest.approx(2.5 * failed, rel=0.02)
    top = float(re.findall(r"M1 ([\d.]+)", paths["error"])[0])
    assert top + failed == pytest.approx(axes.HEIGHT, abs=0.1)
    assert chart.width == 30


def test_a_failure_among_a_million_is_seen() -> None:
    chart = charts.volume([bucket(0, ok=1_000_000, limit=1)])
    assert heights(chart.paths[0].d)[0] > 1


@pytest.mark.parametrize("most", [1, 2, 7, 10, 99, 100, 12_345, 10**9])
def test_levels_are_round_and_inside(most: int) -> None:
    chart = charts.volume([bucket(0, ok=most)])
    assert 1 <= len(chart.levels) <= 5
    for level in chart.levels:
        assert 0 < float(level.at) < axes.HEIGHT
        assert level.label.removesuffix("M").replace(",", "").rstrip("0") in {
            "",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "8",
            "15",
        }


def test_lines_are_logarithmic_and_have_gaps() -> None:
    took = [10.0, 100.0, 1000.0]
    series = [bucket(n, ok=1, duration_p95_ms=value) for n, value in enumerate(took)]
    series += [bucket(3), bucket(4, ok=1, duration_p95_ms=0.0)]
    chart = charts.durations([("p95", series, "duration_p95_ms")])
    [path] = chart.paths
    points = [float(y) for _, y in re.findall(r"[ML](\d+) ([\d.]+)", path.d)]
    assert points[0] - points[1] == pytest.approx(points[1] - points[2], abs=0.2)
    assert path.d.count("M") == 2
    assert path.d.endswith(f"M40 {points[-1]:g}h10")  # alone, and as wide as its bucket
    assert [level.label for level in chart.levels] == ["10 ms", "100 ms", "1 s"]


@pytest.mark.parametrize("values", [[], [0.0], [5e-324], [1e300], [1e-9, 1e300]])
def test_odd_durations_are_drawn(values: list[float]) -> None:
    series = [bucket(n, ok=1, duration_p95_ms=value) for n, value in enumerate(values)] or [
        bucket()
    ]
    chart = charts.durations([("p95", series, "duration_p95_ms")])
    assert "nan" not in chart.paths[0].d
    assert len(chart.levels) <= 6


@pytest.mark.parametrize(
    ("width", "count", "labels"),
    [
        (timedelta(seconds=10), 90, ["13:10", "13:15", "13:20"]),
        (timedelta(minutes=15), 96, ["18:00", "Nov 25", "06:00", "12:00"]),
        (timedelta(hours=6), 120, ["Nov 30", "Dec 7", "Dec 14", "Dec 21"]),
    ],
)
def test_times_are_round(width: timedelta, count: int, labels: list[str]) -> None:
    found = axes.times([bucket(n, width) for n in range(count)])
    assert [mark.label for mark in found][: len(labels)] == labels or len(found) in range(2, 7)
    assert all(0 <= float(mark.at.rstrip("%")) <= 100 for mark in found)


@pytest.mark.parametrize(
    "until", [datetime.max, datetime(9999, 12, 31), datetime(9999, 12, 31, 23)]
)
@pytest.mark.parametrize("days", [1 / 24, 1, 30, 3650, 3_000_000])
def test_a_window_may_end_where_the_calendar_does(until: datetime, days: float) -> None:
    """The last bucket may end after it, and so may the next label."""
    end = until.replace(tzinfo=UTC)
    width = timedelta(days=days) / 99.5
    series = [bucket(n, ok=1, duration_p95_ms=1.0) for n in range(100)]
    for n, one in enumerate(series):
        object.__setattr__(one, "start", end - timedelta(days=days) + n * width)
    for mark in (*axes.times(series), *charts.volume(series).times):
        assert 0 <= float(mark.at.rstrip("%")) <= 100


def test_a_step_is_marked_where_it_lies() -> None:
    buckets = [bucket(place) for place in range(4)]  # an hour
    quarter = timedelta(minutes=15)
    marked = charts.step(buckets, BEGIN + quarter, BEGIN + 2 * quarter, BEGIN + 3 * quarter)
    assert marked == charts.Step(at="50%", begins="25%", width="50%")
    marked = charts.step(buckets, BEGIN - quarter, BEGIN, BEGIN + 9 * quarter)
    assert marked == charts.Step(at="0%", begins="0%", width="100%")
    assert charts.step(buckets, BEGIN, BEGIN - quarter, BEGIN) is None
    assert charts.step(buckets[:1], BEGIN, BEGIN, BEGIN) is None


def test_the_bucket_that_a_window_cuts_off_is_apart() -> None:
    buckets = [bucket(0, ok=9, error=1), bucket(1, ok=10), bucket(2, ok=1, error=1)]
    quarter = timedelta(minutes=15)
    assert charts.has_part(buckets, BEGIN + 2.5 * quarter)
    assert not charts.has_part(buckets, BEGIN + 3 * quarter - timedelta(microseconds=1))
    assert not charts.has_part(buckets[:1], BEGIN)
    kinds = [path.kind for path in charts.volume(buckets, part=True).paths]
    assert kinds == ["error", "error part", "ok", "ok part"]
    line, part = charts.durations([("p95", buckets, "total")], part=True).paths
    assert (line.kind, part.kind) == ("p95", "p95 part")
    assert line.d.count("L") == part.d.count("L") == 1


def test_an_error_rate_has_a_scale_of_its_own() -> None:
    """From zero; a last bucket of few runs does not set it."""
    shares = [0.004, 0.008, 0.5]
    buckets = [bucket(n, ok=1, error_rate=share) for n, share in enumerate(shares)]
    chart = charts.rates([("rate", buckets, "error_rate")], part=True)
    assert [level.label for level in chart.levels] == ["0 %", "0.2 %", "0.4 %", "0.6 %", "0.8 %"]
    tops = [float(y) for _, y in re.findall(r"[ML](\d+) ([\d.]+)", chart.paths[1].d)]
    assert min(tops) > 0
    nothing = charts.rates([("rate", [bucket()], "error_rate")])
    assert [level.label for level in nothing.levels] == ["0 %"]


@pytest.mark.parametrize(
    ("took", "labels"),
    [
        ([3.0, 15.0], ["2 ms", "5 ms", "10 ms"]),
        ([4.2], ["2 ms"]),
        ([30.0, 700.0], ["20 ms", "50 ms", "100 ms", "200 ms", "500 ms"]),
        ([0.7, 2000.0], ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"]),
    ],
)
def test_levels_of_durations_are_round(took: list[float], labels: list[str]) -> None:
    series = [bucket(n, ok=1, duration_p95_ms=value) for n, value in enumerate(took)]
    assert [one.label for one in charts.durations([("p95", series, "duration_p95_ms")]).levels] == (
        labels
    )


@pytest.mark.parametrize(
    ("width", "hours", "runs", "minutes"),
    [
        (5, 4, 480, 10),
        (5, 4, 48, 15),  # a window has twelve buckets
        (5, 4, 10**6, 5),
        (15, 24, 0, 120),
    ],
)
def test_buckets_of_a_rate_hold_twenty_runs(
    width: int, hours: int, runs: int, minutes: int
) -> None:
    whole = timedelta(hours=hours)
    found = axes.readable(timedelta(minutes=width), whole, runs)
    assert found == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=30), "30 s"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=36), "36 h"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=0.5), "0.5 s"),
    ],
)
def test_a_length_is_in_the_largest_whole_unit(length: timedelta, text: str) -> None:
    assert axes.length(length) == text


def test_flags_stand_below_one_another() -> None:
    buckets = [bucket(place) for place in range(4)]
    quarter = timedelta(minutes=15)
    begins = [(BEGIN + 3 * quarter, "v4"), (BEGIN + quarter, "v3")]
    first, second = charts.flags(buckets, begins)
    assert (first.at, first.label, first.anchor) == ("25%", "v3", "start")
    assert (second.at, second.label, second.anchor) == ("75%", "v4", "end")
    assert second.top > first.top
