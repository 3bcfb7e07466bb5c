"""Erases a user from the files of the archive: each that holds the user is written once more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from execlog.admin.holding import held
from execlog.admin.lease import Lease
from execlog.admin.replacing import replaced
from execlog.archive.engine import duckdb, opened
from execlog.archive.entries import ArchivedFile, state, suspected
from execlog.archive.part import Sums
from execlog.archive.place import Place, folder_of
from execlog.archive.users import filter_of_users
from execlog.db import validation
from execlog.db.connections import connection_to
from execlog.db.sqltext import SCHEMA
from execlog.errors import ArchiveError, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["ErasedFile", "erase_archived"]

_CHANGED = frozenset({"users", "traces", "trace_ids", "messages", "inputs", "attributes", "notes"})


class ErasedFile(Model):
    """A file of the archive, and what it held of a user.

    Attributes:
        path: Its path within the folder; if the user was erased from it, that of its successor.
        executions: How many executions of the user it held.
    """

    path: str
    executions: int


async def erase_archived(
    target: Target,
    *,
    archive: str | os.PathLike[str],
    external_user_id: str,
    only_count: bool = False,
    schema: str = SCHEMA,
) -> AsyncGenerator[ErasedFile]:
    """Erases an external user from the files of an archive, as `erase` does from the log's rows.

    Call it after `erase(..., with_files=True)`: what is moved out meanwhile is found here. All
    files are searched, but for those whose filter of users excludes the user. One that holds the
    user is written once more, under the next number of its day, and takes the place of the old one
    in one transaction. Interrupted, it may be called again.

    Args:
        target: A DSN, a Connection outside of a transaction, or a Pool; of the log's owner.
        archive: The folder.
        external_user_id: The user, as recorded.
        only_count: Only count the user's executions; change nothing.
        schema: The schema of the log.

    Yields:
        Each file.

    Raises:
        InvalidArgument: An argument is of another type, or `target` leads to a pooler.
        ArchiveError: The folder is not there, or another log's; a file is missing or damaged; the
            extra is not installed.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away, or another process maintains the log.
        QueryRejected: The server refuses.
    """
    place = Place(folder_of(archive))
    user = validation.name("external_user_id", external_user_id)
    counting = validation.flag("only_count", only_count)
    where = validation.schema(schema)
    duckdb()
    with driver_errors("erase_archived"):
        if counting:
            async with connection_to(target, writes=False) as connection:
                home = await state(connection, where)
                files, suspects = await suspected(connection, where, user)
            if files:
                await asyncio.to_thread(place.check, home.log_id)
            for one in files:
                count = await _counted(place, one, user) if one.path in suspects else 0
                yield ErasedFile(path=one.path, executions=count)
            return
        async with held(target, where) as lease:
            async with lease.transaction():
                home = await state(lease.session.connection, where)
                files, suspects = await suspected(lease.session.connection, where, user)
            if files:
                await asyncio.to_thread(place.check, home.log_id)
                await asyncio.to_thread(place.sweep, files)
                await asyncio.to_thread(place.complain, files)
            numbers = {one.day: place.next_part(one.day, files) for one in files}
            for one in files:
                async with lease.transaction():
                    await lease.send(["prove"])
                count = await _counted(place, one, user) if one.path in suspects else 0
                path = one.path
                if count:
                    path = await _Erasing(lease, place, one, user).done(numbers[one.day])
                    numbers[one.day] += 1
                yield ErasedFile(path=path, executions=count)


async def _counted(place: Place, one: ArchivedFile, user: str) -> int:
    """How many executions of the user a file holds, all of whose bytes are as they were entered."""
    path = place.root / one.path
    if await asyncio.to_thread(place.digest, one.path) != one.sha256:
        raise ArchiveError(f"{path} is damaged")
    async with opened(place.root, place.root / "unfinished") as engine:
        found = await engine.sent("holds", {"part": str(path), "user": user})
    count: int = found["rows"]
    return count


@dataclass(frozen=True)
class _Erasing:
    """One file, and the user."""

    lease: Lease
    place: Place
    file: ArchivedFile
    user: str

    @property
    def path(self) -> Path:
        return self.place.root / self.file.path

    async def done(self, part: int) -> str:
        """Puts a file without the user in the place of this one; its path."""
        with self.place.workspace(uuid4().hex) as space:
            written = space / "part.parquet"
            before = await self._written(space, written)
            users = await self._check(space, written, before)
            async with self.lease.transaction():
                await self.lease.send(["prove"])
                ok_rows = self.file.ok_rows
                path = await replaced(
                    self.lease, self.place, self.file, written, part, ok_rows=ok_rows, users=users
                )
            await asyncio.to_thread(self.place.remove, self.file.path)
        return path

    async def _written(self, space: Path, written: Path) -> Sums:
        async with opened(self.place.root, space / "spill") as engine:
            await engine.sent("written", {"part": str(self.path)})
            await engine.sent("none_held")
            await engine.sent("erase", {"part": str(written), "user": self.user})
            return await engine.sent("sums")

    async def _check(self, space: Path, written: Path, before: Sums) -> bytes:
        """The filter of its users; ArchiveError if the user is there, or more has changed."""
        async with opened(self.place.root, space / "spill") as engine:
            await engine.sent("written", {"part": str(written)})
            await engine.sent("none_held")
            after = await engine.sent("sums")
            left = await engine.sent("holds", {"part": str(written), "user": self.user})
            users = await filter_of_users(engine)
        differing = [one for one in before if before[one] != after[one]]
        if left["rows"] or not _CHANGED.issuperset(differing):
            raise ArchiveError(f"{self.path} could not be written without the user")
        return users
