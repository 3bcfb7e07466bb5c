"""What the statements of files are asked: which files, which runs, and in which order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from execlog.archive.attributes import patterns
from execlog.db.rows import Row, aware
from execlog.errors import ArchiveError

__all__ = [
    "CURSOR",
    "MOST_FILES",
    "TRIES",
    "Held",
    "Moved",
    "TooMuch",
    "asked_of",
    "batches",
    "held_of",
    "made_at",
    "microseconds",
    "newer_first",
    "newest_first",
    "one_list",
    "switches_of",
    "time_of",
]

CURSOR = ("before_created_at", "before_id", "before_strategy_id")
"""The parameters of a cursor, all of which are given or none."""

MOST_FILES = 64
"""The most files that one statement reads."""

TRIES = 3
"""How often a question is asked while rows are moved to files or back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST_MADE = 2**47  # milliseconds: in the year 6429; ids have room beyond the calendar's end
_SHARED = frozenset(
    """
    strategy_id strategy_ids since until realm_ids strategy_versions strategy_types status statuses
    statuses_left_out error_codes case_names external_user_ids external_game_ids external_task_ids
    parent_strategy_ids min_duration_ms max_duration_ms above_duration_ms min_nodes max_nodes
    min_points max_points below_points trace_ids
    """.split()
)
_SWITCHES = frozenset({"failed", "errors", "other", "no_case", "bare", "no_input"})


class TooMuch(ArchiveError):
    """There are too many runs for an answer from rows."""


class Moved(ArchiveError):
    """Rows went from the log to files, or back, between two statements of one question."""

    def __init__(self, name: str) -> None:
        """Says which question. Never raises."""
        super().__init__(f"{name}: rows are being moved to files or back: ask again")


class Held(NamedTuple):
    """A file that holds runs which the log lacks; times that the log holds too in microseconds.

    Those who store are not told how many of its rows are ok.
    """

    path: str
    bytes: int
    sha256: str
    first_at: datetime
    last_at: datetime
    rows: int
    ok_rows: int | None
    in_log: list[tuple[int, int]]
    failures_in_log: list[tuple[int, int]]


def held_of(one: asyncpg.Record) -> Held:
    """The file of a row of `archived/files.sql`. Never raises for such a row."""
    return Held(
        path=one["path"],
        bytes=one["bytes"],
        sha256=one["sha256"],
        first_at=one["first_at"],
        last_at=one["last_at"],
        rows=one["rows"],
        ok_rows=one.get("ok_rows"),
        in_log=_spans(one["in_log"]),
        failures_in_log=_spans(one["failures_in_log"]),
    )


def newer_first(row: Row) -> tuple[bool, datetime, int, str]:
    """The key of the order of lists, read backwards. Never raises for a row of the log."""
    return row["created_at"] is not None, time_of(row), row["id"].int, row["strategy_id"]


def newest_first(row: Row) -> tuple[bool, datetime, int]:
    """The key of the order of what has no strategy, read backwards. Never raises for such a row."""
    return row["created_at"] is not None, time_of(row), row["id"].int


def time_of(row: Row) -> datetime:
    """The time of a row; the earliest if it has none. Never raises."""
    return aware(row["created_at"]) or _EARLIEST


def _spans(text: str | None) -> list[tuple[int, int]]:
    return [
        (_microseconds(begins), _microseconds(ends)) for begins, ends in json.loads(text or "[]")
    ]


def _microseconds(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def microseconds(at: datetime) -> int:
    """A time as DuckDB is given it. Never raises for a time with its zone."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def batches(files: Sequence[Held], size: int = 1) -> Iterator[Sequence[Held]]:
    """One file, then two, four and so on: the newest may suffice. Never raises.

    Args:
        files: The files, the newest first.
        size: How many the first batch has.
    """
    begin = 0
    while begin < len(files):
        yield files[begin : begin + size]
        begin, size = begin + size, min(2 * size, MOST_FILES)


def made_at(id: UUID) -> datetime | None:
    """The time that an id of version 7 begins with; None: it has none. Never raises."""
    milliseconds = id.int >> 80
    if id.version != 7 or milliseconds > _LATEST_MADE:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def one_list(pieces: Iterable[str]) -> str:
    """Lists in JSON, none of them empty, as one. Never raises for such texts."""
    return f"[{','.join(piece[1:-1] for piece in pieces)}]"


def switches_of(switches: Iterable[str]) -> set[str]:
    """The switches of a statement of files; failures of all are failures. Never raises."""
    own = set(switches)
    if "failed_of_all" in own and not own & {"errors", "other"}:
        own.add("failed")
    return own & _SWITCHES


def asked_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of filters, as a statement of files takes them. Never raises."""
    asked = {name: value for name, value in values.items() if name in _SHARED}
    wanted = patterns(values.get("attributes"), values.get("attribute_texts"))
    return {"realm_ids": None, **asked, "attribute_patterns": wanted or None}
