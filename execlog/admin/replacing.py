"""Puts a file of the archive in the place of another one that holds the same rows as they were."""

from __future__ import annotations

import asyncio
import os
from datetime import date
from pathlib import Path

from execlog.admin.lease import Lease
from execlog.admin.scripts import archiving_script
from execlog.archive.entries import ArchivedFile, statements_of
from execlog.archive.place import Place
from execlog.archive.successor import OkNow
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.sqltext import filled

__all__ = ["remove_ok_now", "replaced"]


async def replaced(
    lease: Lease,
    place: Place,
    old: ArchivedFile,
    written: Path,
    part: int,
    *,
    ok_rows: int,
    users: bytes,
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
        users: The filter of its users.

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
        users,
    )
    return path


async def remove_ok_now(lease: Lease, partition: str, day: date, part: int, ok_now: OkNow) -> None:
    """Removes rows of the log that a new file has as ok, and the log as one of its failures.

    Where the log holds failures of a file only, its ok rows are read from the file. They are too
    old to stay, and in the file, which has its entry in the same transaction.

    Args:
        lease: The lease, in the transaction in which the file took the place of another one.
        partition: The partition that has the rows.
        day: The day of the file.
        part: Its number.
        ok_now: The rows.

    Raises:
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    if not ok_now.ids:
        return
    connection = lease.session.connection
    await connection.execute(archiving_script("unmarked"))
    sql = filled(archiving_script("ok_now"), lease.schema, {"partition": partition})
    await connection.execute(sql, day, part, *ok_now, timeout=LONGEST_SECONDS)
