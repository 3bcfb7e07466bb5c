"""Reads rows of the archive's files: one DuckDB for all reads, in threads, with limits."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from execlog.archive.asking import Held, TooMuch
from execlog.archive.checking import check
from execlog.archive.engine import duckdb
from execlog.archive.place import Place
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.db.statements import Query, Statement, load_statements
from execlog.errors import ArchiveError, StoreUnavailable

__all__ = [
    "Files",
    "away",
    "durations",
    "earlier",
    "listing",
    "on_days",
    "runs",
    "statements_of_files",
]

_MEMORY, _THREADS = "256MB", "2"
_CHECKERS = 2  # threads that compute digests
_CONFIG = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_INTERRUPTED_EVERY, _FETCHED = 0.05, 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("created_at", "stored_at")
_STATEMENTS = frozenset(
    {
        "breakdown",
        "card",
        "count_by_case_name",
        "count_by_error_code",
        "count_by_points",
        "count_by_status",
        "count_executions",
        "duration_and_nodes_summary",
        "duration_percentiles",
        "explain_cells",
        "explain_combinations",
        "explain_series",
        "get",
        "known_ids",
        "list_by_prefix",
        "next_failure",
        "next_runs",
        "page",
        "sample",
        "traced",
        "strata",
    }
)


class Files:
    """The files of an archive, for reading. No file is looked for that the log's table lacks.

    All reads share one DuckDB with 256 MB and two threads; it reads this folder and nothing else.

    Args:
        place: The folder.
    """

    def __init__(self, place: Place) -> None:
        """Takes the folder; nothing is looked at. Never raises."""
        self.place = place
        self._lock = threading.Lock()
        self._engine: Any = None

    async def rows(
        self, name: str, paths: Sequence[str], deadline: float, *switches: str, **values: Any
    ) -> list[dict[str, Any]]:
        """The rows of a statement of `sql/archive/reading`, by column.

        Args:
            name: The statement.
            paths: The files within the folder.
            deadline: When it must be done, on the clock of the event loop.
            switches: Its switches that are on.
            values: Its parameters but the paths.

        Raises:
            ArchiveError: A file is missing or damaged, which it names; or memory does not suffice.
            StoreUnavailable: It takes too long.
        """
        whole = [str(self.place.root / path) for path in paths]
        query = statements_of_files()[name].query(*switches, **values, paths=whole)
        cursor = await asyncio.to_thread(self._cursor)
        task = asyncio.ensure_future(asyncio.to_thread(self._answered, cursor, query, whole))
        try:
            seconds = max(deadline - asyncio.get_running_loop().time(), 0.001)
            return await asyncio.wait_for(asyncio.shield(task), seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            await _stopped(cursor, task)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(f"{name}: the files gave no answer in time") from error
            raise
        finally:
            if task.done():
                cursor.close()
            else:  # we are cancelled once more: its thread still has the cursor
                task.add_done_callback(lambda _: cursor.close())

    async def check(self, log_id: UUID, files: Sequence[Held], deadline: float) -> None:
        """Whether the folder is the log's, and files have the bytes that were entered.

        The SHA-256 of a file is computed once a process, and anew if the file changes.

        Args:
            log_id: What tells the log from others.
            files: The files.
            deadline: When it must be done, on the clock of the event loop.

        Raises:
            ArchiveError: The folder is another one, or a file is missing or damaged: it is named.
            StoreUnavailable: It takes too long; the next call goes on where this one ended.
        """
        await asyncio.to_thread(self.place.check, log_id)
        seconds = max(deadline - asyncio.get_running_loop().time(), 0.001)
        ends = time.monotonic() + seconds
        parts = [files[begin::_CHECKERS] for begin in range(min(_CHECKERS, len(files)))]
        await asyncio.gather(*(asyncio.to_thread(self._check, part, ends) for part in parts))

    def _check(self, files: Sequence[Held], ends: float) -> None:
        for one in files:
            if time.monotonic() > ends:
                raise StoreUnavailable("the files could not be checked in time")
            check(self.place, one.path, one.bytes, one.sha256)

    def _cursor(self) -> Any:
        """A connection to the one DuckDB, which is made on first use."""
        with self._lock:
            if self._engine is None:
                self._engine = _engine(str(self.place.root))
            return self._engine.cursor()

    def _answered(self, cursor: Any, query: Query, paths: Sequence[str]) -> list[dict[str, Any]]:
        module = duckdb()
        try:
            return _fetched(cursor, query)
        except module.InterruptException:
            raise
        except module.OutOfMemoryException as error:
            raise TooMuch(f"{query.name}: {_MEMORY} do not suffice for these files") from error
        except module.Error as error:
            raise ArchiveError(f"{self._culprit(cursor, query, paths)} can't be read") from error

    def _culprit(self, cursor: Any, query: Query, paths: Sequence[str]) -> str:
        """The file that can't be read: each is asked by itself."""
        module = duckdb()
        for path in paths:
            try:
                _fetched(cursor, query._replace(values=([path], *query.values[1:])))
            except module.Error:
                return path
        return str(self.place.root)


def away(schema: str) -> Statement:
    """The statement that tells which times are in files only. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["away"]


def listing(schema: str) -> Statement:
    """The statement that lists the files of a window. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["files"]


def on_days(schema: str) -> Statement:
    """The statement that lists the files of some days. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["on_days"]


def durations(schema: str) -> Statement:
    """The statement that reads the durations of the log. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["durations"]


def earlier(schema: str) -> Statement:
    """The statement that tells whether rollups are older than all files. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["earlier"]


def runs(schema: str) -> Statement:
    """The statement that reads the runs of the log, as far as numbers go. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return _of_log(schema)["runs"]


@functools.cache
def statements_of_files() -> Mapping[str, Statement]:
    """The statements that DuckDB answers. Raises QueryFileError."""
    return load_statements(folder("sql") / "archive" / "reading", _STATEMENTS)


@functools.lru_cache
def _of_log(schema: str) -> Mapping[str, Statement]:
    sql = folder("sql")
    names = {"away", "durations", "earlier", "files", "on_days", "runs"}
    return load_statements(sql / "archived", names, schema, sql / "part")


async def _stopped(cursor: Any, task: asyncio.Future[Any]) -> None:
    """Interrupts a read until it ends: before its statement runs, an interrupt has no effect."""
    while not task.done():
        cursor.interrupt()
        await asyncio.wait([task], timeout=_INTERRUPTED_EVERY)
    if not task.cancelled():
        task.exception()  # it is known, and nothing is said of it


def _engine(root: str) -> Any:
    words = {"folder": root, "spill": "", "memory": _MEMORY, "threads": _THREADS}
    module = duckdb()
    try:
        connection = module.connect(":memory:", config=_CONFIG)
        for sql in pieces((folder("sql") / "archive" / "limits.sql").read_text()):
            connection.execute(filled(sql, SCHEMA, words))
    except module.Error as error:
        raise ArchiveError(f"{root} can't be read ({type(error).__name__})") from error
    return connection


def _fetched(cursor: Any, query: Query) -> list[dict[str, Any]]:
    found = cursor.execute(query.sql, list(query.values))
    names = [column[0] for column in found.description or ()]
    rows = []
    while some := found.fetchmany(_FETCHED):  # no other thread goes on while they are made
        rows += [dict(zip(names, row, strict=True)) for row in some]
    for row in rows:
        for name in _TIMES:
            if name in row:
                row[name] = _EPOCH + timedelta(microseconds=row[name])
    return rows
