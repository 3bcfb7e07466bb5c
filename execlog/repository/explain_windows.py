"""The two windows of an explanation, cut into blocks of whole minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.repository.timeseries import before, bounded

__all__ = ["AFTER", "Windows", "windows"]

AFTER = 1_000_000
"""What the place of a block or step of the window after has more, in sql/explain.sql."""

_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
# Each divides a longer one that follows, or the day.
_WIDTHS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)
_WIDE = 24  # blocks in a window at least, if all runs are read: few and long ones share little
_NARROW = 60  # blocks in a window at most, if they are drawn
_STEPS = 1500  # of both windows


@dataclass(frozen=True)
class Windows:
    """The window before and the one after, their blocks in steps.

    Attributes:
        baseline_since: The begin of the window before.
        baseline_until: Its end, included.
        since: The begin of the window after.
        until: Its end, included.
        step: The width of the steps of which blocks are made.
        wide: How many steps a block has if all runs are read.
        narrow: How many it has if blocks are drawn.
    """

    baseline_since: datetime
    baseline_until: datetime
    since: datetime
    until: datetime
    step: timedelta
    wide: int
    narrow: int

    def arguments(self) -> dict[str, Any]:
        """The parameters of sql/explain.sql that are times. Never raises."""
        return {
            "baseline_since": self.baseline_since,
            "baseline_until": self.baseline_until,
            "since": self.since,
            "until": self.until,
            "step_us": self.step // _MICROSECOND,
            "steps": self.wide,
            "narrow_steps": self.narrow,
        }

    def time(self, place: int, steps: int = 1) -> datetime:
        """The begin of a step, or of a block of so many steps. Never raises."""
        start = self.since if place >= AFTER else self.baseline_since
        return start + place % AFTER * steps * self.step

    def of_blocks(self, places: Sequence[int], steps: int) -> dict[str, Any]:
        """The parameters of sql/explaining/combinations.sql that are times. Never raises.

        Args:
            places: The blocks.
            steps: How many steps each has.
        """
        return {
            "baseline_since": self.baseline_since,
            "baseline_until": self.baseline_until,
            "since": self.since,
            "until": self.until,
            "places": ",".join(map(str, places)),
            "block_us": steps * self.step // _MICROSECOND,
        }


def windows(
    since: object, until: object, baseline_since: object, baseline_until: object
) -> Windows:
    """The two windows.

    Args:
        since: The begin of the window after.
        until: Its end.
        baseline_since: The begin of the window before; None: so that both are equally long.
        baseline_until: Its end; None: just before the window after.

    Raises:
        InvalidArgument: One is no datetime or has no time zone; a window ends before it begins or
            is an end of the calendar; or the window before ends within the other or later.
    """
    begin, end = bounded(*validation.window(since, until))
    last = validation.time("baseline_until", baseline_until)
    first = validation.time("baseline_since", baseline_since)
    last = begin - _MICROSECOND if last is None else last
    if last >= begin:
        raise InvalidArgument("baseline_until", "is not before the window")
    if first is None:
        first = before(last + _MICROSECOND, last + _MICROSECOND + (end - begin))
    if first > last:
        raise InvalidArgument("baseline_since", "is later than the baseline's end")
    if first == datetime.min.replace(tzinfo=UTC):
        raise InvalidArgument("baseline_since", "is infinite to Postgres")
    return _cut(first, last, begin, end)


def _cut(first: datetime, last: datetime, begin: datetime, end: datetime) -> Windows:
    shorter = min(last - first, end - begin) + _MICROSECOND
    both = last - first + (end - begin)
    wide = _widest(shorter / _WIDE)
    narrow = min(_narrowest(shorter / _NARROW), wide)
    steps = [one for one in _WIDTHS if wide % one == narrow % one == 0]
    step = next((one for one in steps if both <= _STEPS * one * _MINUTE), narrow)
    wide = max(wide // step, 1)
    return Windows(first, last, begin, end, step * _MINUTE, wide, max(narrow // step, 1))


def _widest(length: timedelta) -> int:
    """The widest usual width in minutes of at most this length; a minute at least."""
    if length >= 2 * _WIDTHS[-1] * _MINUTE:
        return length // (_WIDTHS[-1] * _MINUTE) * _WIDTHS[-1]
    return max((one for one in _WIDTHS if one * _MINUTE <= length), default=1)


def _narrowest(length: timedelta) -> int:
    """The narrowest usual width in minutes of at least this length."""
    found = next((one for one in _WIDTHS if one * _MINUTE >= length), None)
    if found is None:
        found = -(-length // (_WIDTHS[-1] * _MINUTE)) * _WIDTHS[-1]
    return found
