"""The state of the log itself, for `execlog doctor` and an engine's health endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import asyncpg

from execlog.db.rows import aware_fields
from execlog.models import Model

__all__ = ["ArchiveState", "Health", "MaintenanceState", "RollupState", "StoredTable", "health_of"]

_DAY = timedelta(days=1)


class Health(Model):
    """The state of a log, as one statement found it.

    Attributes:
        server_version: For example "18.6".
        server_time: The server's clock when the statement arrived.
        clock_skew_seconds: The least by which that clock is ahead of this machine's: 0 if it showed
            a time between question and answer.
        missing_migrations: The migrations that `migrate` would apply.
        writable: Whether this connection may store rows.
        has_default: Whether there is a DEFAULT partition; without one, rows that no other covers
            are refused.
        partitions: The number of partitions without DEFAULT.
        days_ahead: Days from now on that partitions cover, without a gap.
        estimated_rows: The server's estimate since its last ANALYZE; None if it has none, as a
            standby of a log that was never analysed.
        table_bytes: Rows and their large values on disk.
        index_bytes: The indexes on disk.
        oldest: The first time of any row; None if no row has one.
        newest: The last time of any row.
        stray_rows: Rows of the years 2 to 9997 that lie in DEFAULT, because no partition covers
            them; counted up to a million.
        undated_rows: Rows without a time, which belong in DEFAULT; counted up to a million.
        last_stored: When a recorder last stored anything; None if none has.
        lag_seconds: How long ago that is.
        oldest_write: When the oldest open transaction that has written began; None if there is
            none, or none that our role may see.
        locks_of_a_read: How many locks a read of all partitions takes.
        lock_slots: The least number of locks that the server has room for.
        max_locks_per_transaction: The setting that determines it.
        connections: The number of connections to this database.
        without_replica_identity: Tables, each with its schema as in SQL, that a publication for all
            tables would make read-only.
    """

    server_version: str
    server_time: datetime
    clock_skew_seconds: float
    missing_migrations: list[str]
    writable: bool
    has_default: bool
    partitions: int
    days_ahead: float
    estimated_rows: int | None
    table_bytes: int
    index_bytes: int
    oldest: datetime | None
    newest: datetime | None
    stray_rows: int
    undated_rows: int
    last_stored: datetime | None
    lag_seconds: float | None
    oldest_write: datetime | None
    locks_of_a_read: int
    lock_slots: int
    max_locks_per_transaction: int
    connections: int
    without_replica_identity: list[str]


class MaintenanceState(Model):
    """The maintenance of the log: when it was last completed, and who does it now.

    Attributes:
        maintained_at: When the last `maintain` ended that left nothing postponed or failed.
        maintained_by: The host and process that maintains now; None: none is known.
        tracked_since: When the log began to keep maintained_at; None if its row is missing.
        left_in_default: The stray rows that the last `maintain` left in DEFAULT, because no run
            would move them.
    """

    maintained_at: datetime | None
    maintained_by: str | None
    tracked_since: datetime | None
    left_in_default: int


class ArchiveState(Model):
    """Where old rows of the log go, and what went there.

    Attributes:
        folder: The folder, as the last `maintain` with an archive named it; None: there is none.
        host: The machine that it lay on.
        files: How many files there are.
        rows: How many rows they hold, those that were restored since included.
        bytes: Their size.
        first_at: When the oldest of their runs finished; None: there are none.
        last_at: When the newest of their runs finished.
    """

    folder: str | None
    host: str | None
    files: int
    rows: int
    bytes: int
    first_at: datetime | None
    last_at: datetime | None


class RollupState(Model):
    """What the rollups hold, and what the rows do.

    A time at the calendar's beginning stands for the first run.

    Attributes:
        enabled: Whether rollups are made and read.
        begun_at: When they were switched on.
        complete_until: Rollups hold every run that finished before it; the others are read from
            rows.
        marks: How many times before that are read from rows too, since rows came late or were
            changed there.
        changed: Partitions that hold such a time since they were dropped, emptied or replaced by
            hand: their names.
        bytes: What rollups take, indexes included; None on a cluster.
        rows_from: Rows before this were removed, all or some.
        minutes_from: Rollups of minutes before this were removed.
        hours_from: Rollups of hours and days before this were removed.
        versions_from: Rollups before this do not tell versions apart.
        missing: Whether the row that says so is missing: then all is read from rows.
    """

    enabled: bool
    begun_at: datetime
    complete_until: datetime
    marks: int
    changed: list[str]
    bytes: int | None
    rows_from: datetime
    minutes_from: datetime
    hours_from: datetime
    versions_from: datetime
    missing: bool = False


class StoredTable(Model):
    """A table that holds a part of the log.

    Attributes:
        name: Its name, in the log's schema.
        kind: A partition of the log, its DEFAULT partition, or a table of rollups.
        begins: The first time that it holds; None if it has no such bound.
        ends: The first time after it.
        estimated_rows: The server's estimate since its last ANALYZE; None if it has none.
        table_bytes: Rows and their large values on disk.
        index_bytes: The indexes on disk.
    """

    name: str
    kind: Literal["partition", "default", "rollup"]
    begins: datetime | None
    ends: datetime | None
    estimated_rows: int | None
    table_bytes: int
    index_bytes: int


def health_of(
    found: asyncpg.Record, asked: datetime, answered: datetime, migrations: Sequence[str]
) -> Health:
    """The model of the row of `health.sql`. Never raises.

    Args:
        found: The row.
        asked: This machine's clock before the call.
        answered: This machine's clock after it.
        migrations: The names of the migrations that this version needs.
    """
    fields = aware_fields(found)
    now, stored = fields["server_time"], fields["last_stored"]
    covered_until = fields.pop("covered_until")
    applied = set(fields.pop("migrations"))
    return Health(
        clock_skew_seconds=(now - min(max(now, asked), answered)) / timedelta(seconds=1),
        missing_migrations=[name for name in migrations if name not in applied],
        days_ahead=max((covered_until - now) / _DAY, 0.0),
        lag_seconds=None if stored is None else (now - stored) / timedelta(seconds=1),
        **fields,
    )
