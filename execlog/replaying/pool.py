"""Calls a candidate in worker processes: batches out, answers back, and whatever ends a worker."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from execlog.errors import InvalidArgument
from execlog.replaying.candidate import Candidate
from execlog.replaying.outcome import Answer, Outcome
from execlog.replaying.process import Process
from execlog.replaying.source import Run

__all__ = ["EXITED", "Pool"]

EXITED = "exited"
"""The error code of a call that ended its process."""

_MOST_IN_A_ROW = 100
_ANSWER_PARTS = 7
_READ_SECONDS = 0.005  # between two reads: each wakes the loop, whatever it reads
_GRACE_SECONDS = 0.02
_BATCH_MS, _FIRST_BATCH, _LARGEST_BATCH = 50.0, 8, 250
_CALL_MS = 0.02  # of a worker, beside the candidate's own time


class Pool:
    """Worker processes, each started when it has something to do.

    Args:
        candidates: What is called for each run, in this order.
        processes: How many workers.
        time_limit: Seconds that a call may take.

    Attributes:
        depth: How many batches are worth being begun at once.
        in_a_row: Calls that ended their worker, or were ended with it, without another in between.
        ended: Of all calls, those that ended their worker.
        recycled: Workers that were replaced since they had grown.
    """

    def __init__(
        self, candidates: Sequence[Candidate], *, processes: int, time_limit: float
    ) -> None:
        """Starts nothing. Never raises."""
        self.depth = 4 * processes + 4
        self.in_a_row = self.ended = self.recycled = 0
        self._ms: float | None = None
        self._width = len(candidates)
        self._workers = [_Worker(self, candidates, time_limit) for _ in range(processes)]

    @property
    def notes(self) -> list[str]:
        """What must be said of the workers. Never raises."""
        if not self.recycled:
            return []
        return [f"memory: workers grew by 512 MiB and were replaced {self.recycled} times"]

    def size(self) -> int:
        """How many runs a batch has: about fifty milliseconds' work. Never raises."""
        if self._ms is None:
            return _FIRST_BATCH
        return min(max(int(_BATCH_MS / (self._ms + _CALL_MS)), 1), _LARGEST_BATCH)

    async def answers(self, runs: Sequence[Run]) -> list[list[Answer]]:
        """The answers for each run, one for each candidate.

        Raises:
            InvalidArgument: A candidate can't be imported in a worker, or ends each worker.
        """
        if not runs:
            return []
        worker = min(self._workers, key=lambda one: one.load)
        lines = [(run.execution or "").encode() for run in runs]
        flat = await worker.answers(lines)
        took = sum(one.took_ms or 0.0 for one in flat) / len(runs)
        self._ms = took if self._ms is None else (3 * self._ms + took) / 4
        width = self._width
        return [flat[begin : begin + width] for begin in range(0, len(flat), width)]

    def count_end(self, candidate: int, outcome: Outcome) -> None:
        """Counts a call that ended its worker. Raises InvalidArgument: there were too many."""
        self.ended += 1
        self.in_a_row += 1
        if self.in_a_row >= _MOST_IN_A_ROW:
            what = "ran out of time" if outcome.status == "timeout" else "ended its worker process"
            problem = f"{what} in {_MOST_IN_A_ROW} calls in a row; the rest was not tried"
            raise InvalidArgument("baseline" if candidate else "evaluate", problem)

    async def aclose(self) -> None:
        """Ends the workers. Never raises."""
        await asyncio.gather(*(one.aclose() for one in self._workers))


class _Job:
    """Lines that are handed over together, and the answers so far."""

    def __init__(self, lines: Sequence[bytes], width: int) -> None:
        self._lines, self._width = lines, width
        self.answers: list[Answer] = []
        self.done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

    @property
    def left(self) -> int:
        return len(self._lines) * self._width - len(self.answers)

    @property
    def candidate(self) -> int:
        """The place of the candidate whose answer is the next."""
        return len(self.answers) % self._width

    def request(self) -> bytes:
        """What is not answered yet."""
        run, candidate = divmod(len(self.answers), self._width)
        first = b"%d%b\n" % (candidate, self._lines[run])
        return first + b"".join(b"0%b\n" % line for line in self._lines[run + 1 :])

    def take(self, answer: Answer) -> bool:
        """Takes the next answer; whether that was the last."""
        self.answers.append(answer)
        if self.left:
            return False
        if not self.done.done():
            self.done.set_result(self.answers)
        return True


