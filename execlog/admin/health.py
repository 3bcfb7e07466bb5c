"""The probe for an engine's own health endpoint: whether the log accepts executions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from execlog.db import validation
from execlog.db.connections import connection_to
from execlog.db.migration_files import migration_names
from execlog.db.sqltext import SCHEMA
from execlog.errors import driver_errors
from execlog.repository import statements
from execlog.repository.health import Health, health_of

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["health"]


async def health(
    target: Target,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    schema: str = SCHEMA,
) -> Health:
    """The health of the log, in one round trip (and, for a DSN, those of a new connection).

    All is well if `missing_migrations` is empty, it is `writable`, `has_default` holds or
    `days_ahead` is above 0, and `lag_seconds` is no longer than the engine's load explains.

    Args:
        target: A DSN, a Connection or a Pool.
        timeout: Seconds that the server may take.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `target` is none of the three, `timeout` is no positive number, or `schema`
            can't be a name.
        SchemaOutdated: The database was never migrated.
        StoreUnavailable: The server is away or out of time.
        QueryRejected: The server refuses.
    """
    limit = validation.seconds("timeout", timeout)
    sql = statements(validation.schema(schema))["health"].sql
    with driver_errors("health"):
        async with connection_to(target, writes=False) as connection:
            asked = datetime.now(UTC)
            [record] = await connection.fetch(sql, timeout=limit)
            answered = datetime.now(UTC)
    return health_of(record, asked, answered, migration_names())
