"""The table of the archive: which files there are, and what the log holds of them too."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from execlog.db.connections import connection_to
from execlog.db.files import folder
from execlog.db.rows import aware, aware_fields
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Statement, load_statements
from execlog.db.validation import schema as checked_schema
from execlog.errors import ArchiveError, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = [
    "ArchivedFile",
    "Home",
    "archived_files",
    "entries",
    "refuse_away",
    "state",
    "statements_of",
    "suspected",
]

_SECONDS = 30.0
_STATEMENTS = frozenset({"away", "claim", "enter", "files", "replace", "restored", "state"})


class ArchivedFile(Model):
    """A file of the archive, as the log's table lists it.

    Attributes:
        day: The day of UTC in which its runs finished.
        part: Its number within the day.
        path: Its path within the folder.
        rows: How many rows it holds.
        ok_rows: How many of them are ok.
        bytes: Its size.
        sha256: The digest of its bytes, in hexadecimal.
        first_at: The time of its oldest run.
        last_at: The time of its newest run.
        rows_in_log: Whether the log holds all its rows too: they were restored, or not removed yet.
        failures_in_log: Whether the log holds those of its rows that are not ok, all or some.
        written_at: When it was entered.
    """

    day: date
    part: int
    path: str
    rows: int
    ok_rows: int
    bytes: int
    sha256: str
    first_at: datetime
    last_at: datetime
    rows_in_log: bool
    failures_in_log: bool
    written_at: datetime


class Home(NamedTuple):
    """Where old rows of a log go.

    Attributes:
        log_id: What tells the log from others.
        folder: The folder; None: the log has no archive.
        host: The machine that last wrote there.
        files: How many files there are.
    """

    log_id: UUID
    folder: str | None
    host: str | None
    files: int


async def archived_files(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> list[ArchivedFile]:
    """The files of the archive that hold runs of these times, by day and part.

    Args:
        target: A DSN, a Connection or a Pool; its role reads the log, or owns it.
        since: Only files with runs from this time on.
        until: Only files with runs until this time.
        schema: The schema of the log.

    Raises:
        InvalidArgument: An argument is of another type.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    where = checked_schema(schema)
    with driver_errors("archived_files"):
        async with connection_to(target, writes=False) as connection:
            return await entries(connection, where, since, until)


async def entries(
    connection: Connection,
    schema: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ArchivedFile]:
    """The same on a connection. Raises as the driver does.

    Args:
        connection: The connection.
        schema: The schema of the log.
        since: Only files with runs from this time on.
        until: Only files with runs until this time.
    """
    return [one for one, _ in await _listed(connection, schema, since, until, None)]


async def suspected(
    connection: Connection, schema: str, user: str
) -> tuple[list[ArchivedFile], frozenset[str]]:
    """All files, and the paths of those that may hold runs of a user. Raises as the driver does.

    Both are of one moment: of two, a file that takes the place of another would be neither.

    Args:
        connection: The connection.
        schema: The schema of the log.
        user: The user.
    """
    found = await _listed(connection, schema, None, None, user)
    return [one for one, _ in found], frozenset(one.path for one, may_hold in found if may_hold)


async def state(connection: Connection, schema: str) -> Home:
    """Where old rows go. Raises as the driver does.

    Args:
        connection: The connection; its role owns the log.
        schema: The schema of the log.
    """
    [found] = await connection.fetch(statements_of(schema)["state"].sql, timeout=_SECONDS)
    return Home(**found)


async def refuse_away(
    connection: Connection, schema: str, since: datetime, until: datetime
) -> None:
    """Whether the log itself has all runs of these times.

    Args:
        connection: The connection; its role owns the log.
        schema: The schema of the log.
        since: The begin.
        until: The end.

    Raises:
        ArchiveError: Some are in files only; says where.
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    sql = statements_of(schema)["away"].sql
    found = await connection.fetch(sql, since, until, timeout=_SECONDS)
    for one in found:
        where = f"{one['folder']} on {one['host']}"
        said = f"runs until {aware(one['last_at']):%Y-%m-%d %H:%M:%S} UTC are in files of {where}"
        raise ArchiveError(f"{said}: begin later, or restore them first")


@functools.lru_cache
def statements_of(schema: str) -> Mapping[str, Statement]:
    """The statements about that table. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    return load_statements(folder("sql") / "archiving", _STATEMENTS, schema)


async def _listed(
    connection: Connection,
    schema: str,
    since: datetime | None,
    until: datetime | None,
    user: str | None,
) -> list[tuple[ArchivedFile, bool]]:
    sql = statements_of(schema)["files"].sql
    found = await connection.fetch(sql, since, until, user, timeout=_SECONDS)
    rows = [aware_fields(record) for record in found]
    may_hold = [row.pop("may_hold") for row in rows]
    return [(ArchivedFile(**row), may) for row, may in zip(rows, may_hold, strict=True)]
