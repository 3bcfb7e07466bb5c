"""The memory of a process whose store is away, and what became of every execution.

    python -m tests.bench.outage [--seconds 60]

A process of its own, so that memory which another part has freed can't hide what the recorder
takes. A producer goes on at 20,000/s, one run of twenty a failure with a trace, before, during and
after the outage: the server is stopped, and started again on the same data. The growth of the
resident memory (Linux: /proc) is counted from after the warm-up. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

import execlog
from execlog import ExecutionRecorder
from tests.bench.common import DURABLE
from tests.bench.flow import LIMIT_SECONDS, paced, runs
from tests.databases import TABLE
from tests.outage import Outage

MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 10_000_000

_WARM_UP_SECONDS = 3.0
_BEFORE_SECONDS, _AFTER_SECONDS = 2.0, 10.0  # of the producer; a pause between tries takes 5
_WATCH_SECONDS = 0.2


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


@dataclass
class _Peak:
    resident: int = 0
    pending: int = 0


async def measure(seconds: float) -> Outcome:
    with Outage(DURABLE) as server:
        await execlog.migrate(server.dsn)
        recorder = ExecutionRecorder(server.dsn, max_bytes=MAX_BYTES, max_rows=MAX_ROWS)
        mixed = runs(1000, failures=True)
        record = recorder.record

        def burst(first: int, end: int) -> None:
            for n in range(first, end):
                record(**mixed[n % 1000])

        async with recorder:
            await paced(_WARM_UP_SECONDS, burst)
            assert await recorder.flush(LIMIT_SECONDS)
            gc.collect()
            start = _resident()
            peak, rate = await _through_outage(server, recorder, seconds, burst)
            assert await recorder.flush(LIMIT_SECONDS)
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
        rate=rate,
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
    server: Outage,
    recorder: ExecutionRecorder,
    seconds: float,
    burst: Callable[[int, int], None],
) -> tuple[_Peak, float]:
    """The peaks, and the rate that the producer kept."""
    peak = _Peak()
    producing = asyncio.create_task(paced(_BEFORE_SECONDS + seconds + _AFTER_SECONDS, burst))
    watching = asyncio.create_task(_watch(recorder, peak))
    try:
        await asyncio.sleep(_BEFORE_SECONDS)
        # In a thread: the producer and the recorder go on meanwhile.
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.start)
        rate = await producing
        return peak, rate
    finally:
        producing.cancel()
        watching.cancel()


async def _watch(recorder: ExecutionRecorder, peak: _Peak) -> None:
    while True:
        peak.resident = max(peak.resident, _resident())
        peak.pending = max(peak.pending, recorder.stats().pending_bytes)
        await asyncio.sleep(_WATCH_SECONDS)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    # What the recorder says about the outage is no news here.
    logging.getLogger("execlog.recorder").setLevel(logging.ERROR)
    print(json.dumps(asdict(asyncio.run(measure(parser.parse_args().seconds)))))


if __name__ == "__main__":
    main()
