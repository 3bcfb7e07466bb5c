"""Calls a candidate in this process: what can't be named, and what is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from execlog.db.slices import Pace
from execlog.replaying.candidate import Candidate
from execlog.replaying.handed import execution_of
from execlog.replaying.outcome import Answer, of_error, read_outcome
from execlog.replaying.source import Run

__all__ = ["Inside"]
_AT_ONCE = 50


class Inside:
    """Calls functions in this process, one after the other.

    Args:
        candidates: What is called for each run, in this order.
        time_limit: Seconds that an awaited call may take; a plain one has no limit.

    Attributes:
        depth: How many batches are worth being begun at once.
        notes: None.
    """

    depth = 1
    notes: Sequence[str] = ()

    def __init__(self, candidates: Sequence[Candidate], time_limit: float) -> None:
        """Takes the parts. Never raises."""
        self._candidates, self._time_limit = candidates, time_limit

    def size(self) -> int:
        """How many runs a batch has. Never raises."""
        return _AT_ONCE

    async def answers(self, runs: Sequence[Run]) -> list[list[Answer]]:
        """The answers for each run, one for each candidate.

        Raises what ends a task: CancelledError, KeyboardInterrupt; nothing that is a failure.
        """
        pace, found = Pace(), []
        for run in runs:
            found.append([await self._answer(one, run) for one in self._candidates])
            await pace.rest()
        return found

    async def aclose(self) -> None:
        """Does nothing. Never raises."""

    async def _answer(self, candidate: Candidate, run: Run) -> Answer:
        begin = time.perf_counter()
        try:
            execution = execution_of(run.execution or "")
            begin = time.perf_counter()
            if candidate.is_async:
                async with asyncio.timeout(self._time_limit):
                    returned = await candidate.call(execution)
            else:
                returned = candidate.call(execution)
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            took_ms = (time.perf_counter() - begin) * 1000
            outcome, reason = of_error(error)
            return Answer(outcome, took_ms, reason)
        took_ms = (time.perf_counter() - begin) * 1000
        outcome, wrong = read_outcome(returned, run.status)
        return Answer(outcome, took_ms, wrong)
