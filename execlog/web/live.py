"""New executions for all who look at a list of them: one poll for all viewers of a process.

A question is a list's strategies and filters, its viewer's scope included: two scopes never share
one. Each question that was asked within some seconds has its newest rows in memory. A task reads
what was stored since, at most once a second, all questions in one transaction that can't write.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from execlog.errors import CANCELLED, ExeclogError, InvalidArgument, QueryRejected
from execlog.models import StrategyExecutionLog
from execlog.repository.filters import Filters
from execlog.repository.repository import Reads

__all__ = ["MOST_SHOWN", "Found", "Live", "Question", "Ring"]

MOST_SHOWN = 20
"""The most rows that one answer has: a person can't read more in a second."""

_KEPT = 200  # rows of a question
_LOOKED_AT = 200  # rows a tick; if more were stored, the newest are asked for instead
_MOST_QUESTIONS, _MOST_A_TICK = 50, 20
_REFUSED_SECONDS = 30.0  # until a question is asked again that the server did not answer
_ASKED_SECONDS = 10.0  # a question is forgotten after so long without a viewer
_LATE = timedelta(seconds=5)  # how late a row may be stored and still be among the newest

Snapshot = Callable[[], AbstractAsyncContextManager[Reads]]


class Question:
    """The strategies and filters of a list, comparable.

    Args:
        strategies: The strategy, or several; None: all.
        filters: The filters, with the realms of the viewer's scope.
    """

    def __init__(self, strategies: str | Collection[str] | None, filters: Filters) -> None:
        """Takes the parts. Never raises."""
        self.asked: dict[str, Any] = {"strategy_id": strategies, **filters}
        self._key = tuple(sorted((name, repr(value)) for name, value in self.asked.items()))

    def __eq__(self, other: object) -> bool:
        """Whether both ask for the same rows. Never raises."""
        return isinstance(other, Question) and self._key == other._key

    def __hash__(self) -> int:
        """Equal for equal questions. Never raises."""
        return hash(self._key)


class Found(NamedTuple):
    """What is new for a viewer.

    Attributes:
        rows: The newest rows, in the order of their commits.
        more: Whether more were stored than are shown.
        is_reset: Whether the viewer must load the page again, since rows may be missing.
    """

    rows: list[StrategyExecutionLog]
    more: bool = False
    is_reset: bool = False


@dataclass
class Ring:
    """The newest rows of a question.

    Attributes:
        place: Up to where the log was read.
        name: Tells this ring from others of the question, in other processes or before.
        read_at: When it was read, in the loop's seconds; later than now: not before then.
        asked_at: When a viewer last asked.
        end: How many rows came in all.
        more_at: The value of `end` when more were stored than were read.
        error: Why the last read failed.
        rows: The rows.
        answers: What viewers were answered since the last read.
    """

    place: str
    read_at: float
    asked_at: float
    name: str = field(default_factory=lambda: secrets.token_hex(4))
    end: int = 0
    more_at: int = 0
    error: ExeclogError | None = None
    rows: deque[StrategyExecutionLog] = field(default_factory=lambda: deque(maxlen=_KEPT))
    answers: dict[Any, Any] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """What a viewer that has seen all of it gives as its place. Never raises."""
        return f"{self.name}.{self.end}"

    def after(self, places: Collection[str]) -> Found:
        """What is new for a viewer that was at these places, one a process. Never raises."""
        seen = [one.rpartition(".")[2] for one in places if one.rpartition(".")[0] == self.name]
        if not seen or not (seen[0].isascii() and seen[0].isdigit() and len(seen[0]) < 16):
            return Found([], is_reset=True)
        count = self.end - int(seen[0])
        if not 0 <= count <= len(self.rows):
            return Found([], is_reset=True)
        new = list(self.rows)[len(self.rows) - count :]
        return Found(new[-MOST_SHOWN:], count > MOST_SHOWN or self.more_at > int(seen[0]))

    def take(
        self, rows: Collection[StrategyExecutionLog], place: str, *, was_skipped: bool = False
    ) -> None:
        """Takes what was read. Never raises.

        Args:
            rows: The rows, the oldest first.
            place: Up to where they were read.
            was_skipped: Whether they are only the newest ones, some of which may be there already.
        """
        known = {one.id for one in self.rows} if was_skipped else frozenset[UUID]()
        new = [one for one in rows if one.id not in known]
        self.rows.extend(new)
        self.end += len(new)
        if was_skipped and len(new) >= MOST_SHOWN:
            self.more_at = self.end
        self.place, self.error = place, None
        self.answers.clear()


