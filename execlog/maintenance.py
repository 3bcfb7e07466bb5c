"""Keeps the partitions as they should be: new ones ahead, old ones gone; a step is a transaction.

Any number of processes may call `maintain` at any time, from cron or from the engine: one works,
the others return at once. It may be killed anywhere: the next call goes on from what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import asyncpg

from execlog import arguments
from execlog.copytext import timestamp
from execlog.errors import InvalidArgument, condition, driver_errors
from execlog.models import Model
from execlog.partitions import DEFAULT, Action, Interval, Partition, Step, Wish, plan
from execlog.resources import folder
from execlog.rows import aware
from execlog.statements import Statement, load_statements
from execlog.target import connection_to

if TYPE_CHECKING:
    from execlog.target import Connection, Target

__all__ = ["MaintenanceStep", "maintain"]

Outcome = Literal["planned", "done", "postponed", "failed"]
_STATEMENTS = frozenset(
    {"expired", "partitions", "rollback", "shape", "strays", "try_lock", "unlock"}
)
_QUICK_SECONDS = 30.0
_LONGEST_SECONDS = 86_400.0  # whatever a caller's pool allows its queries
_MOST_AHEAD = 1000
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TOKEN = re.compile(r":columns\b|:([\"'])(\w+)\1")
# Somebody is in the way, and will not be for ever.
_IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)


class MaintenanceStep(Model):
    """One step of `maintain`, and what became of it.

    Attributes:
        action: "replace" an unused partition of another width, "attach" a new one (with what
            DEFAULT held of its time), "tune" its autovacuum, "thin" it to its failures, "drop" it,
            "purge" DEFAULT of what is too old, "vacuum" one that is closed, or DEFAULT after that.
        partition: The partition.
        begins: Its first instant; of a purge the time before which failures go.
        ends: The first instant after it; of a purge the time before which ok runs go.
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
    lock_timeout: float = 4.0,
    only_plan: bool = False,
) -> list[MaintenanceStep]:
    """Makes partitions ahead, moves strays into theirs, removes what is old, vacuums what closed.

    Answers the steps that were to be done; an empty list where there was nothing to do, or where
    another process is at it.

    Args:
        target: A DSN, a Connection that is in no transaction, or a Pool. (Not behind a pooler that
            shares connections between transactions: the lock is the session's.)
        interval: The width of new partitions, "hour", "day", "week" or "month" of UTC.
        ahead: How many there are to be after the present one, up to 1000.
        retain: How long runs are kept; None: for ever. A partition goes when all of it is older.
        retain_failures: How long those whose status is not ok are kept, where that is longer.
        lock_timeout: Seconds that a step may hold up others, half of them while it waits for its
            lock. What takes longer is postponed: raise it in a quiet hour.
        only_plan: Only answer the steps; change nothing.

    Raises:
        InvalidArgument: An argument is of another type or out of its range.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses, for example because we are not the owner.
    """
    wish = _wish(interval, ahead, retain, retain_failures)
    # For the first lock of a step, and for what it does under it.
    lock = arguments.server_timeout(
        "lock_timeout", arguments.seconds("lock_timeout", lock_timeout) / 2
    )
    with driver_errors("maintain"):
        async with connection_to(target) as connection:
            if connection.is_in_transaction():
                raise InvalidArgument("target", "is a connection in a transaction")
            async with _alone(connection) as now:
                if now is None:
                    return []
                steps = await _steps(connection, wish, now)
                if only_plan:
                    return [_told(step, "planned") for step in steps]
                settings = await _settings(connection, lock)
                return [await _done(connection, step, settings) for step in steps]


def _wish(interval: object, ahead: object, retain: object, retain_failures: object) -> Wish:
    width = arguments.one_of("interval", interval, get_args(Interval))
    number = arguments.count("ahead", ahead, least=0)
    if number > _MOST_AHEAD:
        raise InvalidArgument("ahead", f"must be at most {_MOST_AHEAD}")
    keep = None if retain is None else arguments.length("retain", retain)
    keep_failures = keep
    if retain_failures is not None:
        if keep is None:
            raise InvalidArgument("retain_failures", "without retain all runs are kept")
        keep_failures = max(keep, arguments.length("retain_failures", retain_failures))
    return Wish(cast("Interval", width), number, keep, keep_failures)


