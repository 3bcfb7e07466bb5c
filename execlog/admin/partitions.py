"""Plans which partitions there should be, and the steps towards that: no I/O, only time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = [
    "DEFAULT",
    "ROLLUP",
    "Action",
    "Interval",
    "Partition",
    "Step",
    "Strays",
    "Wish",
    "left_in_default",
    "plan",
    "slot",
    "uncovered",
]

Interval = Literal["hour", "day", "week", "month"]
Action = Literal[
    "replace", "attach", "tune", "thin", "drop", "purge", "forget", "vacuum", "expire", "rebuild"
]

DEFAULT = "strategy_execution_log_default"
ROLLUP = "rollup"
_TABLE = "strategy_execution_log"
_DAY = timedelta(days=1)
_WIDTHS = {"hour": timedelta(hours=1), "day": _DAY, "week": 7 * _DAY}
_YEARS = range(2, 9998)  # whose partitions begin and end within the calendar
_ENOUGH_ROWS = 1000
_ENOUGH_SHARE = 100  # one in a hundred rows
_MOST_SMALL = 200  # partitions; beyond these a share is not enough, since each has its price
_MOST_PARTITIONS = 2000
_MOST_AT_ONCE = 100  # partitions for strays: for each the server scans all of DEFAULT


@dataclass(frozen=True)
class Partition:
    """A partition that exists: its name, its times (`ends` is excluded), and its state.

    Attributes:
        ours: Whether it may be changed: a plain table of our schema.
        bytes: Bytes of its rows on disk; 0 if nothing was ever stored.
        tuned: Whether its autovacuum settings are set.
        thinned: Whether only its failures are left.
        vacuumed_at: When it was last vacuumed; None if it was not, or if that is unknown.
        cleared_before: The transaction before which all its rows have no inputs; None: none.
    """

    name: str
    begins: datetime
    ends: datetime
    ours: bool = True
    bytes: int = 0
    tuned: bool = True
    thinned: bool = False
    vacuumed_at: datetime | None = None
    cleared_before: int | None = None


@dataclass(frozen=True)
class Strays:
    """Rows in DEFAULT of the years 2 to 9997.

    Attributes:
        rows: How many, by the beginning of their slot; only the fullest slots.
        total: How many in all slots.
    """

    rows: Mapping[datetime, int]
    total: int


@dataclass(frozen=True)
class Wish:
    """The state of the partitions that is wanted.

    Attributes:
        interval: The width of new partitions, aligned in UTC.
        ahead: How many partitions there should be after the present one.
        retain: How long runs are kept; None: for ever.
        retain_failures: How long failures are kept, at least as long as other runs.
        retain_minutes: How long rollups of minutes are kept; None: as long as those of hours.
        retain_rollups: How long rollups of hours are kept; None: for ever.
        retain_inputs: How long inputs are kept; None: as long as their runs.
    """

    interval: Interval
    ahead: int
    retain: timedelta | None = None
    retain_failures: timedelta | None = None
    retain_minutes: timedelta | None = None
    retain_rollups: timedelta | None = None
    retain_inputs: timedelta | None = None

    def kept_from(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The hours from which runs, and failures, are kept; None: all are. Never raises."""
        return _hour(now, self.retain), _hour(now, self.retain_failures)

    def rollups_from(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The hours from which rollups of minutes, and of hours, are kept. Never raises."""
        minutes = self.retain_minutes or self.retain_rollups
        return _hour(now, minutes), _hour(now, self.retain_rollups)

    def inputs_from(self, now: datetime) -> datetime | None:
        """The hour from which inputs are kept; None: all are. Never raises."""
        return _hour(now, self.retain_inputs)


def _hour(now: datetime, ago: timedelta | None) -> datetime | None:
    """The hour of UTC that lies so long ago."""
    return None if ago is None else slot(now - ago, "hour")[0]


@dataclass(frozen=True)
class Step:
    """One step, one transaction; a purge keeps rows from `begins` and `ends` on."""

    action: Action
    partition: str
    begins: datetime
    ends: datetime


def slot(time: datetime, interval: Interval) -> tuple[datetime, datetime]:
    """Begin and end of the hour, day, week or month of UTC in which a time lies. Never raises."""
    hour = time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if interval == "hour":
        begin = hour
    elif interval == "month":
        begin = hour.replace(day=1, hour=0)
        return begin, (begin + 31 * _DAY).replace(day=1)
    else:
        begin = hour.replace(hour=0)
        begin -= begin.weekday() * _DAY if interval == "week" else timedelta()
    return begin, begin + _WIDTHS[interval]


def plan(partitions: Sequence[Partition], strays: Strays, wish: Wish, now: datetime) -> list[Step]:
    """The steps from the present state to the one wanted, in a safe order.

    Never raises.

    Args:
        partitions: The partitions that exist, without DEFAULT.
        strays: The rows in DEFAULT that could have a partition.
        wish: The state that is wanted.
        now: The server's clock.
    """
    ok_from, failures_from = wish.kept_from(now)
    replaced = [one for one in partitions if _is_misfit(one, wish.interval, now)]
    kept = [one for one in partitions if one not in replaced]
    attached: list[Step] = []
    for begins in _ahead(wish, now):
        attached += _attached(begins, wish, failures_from, [*kept, *attached])
    most = min(_MOST_PARTITIONS - len(kept), len(attached) + _MOST_AT_ONCE)
    for begins in _movable(strays, wish, now, len(partitions)):
        found = _attached(begins, wish, failures_from, [*kept, *attached])
        attached += found[: max(most - len(attached), 0)]
    ours = [one for one in kept if one.ours]
    expired = [one for one in ours if _is_before(one.ends, failures_from)]
    thin = [
        one
        for one in ours
        if _is_before(one.ends, ok_from)
        and one not in expired
        and not one.thinned
        and _is_finite(one)
    ]
    lasting = [one for one in ours if one not in expired and one not in thin]
    return [
        *_steps("replace", replaced),
        *attached,
        *_steps("tune", (one for one in lasting if not one.tuned)),
        *_steps("thin", thin),
        *_steps("drop", expired),
        *_steps("vacuum", (one for one in lasting if _is_to_be_vacuumed(one, now))),
    ]


def uncovered(time: datetime, interval: Interval, partitions: Sequence[Partition]) -> list[Step]:
    """The steps that make partitions for what none covers of the slot of a time. Never raises.

    At the ends of the calendar there are none: those rows stay in DEFAULT.

    Args:
        time: The time.
        interval: The width of the slot.
        partitions: The partitions that exist.
    """
    gaps = _gaps(*slot(time, interval), partitions) if time.year in _YEARS else []
    return [Step("attach", _name(*gap), *gap) for gap in gaps]


def left_in_default(
    partitions: Sequence[Partition], strays: Strays, wish: Wish, now: datetime
) -> int:
    """How many rows stay in DEFAULT, however often the steps of a plan are done.

    They lie too far ahead, or too few lie in one slot: less than a thousand, and less than one in a
    hundred of the rows that stay, or there are two hundred partitions already. Never raises.

    Args:
        partitions: The partitions that exist, without DEFAULT.
        strays: The rows in DEFAULT that could have a partition.
        wish: The state that is wanted.
        now: The server's clock.
    """
    movable = _movable(strays, wish, now, len(partitions))
    if len(partitions) >= _MOST_PARTITIONS:
        ahead = set(_ahead(wish, now))
        movable = [begins for begins in movable if begins in ahead]
    return strays.total - sum(strays.rows[begins] for begins in movable)


def _ahead(wish: Wish, now: datetime) -> list[datetime]:
    """The starts of the slots that need a partition with or without strays: now and `ahead`."""
    begins, ends = slot(now, wish.interval)
    found = [begins]
    for _ in range(wish.ahead):
        found.append(ends)
        _, ends = slot(ends, wish.interval)
    return found


def _movable(strays: Strays, wish: Wish, now: datetime, partitions: int) -> list[datetime]:
    """The starts of the slots whose strays get a partition, the latest first.

    In the past those with enough rows, the fullest first, one after the other; in the future one
    slot more than the wish asks for, since an engine's clock may be ahead.
    """
    _, failures_from = wish.kept_from(now)
    _, horizon = slot(slot(_ahead(wish, now)[-1], wish.interval)[1], wish.interval)
    present, _ = slot(now, wish.interval)
    found: list[datetime] = []
    past: list[tuple[int, datetime]] = []
    left = strays.total
    for begins, rows in strays.rows.items():
        if _is_before(slot(begins, wish.interval)[1], failures_from):
            left -= rows  # these rows will be moved
        elif present <= begins < horizon:
            found.append(begins)
            left -= rows
        elif begins < present:
            past.append((rows, begins))
    for rows, begins in sorted(past, reverse=True):
        is_share = rows * _ENOUGH_SHARE >= left and partitions + len(found) < _MOST_SMALL
        if rows < _ENOUGH_ROWS and not is_share:
            break
        found.append(begins)
        left -= rows
    return sorted(found, reverse=True)


def _attached(
    begins: datetime,
    wish: Wish,
    failures_from: datetime | None,
    others: Sequence[Partition | Step],
) -> list[Step]:
    """The steps that cover the uncovered parts of a slot."""
    gaps = _gaps(*slot(begins, wish.interval), others)
    # A partition that is too old would be dropped at once.
    return [
        Step("attach", _name(*gap), *gap) for gap in gaps if not _is_before(gap[1], failures_from)
    ]


def _gaps(
    begins: datetime, ends: datetime, others: Sequence[Partition | Step]
) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a time range that no partition covers."""
    for other in sorted(others, key=lambda one: one.begins):
        if begins < other.begins < ends:
            yield begins, other.begins
        if other.begins < ends:
            begins = max(begins, other.ends)
    if begins < ends:
        yield begins, ends


def _is_misfit(one: Partition, interval: Interval, now: datetime) -> bool:
    """Whether it has another width, lies ahead or has just begun, and was never used."""
    if not one.ours or one.bytes or one.ends <= now or not _is_finite(one):
        return False
    # Between two widths only a part of a slot fits.
    begins, ends = slot(one.begins, interval)
    return not (begins <= one.begins and one.ends <= ends)


def _is_to_be_vacuumed(one: Partition, now: datetime) -> bool:
    """Whether it is closed, and was not vacuumed since."""
    if one.ends > now or not one.bytes:
        return False
    return one.vacuumed_at is None or one.vacuumed_at < one.ends


def _is_finite(one: Partition) -> bool:
    return one.begins.year in _YEARS and one.ends.year in _YEARS


def _is_before(time: datetime, limit: datetime | None) -> bool:
    return limit is not None and time <= limit


def _steps(action: Action, partitions: Sequence[Partition] | Iterator[Partition]) -> list[Step]:
    return [Step(action, one.name, one.begins, one.ends) for one in partitions]


def _name(begins: datetime, ends: datetime) -> str:
    """A short name that says when: a month, a day, an hour."""
    if (begins, ends) == slot(begins, "month"):
        form = "{0.year:04}{0.month:02}"
    elif begins.hour == 0 and ends - begins >= _DAY:
        form = "{0.year:04}{0.month:02}{0.day:02}"
    else:
        form = "{0.year:04}{0.month:02}{0.day:02}_{0.hour:02}"
    return f"{_TABLE}_{form.format(begins)}"