class Live:
    """The rings of all questions, and the task that reads for them while a viewer asks.

    Args:
        snapshot: Lends a snapshot of the log.

    Attributes:
        seconds: How long a tick takes at least.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        """Takes the parts. Never raises."""
        self.seconds = 1.0
        self._snapshot = snapshot
        self._rings: dict[Question, Ring] = {}
        self._task: asyncio.Task[None] | None = None

    def ring(self, question: Question) -> Ring | None:
        """The ring of a question; None: there is none yet. Never raises."""
        self._keep_reading()
        found = self._rings.get(question)
        if found is not None:
            found.asked_at = asyncio.get_running_loop().time()
        return found

    async def begin(self, log: Reads, question: Question) -> tuple[Ring, bool] | None:
        """A ring for a question that has none, from a snapshot on; None: there are too many.

        Args:
            log: The snapshot.
            question: The question.

        Returns:
            The ring, and whether it is of this snapshot: another viewer may have been faster.

        Raises:
            ExeclogError: The log can't be read, or has no order to follow (QueryRejected).
        """
        if len(self._rings) >= _MOST_QUESTIONS:
            return None
        place = (await log.list_stored(after=None, limit=1)).place
        now = asyncio.get_running_loop().time()
        own = Ring(place, now, now)
        ring = self._rings.setdefault(question, own)
        self._keep_reading()
        return ring, ring is own

    async def aclose(self) -> None:
        """Ends the task. Never raises."""
        task, self._task = self._task, None
        self._rings.clear()
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _keep_reading(self) -> None:
        loop = asyncio.get_running_loop()
        task = self._task
        if task is not None and task.get_loop() is not loop:
            self._rings.clear()  # their times are another loop's
            task = None
        if self._rings and (task is None or task.done()):
            task = loop.create_task(self._read_all(), name="execlog live")
        self._task = task

    async def _read_all(self) -> None:
        """Reads for as long as a viewer asks."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self.seconds)
            for question, ring in list(self._rings.items()):
                if clock() - ring.asked_at > _ASKED_SECONDS:
                    del self._rings[question]
            if not self._rings:
                return
            begin = clock()
            await self._tick()
            # A slow server rests for as long as it was busy.
            await asyncio.sleep(max(clock() - begin - self.seconds, 0))

    async def _tick(self) -> None:
        """Reads for the questions that waited longest, in one transaction."""
        now = asyncio.get_running_loop().time()
        due = [one for one in self._rings.items() if one[1].read_at <= now]
        waiting = sorted(due, key=lambda one: one[1].read_at)[:_MOST_A_TICK]
        if not waiting:
            return
        try:
            async with self._snapshot() as log:
                for question, ring in waiting:
                    await self._read(log, question, ring)
        except ExeclogError as error:
            for _, ring in waiting:
                ring.error = error

    async def _read(self, log: Reads, question: Question, ring: Ring) -> None:
        """Reads what is new for a question. Raises ExeclogError: the server is away."""
        loop = asyncio.get_running_loop()
        before, ring.read_at = ring.read_at, loop.time()
        try:
            page = await log.list_stored(after=ring.place, limit=_LOOKED_AT, **question.asked)
            if page.is_reset:
                self._rings[question] = Ring(page.place, ring.read_at, ring.asked_at)
            elif not page.has_more:
                ring.take(page.executions, page.place)
            else:
                since = datetime.now(UTC) - timedelta(seconds=loop.time() - before) - _LATE
                newest = await log.list_executions(
                    **question.asked, since=since, limit=MOST_SHOWN, payloads=False
                )
                present = (await log.list_stored(after=None, limit=1)).place
                shown = {one.id for one in newest}
                if len(newest) < MOST_SHOWN and any(one.id not in shown for one in page.executions):
                    # Stored late: the newest are not what is new, and the list may have room.
                    self._rings[question] = Ring(present, ring.read_at, ring.asked_at)
                else:
                    ring.take(newest[::-1], present, was_skipped=True)
        except ExeclogError as error:
            is_late = isinstance(error.__cause__, TimeoutError) or error.sqlstate == CANCELLED
            if not is_late and not isinstance(error, QueryRejected | InvalidArgument):
                raise
            ring.error, ring.read_at = error, loop.time() + _REFUSED_SECONDS  # this question alone
