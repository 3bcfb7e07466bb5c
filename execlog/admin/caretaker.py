"""Maintains the partitions of one log: reads what exists, plans the steps, and does them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import asyncpg

from execlog.admin import citus
from execlog.admin.archiving import UNSAVED, Archiving
from execlog.admin.expiry import expire, expiries
from execlog.admin.lease import TAKEN_OVER, Lease, finished
from execlog.admin.partitions import (
    DEFAULT,
    ROLLUP,
    Partition,
    Step,
    Strays,
    Wish,
    left_in_default,
    plan,
    slot,
)
from execlog.admin.rebuild import loose_indexes, rebuild, rebuilds
from execlog.admin.scripts import scripts_of, words_of
from execlog.admin.session import DRIVER_ERRORS
from execlog.db import session_limits
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.rows import aware, aware_fields
from execlog.errors import ArchiveError, condition, last_words

__all__ = ["Caretaker", "Carried", "Plan", "Shape"]

_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MAKING = ("attach", "replace")
_REMOVING = ("drop", "purge", "thin")
_LAST = ("vacuum", "expire", "rebuild")
_REPLACING = ("drop", "replace", "thin")
# Another session holds a lock, for a while.
_IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
)


class Shape(NamedTuple):
    """What the scripts must know of the log's table."""

    columns: str
    owner: str
    is_cluster: bool
    unrolled_from: datetime | None


class Plan(NamedTuple):
    """The steps to do, in order; and the rows that stay in DEFAULT, since no step moves them."""

    steps: list[Step]
    shape: Shape
    left_in_default: int


class Carried(NamedTuple):
    """The outcome of a step."""

    outcome: Literal["done", "postponed", "failed"]
    problem: str | None = None
    seconds: float = 0.0


