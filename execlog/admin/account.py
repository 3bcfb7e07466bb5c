"""How all executions that were offered ended, over all processes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from execlog.db import validation
from execlog.db.connections import connection_to
from execlog.db.slices import sliced
from execlog.db.sqltext import SCHEMA
from execlog.errors import driver_errors
from execlog.repository import statements
from execlog.repository.accounts import RecorderAccount, account_of, whole_hours

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["recorder_account"]

_SECONDS = 30.0


async def recorder_account(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> list[RecorderAccount]:
    """The account of each recorder that was seen in the window, in one round trip.

    The window is widened to whole hours of UTC. The sum over all recorders says how each execution
    ended; a recorder whose `state` is "open" may have lost `most_missing` of them at most.

    Args:
        target: A DSN, a Connection or a Pool.
        since: Only from the hour of this time on.
        until: Only to the end of the hour of this time.
        schema: The schema of the log.

    Returns:
        The accounts, by host and process.

    Raises:
        InvalidArgument: `target` is none of the three, a time has no zone, `since` is after
            `until`, or `schema` can't be a name.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away or out of time.
        QueryRejected: The server refuses.
    """
    first, last = whole_hours(*validation.window(since, until))
    query = statements(validation.schema(schema))["recorder_account"].query(since=first, until=last)
    with driver_errors("recorder_account"):
        async with connection_to(target, writes=False) as connection:
            found = await connection.fetch(query.sql, *query.values, timeout=_SECONDS)
    return await sliced(account_of(record) for record in found)
