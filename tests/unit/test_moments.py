"""Times and lengths as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from execlog.display.timeparse import length, moment

NOW = datetime(2026, 11, 24, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("2h30m", timedelta(minutes=150)),
        ("1.5d", timedelta(hours=36)),
        ("1w1s", timedelta(days=7, seconds=1)),
    ],
)
def test_lengths(text: str, found: timedelta) -> None:
    assert length(text) == found
    assert moment(text, NOW) == NOW - found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-24T12:00:00Z", NOW - timedelta(hours=1)),
        ("2026-11-24T13:00:00+01:00", NOW - timedelta(hours=1)),
        ("20261124T120000Z", NOW - timedelta(hours=1)),
        ("2026-11-24T12:00", NOW - timedelta(hours=1)),
        ("2026-11-24", NOW - timedelta(hours=13)),
    ],
)
def test_times(text: str, found: datetime) -> None:
    assert moment(text, NOW, UTC) == found
    east = timezone(timedelta(hours=2))
    is_zoned = text.endswith(("Z", "+01:00"))
    assert moment(text, NOW, east) == (found if is_zoned else found - timedelta(hours=2))


@pytest.mark.parametrize("text", ["", "m", "1", "1x", "-1h", "1h ", "yesterday", "٣h", "1h2"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is no length of time"):
        length(text)
    with pytest.raises(ValueError, match=r"^is no time such as"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["99999999999w", "9999w" * 15, "1e9d"])
def test_what_the_calendar_lacks(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is no|lies outside)"):
        moment(text, NOW)
