"""Keeps the partitions as they should be: new ones ahead, old ones gone; a step is a transaction.

Any number of processes may call `maintain` at any time, from cron, from the engine or by the
recorder: one works, the others return at once. It may be killed anywhere: the next call goes on
from what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import asyncpg

from execlog import arguments, cluster
from execlog.copytext import timestamp
from execlog.errors import InvalidArgument, condition, driver_errors
from execlog.models import Model
from execlog.partitions import DEFAULT, ROLLUP, Action, Interval, Partition, Step, Wish, plan
from execlog.resources import folder
from execlog.rows import aware, aware_fields
from execlog.statements import Statement, load_statements
from execlog.target import LONGEST_SECONDS, connection_to
from execlog.template import SCHEMA, filled, pieces

if TYPE_CHECKING:
    from execlog.target import Connection, Target

__all__ = ["Maintenance", "MaintenanceStep", "maintain"]

Outcome = Literal["planned", "done", "postponed", "failed"]
_STATEMENTS = frozenset(
    {"expired", "forgettable", "partitions", "rollback", "shape", "strays", "try_lock", "unlock"}
)
_QUICK_SECONDS = 30.0
_MOST_AHEAD = 1000
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_REMOVING = ("drop", "purge", "thin")
# Somebody is in the way, and will not be for ever.
_IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """How the partitions should be.

    Attributes:
        interval: The width of new partitions, "hour", "day", "week" or "month" of UTC.
        ahead: How many there are to be after the present one, up to 1000.
        retain: How long runs are kept; None: for ever. A partition goes when all of it is older.
        retain_failures: How long those whose status is not ok are kept, where that is longer.
        retain_minutes: How long rollups of minutes are kept; None: as long as those of hours.
        retain_rollups: How long rollups of hours are, when their rows may be long gone; None: for
            ever.
        lock_timeout: Seconds that a step may hold up others, half of them while it waits for its
            lock. What takes longer is postponed: raise it in a quiet hour.

    Raises:
        InvalidArgument: One is of another type or out of its range.
    """

    interval: Interval = "month"
    ahead: int = 3
    retain: timedelta | None = None
    retain_failures: timedelta | None = None
    retain_minutes: timedelta | None = None
    retain_rollups: timedelta | None = None
    lock_timeout: float = 4.0

    def __post_init__(self) -> None:
        """Looks at what is given. Raises: see the class."""
        arguments.one_of("interval", self.interval, get_args(Interval))
        if arguments.count("ahead", self.ahead, least=0) > _MOST_AHEAD:
            raise InvalidArgument("ahead", f"must be at most {_MOST_AHEAD}")
        if self.retain is not None:
            arguments.length("retain", self.retain)
        if self.retain_failures is not None:
            if self.retain is None:
                raise InvalidArgument("retain_failures", "without retain all runs are kept")
            arguments.length("retain_failures", self.retain_failures)
        if self.retain_minutes is not None:
            arguments.length("retain_minutes", self.retain_minutes)
        if self.retain_rollups is not None:
            arguments.length("retain_rollups", self.retain_rollups)
        arguments.seconds("lock_timeout", self.lock_timeout)

    def wish(self) -> Wish:
        """The same, for a plan. Never raises."""
        failures = self.retain
        if self.retain is not None and self.retain_failures is not None:
            failures = max(self.retain, self.retain_failures)
        minutes, hours = self.retain_minutes, self.retain_rollups
        return Wish(self.interval, self.ahead, self.retain, failures, minutes, hours)


class MaintenanceStep(Model):
    """One step of `maintain`, and what became of it.

    Attributes:
        action: "replace" an unused partition of another width, "attach" a new one (with what
            DEFAULT held of its time), "tune" its autovacuum, "thin" it to its failures, "drop" it,
            "purge" DEFAULT of what is too old, "forget" rollups that are, "vacuum" a partition that
            is closed, or DEFAULT after that.
        partition: The partition.
        begins: Its first instant; of a purge the time before which failures go, of rollups that
            before which hours do.
        ends: The first instant after it; of a purge the time before which ok runs go, of rollups
            that before which minutes do.
        outcome: "planned", "done", "postponed" (somebody was in the way; the next call tries
            again) or "failed".
        problem: What was in the way, with its SQLSTATE.
        seconds: What it took.
    """

    action: Action
    partition: str
    begins: datetime
    ends: datetime
    outcome: Outcome
    problem: str | None = None
    seconds: float = 0.0


async def maintain(
    target: Target,
    *,
    interval: Interval = "month",
    ahead: int = 3,
    retain: timedelta | None = None,
    retain_failures: timedelta | None = None,
    retain_minutes: timedelta | None = None,
    retain_rollups: timedelta | None = None,
    lock_timeout: float = 4.0,
    only_plan: bool = False,
    schema: str = SCHEMA,
) -> list[MaintenanceStep]:
    """Makes partitions ahead, moves strays into theirs, removes what is old, vacuums what closed.

    Answers the steps that were to be done; an empty list where there was nothing to do, or where
    another process is at it.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the server itself, for
            a pooler such as PgBouncer shares sessions, and with them the lock.
        interval: See `Maintenance`, as for the next six.
        ahead: How many partitions after the present one.
        retain: How long runs are kept.
        retain_failures: How long failures are.
        retain_minutes: How long rollups of minutes are.
        retain_rollups: How long rollups of hours are.
        lock_timeout: Seconds that a step may hold up others.
        only_plan: Only answer the steps; change nothing.
        schema: Where the log is.

    Raises:
        InvalidArgument: An argument is of another type or out of its range, or `target` leads to a
            pooler.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses, for example because we are not the owner.
    """
    wanted = Maintenance(
        interval=interval,
        ahead=ahead,
        retain=retain,
        retain_failures=retain_failures,
        retain_minutes=retain_minutes,
        retain_rollups=retain_rollups,
        lock_timeout=lock_timeout,
    )
    where = arguments.schema(schema)
    with driver_errors("maintain"):
        async with connection_to(target) as connection:
            if connection.is_in_transaction():
                raise InvalidArgument("target", "is a connection in a transaction")
            log = _Log(connection, where)
            async with log.alone() as now:
                if now is None:
                    return []
                shape = await log.shape()
                steps = await log.steps(wanted.wish(), now, shape)
                if only_plan:
                    return [_told(step, "planned") for step in steps]
                # For the first lock of a step, and for what it does under it.
                limit = arguments.server_timeout("lock_timeout", wanted.lock_timeout / 2)
                return [await log.done(step, shape, limit) for step in steps]


class _Shape(NamedTuple):
    """What the scripts must know of the log."""

    columns: str
    owner: str
    is_cluster: bool
    unrolled_before: datetime | None


class _Log:
    """A log, and the connection that works on it."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._statements = _statements(schema)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[datetime | None]:
        """The server's time where nobody else maintains, and will not until the block ends."""
        locked: bool | None = None
        # What the server told when we connected; a pooler makes its own up.
        backend = self._connection.get_server_pid()
        try:
            [found] = await self._fetch("try_lock", backend)
            locked = found["locked"] or False
            if not found["direct"]:
                raise InvalidArgument("target", "leads to a pooler; give the server's own address")
            yield found["server_time"] if locked else None
        finally:
            # Also where nobody knows, because we were cancelled. With a connection goes its lock.
            if locked is not False:
                await self._last("unlock")

    async def shape(self) -> _Shape:
        """What the scripts must know."""
        [found] = await self._fetch("shape")
        return _Shape(**found)

    async def steps(self, wish: Wish, now: datetime, shape: _Shape) -> list[Step]:
        """What is to be done, in order."""
        partitions = [Partition(**aware_fields(found)) for found in await self._fetch("partitions")]
        if shape.is_cluster:
            # The rows lie elsewhere: here all look empty, and nobody knows when VACUUM was there.
            sizes = await cluster.sizes(self._connection, self._schema)
            partitions = [
                replace(one, bytes=sizes.get(one.name, one.bytes), vacuumed_at=_END)
                for one in partitions
            ]
        strays = await self._fetch("strays", wish.interval, limit=LONGEST_SECONDS)
        steps = plan(partitions, [record["begins"] for record in strays], wish, now)
        emptied = bool(strays)
        ok_from, failures_from = wish.kept_from(now)
        if ok_from is not None and failures_from is not None:
            [found] = await self._fetch("expired", ok_from, failures_from, limit=LONGEST_SECONDS)
            if found["expired"]:
                # First: what goes need not be moved before.
                steps.insert(0, Step("purge", DEFAULT, failures_from, ok_from))
                emptied = True
        minutes_from, hours_from = wish.rollups_from(now)
        [found] = await self._fetch("forgettable", minutes_from, hours_from)
        if found["forgettable"]:
            steps.append(Step("forget", ROLLUP, hours_from or _BEGIN, minutes_from or _BEGIN))
        if emptied:
            # What has left it is in the way of whoever looks for the newest rows.
            steps.append(Step("vacuum", DEFAULT, _BEGIN, _END))
        return steps

    async def done(self, step: Step, shape: _Shape, lock_timeout: str) -> MaintenanceStep:
        """Does it, all or nothing. Raises the driver's error where the connection is lost."""
        words = {
            "columns": shape.columns,
            "owner": shape.owner,
            "lock_timeout": lock_timeout,
            **_words(step),
        }
        script = _script(step.action)
        if step.action in _REMOVING and _is_unrolled(step, shape):
            return _told(
                step, "postponed", "run `execlog rollup rebuild` first, which needs its rows"
            )
        begin = time.perf_counter()
        problem: str | None = None
        outcome: Outcome = "done"
        try:
            # Transaction and all in one message: a client that stops in between would hold locks.
            # Only a cluster wants the statements one by one.
            for sql in pieces(script) if shape.is_cluster else [script]:
                sent = filled(sql, self._schema, words)
                await self._connection.execute(sent, timeout=LONGEST_SECONDS)
        except BaseException as error:
            await self._last("rollback")
            if self._connection.is_closed() or not isinstance(error, asyncpg.PostgresError):
                raise
            outcome = "postponed" if isinstance(error, _IN_THE_WAY) else "failed"
            problem = f"{condition(error)} ({error.sqlstate})"
        return _told(step, outcome, problem, time.perf_counter() - begin)

    async def _fetch(
        self, name: str, *values: object, limit: float = _QUICK_SECONDS
    ) -> list[asyncpg.Record]:
        return await self._connection.fetch(self._statements[name].sql, *values, timeout=limit)

    async def _last(self, name: str) -> None:
        """Carried out even where we are cancelled. Raises CancelledError only."""
        sql = self._statements[name].sql
        sent = asyncio.ensure_future(self._connection.execute(sql, timeout=_QUICK_SECONDS))
        try:
            with contextlib.suppress(Exception):
                await asyncio.shield(sent)
        except asyncio.CancelledError:
            # The connection is the caller's again.
            await asyncio.gather(sent, return_exceptions=True)
            raise


def _told(
    step: Step, outcome: Outcome, problem: str | None = None, seconds: float = 0.0
) -> MaintenanceStep:
    return MaintenanceStep(**asdict(step), outcome=outcome, problem=problem, seconds=seconds)


def _is_unrolled(step: Step, shape: _Shape) -> bool:
    """Whether rows would go that are in no rollup yet."""
    before = aware(shape.unrolled_before)
    return before is not None and (step.action == "purge" or step.begins < before)


def _words(step: Step) -> dict[str, str]:
    """What a statement that defines things can't take as a parameter."""
    return {
        "partition": step.partition,
        "thinned": f"{step.partition}_thinned",
        "begins": timestamp(step.begins),
        "ends": timestamp(step.ends),
    }


@functools.cache
def _script(action: Action) -> str:
    return (folder("sql") / "maintenance" / "step" / f"{action}.sql").read_text()


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "maintenance", _STATEMENTS, schema)
