"""Keeps the partitions as they should be: new ones ahead, old ones gone; a step is a transaction.

Any number of processes may call `maintain` at any time, from cron, from the engine or by the
recorder: one works, the others return at once, and say so. A process may be killed anywhere: a
minute later the next call continues from what exists.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import asyncpg

from execlog.admin.caretaker import Caretaker, Plan
from execlog.admin.lease import TAKEN_OVER, Lease, Standing
from execlog.admin.partitions import Action, Interval, Step
from execlog.admin.policy import Maintenance
from execlog.admin.session import DRIVER_ERRORS, Session
from execlog.archive.engine import duckdb
from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.errors import InvalidArgument, driver_errors
from execlog.models import Model

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["Maintenance", "MaintenanceRun", "MaintenanceStep", "maintain"]

Outcome = Literal["planned", "done", "postponed", "failed"]


class MaintenanceStep(Model):
    """One step of `maintain`, and its outcome.

    Attributes:
        action: "replace" an unused partition of another width, "attach" a new one (with the rows
            of its time in DEFAULT), "tune" its autovacuum, "thin" it to its failures, "drop" it,
            "purge" old rows from DEFAULT, "forget" old rollups, "vacuum" a closed partition, or
            DEFAULT after rows have left it, "expire" the inputs of a closed partition, or of old
            rows in DEFAULT, "rebuild" the indexes of a closed partition.
        partition: The partition.
        begins: Its first instant; of a purge the time before which failures go, of "forget" the
            time before which rollups of hours go.
        ends: The first instant after it; of a purge the time before which ok runs go, of "forget"
            the time before which rollups of minutes go.
        outcome: "planned", "done", "postponed" (another session was in the way; the next call
            tries again) or "failed".
        problem: The problem, with its SQLSTATE.
        seconds: How long it took.
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
    """The result of `maintain`: its steps, and the state of the log's maintenance.

    Attributes:
        held_by: Host and process of another run, because of which nothing was done; None: ours.
        held_since: When that run began.
        maintained_at: When the last run ended that left nothing postponed or failed; None: none.
        behind: How long ago that was; without one, how long the log has kept this time.
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
        """Takes the steps and the state. Never raises."""
        super().__init__(steps)
        self.held_by = held_by
        self.held_since = held_since
        self.maintained_at = maintained_at
        self.behind = behind

    def is_overdue(self, stale: timedelta = timedelta(days=1)) -> bool:
        """Whether maintenance has been held up for longer than `stale`. Never raises.

        Another process works on it, or a step was postponed, and the last completed run is older.
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
    retain_minutes: timedelta | None = Maintenance.retain_minutes,
    retain_rollups: timedelta | None = None,
    retain_inputs: timedelta | None = None,
    archive: str | os.PathLike[str] | None = None,
    lock_timeout: float = 4.0,
    only_plan: bool = False,
    schema: str = SCHEMA,
) -> MaintenanceRun:
    """Makes partitions ahead, moves strays into theirs, removes old rows, compacts closed ones.

    Returns the steps. If another process is at work, nothing is done, and `held_by` names it. With
    a DSN or a Pool, a connection that is lost in a step is replaced.

    Rows that no partition covers get one up to one interval beyond `ahead`, and in the past if
    enough of them lie in one interval, up to 2,000 partitions; the others stay in DEFAULT.

    A partition that has closed is vacuumed. An hour later its indexes are rebuilt, and again if
    late rows have them grow by a quarter; at most eight partitions a call.

    Args:
        target: A DSN, a Connection outside of a transaction, or a Pool; of the server itself: a
            pooler such as PgBouncer shares sessions, and would share the limits that are lifted.
        interval: See `Maintenance`, as for the next eight.
        ahead: How many partitions after the present one.
        retain: How long runs are kept.
        retain_failures: How long failures are kept.
        retain_minutes: How long rollups of minutes are kept.
        retain_rollups: How long rollups of hours are kept.
        retain_inputs: How long inputs are kept.
        archive: The folder of the archive.
        lock_timeout: Seconds that a step may hold up others.
        only_plan: Only return the steps; change nothing, even if another process maintains.
        schema: The schema of the log.

    Raises:
        InvalidArgument: An argument is of another type or out of its range, or `target` leads to a
            pooler.
        ArchiveError: `archive` is given, and its extra is not installed. (What is wrong with the
            folder is the problem of the steps that would remove rows.)
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
        retain_inputs=retain_inputs,
        archive=archive,
        lock_timeout=lock_timeout,
    )
    where = validation.schema(schema)
    if archive is not None:
        duckdb()
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
    """Does the steps, unless another process works on them."""
    log = Caretaker(lease, wanted.folder())
    try:
        standing = await lease.take()
        if not standing.is_ours:
            return _held_up(standing)
        # Half for the first lock of a step, half for its work under the lock.
        limit = validation.server_timeout("lock_timeout", wanted.lock_timeout / 2)
        planned = await log.planned(wanted.wish(), holds=True)
        ahead = [step for step in planned.steps if log.is_ahead(step)]
        steps = await _carried_out(log, planned._replace(steps=ahead), limit)
        if log.is_able:
            # What removes rows needs their rollups.
            planned = await log.rolled_up(planned, wanted.wish())
        others = [step for step in planned.steps if not log.is_ahead(step)]
        steps += await _carried_out(log, planned._replace(steps=others), limit)
        is_put_off = any(step.action == "replace" and step.outcome == "postponed" for step in steps)
        if is_put_off and log.is_able:
            again = await log.planned(wanted.wish(), holds=True)
            if not any(step.action == "replace" for step in again.steps):
                # It got its first rows meanwhile, and stays: the new partitions lie beside it.
                done = [step for step in steps if step.outcome == "done"]
                planned, steps = again, done + await _carried_out(log, again, limit)
        left = await log.left(wanted.wish(), planned)
    except BaseException as error:
        # Also if we were cancelled before we knew whose the lease is.
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


async def _carried_out(log: Caretaker, planned: Plan, limit: str) -> list[MaintenanceStep]:
    return [_told(step, *await log.done(step, planned.shape, limit)) for step in planned.steps]


def _held_up(standing: Standing) -> MaintenanceRun:
    _, holder, since, maintained_at, behind = standing
    # The holder may have given it back meanwhile.
    holder = holder or "another process"
    return MaintenanceRun(
        held_by=holder, held_since=since, maintained_at=maintained_at, behind=behind
    )


def _told(
    step: Step, outcome: Outcome, problem: str | None = None, seconds: float = 0.0
) -> MaintenanceStep:
    return MaintenanceStep(**asdict(step), outcome=outcome, problem=problem, seconds=seconds)
