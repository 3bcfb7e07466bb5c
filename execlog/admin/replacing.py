"""Puts a file of the archive in the place of another one that holds the same rows as they were."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from execlog.admin.lease import Lease
from execlog.archive.entries import ArchivedFile, statements_of
from execlog.archive.place import Place

__all__ = ["replaced"]


async def replaced(
    lease: Lease, place: Place, old: ArchivedFile, written: Path, part: int, ok_rows: int
) -> str:
    """The path of a file that took the place of an old one; the transaction is the caller's.

    Once that is committed, and before the folder of `written` goes, the caller removes the old one.

    Args:
        lease: The lease, in a transaction that has proved it.
        place: The folder.
        old: The old file.
        written: The new one, in a folder for what is unfinished.
        part: Its number within the day.
        ok_rows: How many of its rows are ok.

    Raises:
        ArchiveError: The folder can't be written to.
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    path = place.path_of(old.day, part)
    digest = await asyncio.to_thread(place.digest, written)
    # By this the next run knows that it was ours, and removes it, if we are killed.
    with place.errors():
        os.link(place.root / old.path, written.with_name(f"old-{old.part}.parquet"))
    await asyncio.to_thread(place.publish, written, path)
    await lease.session.connection.execute(
        statements_of(lease.schema)["replace"].sql,
        old.day,
        old.part,
        part,
        path,
        (await asyncio.to_thread(written.stat)).st_size,
        bytes.fromhex(digest),
        ok_rows,
    )
    return path
