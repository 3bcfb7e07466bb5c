"""Which executions of a dead process, which the log lacks, are in files of its archive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from execlog.archive.files import Files, on_days
from execlog.archive.known import days_of, known_of, may_hold, times_by_day
from execlog.errors import ArchiveError, QueryRejected

if TYPE_CHECKING:
    from execlog.db.connections import Connection

__all__ = ["MAY_BE_ARCHIVED", "Archived", "LeftAlone"]

MAY_BE_ARCHIVED = "may be in the archive"
"""What is said of executions that are left alone."""

_ENDS = (datetime.min, datetime.max)  # of the calendar: as infinities are read
# A log of before, which has no such function.
_ABSENT = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError)


class LeftAlone(Exception):
    """It is not known whether executions are stored: why, for the log."""


class Archived:
    """The archive of a recorder's log.

    Args:
        schema: The schema of the log.
        files: The folder; None: none was given.
    """

    def __init__(self, schema: str, files: Files | None) -> None:
        """Takes the parts; nothing is sent. Raises QueryFileError: the install lacks SQL."""
        self._on_days = on_days(schema)
        self._files = files

    async def files(
        self, connection: Connection, times: Sequence[datetime | None]
    ) -> list[asyncpg.Record] | None:
        """The files that may hold executions of these times; none if the log has no archive.

        None: the role may not ask. Ask in the snapshot in which the log itself was. Raises as the
        driver does.

        Args:
            connection: The connection, in a transaction.
            times: The times.
        """
        days = times_by_day(_finite(times))
        if not days:
            return []
        query = self._on_days.query(days=days_of(days))
        try:
            async with connection.transaction():
                listed = await connection.fetch(query.sql, *query.values)
        except _ABSENT:
            return []
        except asyncpg.InsufficientPrivilegeError:
            return None
        return listed if may_hold(listed, days) else []

    async def known(
        self,
        listed: Sequence[asyncpg.Record],
        keys: Sequence[tuple[UUID, datetime | None]],
        seconds: float,
    ) -> list[UUID]:
        """The ids of those executions that files hold.

        Args:
            listed: What `files` has returned.
            keys: Ids and times of the executions.
            seconds: How long it may take.

        Raises:
            LeftAlone: There is no folder, or it can't be read.
            StoreUnavailable: It takes too long.
        """
        if self._files is None:
            where = f"in {listed[0]['folder']} on {listed[0]['host']}"
            raise LeftAlone(f"{MAY_BE_ARCHIVED} {where} (execlog spool --drain --archive)")
        held = may_hold(listed, times_by_day(_finite([time for _, time in keys])))
        end = asyncio.get_running_loop().time() + seconds
        try:
            found = await known_of("record", self._files, listed, held, keys, end)
        except (ArchiveError, QueryRejected) as error:
            raise LeftAlone(f"{MAY_BE_ARCHIVED} ({error})") from error
        wanted = set(keys)
        return [id for id, _, time in found if (id, time) in wanted]


def _finite(times: Sequence[datetime | None]) -> list[datetime | None]:
    return [time for time in times if time is None or time.replace(tzinfo=None) not in _ENDS]
