"""Questions about the log itself, each one statement and one round trip."""

from __future__ import annotations

from datetime import UTC, datetime

from execlog.db import validation
from execlog.db.migration_files import migration_names
from execlog.db.rows import aware_fields
from execlog.db.slices import sliced
from execlog.errors import NOT_SUPPORTED, QueryRejected
from execlog.repository.accounts import RecorderAccount, account_of, whole_hours
from execlog.repository.health import (
    ArchiveState,
    Health,
    MaintenanceState,
    RollupState,
    StoredTable,
    health_of,
)
from execlog.repository.questions import Questions

__all__ = ["LogState"]


class LogState(Questions):
    """The log itself: its health, its rollups, its maintenance, its tables."""

    async def health(self) -> Health:
        """The log's health: its migrations, sizes, partitions, first and last row, clocks.

        Raises:
            SchemaOutdated: The database was never migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        asked = datetime.now(UTC)
        [record] = await self._fetch("health")
        return health_of(record, asked, datetime.now(UTC), migration_names())

    async def rollup_state(self) -> RollupState:
        """From when on the rollups hold every run, and from when on the rows do.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        [record] = await self._fetch("rollup_state")
        return RollupState(**aware_fields(record))

    async def maintenance_state(self) -> MaintenanceState:
        """When maintenance was last completed, who does it now, and what it left in DEFAULT.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        [record] = await self._fetch("maintenance_state")
        return MaintenanceState(**aware_fields(record))

    async def archive_state(self) -> ArchiveState:
        """Where old rows go, if the log has an archive, and how many went there.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        [record] = await self._fetch("archive_state")
        return ArchiveState(**aware_fields(record))

    async def list_tables(self) -> list[StoredTable]:
        """The tables that hold the log, with their sizes: partitions, newest first, and rollups.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch("list_tables")
        return await sliced(StoredTable(**aware_fields(record)) for record in found)

    async def recorder_account(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[RecorderAccount]:
        """How all executions that recorders were offered ended, one account a recorder.

        Only recorders that were seen in the window, which is widened to whole hours of UTC.

        Args:
            since: Only from the hour of this time on.
            until: Only to the end of the hour of this time.

        Returns:
            The accounts, by host and process.

        Raises:
            InvalidArgument: A time without a zone; `since` is after `until`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        first, last = whole_hours(*validation.window(since, until))
        found = await self._fetch("recorder_account", since=first, until=last)
        return await sliced(account_of(record) for record in found)

    async def spooling_recorders(self) -> int:
        """How many recorders had executions in files when they told their account last.

        They may be open or closed: what a recorder leaves in files waits for the next one with the
        same folder, which does not change the account of the first. Accounts are kept for 400 days.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        [record] = await self._fetch("spooling_recorders")
        recorders: int = record["recorders"]
        return recorders

    async def count_stored(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> int | None:
        """How many rows the log holds, at least, of what was stored in the hours of the window.

        Rows of others are counted too, if they were stored while recorders did. If recorders have
        `written` more than that, rows are missing: a backup was restored, or they were deleted.

        Rows that `maintain` has removed since are counted from rollups, which know when runs ran
        and not when they were stored: those of these hours and of the hour before. So of runs
        before `rollup_state().rows_from` the number may be off by what was stored late.

        Args:
            since: Only from the hour of this time on.
            until: Only to the end of the hour of this time.

        Returns:
            The number; None: it can't be told, on a cluster, or since rollups were removed too.

        Raises:
            InvalidArgument: A time without a zone; `since` is after `until`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time: it reads an index entry a row.
            QueryRejected: The server refuses.
        """
        first, last = whole_hours(*validation.window(since, until))
        try:
            [found] = await self._fetch("count_stored", since=first, until=last)
        except QueryRejected as error:
            if error.sqlstate == NOT_SUPPORTED:  # on a cluster
                return None
            raise
        if found["held"] is None or found["removed"] is None:
            return None
        return int(found["held"] + found["removed"])
