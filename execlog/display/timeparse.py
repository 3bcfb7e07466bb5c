"""Times and lengths of time as people write them: `2h30m`, `2026-11-24T13:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

__all__ = ["EXAMPLES", "compact", "is_length", "length", "moment"]

EXAMPLES = "15m, 2h30m, 1d, 2026-11-24 or 2026-11-24T13:00:00+01:00"
"""What `moment` reads."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)


def length(text: str) -> timedelta:
    """A length of time, for example `2h30m`. Raises ValueError: what is wrong with it."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", text, re.ASCII):
        raise ValueError("is no length of time such as 250ms, 15m, 2h30m or 1d")
    try:
        return timedelta(
            seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        )
    except OverflowError:
        raise ValueError("is longer than the calendar") from None


def is_length(text: str) -> bool:
    """Whether the text is meant as a length of time, not as a time. Never raises."""
    return _PART.match(text) is not None


def moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """A time that is given, or a length before now.

    Args:
        text: The text.
        now: The time that lengths are subtracted from.
        zone: The zone of a time without one; None: the local zone.

    Raises:
        ValueError: What is wrong with it.
    """
    try:
        if is_length(text):
            return now - length(text)
        found = datetime.fromisoformat(text)
        return found.astimezone() if zone is None else _in_zone(found, zone)
    except OverflowError:
        raise ValueError("lies outside the calendar") from None
    except ValueError:
        raise ValueError(f"is no time such as {EXAMPLES}") from None


def _in_zone(time: datetime, zone: tzinfo) -> datetime:
    """In UTC, since lengths between times of one zone would be those of its clocks.

    A time that the clocks skip is read by the offset before, one that they repeat as the first.
    """
    return (time.replace(tzinfo=zone) if time.tzinfo is None else time).astimezone(UTC)


def compact(time: datetime) -> str:
    """A time in ISO's basic form, which a URL takes as it is. Never raises."""
    utc = time.astimezone(UTC)
    form = "%m%dT%H%M%S.%fZ" if utc.microsecond else "%m%dT%H%M%SZ"
    return f"{utc.year:04}{utc.strftime(form)}"
