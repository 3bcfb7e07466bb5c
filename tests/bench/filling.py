"""What single calls of `record` take while another process fills the same disk.

The sides are a recorder without a spool and two with one. They take turns, each paced, with the
same other process beside it: it writes a file and has the disk keep each piece of it. On a machine
that others use too, a call may wait without any spool: the worst one of those is the floor.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from execlog import ExecutionRecorder
from tests.bench.flow import LIMIT_SECONDS, Runs, paced

SECONDS = 4.0
MOST_BYTES = 1536 * 2**20

# It ends when it is told to, at the latest after so many bytes or seconds.
FILLER = """
import os, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

path, most, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
piece = os.urandom(4 * 2**20)
descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
try:
    begin, written = time.monotonic(), 0
    while written < most and time.monotonic() - begin < seconds:
        written += os.write(descriptor, piece)
        os.fsync(descriptor)
        time.sleep(max(begin + seconds * written / most - time.monotonic(), 0))
finally:
    os.unlink(path)
print(written)
"""


class Calls:
    """Nanoseconds of each call, and how many bytes another process wrote a second meanwhile.

    `waited` counts calls that waited for the disk for more than 5 ms: others lacked a processor.
    """

    def __init__(self) -> None:
        self.taken: list[array[int]] = []
        self.filled: list[float] = []
        self.waited = 0

    def percentile(self, share: float) -> float:
        """Microseconds: the median of the rounds' percentiles."""
        each = sorted(sorted(one)[min(int(share * len(one)), len(one) - 1)] for one in self.taken)
        return each[len(each) // 2] / 1000

    def worst(self) -> float:
        """Milliseconds, of all rounds."""
        return max(map(max, self.taken)) / 1e6

    def over(self, milliseconds: float) -> int:
        """How many calls took longer than that."""
        return sum(one > milliseconds * 1e6 for each in self.taken for one in each)


async def beside_filling(
    recorders: dict[str, ExecutionRecorder], chosen: Runs, rate: int, folder: Path, rounds: int
) -> dict[str, Calls]:
    """The calls of each side at this rate."""
    made = {side: Calls() for side in recorders}
    before = {side: recorder.stats().slow_writes for side, recorder in recorders.items()}
    for turn in range(rounds):
        for side, recorder in recorders.items():
            taken = array("q", bytes(8 * int(rate * SECONDS)))
            async with _filler(folder / f"filling-{turn}", made[side]):
                await paced(SECONDS, _timing(recorder, chosen, taken), rate)
            made[side].taken.append(taken)
            made[side].waited = recorder.stats().slow_writes - before[side]
            assert await recorder.flush(LIMIT_SECONDS)
    return made


def _timing(
    recorder: ExecutionRecorder, chosen: Runs, taken: array[int]
) -> Callable[[int, int], None]:
    record, clock = recorder.record, time.perf_counter_ns

    def burst(first: int, end: int) -> None:
        for n in range(first, end):
            run = chosen[n % 1000]
            begin = clock()
            record(**run)
            taken[n] = clock() - begin

    return burst


@asynccontextmanager
async def _filler(path: Path, calls: Calls) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FILLER, str(path), str(MOST_BYTES), str(SECONDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield
        said, _ = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
        calls.filled.append(int(said) / SECONDS)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
