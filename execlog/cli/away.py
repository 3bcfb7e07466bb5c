"""Says that rows are in the archive, if a command that could read them was given no folder."""

from __future__ import annotations

import contextlib
import sys
from datetime import datetime
from pathlib import Path

from execlog import ExeclogError, StrategyExecutionLogRepository
from execlog.display.format import shown

__all__ = ["say_away"]


async def say_away(
    log: StrategyExecutionLogRepository,
    archive: Path | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> None:
    """Says on stderr where older rows of the window are; nothing if there are none. Never raises.

    Args:
        log: The log.
        archive: The folder that was given: then its rows were among those that were read.
        since: The window's begin.
        until: The window's end.
    """
    if archive is not None:
        return
    with contextlib.suppress(ExeclogError):  # what was read is complete but for that
        state = await log.archive_state()
        first, last = state.first_at, state.last_at
        if first is None or last is None:
            return
        if (since is None or since <= last) and (until is None or until >= first):
            where = f"{state.folder} on {state.host}"
            print(
                f"execlog: runs until {last:%Y-%m-%d %H:%M:%S} UTC are in the archive in"
                f" {shown(where)}: read them with --archive",
                file=sys.stderr,
            )
