"""All rows of files, newest first, a few hundred at a time, and among those of the log."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from execlog.archive.asking import Held, newer_first
from execlog.archive.reading import Reach
from execlog.db.pulse import Pulse
from execlog.db.rows import Row

__all__ = ["merged", "streamed"]

_AT_ONCE = 500  # rows; each may have a trace
_TICK = timedelta(microseconds=1)
_SHORTEST = timedelta(milliseconds=1)


async def merged(
    first: Row | None, log: AsyncGenerator[Row], files: AsyncGenerator[Row]
) -> AsyncGenerator[Row]:
    """Two streams, each newest first, as one. Raises what they raise.

    Args:
        first: The first row of the log; None: it has none.
        log: The others.
        files: The rows of files.
    """
    mine, theirs = first, await anext(files, None)
    while mine is not None or theirs is not None:
        if mine is None or (theirs is not None and newer_first(theirs) > newer_first(mine)):
            if theirs is not None:
                yield theirs
            theirs = await anext(files, None)
        else:
            yield mine
            mine = await anext(log, None)


async def streamed(
    reach: Reach, deadline: Callable[[], float], pulse: Pulse, *switches: str, **values: Any
) -> AsyncGenerator[Row]:
    """The rows of files that pass the filters, newest first.

    A span of time is asked about that holds some hundred rows, as far as the table tells; it grows
    while few of them pass.

    Args:
        reach: The files.
        deadline: When a step that begins now must be done.
        pulse: What keeps the log's transaction alive during a step.
        switches: The switches of the log's statement.
        values: Its values.

    Raises:
        ArchiveError: A file is missing or damaged.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: A step takes too long.
    """
    since, until = values.get("since"), values.get("until")
    for files in _groups(reach.listed):
        some = dataclasses.replace(reach, listed=files)
        begins = min(one.first_at for one in files)
        ends = max(one.last_at for one in files)
        begins = begins if since is None else max(begins, since)
        ends = ends if until is None else min(ends, until)
        steps = _steps(some, begins, ends, deadline, pulse, *switches, **values)
        async with contextlib.aclosing(steps) as rows:
            async for row in rows:
                yield row


async def _steps(
    reach: Reach,
    begins: datetime,
    ends: datetime,
    deadline: Callable[[], float],
    pulse: Pulse,
    *switches: str,
    **values: Any,
) -> AsyncGenerator[Row]:
    """The rows of files whose times overlap."""
    length = max((ends - begins) * _AT_ONCE / sum(one.rows for one in reach.listed), _SHORTEST)
    cursor: dict[str, Any] = {}
    while ends >= begins:
        since = max(begins, ends - min(length, ends - begins))
        now = dataclasses.replace(reach, deadline=deadline())
        asked = {**values, **cursor, "since": since, "until": ends}
        rows = await pulse.beside(now.among(*switches, **asked, limit=_AT_ONCE))
        for row in rows:
            yield row
            await pulse.beat()
        if len(rows) == _AT_ONCE:
            last = rows[-1]
            cursor = {
                "before_created_at": last["created_at"],
                "before_id": last["id"],
                "before_strategy_id": last["strategy_id"],
            }
            ends, length = last["created_at"], max(length / 2, _SHORTEST)
        else:
            cursor, ends = {}, since - _TICK
            length = length * 2 if len(rows) < _AT_ONCE // 4 else length


def _groups(files: Sequence[Held]) -> Iterator[Sequence[Held]]:
    """Files whose times overlap, newest first: their rows are one list."""
    group: list[Held] = []
    for one in files:
        if group and one.last_at < min(other.first_at for other in group):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
