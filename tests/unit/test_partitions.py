"""The plan of the partitions: from whatever is there to what is wanted, without a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.admin.partitions import (
    Interval,
    Partition,
    Step,
    Strays,
    Wish,
    left_in_default,
    plan,
    slot,
)
from execlog.admin.rebuild import LooseIndex, rebuilds

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
NONE = Strays({}, 0)
INTERVALS: tuple[Interval, ...] = ("hour", "day", "week", "month")


def months(first: int, count: int, **state: object) -> list[Partition]:
    begins = [datetime(2026 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(first - 1, 99)]
    return [
        Partition(f"m{begin:%Y%m}", begin, end, **state)  # type: ignore[arg-type]
        for begin, end in list(pairwise(begins))[:count]
    ]


def strayed(times: Iterable[datetime], interval: Interval) -> Strays:
    """A row at each of these times."""
    rows = Counter(slot(time, interval)[0] for time in times)
    return Strays(rows, rows.total())


def after(partitions: list[Partition], steps: list[Step]) -> list[Partition]:
    """What is there when the steps are done."""
    found = {one.name: one for one in partitions}
    for step in steps:
        if step.action in ("replace", "drop"):
            del found[step.partition]
        elif step.action == "attach":
            assert step.partition not in found
            found[step.partition] = Partition(step.partition, step.begins, step.ends)
        else:
            old = found[step.partition]
            found[step.partition] = Partition(
                old.name,
                old.begins,
                old.ends,
                bytes=old.bytes,
                thinned=old.thinned or step.action == "thin",
                vacuumed_at=NOW if step.action in ("vacuum", "thin") else old.vacuumed_at,
            )
    return sorted(found.values(), key=lambda one: one.begins)


@pytest.mark.parametrize(
    ("interval", "begins", "ends"),
    [
        ("hour", "2026-11-24T16", "2026-11-24T17"),
        ("day", "2026-11-24T00", "2026-11-25T00"),
        ("week", "2026-11-23T00", "2026-11-30T00"),
        ("month", "2026-11-01T00", "2026-12-01T00"),
    ],
)
def test_slots(interval: Interval, begins: str, ends: str) -> None:
    assert slot(NOW, interval) == tuple(
        datetime.fromisoformat(f"{text}:00+00:00") for text in (begins, ends)
    )


def test_nothing_to_do() -> None:
    assert plan(months(11, 4, bytes=1), NONE, Wish("month", 3), NOW) == []
    # Wider ones than wanted stay, where something was stored in them.
    assert plan(months(11, 4, bytes=1), NONE, Wish("day", 7), NOW) == []


def test_what_follows_is_made() -> None:
    steps = plan(months(11, 2, bytes=1), NONE, Wish("month", 3), NOW)
    assert [(one.action, one.partition) for one in steps] == [
        ("attach", "strategy_execution_log_202701"),
        ("attach", "strategy_execution_log_202702"),
    ]


def test_an_unused_log_takes_another_width_at_once() -> None:
    steps = plan(months(11, 4), NONE, Wish("day", 2), NOW)
    assert [one.action for one in steps] == ["replace"] * 4 + ["attach"] * 3
    assert [one.partition[-8:] for one in steps[4:]] == ["20261124", "20261125", "20261126"]
    # The present month was used: it stays until it ends, and days follow.
    used = [*months(11, 1, bytes=1), *months(12, 3)]
    steps = plan(used, NONE, Wish("day", 9), NOW)
    assert [one.partition[-8:] for one in steps if one.action == "attach"] == [
        "20261201",
        "20261202",
        "20261203",
    ]


def test_retention() -> None:
    there = months(1, 14, bytes=1)
    wish = Wish("month", 0, retain=60 * DAY, retain_failures=120 * DAY)
    steps = [(one.action, one.partition) for one in plan(there, NONE, wish, NOW)]
    assert steps == [
        ("thin", "m202607"),
        ("thin", "m202608"),
        *[("drop", f"m2026{n:02}") for n in range(1, 7)],
        ("vacuum", "m202609"),
        ("vacuum", "m202610"),
    ]


def test_a_closed_partition_is_vacuumed_once() -> None:
    closed, late = months(9, 1, bytes=1), months(10, 1, bytes=1)
    done = [Partition(**(one.__dict__ | {"vacuumed_at": one.ends})) for one in closed]
    early = [Partition(**(one.__dict__ | {"vacuumed_at": one.begins})) for one in late]
    steps = plan([*done, *early, *months(11, 1, bytes=1)], NONE, Wish("month", 0), NOW)
    assert [(one.action, one.partition) for one in steps] == [("vacuum", "m202610")]


def test_indexes_of_closed_partitions_are_rebuilt() -> None:
    """Those of the newest, unless they are small or the partition goes; eight partitions a run."""
    there = months(1, 12, bytes=1)
    large = [LooseIndex(one.name, f"{one.name}_{n}", 2**19, False) for one in there for n in (1, 2)]
    steps = rebuilds(there, large, {"m202611"})
    assert [one.partition for one in steps] == [
        "m202612",
        *(f"m2026{n:02}" for n in range(10, 3, -1)),
    ]
    assert {one.action for one in steps} == {"rebuild"}
    assert (steps[0].begins, steps[0].ends) == (there[-1].begins, there[-1].ends)
    assert rebuilds(there, large[:1], ()) == []
    assert rebuilds(there, [], ()) == []
    # What an interrupted rebuild left is removed, whatever its size.
    [step] = rebuilds(there, [LooseIndex("m202603", "m202603_ccnew", 8192, True)], ())
    assert step.partition == "m202603"


def test_a_gap_that_is_too_old_gets_no_partition() -> None:
    """The present month has one before its only hour: made, it would be dropped in each run."""
    hour = timedelta(hours=1)
    there = [Partition("h", datetime(2026, 11, 1, 1, tzinfo=UTC), NOW - 30 * hour, bytes=1)]
    steps = plan(there, NONE, Wish("month", 0, retain=DAY, retain_failures=DAY), NOW)
    assert [(one.action, one.begins) for one in steps] == [
        ("attach", NOW - 30 * hour),
        ("drop", there[0].begins),
    ]


def test_strays_that_are_too_old_get_no_partition() -> None:
    wish = Wish("day", 0, retain=9 * DAY, retain_failures=20 * DAY)
    strays = [NOW - n * DAY for n in (5, 15, 25)]
    steps = plan(months(12, 1), strayed(strays, "day"), wish, NOW)
    assert [one.partition[-8:] for one in steps if one.action == "attach"] == [
        "20261124",
        "20261119",
        "20261109",
    ]


_times = st.datetimes(datetime(2026, 9, 1), datetime(2027, 2, 1)).map(
    lambda t: t.replace(tzinfo=UTC)
)
_lengths = st.none() | st.integers(1, 200).map(lambda days: days * DAY)


@given(
    interval=st.sampled_from(INTERVALS),
    before=st.sampled_from(INTERVALS),
    starts=st.lists(_times, max_size=12),
    used=st.integers(0, 1),
    strays=st.lists(_times, max_size=8),
    ahead=st.integers(0, 8),
    retain=_lengths,
    longer=_lengths,
)
def test_one_run_is_enough(
    interval: Interval,
    before: Interval,
    starts: list[datetime],
    used: int,
    strays: list[datetime],
    ahead: int,
    retain: timedelta | None,
    longer: timedelta | None,
) -> None:
    """No overlap, nothing uncovered, nothing too old, and a second run finds nothing to do."""
    slots = sorted({slot(time, before) for time in starts})
    there = [Partition(f"p{n}", *slots[n], bytes=used) for n in range(len(slots))]
    failures = None if retain is None else max(retain, longer or retain)
    wish = Wish(interval, ahead, retain, failures)
    strays = [time for time in strays if not any(one.begins <= time < one.ends for one in there)]
    found = after(there, plan(there, strayed(strays, interval), wish, NOW))
    assert all(one.ends <= other.begins for one, other in pairwise(found))
    _, horizon = slot(NOW, interval)
    for _ in range(ahead):
        _, horizon = slot(horizon, interval)
    ok_from, failures_from = wish.kept_from(NOW)
    _, beyond = slot(horizon, interval)
    needed = [
        time for time in strays if time < beyond and (failures_from is None or time > failures_from)
    ]
    for time in (NOW, horizon - timedelta(microseconds=1), *needed):
        assert any(one.begins <= time < one.ends for one in found)
    if failures_from is not None and ok_from is not None:
        assert not any(one.ends <= failures_from for one in found)
        assert all(one.thinned for one in found if one.ends <= ok_from and one in there)
    left = [time for time in strays if time not in needed]
    again = plan(found, strayed(left, interval), wish, NOW)
    assert [one.action for one in again if one.action != "thin"] == []


HOUR = timedelta(hours=1)


def hours(first: int, last: int) -> list[Partition]:
    """The partitions of some hours before now."""
    begins, _ = slot(NOW, "hour")
    return [
        Partition(f"h{n}", begins - n * HOUR, begins - (n - 1) * HOUR, bytes=1, vacuumed_at=NOW)
        for n in range(last, first - 1, -1)
    ]


def test_strays_get_no_partition_beyond_two_thousand() -> None:
    """What is asked for comes all the same, and a log that has more already goes on."""
    begins, _ = slot(NOW, "hour")
    strays = Strays({begins - n * HOUR: 1000 for n in range(3000, 3100)}, 100_000)
    wish = Wish("hour", 24)
    for there, attached in ((0, 25 + 100), (1960, 40), (1975, 25), (2500, 25)):
        steps = plan(hours(1, there), strays, wish, NOW)
        assert [one.action for one in steps] == ["attach"] * attached
    assert left_in_default(hours(1, 1960), strays, wish, NOW) == 0
    assert left_in_default(hours(1, 2000), strays, wish, NOW) == 100_000


def test_single_rows_make_no_partitions_without_end() -> None:
    """Each is all of what DEFAULT holds by then; a thousand of one time still get one."""
    there: list[Partition] = months(1, 4)
    for n in range(300):
        strays = strayed([NOW - (400 + 37 * n) * DAY], "month")
        there = after(there, plan(there, strays, Wish("month", 0), NOW))
    assert len(there) == 200
    rows = {slot(NOW - 20_000 * DAY, "month")[0]: 1000}
    assert len(plan(there, Strays(rows, 1000), Wish("month", 0), NOW)) == 1


def test_a_hundred_slots_at_once_and_the_latest_first() -> None:
    begins, _ = slot(NOW, "hour")
    strays = Strays({begins - n * HOUR: 1000 for n in range(1, 251)}, 250_000)
    there: list[Partition] = hours(0, 0)
    for rest in (150, 50, 0):
        steps = plan(there, strays, Wish("hour", 0), NOW)
        assert max(one.begins for one in steps) == max(strays.rows)
        there = after(there, steps)
        gone = {one.begins for one in there}
        rows = {time: count for time, count in strays.rows.items() if time not in gone}
        strays = Strays(rows, sum(rows.values()))
        assert len(rows) == rest


@given(
    rows=st.dictionaries(
        st.integers(-4000, 40).map(lambda n: slot(NOW + n * DAY, "day")[0]),
        st.sampled_from([1, 1, 2, 9, 10, 11, 99, 100, 999, 1000, 5000]),
        max_size=130,
    ),
    unlisted=st.sampled_from([0, 3, 700]),
    ahead=st.integers(0, 8),
    retain=_lengths,
)
def test_what_stays_in_default(
    rows: dict[datetime, int], unlisted: int, ahead: int, retain: timedelta | None
) -> None:
    """Slots too far ahead, and those of the past that are poor, alone and among all that stay."""
    wish = Wish("day", ahead, retain, retain)
    today, _ = slot(NOW, "day")
    gone: set[datetime] = set()
    strays = Strays(rows, sum(rows.values()) + unlisted)
    there: list[Partition] = []
    for _ in range(2):  # a hundred at once
        there = after(there, plan(there, strays, wish, NOW))
        gone |= {one.begins for one in there}
        left = {time: count for time, count in rows.items() if time not in gone}
        strays = Strays(left, sum(left.values()) + unlisted)
    assert [one for one in plan(there, strays, wish, NOW) if one.action == "attach"] == []
    assert max(one.begins for one in there) <= today + (ahead + 1) * DAY
    old = [time for time in left if retain is not None and time + DAY <= NOW - retain]
    assert left_in_default(there, strays, wish, NOW) == strays.total
    rest = strays.total - sum(left[time] for time in old)
    for time, count in left.items():
        if time not in old:
            assert time > today + (ahead + 1) * DAY or (count < 1000 and count * 100 < rest)
