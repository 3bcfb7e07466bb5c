"""Lengths of time as people say them: `12 s`, `14 min`, `3 h`, `2 days`."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["lasting"]

_UNITS = ((86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"))
_LONG = 10  # of a unit; of fewer the next smaller unit is said too


def lasting(length: timedelta) -> str:
    """A length of time, in whole units of one or two kinds; less than nothing is 0 s. Never raises.

    Args:
        length: The length.
    """
    seconds = max(int(length.total_seconds()), 0)
    for place, (unit, one, several) in enumerate(_UNITS):
        count, rest = divmod(seconds, unit)
        if count:
            said = f"{count:,} {one if count == 1 else several}"
            smaller, name, names = _UNITS[place + 1] if place + 1 < len(_UNITS) else (1, "s", "s")
            more = rest // smaller
            if place == len(_UNITS) - 1 or count >= _LONG or not more:
                return said
            return f"{said} {more} {name if more == 1 else names}"
    return f"{seconds} s"
