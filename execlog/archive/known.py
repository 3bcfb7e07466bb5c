"""Which executions files of the archive hold, so that they are not stored once more."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from execlog.archive.asking import Held, batches, held_of
from execlog.archive.files import Files
from execlog.errors import NO_RIGHT, ArchiveError, QueryRejected

if TYPE_CHECKING:
    import asyncpg

__all__ = ["Key", "days_of", "known_of", "may_hold", "refuse", "times_by_day"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Key(NamedTuple):
    """What an execution is known by; without a finite time it is in no file."""

    id: UUID
    strategy_id: str
    created_at: datetime | None

    @classmethod
    def of(cls, execution: str) -> Key:
        """The key of an execution that is a JSON object. Never raises for one of a valid row.

        Args:
            execution: The object.
        """
        fields = json.loads(execution)
        return cls(UUID(fields["id"]), fields["strategy_id"], _time(fields.get("created_at")))


def times_by_day(times: Iterable[datetime | None]) -> dict[date, list[datetime]]:
    """The times of each day of UTC, in order. Never raises.

    Args:
        times: The times; None is in no day.
    """
    found: dict[date, list[datetime]] = {}
    for time in sorted(one.astimezone(UTC) for one in times if one is not None):
        found.setdefault(time.date(), []).append(time)
    return found


def may_hold(
    listed: Sequence[asyncpg.Record], times: Mapping[date, Sequence[datetime]]
) -> list[Held]:
    """The files that hold runs of these times which the log lacks, as far as times tell.

    Never raises for rows of `archived/on_days.sql`.

    Args:
        listed: What that statement returns for the days.
        times: The times of each day.
    """
    files = [held_of(one) for one in listed if one["path"] is not None]
    return [one for one in files if _reaches(one, times.get(one.first_at.date(), []))]


def refuse(name: str, listed: Sequence[asyncpg.Record], files: Sequence[Held]) -> ArchiveError:
    """The error if files may hold executions, and there is no folder. Never raises.

    Args:
        name: What was asked.
        listed: What `archived/on_days.sql` returns.
        files: Those of them that may hold some.
    """
    where = f"{listed[0]['folder']} on {listed[0]['host']}"
    said = "may hold these executions already: name the folder"
    return ArchiveError(f"{name}: {len(files)} files in {where} {said}")


async def known_of(
    name: str,
    files: Files,
    listed: Sequence[asyncpg.Record],
    held: Sequence[Held],
    keys: Sequence[tuple[UUID, datetime | None]],
    deadline: float,
) -> set[tuple[UUID, str, datetime]]:
    """The ids, strategies and times of those executions that files hold.

    Args:
        name: What was asked.
        files: The folder.
        listed: What `archived/on_days.sql` returns.
        held: The files that may hold some.
        keys: Ids and times of the executions.
        deadline: When the answer must be there, on the clock of the event loop.

    Raises:
        ArchiveError: A file is missing or damaged, or the folder is not the log's.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    if listed[0]["is_subject"]:
        said = "the role is subject to row level security, which files do not have"
        raise QueryRejected(f"{name}: runs of this time are in the archive: {said}", NO_RIGHT)
    await files.check(listed[0]["log_id"], held, deadline)
    asked = [(id, time) for id, time in keys if time is not None]
    found: set[tuple[UUID, str, datetime]] = set()
    for some in batches(held):
        rows = await files.rows(
            "known_ids",
            [one.path for one in some],
            deadline,
            ids=[id for id, _ in asked],
            times=[time for _, time in asked],
        )
        found |= {(row["id"], row["strategy_id"], row["created_at"]) for row in rows}
    return found


def days_of(times: Mapping[date, object]) -> str:
    """The days, as `archived/on_days.sql` takes them. Never raises.

    Args:
        times: What there is of each.
    """
    return ",".join(day.isoformat() for day in sorted(times))


def _reaches(file: Held, times: Sequence[datetime]) -> bool:
    """Whether a file holds a run at one of these times, which are in order, that the log lacks."""
    first, last = bisect_left(times, file.first_at), bisect_right(times, file.last_at)
    return any(not _is_in(file.in_log, time) for time in times[first:last])


def _is_in(spans: Sequence[tuple[int, int]], time: datetime) -> bool:
    at = (time - _EPOCH) // _MICROSECOND
    return any(begins <= at < ends for begins, ends in spans)


def _time(text: str | None) -> datetime | None:
    """None for an infinite time, or one beyond the calendar."""
    try:
        found = None if text is None else datetime.fromisoformat(text)
        return None if found is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
