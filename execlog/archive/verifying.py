"""Compares the folder of an archive with the log's table, byte by byte."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Literal

from execlog.archive.entries import ArchivedFile, entries, state
from execlog.archive.place import Place, folder_of
from execlog.db.connections import connection_to
from execlog.db.sqltext import SCHEMA
from execlog.db.validation import schema as checked_schema
from execlog.errors import ArchiveError, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["ArchiveProblem", "amiss", "verify_archive"]


class ArchiveProblem(Model):
    """A file of an archive that is not as the log's table says.

    Attributes:
        path: Its path within the folder.
        problem: "missing"; "damaged": its bytes are others; "unreadable"; "unknown": it has no
            entry, so that only readers who ask the folder itself see its rows.
        rows: How many rows it held; None: it has no entry.
        is_only_copy: Whether some of its rows are nowhere else, as far as the table knows.
    """

    path: str
    problem: Literal["missing", "damaged", "unreadable", "unknown"]
    rows: int | None
    is_only_copy: bool


async def verify_archive(
    target: Target,
    *,
    archive: str | os.PathLike[str],
    schema: str = SCHEMA,
) -> AsyncGenerator[ArchiveProblem]:
    """Reads every file of an archive once, and yields what is wrong; changes nothing.

    A log that has no archive yet has nothing wrong.

    Args:
        target: A DSN, a Connection or a Pool; its role owns the log.
        archive: The folder.
        schema: The schema of the log.

    Raises:
        InvalidArgument: An argument is of another type.
        ArchiveError: The folder is not there, or another log's.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    place = Place(folder_of(archive))
    where = checked_schema(schema)
    with driver_errors("verify_archive"):
        async with connection_to(target, writes=False) as connection:
            home = await state(connection, where)
            files = await entries(connection, where)
    if home.folder is None:
        return  # nothing was archived yet
    await asyncio.to_thread(place.check, home.log_id)
    for one in files:
        if problem := await asyncio.to_thread(_problem, place, one):
            yield ArchiveProblem(
                path=one.path, problem=problem, rows=one.rows, is_only_copy=not one.rows_in_log
            )
    for path in await asyncio.to_thread(place.strangers, files):
        yield ArchiveProblem(path=path, problem="unknown", rows=None, is_only_copy=False)


async def amiss(target: Target, folder: str | os.PathLike[str], schema: str) -> list[str]:
    """What the folder of an archive has or lacks against the log's table, without reading files.

    Args:
        target: A DSN, a Connection or a Pool; its role reads the log, or owns it.
        folder: The folder.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `folder` is no path.
        ArchiveError: The folder is not there, or another log's.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    place = Place(folder_of(folder))
    with driver_errors("archive"):
        async with connection_to(target, writes=False) as connection:
            home = await state(connection, schema)
            files = await entries(connection, schema)
    await asyncio.to_thread(place.check, home.log_id)
    lacking = await asyncio.to_thread(place.lacking, files)
    strangers = await asyncio.to_thread(place.strangers, files)
    said = [f"{one.path} is missing or has another size" for one in lacking]
    return said + [f"{path} has no entry in the log's table" for path in strangers]


def _problem(place: Place, one: ArchivedFile) -> Literal["missing", "damaged", "unreadable"] | None:
    """What is wrong with a file."""
    if not (place.root / one.path).exists():
        return "missing"
    try:
        return None if place.digest(one.path) == one.sha256 else "damaged"
    except ArchiveError:
        return "unreadable"