class Caretaker:
    """Plans steps, and does them as the holder of a lease.

    Args:
        lease: The lease.
        archive: The folder to which rows go that are removed; None: none was given.
    """

    def __init__(self, lease: Lease, archive: str | None = None) -> None:
        """Takes the lease; nothing is sent. Never raises."""
        self._lease = lease
        self._archiving = Archiving(lease, archive)
        self._is_taken_over = False
        self._in_place: list[Step] = []  # what should have been replaced and was not

    @property
    def is_able(self) -> bool:
        """Whether the connection is there and the lease ours, as far as is known. Never raises."""
        return not (self._lease.session.is_lost or self._is_taken_over)

    def is_ahead(self, step: Step) -> bool:
        """Whether it makes a partition of the present or ahead, or room for one. Never raises."""
        return step.action in _MAKING and step.ends > self._lease.now

    async def planned(self, wish: Wish, *, holds: bool) -> Plan:
        """The steps to do, in order. Raises as the driver does.

        Args:
            wish: The state that is wanted.
            holds: Whether we hold the lease: then it is renewed before the rows of DEFAULT are
                counted, which may take long.
        """
        now, ask = self._lease.now, self._lease.fetch
        async with self._lease.transaction():
            [found] = await ask("shape")
            shape = Shape(**found)
            # Before the first write of the transaction: after it a cluster reports no sizes.
            partitions = await self._partitions(shape)
            if holds:
                await self._lease.send(["prove"])
            strays = await self._strays(wish)
            # Partitions of the present and ahead come first: rows come at any moment.
            steps = sorted(plan(partitions, strays, wish, now), key=self.is_ahead, reverse=True)
            moved = _gains(steps, strays, wish)
            ok_from, failures_from = wish.kept_from(now)
            if ok_from is not None and failures_from is not None:
                [found] = await ask("expired", ok_from, failures_from, limit=LONGEST_SECONDS)
                if found["expired"]:
                    # Before others move rows: those that go need not be moved.
                    place = sum(map(self.is_ahead, steps))
                    steps.insert(place, Step("purge", DEFAULT, failures_from, ok_from))
                    moved = True
            steps += await self._forgetting(wish)
            if moved:
                # Rows that have left it slow down reads of the newest rows until VACUUM.
                steps.append(Step("vacuum", DEFAULT, _BEGIN, _END))
            going = {step.partition for step in steps if step.action in _REPLACING}
            steps += await expiries(self._lease, partitions, wish.inputs_from(now), going)
            if not shape.is_cluster:  # whose indexes lie on other machines
                # Last: it takes longest, and nothing waits for it.
                loose = await loose_indexes(self._lease, partitions)
                steps += rebuilds(partitions, loose, going)
        return Plan(steps, shape, left_in_default(partitions, strays, wish, now))

    async def _forgetting(self, wish: Wish) -> list[Step]:
        """The step that removes old rollups, if there are any."""
        minutes_from, hours_from = wish.rollups_from(self._lease.now)
        [found] = await self._lease.fetch("forgettable", minutes_from, hours_from)
        step = Step("forget", ROLLUP, hours_from or _BEGIN, minutes_from or _BEGIN)
        return [step] if found["forgettable"] else []

    async def rolled_up(self, planned: Plan, wish: Wish) -> Plan:
        """Sums up all that has closed by now, in transactions of an hour; the plan that it allows.

        If the server refuses, steps that need it will be postponed. Raises as the driver does.
        """
        began_at, is_done = None, False
        while not is_done:
            try:
                async with self._lease.transaction():
                    await self._lease.send(["prove"])
                    [found] = await self._lease.fetch("roll_up", began_at, limit=LONGEST_SECONDS)
            except asyncpg.PostgresError as error:
                if error.sqlstate == TAKEN_OVER:
                    raise
                break
            began_at = found["began_at"]
            is_done = found["is_done"] or found["outcome"] != "more"
        async with self._lease.transaction():
            [found] = await self._lease.fetch("shape")
            forgetting = await self._forgetting(wish)
        steps = [step for step in planned.steps if step.action != "forget"]
        place = next((n for n, step in enumerate(steps) if step.action in _LAST), len(steps))
        steps[place:place] = forgetting
        return planned._replace(steps=steps, shape=Shape(**found))

    async def left(self, wish: Wish, done: Plan) -> int | None:
        """The rows that stay in DEFAULT after the steps of a plan; None: it is not known now.

        Raises as the driver does.
        """
        if not self.is_able:
            return None
        if not any(step.partition == DEFAULT for step in done.steps):
            return done.left_in_default  # none was moved
        async with self._lease.transaction():
            partitions = await self._partitions(done.shape)
            strays = await self._strays(wish)
        return left_in_default(partitions, strays, wish, self._lease.now)

    async def done(self, step: Step, shape: Shape, lock_timeout: str) -> Carried:
        """Does a step, all or nothing.

        Raises:
            PostgresError, InterfaceError, OSError, TimeoutError: The connection is lost, and the
                target can't give another one.
        """
        if self._is_taken_over:
            return Carried("postponed", "another process took over")
        if step.action in _REMOVING and _is_unrolled(step, shape):
            return Carried("postponed", "its rows are not in the rollups yet")
        if (other := self._place_taken(step)) is not None:
            return Carried("postponed", f"{other.partition} has its place until it is replaced")
        begin = time.perf_counter()
        session = self._lease.session
        if session.is_lost:
            await session.renew()
        words = {
            "columns": shape.columns,
            "owner": shape.owner,
            "lock_timeout": lock_timeout,
            **words_of(step),
            **UNSAVED,
        }
        try:
            if step.action in _REMOVING:
                words |= await self._archiving.saved(step, is_cluster=shape.is_cluster)
            await self._carry_out(step, words, alone=shape.is_cluster)
        except ArchiveError as error:
            return Carried("failed", str(error), time.perf_counter() - begin)
        except DRIVER_ERRORS as error:
            if session.is_lost and not session.is_renewable:
                raise
            outcome, problem = self._judged(error)
            if step.action == "replace":
                self._in_place.append(step)
            return Carried(outcome, problem, time.perf_counter() - begin)
        return Carried("done", None, time.perf_counter() - begin)

    def _place_taken(self, step: Step) -> Step | None:
        """A partition that could not be replaced, and covers a part of the time of a new one."""
        if step.action != "attach":
            return None
        for other in self._in_place:
            if other.begins < step.ends and step.begins < other.ends:
                return other
        return None

    async def _carry_out(self, step: Step, words: Mapping[str, str], *, alone: bool) -> None:
        lease = self._lease
        if step.action not in _LAST:
            work = scripts_of(step, is_saved=words["is_saved"] == "true")
            await lease.send(["begin", "lift", "prove", *work, "prove", "end"], words, alone=alone)
            return
        # These take no transaction, so the limits are the session's; two at once do no harm.
        await lease.send(["begin", "lift", "prove", "end"], words, alone=alone)
        async with self._lifted():
            if step.action == "vacuum":
                await lease.send(["vacuum"], words)
            elif step.action == "expire":
                await expire(lease, words, spread=alone)
            else:
                await rebuild(lease, step.partition)

    @contextlib.asynccontextmanager
    async def _lifted(self) -> AsyncIterator[None]:
        """The session's time limits are lifted inside the block."""
        connection = self._lease.session.connection
        before = await session_limits.held(connection)
        try:
            await session_limits.lift(connection, session=True)
            yield
        finally:
            if not self._lease.session.is_lost:
                await finished(session_limits.put_back(connection, before, session=True))

    def _judged(self, error: BaseException) -> tuple[Literal["postponed", "failed"], str]:
        """The outcome of a step that failed with an error, and the problem."""
        if not isinstance(error, asyncpg.PostgresError):
            return "failed", "the connection was lost"
        if error.sqlstate == TAKEN_OVER:
            self._is_taken_over = True
            return "postponed", "another process took over"
        said = last_words(error)
        problem = f"{condition(said)} ({said.sqlstate})"
        return "postponed" if isinstance(error, _IN_THE_WAY) else "failed", problem

    async def _partitions(self, shape: Shape) -> list[Partition]:
        """The partitions beside DEFAULT."""
        found = [
            Partition(**aware_fields(record)) for record in await self._lease.fetch("partitions")
        ]
        if not shape.is_cluster:
            return found
        # The rows lie on other machines: here all look empty, and the last VACUUM is unknown.
        sizes = await citus.sizes(self._lease.session.connection, self._lease.schema)
        return [
            replace(one, bytes=sizes.get(one.name, one.bytes), vacuumed_at=_END) for one in found
        ]

    async def _strays(self, wish: Wish) -> Strays:
        """The rows in DEFAULT that could have a partition."""
        found = await self._lease.fetch("strays", wish.interval, limit=LONGEST_SECONDS)
        rows = {record["begins"]: record["rows"] for record in found}
        return Strays(rows, found[0]["total"] if found else 0)


def _gains(steps: Sequence[Step], strays: Strays, wish: Wish) -> bool:
    """Whether the new partitions take rows out of DEFAULT."""
    made = {slot(one.begins, wish.interval)[0] for one in steps if one.action == "attach"}
    return not made.isdisjoint(strays.rows)


def _is_unrolled(step: Step, shape: Shape) -> bool:
    """Whether the step would remove rows that are in no rollup yet."""
    unrolled_from = aware(shape.unrolled_from)
    return unrolled_from is not None and step.ends > unrolled_from
