"""Sums up what has closed, makes rollups anew, and compares them with the rows, hour by hour.

The server's function `execlog.roll_up` does the work for every caller, an hour of it in a
transaction. To rebuild is to mark a time, and to have it called until nothing is marked.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from execlog.archive.entries import refuse_away
from execlog.db import session_limits, validation
from execlog.db.connections import LONGEST_SECONDS, connection_to
from execlog.db.files import folder
from execlog.db.rows import aware, aware_fields
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Statement, load_statements
from execlog.errors import InvalidArgument, driver_errors
from execlog.models import Model
from execlog.repository import statements
from execlog.repository.health import RollupState

if TYPE_CHECKING:
    import asyncpg

    from execlog.db.connections import Connection, Target

__all__ = ["RebuiltPart", "RollupDifference", "rebuild_rollups", "roll_up", "verify_rollups"]

_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_BUSY_SECONDS = 0.1
_STATEMENTS = frozenset({"difference", "hour_before", "mark", "now", "reached", "roll_up"})


class RebuiltPart(Model):
    """How far a rebuilding has come: rollups hold every run that finished before `reached`.

    None: all of it is done.
    """

    reached: datetime | None


class RollupDifference(Model):
    """A minute, an hour or a day whose rollup is not the sum of its rows.

    Attributes:
        strategy_id: The strategy.
        realm_id: The realm.
        strategy_version: The version.
        grain: Its seconds: 60, 3600 or 86400; a day is compared with its hours.
        begins: Its first instant.
        kept: How many runs the rollup counts.
        counted: How many rows there are. If both are equal, another number differs.
    """

    strategy_id: str
    realm_id: str | None
    strategy_version: int | None
    grain: int
    begins: datetime
    kept: int
    counted: int


async def roll_up(target: Target, *, schema: str = SCHEMA) -> bool:
    """Sums up minutes that have closed, an hour of them at most; whether there is more to do.

    A recorder with `maintenance` does this, and `maintain`; call it if neither runs often enough.
    If another process is at it, or rollups are switched off, nothing is done.

    Args:
        target: A DSN, a Connection or a Pool; the role may store, or owns the log.
        schema: The schema of the log.

    Raises:
        InvalidArgument: An argument is of another type.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    where = validation.schema(schema)
    with driver_errors("roll_up"):
        async with connection_to(target) as connection:
            return await _Log(connection, where).rolled_up() == "more"


async def rebuild_rollups(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> AsyncGenerator[RebuiltPart]:
    """Makes the rollups anew from the rows, hour by hour, while others store.

    Without a window: all that is not summed up yet, for example after the upgrade of a log that has
    rows; if all of it is, all of it once more. Answers are right meanwhile: what is not made yet is
    read from rows. Hours whose rows are gone stay as they are.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the log's owner.
        since: Only from the hour of this time on.
        until: Only to the hour of this time.
        schema: The schema of the log.

    Yields:
        How far it has come, after each hour.

    Raises:
        InvalidArgument: An argument is of another type, or rollups are switched off.
        ArchiveError: The window has runs that are only in files of the archive.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    where = validation.schema(schema)
    first, last = validation.window(since, until)
    with driver_errors("rebuild"):
        async with connection_to(target) as connection:
            _outside(connection)
            log = _Log(connection, where)
            state = await log.state()
            if not state.enabled:
                raise InvalidArgument(
                    "target", "keeps no rollups; `execlog migrate --rollups` first"
                )
            is_complete = state.complete_until > datetime.now(UTC) - _HOUR and not state.marks
            if first is not None or last is not None or is_complete:
                begins, ends = _down(first or _BEGIN), _up(last or _END)
                await refuse_away(connection, where, begins, ends)
                await log.mark(begins, ends)
            began_at = await log.now()
            while (outcome := await log.rolled_up()) != "done":
                if outcome == "busy":
                    await asyncio.sleep(_BUSY_SECONDS)
                    continue
                reached, is_done = await log.reached(began_at)
                if is_done:
                    break  # what comes late meanwhile is others' to do
                yield RebuiltPart(reached=reached)
            yield RebuiltPart(reached=None)


async def verify_rollups(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> AsyncGenerator[RollupDifference]:
    """Sums the rows up once more, hour by hour, newest first, and yields what differs.

    It looks at whole hours that still have their rows, and changes nothing. A thousand differences
    of an hour are named at most.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the log's owner.
        since: Only from the hour of this time on.
        until: Only to the hour of this time.
        schema: The schema of the log.

    Raises:
        InvalidArgument: An argument is of another type.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses.
    """
    where = validation.schema(schema)
    first, last = validation.window(since, until)
    with driver_errors("verify"):
        async with connection_to(target) as connection:
            _outside(connection)
            log = _Log(connection, where)
            state = await log.state()
            if not state.enabled:
                return
            floor = max(_up(state.rows_from), state.hours_from, _down(first or _BEGIN))
            ends = min(_up(last or _END), _up(state.complete_until))
            day = None
            while (hour := await log.hour_before(ends)) is not None and hour >= floor:
                # A day is compared once, with its last hour.
                is_new = day != (day := hour.replace(hour=0))
                for difference in await log.differences(hour, day if is_new else None):
                    yield difference
                ends = hour


class _Log:
    """A log, and the connection that works on its rollups."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._statements = _statements(schema)

    async def state(self) -> RollupState:
        [found] = await self._sent(statements(self._schema)["rollup_state"])
        return RollupState(**aware_fields(found))

    async def mark(self, begins: datetime, ends: datetime) -> None:
        await self._sent(self._statements["mark"], begins, ends)

    async def now(self) -> datetime:
        """The server's time."""
        found: datetime = await self._value("now")
        return found

    async def reached(self, began_at: datetime) -> tuple[datetime | None, bool]:
        """How far the rollups hold every run, and whether all is made that was to be made then."""
        [found] = await self._sent(self._statements["reached"], began_at)
        return aware(found["reached"]), found["is_done"]

    async def rolled_up(self) -> str:
        return str(await self._value("roll_up"))

    async def hour_before(self, time: datetime) -> datetime | None:
        """The last hour before a time of which there are rows or rollups."""
        found: datetime | None = await self._value("hour_before", time)
        return aware(found)

    async def differences(self, hour: datetime, day: datetime | None) -> list[RollupDifference]:
        """Where the rollups of an hour differ from its rows, and those of a day from its hours."""
        found = await self._sent(self._statements["difference"], hour, day)
        return [RollupDifference(**aware_fields(record)) for record in found]

    async def _value(self, name: str, *values: object) -> Any:
        [[value]] = await self._sent(self._statements[name], *values)
        return value

    async def _sent(self, statement: Statement, *values: object) -> list[asyncpg.Record]:
        """The rows of a statement that may take long, with names looked up in pg_catalog first."""
        async with self._connection.transaction():
            await session_limits.lift(self._connection)
            await self._connection.execute("set local search_path = pg_catalog, pg_temp")
            return await self._connection.fetch(statement.sql, *values, timeout=LONGEST_SECONDS)


def _outside(connection: Connection) -> None:
    if connection.is_in_transaction():
        raise InvalidArgument("target", "is a connection in a transaction")


def _down(time: datetime) -> datetime:
    """The hour of UTC that a time lies in."""
    if time in (_BEGIN, _END):
        return time
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _up(time: datetime) -> datetime:
    """The first whole hour from a time on."""
    hour = _down(time)
    return hour if hour == time else hour + _HOUR


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "rollup", _STATEMENTS, schema)
