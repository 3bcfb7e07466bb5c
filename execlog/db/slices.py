"""Long work in slices, so that the event loop's other tasks get their turns in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable
from typing import TypeVar

__all__ = ["Pace", "finished", "sliced"]

Result = TypeVar("Result")

_SECONDS = 0.004  # a request may hold the loop for 20 ms, and a step takes its own time on top


class Pace:
    """Yields to other tasks after each slice of time. Never raises."""

    def __init__(self) -> None:
        """Begins a slice. Never raises."""
        self._until = time.perf_counter() + _SECONDS

    async def rest(self) -> None:
        """Yields if the slice is over, and begins another. Never raises."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SECONDS


async def sliced(steps: Iterable[Result]) -> list[Result]:
    """The results of the steps, in order. Raises what a step raises."""
    pace, found = Pace(), []
    for step in steps:
        found.append(step)
        await pace.rest()
    return found


async def finished(steps: Generator[None, None, Result]) -> Result:
    """What a generator returns at its end. Raises what it raises."""
    pace = Pace()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        await pace.rest()
