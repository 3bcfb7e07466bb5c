"""The repository: a method is one hand-written statement and one round trip.

Every method checks its arguments before anything is sent and raises from one tree (`errors.py`):

- `InvalidArgument`: an argument is wrong; nothing was sent.
- `SchemaOutdated`: the database is not migrated.
- `StoreUnavailable`: the server is away or out of time; the same call may work later.
- `QueryRejected`: the server refuses; the same call will be refused again.
- `ArchiveError`: only if `archive` was given: a file that holds rows of the window can't be read,
  or the method does not read files.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import asyncpg

from execlog.archive.engine import duckdb
from execlog.archive.files import Files
from execlog.archive.place import Place, folder_of
from execlog.db import validation
from execlog.db.executor import Store
from execlog.db.files import folder
from execlog.db.patient import PatientStore
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Statement, load_statements
from execlog.repository.aggregates import Aggregates
from execlog.repository.breakdown import OF_ROLLUPS, Breakdowns
from execlog.repository.cards import Cards
from execlog.repository.executions import Executions
from execlog.repository.explain import Explanations
from execlog.repository.following import Following
from execlog.repository.listings import Listings
from execlog.repository.log_state import LogState
from execlog.repository.ranking import Rankings
from execlog.repository.writes import Writes

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["Reads", "StrategyExecutionLogRepository", "files_of", "patient", "statements"]


class Reads(
    Executions,
    Listings,
    Following,
    Aggregates,
    Cards,
    Rankings,
    Breakdowns,
    Explanations,
    LogState,
):
    """All questions that change nothing."""


class StrategyExecutionLogRepository(Reads, Writes):
    """Stores executions and reads them back.

    Windows: `since` and `until` are included, None is open. A row without a time is in every
    unbounded window and in no other. Limits are clamped to their range, never refused.

    Args:
        pool: An asyncpg pool, owned by the caller, who opens it before the first call; until then
            each method raises InvalidArgument. `statement_cache_size=0` is fine.
        timeout: Seconds that a call may take, waiting for a connection included. A frozen server
            takes one second more, until its connection is given up.
        schema: The schema of the log.
        spread: Whether the log is spread over a cluster (`distribute`). Answers are the same either
            way; if it is true, fewer rows are sent between machines, and a comparison is two round
            trips.
        archive: The folder of the archive (`maintain(archive=)`): then lists, streams, counts,
            cards and breakdowns have the rows of its files too, each once, in two round trips or
            three. What can't read files, or not so many, raises ArchiveError for a window that
            reaches into them; so does each method that meets a file which is missing or damaged,
            and names it. Without a folder all answers are of the rows that the log holds: see
            `archive_state`.

    Raises:
        InvalidArgument: `pool` is no pool, `timeout` is no positive number, `schema` can't be a
            name, `spread` is no bool, or `archive` no path.
        ArchiveError: The extra for `archive` is not installed.
        QueryFileError: The install lacks SQL files, or has others.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        timeout: float = 30.0,
        schema: str = SCHEMA,
        spread: bool = False,
        archive: str | os.PathLike[str] | None = None,
    ) -> None:
        """Takes the pool and loads the statements. Raises: see the class."""
        where = validation.schema(schema)
        is_spread = validation.flag("spread", spread)
        super().__init__(
            Store(pool, timeout), statements(where), spread=is_spread, archive=files_of(archive)
        )


def files_of(archive: object) -> Files | None:
    """The files of a folder; None: no folder was given.

    Args:
        archive: The folder.

    Raises:
        InvalidArgument: It is no path.
        ArchiveError: The extra is not installed.
    """
    if archive is None:
        return None
    place = Place(folder_of(archive))
    duckdb()
    return Files(place)


def patient(
    pool: Pool,
    *,
    timeout: float,
    schema: str,
    archive: str | os.PathLike[str] | None = None,
) -> StrategyExecutionLogRepository:
    """A repository whose statements are not subject to the server's limits: see `PatientStore`.

    Args:
        pool: As for the class, as the next two.
        timeout: Seconds that a call may take.
        schema: The schema of the log.
        archive: The folder of the archive.

    Raises:
        InvalidArgument: As for the class.
        ArchiveError: As for the class.
        QueryFileError: As for the class.
    """
    log = StrategyExecutionLogRepository(pool, timeout=timeout, schema=schema, archive=archive)
    log._store = PatientStore(pool, timeout)
    return log


@functools.lru_cache
def statements(schema: str = SCHEMA) -> Mapping[str, Statement]:
    """The statement of each repository method, loaded once.

    Args:
        schema: The schema of the log.

    Raises:
        QueryFileError: A file is missing, unknown or malformed; lists all of them.
    """
    methods = {
        name
        for name, member in inspect.getmembers(StrategyExecutionLogRepository)
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
        if not name.startswith("_")
    }
    return load_statements(folder("sql"), methods | {OF_ROLLUPS}, schema)
