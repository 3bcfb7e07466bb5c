"""How the log is: what `execlog doctor` and a probe of the engine's own look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import asyncpg

from execlog.db.rows import aware_fields
from execlog.models import Model

__all__ = ["Health", "MaintenanceState", "RollupState", "StoredTable", "health_of"]

_DAY = timedelta(days=1)


class Health(Model):
    """The state of a log, as one statement found it.

    Attributes:
        server_version: For example "18.6".
        server_time: The server's clock when the statement arrived.
        clock_skew_seconds: By how much that clock is ahead of this machine's, at least: 0 where
            it showed a time between question and answer.
        missing_migrations: What `migrate` would apply.
        writable: Whether this connection may store rows.
        has_default: Whether there is a partition for what no other covers; else it is refused.
        partitions: How many there are, without DEFAULT.
        days_ahead: Days from now on for which partitions exist, without a gap.
        estimated_rows: As the server's last ANALYZE saw them, or as it counts till then; None where
            it knows neither, as a standby of a log that was never analysed.
        table_bytes: Rows and their large values on disk.
        index_bytes: The indexes on disk.
        oldest: The first time of any row; None where no row has one.
        newest: The last time of any row.
        stray_rows: Rows of the years 2 to 9997 that no partition covers, so that DEFAULT took them;
            a million at most.
        undated_rows: Rows without a time, whose place is in DEFAULT; a million at most.
        last_stored: When a recorder last stored anything; None where none has.
        lag_seconds: How long ago that is.
        oldest_write: When the oldest transaction that has written something began; None where
            there is none, or where we may not see it.
        locks_of_a_read: How many locks a read of all partitions takes.
        lock_slots: How many locks the server has room for, at least.
        max_locks_per_transaction: The setting that makes this room.
        connections: How many there are to this database.
        without_replica_identity: Tables, each with its schema as SQL names it, that a publication
            of all tables would keep from being written to.
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
    """Who maintains the log, and when it was last done.

    Attributes:
        maintained_at: When the last `maintain` ended that left nothing postponed or failed.
        maintained_by: Who maintains now, host and process; None: no process, as far as can be seen.
        tracked_since: Since when maintained_at is kept; None where its row is missing.
        left_in_default: How many stray rows the last `maintain` left in DEFAULT, as no run would
            move them.
    """

    maintained_at: datetime | None
    maintained_by: str | None
    tracked_since: datetime | None
    left_in_default: int


class RollupState(Model):
    """What the rollups hold, and what the rows do.

    A time at the calendar's beginning: from the first run on; at its end: of none.

    Attributes:
        enabled: Whether rows are added to them as they are stored.
        complete_from: They hold every run from then on; earlier ones are read from rows.
        rows_from: Rows before this were removed, all or some.
        minutes_from: Rollups of minutes before this were removed.
        hours_from: Rollups of hours before this were removed.
        missing: Whether the row that says so is missing: then all is read from rows.
    """

    enabled: bool
    complete_from: datetime
    rows_from: datetime
    minutes_from: datetime
    hours_from: datetime
    missing: bool = False


class StoredTable(Model):
    """A table that holds a part of the log.

    Attributes:
        name: Its name, in the log's schema.
        kind: A partition of the log, its DEFAULT partition, or a table of rollups.
        begins: The first time that it holds; None where it has no such bound.
        ends: The first time after it.
        estimated_rows: As the server's last ANALYZE saw them, or as it counts till then; None where
            it knows neither.
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
    """The model of what `health.sql` answers. Never raises.

    Args:
        found: Its row.
        asked: This machine's clock when the question was put.
        answered: This machine's clock afterwards.
        migrations: The names of those that this version needs.
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
