"""Says that rows are in the archive, if a command was given no folder."""

from __future__ import annotations

import contextlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from execlog import ExeclogError, StrategyExecutionLogRepository
from execlog.archive.away import Away
from execlog.display.format import shown

__all__ = ["Noting", "say_away", "say_noted"]

# Lists and what is asked around them know by themselves whether a page is full without files.
_SAID = frozenset(
    """
    breakdown count_by_case_name count_by_error_code count_by_points count_by_status
    duration_and_nodes_summary duration_percentiles explain node_times replay sample_durations
    sample_points
    """.split()
)


class Noting(StrategyExecutionLogRepository):
    """Notes the windows of questions that were answered from the log's rows only.

    Args:
        arguments: As for the repository.
        options: As for the repository.

    Raises:
        ExeclogError: As for the repository.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Takes the parts. Raises: see the class."""
        super().__init__(*arguments, **options)
        self.windows: list[tuple[datetime | None, datetime | None]] = []

    def _reads_rows_only(self, name: str, since: datetime | None, until: datetime | None) -> None:
        if name in _SAID:
            self.windows.append((since, until))


async def say_noted(log: StrategyExecutionLogRepository, *, has_option: bool) -> None:
    """Says on stderr where runs of the windows are that were noted, once. Never raises.

    Args:
        log: The log.
        has_option: Whether the command can read files.
    """
    if isinstance(log, Noting) and log.windows:
        begins = [since for since, _ in log.windows if since is not None]
        ends = [until for _, until in log.windows if until is not None]
        every = len(log.windows)
        since = min(begins) if len(begins) == every else None
        until = max(ends) if len(ends) == every else None
        await say_away(log, None, since, until, has_option=has_option)


async def say_away(
    log: StrategyExecutionLogRepository,
    archive: Path | None,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    has_option: bool = True,
) -> None:
    """Says on stderr where older rows of the window are; nothing if there are none. Never raises.

    Args:
        log: The log.
        archive: The folder that was given: then its rows were among those that were read.
        since: The window's begin.
        until: The window's end.
        has_option: Whether the command can read files.
    """
    if archive is None:
        with contextlib.suppress(ExeclogError):  # what was read is complete but for that
            if (found := await log._away(since, until)) is not None:
                _say(found, has_option)


def _say(away: Away, has_option: bool) -> None:
    remedy = "read them with --archive" if has_option else "restore them, or begin later"
    where = f"{away.folder} on {away.host}"
    print(
        f"execlog: runs until {away.last_at:%Y-%m-%d %H:%M:%S} UTC are in the archive in"
        f" {shown(where)}: {remedy}",
        file=sys.stderr,
    )
