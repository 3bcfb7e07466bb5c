"""Questions about the log itself, each one statement and one round trip."""

from __future__ import annotations

from datetime import UTC, datetime

from execlog.db.migration_files import migration_names
from execlog.db.rows import aware_fields
from execlog.db.slices import sliced
from execlog.repository.health import (
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

    async def list_tables(self) -> list[StoredTable]:
        """The tables that hold the log, with their sizes: partitions, newest first, and rollups.

        Raises:
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch("list_tables")
        return await sliced(StoredTable(**aware_fields(record)) for record in found)
