"""Makes one file of rows that COPY sent, and says by numbers what it and older files hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from execlog.archive.engine import Engine, opened
from execlog.archive.successor import Successor, successors
from execlog.archive.users import filter_of_users

__all__ = ["Sums", "Written", "differing", "written"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PART, _SPILL = "part.parquet", "spill"
_CHANGED = frozenset({"inputs", "notes", "stored", "stored_rows"})
_ROOM = 64 * 2**10  # of a line, for its numbers and keys

Sums = Mapping[str, Any]
"""The numbers of `sums.sql`, by name."""


@dataclass(frozen=True)
class Written:
    """A file that was written and read back.

    Attributes:
        path: Where it is.
        rows: How many rows it holds: those that older files lack.
        ok_rows: How many of them are ok.
        first_at: The time of the oldest; None: it has no rows.
        last_at: The time of the newest.
        users: The filter of its users.
        sums: The numbers of its rows and of those offered that older files hold, together.
        successors: What is to take the place of older files whose rows were changed since.
    """

    path: Path
    rows: int
    ok_rows: int
    first_at: datetime | None
    last_at: datetime | None
    users: bytes
    sums: Sums
    successors: Sequence[Successor]


async def written(
    place: Path, space: Path, rows: Path, held: Sequence[Path], most_bytes: int
) -> Written:
    """Writes the rows that older files lack, and reads both back. Raises ArchiveError.

    Older files that hold rows as they were before they were changed get successors.

    Args:
        place: The folder of the archive.
        space: The folder in it for what is unfinished.
        rows: The rows, as COPY sent them.
        held: Older files that may hold some of them.
        most_bytes: How long the texts of a row are at most.
    """
    # Each quote of a text is doubled.
    longest = max(2 * most_bytes + _ROOM, 2 * 2**20)
    async with _offered(place, space, rows, held, longest) as engine:
        path = space / _PART
        changed = await successors(engine, space, held) if held else []
        await engine.sent("write", {"part": str(path)})
        await engine.sent("written", {"part": str(path)})
        found = await engine.sent("extent")
        sums = await engine.sent("sums")
        users = await filter_of_users(engine)
    return Written(
        path=path,
        rows=found["rows"],
        ok_rows=found["ok_rows"],
        first_at=_time(found["first_at"]),
        last_at=_time(found["last_at"]),
        users=users,
        sums=sums,
        successors=changed,
    )


def differing(log: Sums, made: Written) -> list[str]:
    """The names of the numbers that differ. Never raises.

    Args:
        log: The numbers of the log's rows; it may have more of them.
        made: The file.
    """
    # Rows that were restored came anew, and may have lost their inputs since.
    unequal = frozenset() if made.rows == log["rows"] else _CHANGED
    return [
        name
        for name, value in made.sums.items()
        if name not in unequal and _plain(log[name]) != _plain(value)
    ]


@asynccontextmanager
async def _offered(
    place: Path, space: Path, rows: Path, held: Sequence[Path], longest: int
) -> AsyncIterator[Engine]:
    async with opened(place, space / _SPILL, longest) as engine:
        words = {"rows": str(rows), "longest": str(longest), "buffer": str(4 * longest)}
        await engine.sent("offer", words)
        if held:
            await engine.sent("held", {"paths": "\n".join(map(str, held))})
        else:
            await engine.sent("held_by_none")
        yield engine


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Decimal) else value


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
