"""Reads the runs that are replayed: page by page, read-only, and nothing held in between."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from execlog.db.files import folder
from execlog.db.rows import aware
from execlog.db.statements import Statement, load_statements
from execlog.errors import NO_RIGHT, InvalidArgument, QueryRejected
from execlog.repository.filters import Conditions
from execlog.repository.questions import Questions

__all__ = ["Cursor", "Run", "Source", "Stratum"]

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
        # A friend of the repository: its store, and what its role may read.
        self._store, self._rights = log._store, log._rights
        self._statements = _statements(log._statements["get"].schema)
        self._scope, self._wanted = scope, wanted
        self._is_bounded = scope["since"] is not None or scope["until"] is not None
        if not self._rights.inputs:
            raise InvalidArgument("log", "may not read inputs, without which nothing is replayed")

    async def strata(self) -> list[Stratum]:
        """How many runs there are of each kind.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses, or the role may not read inputs.
        """
        found = await self._fetch("strata")
        return [Stratum(*record.values()) for record in found]

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
            found = await self._page(place, bounds, most)
            runs = [_run(record) for record in found]
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

    async def _page(self, place: Cursor, bounds: str | None, most: int) -> list[asyncpg.Record]:
        switches = [*(["undated"] if place.is_undated else []), *(["drawn"] if bounds else [])]
        cursor: dict[str, Any] = {}
        if place.id is not None and place.is_undated:
            cursor = {"before_undated_id": place.id}
        elif place.id is not None:
            cursor = {"before_created_at": place.created_at, "before_id": place.id}
        return await self._fetch("next_runs", *switches, bounds=bounds, limit=most, **cursor)

    async def _fetch(self, name: str, *switches: str, **values: Any) -> list[asyncpg.Record]:
        query = self._statements[name].query(
            *self._wanted.switches, *switches, **self._scope, **self._wanted.values, **values
        )
        try:
            return await self._store.fetch_read_only(query)
        except QueryRejected as error:
            if error.sqlstate != NO_RIGHT:
                raise
            problem = "replay: this role may not read inputs, without which nothing is replayed"
            raise QueryRejected(f"{problem} ({NO_RIGHT})", NO_RIGHT) from error


def _run(record: asyncpg.Record) -> Run:
    run = Run(*record.values())
    time = run.created_at
    return run if time is None or time.tzinfo is not None else run._replace(created_at=aware(time))


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    """The statements, for the log in this schema."""
    files = folder("sql")
    names = {"next_runs", "strata"}
    return load_statements(files / "replay", names, schema, parts=files / "part")