@contextlib.asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[datetime | None]:
    """The server's time where nobody else maintains, and will not until the block ends."""
    locked: bool | None = None
    try:
        [found] = await connection.fetch(_statements()["try_lock"].sql, timeout=_QUICK_SECONDS)
        locked = found["locked"]
        yield found["server_time"] if locked else None
    finally:
        # Also where nobody knows, because we were cancelled. A lost connection has lost its lock.
        if locked is not False:
            await _last(connection, "unlock")


async def _last(connection: Connection, name: str) -> None:
    """A statement that is carried out even where we are cancelled. Raises CancelledError only."""
    sent = asyncio.ensure_future(
        connection.execute(_statements()[name].sql, timeout=_QUICK_SECONDS)
    )
    try:
        with contextlib.suppress(Exception):
            await asyncio.shield(sent)
    except asyncio.CancelledError:
        await asyncio.gather(sent, return_exceptions=True)  # the connection is the caller's again
        raise


async def _steps(connection: Connection, wish: Wish, now: datetime) -> list[Step]:
    statements = _statements()
    found = await connection.fetch(statements["partitions"].sql, timeout=_QUICK_SECONDS)
    partitions = [
        Partition(
            **(dict(record) | {"begins": aware(record["begins"]), "ends": aware(record["ends"])})
        )
        for record in found
    ]
    strays = await connection.fetch(
        statements["strays"].sql, wish.interval, timeout=_LONGEST_SECONDS
    )
    steps = plan(partitions, [record["begins"] for record in strays], wish, now)
    emptied = bool(strays)
    ok_from, failures_from = wish.kept_from(now)
    if ok_from is not None and failures_from is not None:
        expired = statements["expired"].sql
        if await connection.fetchval(expired, ok_from, failures_from, timeout=_LONGEST_SECONDS):
            # First: what goes need not be moved before.
            steps.insert(0, Step("purge", DEFAULT, failures_from, ok_from))
            emptied = True
    if emptied:
        # What has left it is in the way of whoever looks for the newest rows.
        steps.append(Step("vacuum", DEFAULT, _BEGIN, _END))
    return steps


async def _settings(connection: Connection, lock_timeout: str) -> dict[str, str]:
    """What is the same in all steps."""
    [shape] = await connection.fetch(_statements()["shape"].sql, timeout=_QUICK_SECONDS)
    return {**shape, "lock_timeout": lock_timeout}


async def _done(connection: Connection, step: Step, settings: Mapping[str, str]) -> MaintenanceStep:
    """Does it, all or nothing. Raises the driver's error where the connection is lost."""
    script = _script(step, settings)
    begin = time.perf_counter()
    problem: str | None = None
    outcome: Outcome = "done"
    try:
        # Transaction and all, as one message: a client that stops in between would hold the locks.
        await connection.execute(script, timeout=_LONGEST_SECONDS)
    except BaseException as error:
        await _last(connection, "rollback")
        if connection.is_closed() or not isinstance(error, asyncpg.PostgresError):
            raise
        outcome = "postponed" if isinstance(error, _IN_THE_WAY) else "failed"
        problem = f"{condition(error)} ({error.sqlstate})"
    return _told(step, outcome, problem, time.perf_counter() - begin)


def _told(
    step: Step, outcome: Outcome, problem: str | None = None, seconds: float = 0.0
) -> MaintenanceStep:
    return MaintenanceStep(**asdict(step), outcome=outcome, problem=problem, seconds=seconds)


def _script(step: Step, settings: Mapping[str, str]) -> str:
    """The SQL of a step, with what a statement that defines things can't take as a parameter."""
    words = {
        **settings,
        "partition": step.partition,
        "thinned": f"{step.partition}_thinned",
        "begins": timestamp(step.begins),
        "ends": timestamp(step.ends),
    }

    def quoted(found: re.Match[str]) -> str:
        if found[0] == ":columns":
            return words["columns"]  # as the server has quoted them
        quote, word = found[1], words[found[2]]
        return f"{quote}{word.replace(quote, quote * 2)}{quote}"

    return _TOKEN.sub(quoted, _scripts()[step.action])


@functools.cache
def _scripts() -> Mapping[str, str]:
    return {action: _script_file(action).read_text() for action in get_args(Action)}


def _script_file(action: str) -> Path:
    return folder("sql") / "maintenance" / "step" / f"{action}.sql"


@functools.cache
def _statements() -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "maintenance", _STATEMENTS)
