"""The time zone that a page shows, by the names of the IANA database; UTC without a name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from execlog.errors import InvalidArgument

__all__ = ["ago", "clock", "round_times", "zone_of"]

_LONGEST_NAME = 64
_DAY, _INSTANT = timedelta(days=1), timedelta(microseconds=1)
_ORIGIN = datetime(2000, 1, 1)
_FULL, _TODAY = "%Y-%m-%d %H:%M:%S", "%H:%M:%S"
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def zone_of(name: str | None) -> tzinfo:
    """The zone of this name; UTC for None and the names of UTC.

    Raises:
        InvalidArgument: There is no such zone, or the machine has no database of zones.
    """
    if name is None or name.upper() in ("UTC", "ETC/UTC"):
        return UTC
    try:
        if len(name) <= _LONGEST_NAME:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none; a path out of the database; a folder in it
        pass
    raise InvalidArgument("zone", 'is no time zone such as "Europe/Berlin"')


def clock(time: datetime, zone: tzinfo, now: datetime, form: str | None = None) -> str:
    """A time in a zone; without a form, that of today has no date. Never raises.

    Args:
        time: The time.
        zone: The zone.
        now: The present.
        form: The form, as `strftime` has it.
    """
    here = _in_zone(time, zone)
    if form is None:
        form = _TODAY if here.date() == _in_zone(now, zone).date() else _FULL
    # (strftime writes the year 33 as "33".)
    return here.strftime(form.replace("%Y", f"{here.year:04}"))


def ago(time: datetime, now: datetime) -> str:
    """How long ago a time of the last day is, for example "3 min ago"; else "". Never raises."""
    age = now - time
    if not timedelta(0) <= age < _DAY:
        return ""
    seconds = int(age.total_seconds())
    length, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds // length} {unit} ago"


def round_times(
    begin: datetime, whole: timedelta, step: timedelta, zone: tzinfo
) -> Iterator[tuple[timedelta, datetime]]:
    """The times of a zone's clocks that are round, and how long after the begin each is.

    Never raises.

    Args:
        begin: The first time.
        whole: How long after it the last may be.
        step: What is round: a multiple of it.
        zone: The zone.
    """
    try:
        local = begin.astimezone(zone).replace(tzinfo=None)
    except OverflowError:  # an end of the calendar
        zone, local = UTC, begin.astimezone(UTC).replace(tzinfo=None)
    shown, last = -(local - _ORIGIN) % step, -_INSTANT
    while shown <= whole + _DAY:
        try:
            here = local + shown
            time = here.replace(tzinfo=zone).astimezone(UTC)
            is_skipped = time.astimezone(zone).replace(tzinfo=None) != here
        except OverflowError:  # the last bucket may end after the calendar does
            return
        shown += step
        if is_skipped:
            continue
        if time - begin > whole:
            return
        # Of a time that the clocks repeat, the first counts.
        if time - begin > last:
            last = time - begin
            yield last, here


def _in_zone(time: datetime, zone: tzinfo) -> datetime:
    try:
        return time.astimezone(zone)
    except (OverflowError, ValueError):  # an end of the calendar
        return time.astimezone(UTC)
