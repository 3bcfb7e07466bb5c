"""The memory of a process whose store is away, and what became of every execution.

    python -m tests.bench.outage [--seconds 60] [--rate 20000] [--durability process|disk]

A process of its own, so that memory which another part has freed can't hide what the recorder
takes. A producer goes on at that rate, one run of twenty a failure with a trace, before, during and
after the outage: the server is stopped, and started again on the same data. The growth of the
resident memory (Linux: /proc) is counted from after the warm-up; anonymous is what no file backs
(RssAnon), since pages of a spool's files are the system's to take back. With a durability there is
a spool of 1 GiB, else `MAX_BYTES` of memory. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import asyncpg

import execlog
from execlog import ExecutionRecorder
from execlog.recorder.spooling import Durability
from tests.bench.common import DURABLE
from tests.bench.flow import LIMIT_SECONDS, RATE, paced, runs
from tests.databases import TABLE
from tests.outage import Outage

MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 10_000_000

_WARM_UP_SECONDS = 3.0
_BEFORE_SECONDS, _AFTER_SECONDS = 2.0, 10.0  # of the producer; a pause between tries takes 5
_WATCH_SECONDS = 0.2
_LIMIT_SECONDS = 120.0  # of a process, beyond twice the outage's length


@dataclass
class Outcome:
    """Bytes, and numbers of executions."""

    grown: int
    grown_after: int
    most_pending_bytes: int
    offered: int
    offered_failures: int
    written: int
    dropped: int
    pending: int
    stored: int
    stored_failures: int
    retries: int
    rate: float
    anonymous: int
    grown_anonymous: int
    most_spooled_rows: int
    spooled_bytes: int
    disk_bytes: int
    drain_seconds: float


@dataclass
class _Peak:
    resident: int = 0
    anonymous: int = 0
    pending: int = 0
    spooled_rows: int = 0
    spooled_bytes: int = 0
    disk_bytes: int = 0
    drained_at: float = 0.0  # by `time.monotonic`: when hardly anything pended for the first time
    started_at: float = 0.0  # since the server was there again


async def run(seconds: float, rate: int, durability: str | None) -> Outcome:
    """A process that measures it."""
    command = [sys.executable, "-m", "tests.bench.outage"]
    command += ["--seconds", str(seconds), "--rate", str(rate)]
    if durability:
        command += ["--durability", durability]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(2 * seconds + _LIMIT_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, process.returncode
    return Outcome(**json.loads(said))


async def measure(seconds: float, rate: int, durability: Durability | None) -> Outcome:
    with ExitStack() as stack:
        server = stack.enter_context(Outage(DURABLE))
        await execlog.migrate(server.dsn)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="execlog-"))
        options: dict[str, Any] = {"max_bytes": MAX_BYTES, "max_rows": MAX_ROWS}
        if durability:
            options = {"spool": folder, "durability": durability}
        recorder = ExecutionRecorder(server.dsn, **options)
        mixed = runs(1000, failures=True)
        record = recorder.record

        def burst(first: int, end: int) -> None:
            for n in range(first, end):
                record(**mixed[n % 1000])

        async with recorder:
            await paced(_WARM_UP_SECONDS, burst, rate)
            assert await recorder.flush(LIMIT_SECONDS)
            gc.collect()
            start, start_anonymous = _resident(), _anonymous()
            peak = _Peak()
            watching = asyncio.create_task(_watch(recorder, peak, rate, Path(folder)))
            kept = await _through_outage(server, peak, seconds, burst, rate)
            assert await recorder.flush(LIMIT_SECONDS + seconds)
            await asyncio.sleep(2 * _WATCH_SECONDS)
            watching.cancel()
            after = _resident()
        stats = recorder.stats()
        stored, failures = await _stored(server.dsn)
    return Outcome(
        grown=peak.resident - start,
        grown_after=after - start,
        most_pending_bytes=peak.pending,
        offered=stats.offered,
        offered_failures=sum(run["status"] != "ok" for run in mixed) * stats.offered // 1000,
        written=stats.written,
        dropped=sum(stats.dropped.values()),
        pending=stats.pending_rows,
        stored=stored,
        stored_failures=failures,
        retries=stats.retries,
        rate=kept,
        anonymous=peak.anonymous,
        grown_anonymous=peak.anonymous - start_anonymous,
        most_spooled_rows=peak.spooled_rows,
        spooled_bytes=peak.spooled_bytes,
        disk_bytes=peak.disk_bytes,
        drain_seconds=peak.drained_at - peak.started_at,
    )


async def _stored(dsn: str) -> tuple[int, int]:
    """The rows of the table, and the failures among them."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            f"select count(*), count(*) filter (where status <> 'ok') from {TABLE}"
        )
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1]


async def _through_outage(
    server: Outage, peak: _Peak, seconds: float, burst: Callable[[int, int], None], rate: int
) -> float:
    """The rate that the producer kept."""
    length = _BEFORE_SECONDS + seconds + _AFTER_SECONDS
    producing = asyncio.create_task(paced(length, burst, rate))
    try:
        await asyncio.sleep(_BEFORE_SECONDS)
        # In a thread: the producer and the recorder go on meanwhile.
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.start)
        peak.started_at = time.monotonic()
        return await producing
    finally:
        producing.cancel()


async def _watch(recorder: ExecutionRecorder, peak: _Peak, rate: int, folder: Path) -> None:
    while True:
        stats = recorder.stats()
        peak.resident = max(peak.resident, _resident())
        peak.anonymous = max(peak.anonymous, _anonymous())
        peak.pending = max(peak.pending, stats.pending_bytes)
        if peak.started_at and not peak.drained_at and stats.pending_rows < rate:
            peak.drained_at = time.monotonic()
        if stats.spooled_rows > peak.spooled_rows + rate and not peak.started_at:
            peak.spooled_rows, peak.spooled_bytes = stats.spooled_rows, stats.spooled_bytes
            peak.disk_bytes = _allocated(folder)
        await asyncio.sleep(_WATCH_SECONDS)


def _allocated(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*.rows"))


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _anonymous() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--durability", choices=get_args(Durability))
    options = parser.parse_args()
    # What the recorder says about the outage is no news here.
    logging.getLogger("execlog.recorder").setLevel(logging.ERROR)
    made = asyncio.run(measure(options.seconds, options.rate, options.durability))
    print(json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
