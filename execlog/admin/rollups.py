"""Rebuilds the rollups from the rows, and compares the two; a step is an hour, and a transaction.

An hour's rows are stored once more, in a table that goes with the transaction, where the log's own
trigger sees them: what is rebuilt can't differ from what is kept. The transaction is repeatable, so
that it sees a writer's rows and what they added to the rollups, or neither; a writer that is at the
same hour makes it begin again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from execlog.db import session_limits, validation
from execlog.db.connections import LONGEST_SECONDS, connection_to
from execlog.db.copy_format import timestamp
from execlog.db.files import folder
from execlog.db.rows import aware, aware_fields
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.db.statements import Statement, load_statements
from execlog.errors import InvalidArgument, driver_errors
from execlog.models import Model
from execlog.repository import statements
from execlog.repository.health import RollupState

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = ["RebuiltPart", "RollupDifference", "rebuild_rollups", "verify_rollups"]

_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_HOUR = timedelta(hours=1)
_TRIES = 4
# A writer is at the same rows.
_AT_IT = (
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)
_STATEMENTS = frozenset({"difference", "newest_before"})


class RebuiltPart(Model):
    """How far a rebuilding has come: `reached` is the time down to which rollups are rebuilt.

    None where all of it is done.
    """

    reached: datetime | None


class RollupDifference(Model):
    """A minute or an hour (`grain` seconds) whose rollup is not what its rows add up to.

    Attributes:
        strategy_id: The strategy.
        realm_id: The realm.
        grain: 60 or 3600.
        begins: Its first instant.
        kept: How many runs the rollup tells of.
        counted: How many rows there are. Where both are the same, something else differs.
    """

    strategy_id: str
    realm_id: str | None
    grain: int
    begins: datetime
    kept: int
    counted: int


async def rebuild_rollups(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> AsyncGenerator[RebuiltPart]:
    """Makes the rollups anew from the rows, hour by hour, newest first, while others store.

    Without a window: all that is not built yet, for example after the upgrade of a log that has
    rows; it goes on where an earlier call has stopped. Where all of it is built: all of it. Hours
    whose rows are gone, all or some, stay as they are.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the log's owner.
        since: Only from the hour of this time on.
        until: Only to the hour of this time.
        schema: Where the log is.

    Yields:
        How far it has come, after each hour that holds rows.

    Raises:
        InvalidArgument: An argument is of another type, or rollups are switched off.
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
            floor = max(_up(state.rows_from), _down(first or _BEGIN))
            ends = _END if last is None else _down(last) + _HOUR
            if first is None and last is None and state.complete_from > floor:
                ends = state.complete_from
            while ends > floor:
                newest = await log.newest_before(ends)
                begins = floor if newest is None else max(_down(newest), floor)
                await log.replayed(begins, ends, replace=True)
                ends = begins
                # They may go meanwhile.
                floor = max(floor, _up((await log.state()).rows_from))
                yield RebuiltPart(reached=None if ends <= floor else begins)


async def verify_rollups(
    target: Target,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    schema: str = SCHEMA,
) -> AsyncGenerator[RollupDifference]:
    """Adds the rows up once more, hour by hour, newest first, and yields what differs.

    It looks at whole hours that still have their rows, and changes nothing: what it makes is rolled
    back. A thousand differences of an hour are named at most.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the log's owner.
        since: Only from the hour of this time on.
        until: Only to the hour of this time.
        schema: Where the log is.

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
            floor = max(
                _up(state.complete_from),
                _up(state.rows_from),
                # Of what is older, half is forgotten.
                state.minutes_from,
                state.hours_from,
                _down(first or _BEGIN),
            )
            ends = _END if last is None else _down(last) + _HOUR
            while ends > floor:
                newest = await log.newest_before(ends)
                begins = floor if newest is None else max(_down(newest), floor)
                for difference in await log.replayed(begins, ends, replace=False):
                    yield difference
                ends = begins


class _Log:
    """A log, and the connection that works on its rollups."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._statements = _statements(schema)

    async def state(self) -> RollupState:
        sql = statements(self._schema)["rollup_state"].sql
        [found] = await self._connection.fetch(sql, timeout=LONGEST_SECONDS)
        return RollupState(**aware_fields(found))

    async def newest_before(self, ends: datetime) -> datetime | None:
        """When the newest run finished whose time is finite."""
        sql = self._statements["newest_before"].sql
        async with self._connection.transaction():
            await session_limits.lift(self._connection)
            found = await self._connection.fetchval(sql, ends, timeout=LONGEST_SECONDS)
        return aware(found)

    async def replayed(
        self, begins: datetime, ends: datetime, *, replace: bool
    ) -> list[RollupDifference]:
        """Makes the rollups of a time from its rows; puts them in place, or says what differs."""
        action = "rebuild" if replace else "verify"
        with driver_errors(f"{action}, the hour from {timestamp(begins)}"):
            for attempt in range(_TRIES):
                last = attempt == _TRIES - 1
                try:
                    return await self._replay(begins, ends, replace=replace, wait=last)
                except _AT_IT:
                    if last:
                        raise
                    await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError  # the last try returns or raises

    async def _replay(
        self, begins: datetime, ends: datetime, *, replace: bool, wait: bool
    ) -> list[RollupDifference]:
        transaction = self._connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            await session_limits.lift(self._connection)
            await self._run("begin", {})
            if wait:
                await self._run("wait", {})
            # They may have gone since we looked.
            begins = max(begins, _up((await self.state()).rows_from))
            if begins >= ends:
                await transaction.rollback()
                return []
            words = {
                "begins": timestamp(begins),
                "ends": timestamp(ends),
                # At the end of the calendar there are rows too.
                "until": "<=" if ends == _END else "<",
            }
            await self._run("replay", words)
            found = []
            if replace:
                if begins == _BEGIN:
                    await self._run("replay_timeless", words)
                await self._run("replace", words)
            else:
                found = await self._differences(begins, ends)
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if replace else transaction.rollback())
        return found

    async def _differences(self, begins: datetime, ends: datetime) -> list[RollupDifference]:
        sql = self._statements["difference"].sql
        last = ends if ends == _END else ends - timedelta(microseconds=1)
        found = await self._connection.fetch(sql, begins, last, timeout=LONGEST_SECONDS)
        return [RollupDifference(**aware_fields(record)) for record in found]

    async def _run(self, script: str, words: Mapping[str, str]) -> None:
        for sql in pieces(_script(script)):
            sent = filled(sql, self._schema, words)
            await self._connection.execute(sent, timeout=LONGEST_SECONDS)


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


@functools.cache
def _script(name: str) -> str:
    return (folder("sql") / "rollup" / "step" / f"{name}.sql").read_text()


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "rollup", _STATEMENTS, schema)
