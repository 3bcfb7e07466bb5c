"""By how much a sleep of a millisecond overshoots while the recorder is saturated.

The producer is in the event loop itself, in bursts of 20, about 0.2 ms each. One in a thread would
keep the interpreter's lock for its switch interval, 5 ms, whenever the loop wakes, and that is what
would be measured. So that the bursts don't count as the recorder's either, the same producer is
measured alone: each of its calls then spins for as long as `record` takes.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from execlog import ExecutionRecorder
from tests.bench.flow import LIMIT_SECONDS, hold_back, runs, set_aside

SECONDS = 5.0
BURST = 20

_SLEEP = 0.001


@dataclass
class Lag:
    """Overshoots in milliseconds, each in order of size."""

    saturated: list[float]
    alone: list[float]
    rate: float


async def lag(dsn: str) -> Lag:
    """Everything is stored: see the module."""
    chosen = runs(1000, failures=True)
    set_aside()
    try:
        async with ExecutionRecorder(dsn) as recorder:
            record = recorder.record

            def bursts(first: int) -> None:
                for n in range(first, first + BURST):
                    record(**chosen[n % 1000])

            begin = time.perf_counter()
            saturated, spent = await _overshoots(bursts, recorder)
            assert await recorder.flush(LIMIT_SECONDS)
            stats = recorder.stats()
            rate = stats.written / (time.perf_counter() - begin)
            assert stats.offered == stats.written, stats

            def alone(first: int) -> None:
                end = time.perf_counter() + spent
                while time.perf_counter() < end:
                    pass

            return Lag(saturated, (await _overshoots(alone, recorder))[0], rate)
    finally:
        gc.unfreeze()


async def _overshoots(
    burst: Callable[[int], None], recorder: ExecutionRecorder
) -> tuple[list[float], float]:
    """The overshoots, and the seconds of the mean burst."""
    clock = time.perf_counter
    end = clock() + SECONDS
    found: list[float] = []

    async def probe() -> None:
        while (begin := clock()) < end:
            await asyncio.sleep(_SLEEP)
            found.append((clock() - begin - _SLEEP) * 1000)

    probing = asyncio.create_task(probe())
    first, spent = 0, 0.0
    async with asyncio.timeout(2 * SECONDS + LIMIT_SECONDS):
        while not probing.done():
            await hold_back(recorder)
            begin = clock()
            burst(first)
            spent += clock() - begin
            first += BURST
            await asyncio.sleep(0)
    return sorted(found), spent * BURST / first
