"""Numbers, times and stored texts as people read them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

__all__ = ["is_harmless", "local", "milliseconds", "number", "percent", "shown", "size"]


def number(value: float | None) -> str:
    """A number with its thousands apart; nothing for None. Never raises."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def percent(rate: float) -> str:
    """A rate as a percentage. Never raises."""
    return f"{rate * 100:.2f} %"


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
    try:
        zoned = time.astimezone(UTC if utc else None)
    except (OverflowError, ValueError, OSError):  # an end of the calendar
        zoned = time
    return zoned.isoformat(sep=" ", timespec="milliseconds")


def shown(value: object) -> str:
    """A stored text as it may be shown. Never raises.

    What would steer a terminal, or turn the direction of a page's text, is escaped.
    """
    text = "" if value is None else str(value)
    if text.isprintable():  # which is true of harmless characters alone
        return text
    return "".join(
        character if is_harmless(character) else character.encode("unicode_escape").decode()
        for character in text
    )


def is_harmless(character: str) -> bool:
    """Whether it is only itself, and steers nothing. Never raises."""
    # Control, format (which turns the direction of text), surrogate and private characters, and
    # separators of lines.
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
