"""What a page says of runs that are in files; the log is asked once a minute at most."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from execlog.archive.away import Away
from execlog.errors import ExeclogError
from execlog.repository.repository import Reads
from execlog.web.kept import Kept

__all__ = ["Archived", "Archives", "Windows", "no_execution"]

_SECONDS = 60.0

Windows = list[tuple[datetime | None, datetime | None]]
"""The windows of which a page read rows."""


class Archived(NamedTuple):
    """Runs of a page's window that only files hold.

    Attributes:
        last_at: Until when they are in files.
        is_read: Whether the page has them.
    """

    last_at: datetime
    is_read: bool


class Archives:
    """Tells what pages must say.

    Args:
        is_read: Whether pages read files.
    """

    def __init__(self, is_read: bool) -> None:
        """Asks nothing yet. Never raises."""
        self._is_read = is_read
        self._kept = Kept[Away | None](seconds=_SECONDS, most=1)

    async def of(
        self, log: Reads, windows: Windows, since: datetime | None, until: datetime | None
    ) -> Archived | None:
        """What must be said of a page; None: nothing. Never raises.

        Args:
            log: The page's snapshot.
            windows: What it read without files, or else with them.
            since: The begin of the page's window.
            until: Its end.
        """
        if not windows:
            return None
        away = (await self._kept.get("away", lambda: _away(log))).answer
        if away is None or not any(away.is_in(*one) for one in windows):
            return None
        return Archived(away.last_at if until is None else min(away.last_at, until), self._is_read)


async def _away(log: Reads) -> Away | None:
    """Which runs only files hold; a role that may not ask is not told."""
    try:
        return await log._away()
    except ExeclogError:
        return None


def no_execution(archived: Archived | None) -> str:
    """Why an execution is not shown. Never raises.

    Args:
        archived: What must be said of runs in files.
    """
    said = "No execution has this id."
    if archived is None or archived.is_read:
        return said
    until = f"{archived.last_at:%Y-%m-%d %H:%M:%S} UTC"
    remedy = "start execlog serve with --archive to see them"
    return f"{said} Runs until {until} are in the archive, which is not read here: {remedy}."
