"""Reads the runs that are replayed: page by page, read-only, and nothing held in between."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from execlog.archive.reading import Reach
from execlog.db.files import folder
from execlog.db.rows import Row, aware
from execlog.db.statements import Statement, load_statements
from execlog.errors import NO_RIGHT, InvalidArgument, QueryRejected, SchemaOutdated
from execlog.replaying.filed import Filed, drawn_of, execution_text, stratum_of
from execlog.repository.filters import Conditions
from execlog.repository.questions import Questions

__all__ = ["Cursor", "Run", "Source", "Stratum"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_MOST_STRATA = 5000  # as many as strata.sql lists
_FEWEST, _MOST, _PAGE_BYTES = 16, 500, 4 * 1024 * 1024


class Run(NamedTuple):
    """One run as it was read.

    Attributes:
        id: The execution.
        created_at: When it finished.
        status: Its outcome in the log, as the next three.
        error_code: Why it failed.
        points: Its points.
        case_name: Its case.
        duration_ms: How long it took.
        sample_rate: The share of such runs that the log keeps.
        external_user_id: Its user.
        reason: Why it can't be replayed; None: it can.
        stratum: What it was drawn by; None: all runs are read.
        execution: The JSON that a candidate is given; None if it can't be replayed.
    """

    id: UUID
    created_at: datetime | None
    status: str
    error_code: str | None
    points: float | None
    case_name: str | None
    duration_ms: float
    sample_rate: float
    external_user_id: str | None
    reason: str | None
    stratum: str | None
    execution: str | None


class Stratum(NamedTuple):
    """A group of runs.

    Attributes:
        reason: Why they can't be replayed; None: they can, and the next three are known.
        stratum: What they are drawn by.
        status: Their status.
        sample_rate: Their rate.
        runs: How many there are.
        all_runs: How many there are of all groups.
    """

    reason: str | None
    stratum: str | None
    status: str | None
    sample_rate: float | None
    runs: int
    all_runs: int


class Cursor(NamedTuple):
    """The place after a run; without an id, the begin of those with or without a time."""

    created_at: datetime | None
    id: UUID | None
    is_undated: bool


class Source:
    """The runs of a window.

    Args:
        log: The repository.
        scope: The strategy and the window, by the names of the parameters.
        wanted: The filters.

    Raises:
        InvalidArgument: The log may not read inputs.
        QueryFileError: The install lacks SQL files.
    """

    def __init__(self, log: Questions, scope: Mapping[str, Any], wanted: Conditions) -> None:
        """Takes the parts. Raises: see the class."""
        # A friend of the repository: its store, its files, and what its role may read.
        self._log = log
        self._store, self._rights = log._store, log._rights
        self._statements = _statements(log._statements["get"].schema)
        self._scope, self._wanted = scope, wanted
        self._is_bounded = scope["since"] is not None or scope["until"] is not None
        if not self._rights.inputs:
            raise InvalidArgument("log", "may not read inputs, without which nothing is replayed")
        self._filed = Filed(self._store.deadline, wanted.switches, {**wanted.values, **scope})

    async def away(self) -> list[str]:
        """What must be said of runs that are in files, if these are not read; else nothing.

        Raises:
            StoreUnavailable: The server is away or out of time.
        """
        if self._log._archive is not None:
            return []
        with contextlib.suppress(QueryRejected, SchemaOutdated):  # the log's rows may do without
            since, until = self._scope["since"], self._scope["until"]
            self._log._reads_rows_only("replay", since, until)
            if (found := await self._log._away(since, until)) is not None:
                said = f"runs until {found.last_at:%Y-%m-%d %H:%M:%S} UTC are in the archive"
                return [f"{said}, and not among these: its folder was not given"]
        return []

    async def strata(self) -> list[Stratum]:
        """How many runs there are of each kind.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses, the role may not read inputs, or it is subject to
                row level security, and files hold runs.
            ArchiveError: A file is missing or damaged.
        """
        found, reach = await self._fetch("strata", self._scope)
        strata = [Stratum(*record.values()) for record in found]
        return _together(strata, await self._filed.strata(reach)) if reach.listed else strata

    async def pages(
        self, after: Cursor | None, bounds: str | None = None
    ) -> AsyncGenerator[tuple[list[Run], Cursor]]:
        """The runs, newest first, in pages of four megabytes or so, each with the place after it.

        Those without a time come last, if the window has no ends.

        Args:
            after: Where it begins; None: with the newest.
            bounds: Which runs are drawn, as next_runs.sql takes it; None: all.

        Raises:
            As `strata`.
        """
        place = after or Cursor(None, None, False)
        most = _FEWEST * 4
        while True:
            runs = await self._page(place, bounds, most)
            if runs:
                last = runs[-1]
                place = Cursor(last.created_at, last.id, place.is_undated)
                yield runs, place
                each = max(sum(len(run.execution or "") for run in runs) // len(runs), 1)
                full = len(runs) == most
                most = min(max(_PAGE_BYTES // each, _FEWEST), _MOST)
                if full:
                    continue
            if place.is_undated or self._is_bounded:
                return
            place = Cursor(None, None, True)

    async def _page(self, place: Cursor, bounds: str | None, most: int) -> list[Run]:
        switches = ["drawn"] if bounds else []
        cursor: dict[str, Any] = {}
        if place.id is not None and place.is_undated:
            cursor = {"before_undated_id": place.id}
        elif place.id is not None:
            cursor = {"before_created_at": place.created_at, "before_id": place.id}
        # Which files there are is asked of the rest of the window.
        window = {**self._scope, "until": place.created_at or self._scope["until"]}
        undated = ["undated"] if place.is_undated else []
        found, reach = await self._fetch(
            "next_runs", window, *undated, *switches, bounds=bounds, limit=most, **cursor
        )
        runs = [_run(record) for record in found]
        if place.is_undated or not reach.listed:
            return runs
        drawn = drawn_of(bounds) if bounds else {}
        after = runs[-1].created_at if len(runs) == most else None
        more = await self._filed.page(reach, most, after, *switches, **cursor, **drawn)
        runs += [_run_of_file(row, is_drawn=bool(bounds)) for row in more]
        return sorted(runs, key=_newer_first, reverse=True)[:most]

    async def _fetch(
        self, name: str, window: Mapping[str, Any], *switches: str, **values: Any
    ) -> tuple[Sequence[Row], Reach]:
        """The rows of the log, and the files that hold more of the window."""
        query = self._statements[name].query(
            *self._wanted.switches, *switches, **self._scope, **self._wanted.values, **values
        )
        try:
            if self._log._archive is None:
                return await self._store.fetch_read_only(query), Reach()
            end = self._store.deadline()
            listed, found = await self._log._together(window, query, None, end)
        except QueryRejected as error:
            if error.sqlstate != NO_RIGHT:
                raise
            problem = "replay: this role may not read inputs, without which nothing is replayed"
            raise QueryRejected(f"{problem} ({NO_RIGHT})", NO_RIGHT) from error
        reach = self._log._reach_of(listed, end, window)
        reach.allow("replay")
        return found, reach


def _run(record: Row) -> Run:
    run = Run(*record.values())
    time = run.created_at
    return run if time is None or time.tzinfo is not None else run._replace(created_at=aware(time))


def _run_of_file(row: Row, *, is_drawn: bool) -> Run:
    known = {name: row[name] for name in Run._fields if name not in ("stratum", "execution")}
    stratum = stratum_of(row["status"], row["case_name"]) if is_drawn else None
    return Run(**known, stratum=stratum, execution=execution_text(row))


def _newer_first(run: Run) -> tuple[bool, datetime, int]:
    """The key of the order of runs, read backwards."""
    return run.created_at is not None, run.created_at or _EARLIEST, run.id.int


def _together(log: Sequence[Stratum], files: Sequence[Row]) -> list[Stratum]:
    """The strata of the log and those of files; the largest, if they are too many.

    A group that the log has and did not list, since it is small, is not listed either: those of all
    groups are counted.
    """
    listed, all_runs = Counter[Stratum](), int(log[0].all_runs) if log else 0
    is_whole = sum(one.runs for one in log) == all_runs
    for one in log:
        listed[one._replace(runs=0, all_runs=0)] += one.runs
    for row in files:
        reason, runs = row["reason"], row["runs"]
        stratum = None if reason is not None else stratum_of(row["status"], row["case_name"])
        group = Stratum(reason, stratum, row["status"], row["sample_rate"], 0, 0)
        all_runs += runs
        if is_whole or group in listed:
            listed[group] += runs
    most = sorted(
        listed.items(), key=lambda one: (one[0].reason is None, -one[1], one[0].stratum or "")
    )
    return [one._replace(runs=runs, all_runs=all_runs) for one, runs in most[:_MOST_STRATA]]


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    """The statements, for the log in this schema."""
    files = folder("sql")
    names = {"next_runs", "strata"}
    return load_statements(files / "replay", names, schema, parts=files / "part")
