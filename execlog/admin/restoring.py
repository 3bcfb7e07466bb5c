"""Brings rows of the archive back into the log, file by file, none of them twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from execlog.admin.caretaker import Caretaker, Shape
from execlog.admin.holding import held
from execlog.admin.lease import Lease
from execlog.admin.partitions import Partition, uncovered
from execlog.admin.scripts import archiving_script
from execlog.archive.engine import duckdb, opened
from execlog.archive.entries import ArchivedFile, entries, state, statements_of
from execlog.archive.place import Place, folder_of
from execlog.db import validation
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.copy_format import COLUMNS
from execlog.db.rows import aware_fields
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.errors import ArchiveError, StoreUnavailable, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["RestoredFile", "restore_archive"]

_LOCK_TIMEOUT = validation.server_timeout("lock_timeout", 2.0)
_ROWS = "archive_rows"
_WORDS = {"columns": ", ".join(COLUMNS)}


class RestoredFile(Model):
    """A file whose rows are in the log again.

    Attributes:
        path: Its path within the folder.
        rows: How many rows it holds.
        restored: How many of them the log lacked.
    """

    path: str
    rows: int
    restored: int


async def restore_archive(
    target: Target,
    *,
    archive: str | os.PathLike[str],
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> AsyncGenerator[RestoredFile]:
    """Stores the rows of files again, unless the log has them; the files stay.

    Whole files: those with a run of the window. Days without a partition get one. Keep them for
    longer before (`retain`): the next `maintain` removes what is older. Killed or cancelled, it may
    be called again.

    Args:
        target: A DSN, a Connection outside of a transaction, or a Pool; of the log's owner.
        archive: The folder.
        since: Only files with runs from this time on.
        until: Only files with runs until this time.
        schema: The schema of the log.

    Yields:
        Each file, once its rows are committed.

    Raises:
        InvalidArgument: An argument is of another type, or `target` leads to a pooler.
        ArchiveError: The folder is not there, or another log's; a file is missing or damaged; the
            extra is not installed.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away, or another process maintains the log.
        QueryRejected: The server refuses.
    """
    place = Place(folder_of(archive))
    where = validation.schema(schema)
    first, last = validation.window(since, until)
    duckdb()
    with driver_errors("restore_archive"):
        async with held(target, where) as lease:
            connection = lease.session.connection
            async with lease.transaction():
                home = await state(connection, where)
                files = await entries(connection, where, first, last)
            if files:
                await asyncio.to_thread(place.check, home.log_id)
            for one in files:
                if not one.rows_in_log:
                    yield await _Restoring(lease, place, one).done()


@dataclass(frozen=True)
class _Restoring:
    """One file, and the log that gets its rows."""

    lease: Lease
    place: Place
    file: ArchivedFile

    async def done(self) -> RestoredFile:
        if await asyncio.to_thread(self.place.digest, self.file.path) != self.file.sha256:
            raise ArchiveError(f"{self.place.root / self.file.path} is damaged")
        await self._make_room()
        with self.place.workspace(uuid4().hex) as space:
            rows, part = space / "rows.csv", self.place.root / self.file.path
            async with opened(self.place.root, space / "spill") as engine:
                await engine.sent("restore", {"part": str(part), "rows": str(rows)})
            async with self.lease.transaction():
                await self.lease.send(["prove"])
                restored = await self._stored(rows)
                await self.lease.send(["prove"])
        return RestoredFile(path=self.file.path, rows=self.file.rows, restored=restored)

    async def _make_room(self) -> None:
        """Has a partition for the day of the file."""
        lease = self.lease
        async with lease.transaction():
            [found] = await lease.fetch("shape")
            shape = Shape(**found)
            partitions = [
                Partition(**aware_fields(record)) for record in await lease.fetch("partitions")
            ]
        begins = datetime.combine(self.file.day, time(), UTC)
        for step in uncovered(begins, "day", partitions):
            carried = await Caretaker(lease).done(step, shape, _LOCK_TIMEOUT)
            if carried.outcome != "done":
                raise StoreUnavailable(f"{step.partition}: {carried.problem}")

    async def _stored(self, rows: Path) -> int:
        connection, schema = self.lease.session.connection, self.lease.schema
        await connection.execute(filled(archiving_script("take_rows"), schema, _WORDS))
        await connection.copy_to_table(
            _ROWS,
            schema_name=schema,
            columns=COLUMNS,
            source=rows,
            format="csv",
            null=r"\N",
            timeout=LONGEST_SECONDS,
        )
        restored = 0
        for sql in pieces(archiving_script("give_rows")):
            done = await connection.execute(filled(sql, schema, _WORDS), timeout=LONGEST_SECONDS)
            if done.startswith("INSERT"):
                restored = int(done.rpartition(" ")[2])
        sql = statements_of(schema)["restored"].sql
        await connection.execute(sql, self.file.day, self.file.part)
        return restored
