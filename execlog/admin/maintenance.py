"""Keeps the partitions as they should be: new ones ahead, old ones gone; a step is a transaction.

Any number of processes may call `maintain` at any time, from cron, from the engine or by the
recorder: one works, the others return at once, and say so. It may be killed anywhere: a minute
later the next call goes on from what is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

import asyncpg

from execlog.admin.caretaker import Caretaker
from execlog.admin.lease import TAKEN_OVER, Lease, Standing
from execlog.admin.partitions import Action, Interval, Step, Wish
from execlog.admin.session import DRIVER_ERRORS, Session
from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.errors import InvalidArgument, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["Maintenance", "MaintenanceRun", "MaintenanceStep", "maintain"]

Outcome = Literal["planned", "done", "postponed", "failed"]
_MOST_AHEAD = 1000


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
        validation.one_of("interval", self.interval, get_args(Interval))
        if validation.count("ahead", self.ahead, least=0) > _MOST_AHEAD:
            raise InvalidArgument("ahead", f"must be at most {_MOST_AHEAD}")
        if self.retain is not None:
            validation.length("retain", self.retain)
        if self.retain_failures is not None:
            if self.retain is None:
                raise InvalidArgument("retain_failures", "without retain all runs are kept")
            validation.length("retain_failures", self.retain_failures)
        if self.retain_minutes is not None:
            validation.length("retain_minutes", self.retain_minutes)
        if self.retain_rollups is not None:
            validation.length("retain_rollups", self.retain_rollups)
        validation.seconds("lock_timeout", self.lock_timeout)

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

    def __str__(self) -> str:
        """Step, partition and problem, for a message. Never raises."""
        return f"{self.action} {self.partition}: {self.problem or self.outcome}"


class MaintenanceRun(list[MaintenanceStep]):
    """What a call of `maintain` did: its steps, and how the maintenance of the log stands.

    Attributes:
        held_by: The host and the process that is at it, so that nothing was done; None: we were.
        held_since: Since when it is.
        maintained_at: When the last run ended that left nothing postponed or failed; None: none.
        behind: How long ago that was; if there was none, since when the log keeps it.
    """

    def __init__(
        self,
        steps: Iterable[MaintenanceStep] = (),
        *,
        held_by: str | None = None,
        held_since: datetime | None = None,
        maintained_at: datetime | None = None,
        behind: timedelta = timedelta(),
    ) -> None:
        """Takes the steps, and how it stands. Never raises."""
        super().__init__(steps)
        self.held_by = held_by
        self.held_since = held_since
        self.maintained_at = maintained_at
        self.behind = behind

    def is_overdue(self, stale: timedelta = timedelta(days=1)) -> bool:
        """Whether others hold it up, and have for longer than `stale`. Never raises.

        Another process is at it, or something was postponed, and the last completed run is older.
        """
        held_up = self.held_by is not None or any(step.outcome == "postponed" for step in self)
        return held_up and self.behind > stale


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
) -> MaintenanceRun:
    """Makes partitions ahead, moves strays into theirs, removes what is old, vacuums what closed.

    Answers the steps that were to be done, and who else is at it (`held_by`): then nothing was
    done. Of a DSN or a Pool another connection is taken if one is lost in a step.

    Rows that no partition covers get one up to one interval beyond `ahead`, and in the past if
    enough of them lie in one interval, up to 2,000 partitions; the others stay in DEFAULT.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool; of the server itself, for
            a pooler such as PgBouncer shares sessions, and with them the limits that are lifted.
        interval: See `Maintenance`, as for the next six.
        ahead: How many partitions after the present one.
        retain: How long runs are kept.
        retain_failures: How long failures are.
        retain_minutes: How long rollups of minutes are.
        retain_rollups: How long rollups of hours are.
        lock_timeout: Seconds that a step may hold up others.
        only_plan: Only answer the steps; change nothing, also if another process maintains.
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
    where = validation.schema(schema)
    with driver_errors("maintain"):
        async with Session(target) as session:
            if session.connection.is_in_transaction():
                raise InvalidArgument("target", "is a connection in a transaction")
            lease = Lease(session, where)
            await lease.look()
            if not only_plan:
                return await _maintained(lease, wanted)
            standing = await lease.standing()
            planned = await Caretaker(lease).planned(wanted.wish(), holds=False)
            steps = [_told(step, "planned") for step in planned.steps]
            return MaintenanceRun(
                steps, maintained_at=standing.maintained_at, behind=standing.behind
            )


async def _maintained(lease: Lease, wanted: Maintenance) -> MaintenanceRun:
    """Does what is to be done, unless another process is at it."""
    log = Caretaker(lease)
    try:
        standing = await lease.take()
        if not standing.is_ours:
            return _held_up(standing)
        # For the first lock of a step, and for what it does under it.
        limit = validation.server_timeout("lock_timeout", wanted.lock_timeout / 2)
        planned = await log.planned(wanted.wish(), holds=True)
        steps = [_told(step, *await log.done(step, planned.shape, limit)) for step in planned.steps]
        left = await log.left(wanted.wish(), planned)
    except BaseException as error:
        # Also if it is not known whose it is, because we were cancelled.
        with contextlib.suppress(*DRIVER_ERRORS):
            await lease.release(completed=False, left=None)
        if isinstance(error, asyncpg.PostgresError) and error.sqlstate == TAKEN_OVER:
            return _held_up(await lease.standing())
        raise
    completed = all(step.outcome == "done" for step in steps)
    ended = await lease.release(completed=completed, left=left)
    if completed and ended is not None:
        return MaintenanceRun(steps, maintained_at=ended)
    return MaintenanceRun(steps, maintained_at=standing.maintained_at, behind=standing.behind)


def _held_up(standing: Standing) -> MaintenanceRun:
    _, holder, since, maintained_at, behind = standing
    # It may have given it back meanwhile.
    holder = holder or "another process"
    return MaintenanceRun(
        held_by=holder, held_since=since, maintained_at=maintained_at, behind=behind
    )


def _told(
    step: Step, outcome: Outcome, problem: str | None = None, seconds: float = 0.0
) -> MaintenanceStep:
    return MaintenanceStep(**asdict(step), outcome=outcome, problem=problem, seconds=seconds)
