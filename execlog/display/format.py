"""Numbers, times and stored texts as people read them."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

__all__ = [
    "is_formula",
    "is_harmless",
    "local",
    "milliseconds",
    "number",
    "percent",
    "points",
    "short",
    "shown",
    "size",
    "zone",
]

# Beginnings of a formula, also full width; spreadsheets may skip white space before it.
_FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_PLAIN = 1e-8  # percent; less is written with an exponent


def number(value: float | None) -> str:
    """A number with thousands separators; empty for None. Never raises."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def percent(rate: float, form: str = ".2f") -> str:
    """A share or a relative difference as a percentage. Never raises.

    Only 0 is written as 0 and only 1 as 100: a share that rounds to these gets more digits.

    Args:
        rate: Between 0 and 1.
        form: The format of the percentage.
    """
    return f"{points(rate, form)} %"


def points(rate: float, form: str = ".2f") -> str:
    """The number of `percent`, without the % sign. Never raises."""
    text = f"{rate * 100:{form}}"
    if not 0 < rate < 1 or float(text) not in (0.0, 100.0):
        return text
    if rate * 100 < _PLAIN:
        return f"{rate * 100:.2g}"
    # Two digits of the distance from 0 or 1.
    away = min(rate, 1 - rate) * 100
    return f"{rate * 100:.{1 - math.floor(math.log10(away))}f}"


def milliseconds(value: float) -> str:
    """A duration in a unit that suits it. Never raises."""
    if value >= 1e9:
        return f"{value / 1000:.4g} s"
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    if value >= 999.95:
        return f"{value / 1000:.2f} s"
    return f"{value:.1f} ms" if value >= 10 else f"{value:.3g} ms"


def size(count: int) -> str:
    """A number of bytes in a unit of a thousand that suits it. Never raises."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.95 or unit == "PB":
            break
    return f"{value:,.1f} {unit}"


def local(time: datetime | None, utc: bool) -> str:
    """A time with its offset, in the local zone or in UTC. Never raises."""
    if time is None:
        return "-"
    day, clock, offset = _parts(time, utc)
    return f"{day} {clock}{offset}"


def short(time: datetime | None, utc: bool, now: datetime) -> str:
    """A time below a header that names the zone of `now`. Never raises.

    Of today to the millisecond, without the date; of this year without the year. The rare time
    with another offset, beyond a change of the clocks, has its own.

    Args:
        time: The time.
        utc: Whether it is shown in UTC, not in the local zone.
        now: The present.
    """
    if time is None:
        return "-"
    day, clock, offset = _parts(time, utc)
    today, _, usual = _parts(now, utc)
    own = "" if offset == usual else offset
    if day == today:
        return clock + own
    return f"{day[5:] if day[:4] == today[:4] else day} {clock[:8]}{own}"


def zone(now: datetime, utc: bool) -> str:
    """The zone of a header: `UTC` or the local offset of this time. Never raises."""
    offset = _parts(now, utc)[2]
    return "UTC" if offset == "+00:00" else offset


def _parts(time: datetime, utc: bool) -> tuple[str, str, str]:
    """Date, clock and offset in the local zone or in UTC."""
    try:
        zoned = time.astimezone(UTC if utc else None)
    except (OverflowError, ValueError, OSError):  # an end of the calendar
        zoned = time
    text = zoned.isoformat(sep=" ", timespec="milliseconds")
    return text[:10], text[11:23], text[23:]


def shown(value: object) -> str:
    """A stored text, safe to show. Never raises.

    Characters that control a terminal or turn the direction of a page's text are escaped.
    """
    text = "" if value is None else str(value)
    if text.isprintable():  # which is true of harmless characters alone
        return text
    return "".join(
        character if is_harmless(character) else character.encode("unicode_escape").decode()
        for character in text
    )


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a text for a formula, and execute it. Never raises."""
    return text.startswith(_FORMULAS)


def is_harmless(character: str) -> bool:
    """Whether the character controls nothing. Never raises."""
    # Control, format (which turns the direction of text), surrogate and private characters, and
    # separators of lines.
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