def _answer(found: Any) -> Answer | None:
    """The answer that a worker wrote; None: it did not write that."""
    if not isinstance(found, list) or len(found) != _ANSWER_PARTS:
        return None
    status, points, case_name, error_code, took_ms, reason, calls = found
    numbers = (calls, *(0.0 if one is None else one for one in (took_ms, points)))
    texts = (status, *("" if one is None else one for one in (case_name, error_code, reason)))
    if not all(isinstance(one, str) for one in texts):
        return None
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in numbers):
        return None
    return Answer(Outcome(status, points, case_name, error_code), took_ms, reason, calls)


class _Worker:
    """One worker, whose process is replaced whenever it ends."""

    def __init__(self, pool: Pool, candidates: Sequence[Candidate], time_limit: float) -> None:
        self._pool, self._candidates, self._time_limit = pool, candidates, time_limit
        self._jobs = deque[_Job]()
        self._has_jobs = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._began = 0.0
        self._is_full = False

    @property
    def load(self) -> int:
        return sum(job.left for job in self._jobs)

    async def answers(self, lines: Sequence[bytes]) -> list[Answer]:
        job = _Job(lines, len(self._candidates))
        if not self._jobs:
            self._began = time.monotonic()
        self._jobs.append(job)
        self._has_jobs.set()
        if self._process is not None:
            self._process.write(job.request())
        if self._task is None:
            self._task = asyncio.create_task(self._live())
        elif self._task.done():
            await self._task  # raises what ended it
        return await job.done

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task

    async def _live(self) -> None:
        """Replaces the process as long as there is something to do."""
        try:
            while True:
                await self._has_jobs.wait()
                process = await Process.started(self._candidates)
                try:
                    await self._serve(process)
                finally:
                    self._process = None
                    await process.end()
        except Exception as error:
            for job in self._jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            raise

    async def _serve(self, process: Process) -> None:
        """Hands over what is not answered, and takes answers until the process ends."""
        rest, self._is_full = b"", False
        process.write(b"".join(job.request() for job in self._jobs))
        self._process, self._began = process, time.monotonic()
        while True:
            left = self._began + self._time_limit - time.monotonic()
            # A moment more: an answer may be there that this process had no time to read.
            data = await process.read(max(left, 0) + _GRACE_SECONDS)
            if data is None:
                if self._jobs and time.monotonic() - self._began >= self._time_limit:
                    limit = f"it took more than {self._time_limit:g} s"
                    self._blame(Outcome("timeout", None, None, "TimeoutError"), limit)
                    return
                continue
            if not data:
                if self._is_full:
                    self._pool.recycled += 1
                elif self._jobs:
                    self._blame(Outcome("error", None, None, EXITED), await process.ending())
                return
            lines, newline, rest = (rest + data).rpartition(b"\n")
            if newline and not self._take(lines):
                self._blame(Outcome("error", None, None, EXITED), "it wrote into its worker's pipe")
                return
            await asyncio.sleep(_READ_SECONDS)

    def _take(self, lines: bytes) -> bool:
        """Takes whole lines of answers; whether all of them are."""
        try:
            whole = from_json(b"[%b]" % lines.replace(b"\n", b","))
        except ValueError:
            several = lines.split(b"\n")
            return len(several) > 1 and all(self._take(one) for one in several)
        for found in whole:
            if isinstance(found, dict):
                self._is_full = "full" in found
                continue
            answer = _answer(found)
            if answer is None or not self._jobs:
                return False
            self._pool.in_a_row = 0
            self._finish(answer)
        self._began = time.monotonic()
        return True

    def _blame(self, outcome: Outcome, reason: str) -> None:
        """The call that did not return: the first that is not answered."""
        candidate = self._jobs[0].candidate
        self._finish(Answer(outcome, None, reason))
        self._pool.count_end(candidate, outcome)

    def _finish(self, answer: Answer) -> None:
        if self._jobs[0].take(answer):
            self._jobs.popleft()
            if not self._jobs:
                self._has_jobs.clear()
