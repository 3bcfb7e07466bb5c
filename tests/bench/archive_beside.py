"""Measures what archiving costs writers: the time of their batches, without it and beside it.

    python -m tests.bench.archive_beside [--rows 1000000] [--rounds 3]

A process of its own stores 5,000 rows/s in batches of 100. Each round is some seconds of it alone,
and then the time in which a partition of one day moves out. Times are the median and the 99th
percentile of a batch. What the two halves of the times alone differ by is no cost of the archive.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import asyncpg

import execlog
from execlog import maintain
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.archive_reads import fill, midnight
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import run
from tests.types import Pool

AGO = 60
RATE, BATCH = 5000, 100
WARM_UP_SECONDS, ALONE_SECONDS = 3.0, 10.0
TARGET = 1.1
_WIDTHS = (8, 12, 14, 16, 14, 12)

Batch = tuple[float, float]
"""When something began, on the clock of all processes, and the seconds that it took."""


def write(dsn: str, control: Connection) -> None:
    """The process of the writers: a batch each so often, until it is told to stop."""
    control.send(asyncio.run(_write(dsn, control)))


async def _write(dsn: str, control: Connection) -> list[Batch]:
    dice = random.Random(7)
    found: list[Batch] = []
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        store = Store(pool, PATIENCE)
        begin = time.monotonic()
        while not control.poll():
            now = datetime.now(UTC)
            lines = b"".join(run(dice, now, int(dice.random() * 10)) for _ in range(BATCH))
            due = begin + len(found) * BATCH / RATE
            await asyncio.sleep(max(due - time.monotonic(), 0))
            started = time.monotonic()
            await store.copy(statements()["insert_rows"], [lines])
            found.append((started, time.monotonic() - started))
    return found


async def bench(rows: int, rounds: int) -> None:
    print(load())
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
            await maintain(pool)
            for ago in range(AGO, AGO - rounds, -1):
                await fill(pool, ago, rows)
            async for _ in execlog.rebuild_rollups(pool):
                pass
            found, spans = await beside(dsn, pool, rounds)
    report(rows, found, spans)
    print(f"at the end: {load()}")


async def beside(dsn: str, pool: Pool, rounds: int) -> tuple[list[Batch], list[Batch]]:
    """The batches, and when each partition moved out."""
    control, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=write, args=(dsn, theirs))
    process.start()
    await asyncio.sleep(WARM_UP_SECONDS)
    spans: list[Batch] = []
    with tempfile.TemporaryDirectory() as place:
        for ago in range(AGO, AGO - rounds, -1):
            await asyncio.sleep(ALONE_SECONDS)
            retain = datetime.now(UTC) - midnight(ago - 1)
            begin = time.monotonic()
            steps = await maintain(pool, retain=retain, archive=Path(place, "archive"))
            assert {one.outcome for one in steps} == {"done"}, [str(one) for one in steps]
            spans.append((begin, time.monotonic() - begin))
    control.send("stop")
    found: list[Batch] = await asyncio.to_thread(control.recv)
    process.join()
    return found, spans


def report(rows: int, found: list[Batch], spans: list[Batch]) -> None:
    print_line(_WIDTHS, "round", "rows/s", "alone ms", "beside ms", "ratio", "batches/s")
    alone: list[float] = []
    beside: list[float] = []
    for number, (begin, seconds) in enumerate(spans, 1):
        before = [took for at, took in found if begin - ALONE_SECONDS <= at < begin]
        during = [took for at, took in found if begin <= at < begin + seconds]
        alone += before
        beside += during
        line_of(f"{number}", rows / seconds, before, during, len(during) / seconds)
    line_of("all", rows * len(spans) / sum(one for _, one in spans), alone, beside, 0)
    half = len(alone) // 2
    print(f"the first half alone and the second: {p99(alone[:half]):.1f}, {p99(alone[half:]):.1f}")
    print(f"target: p99 beside at most {TARGET} x p99 alone")


def line_of(
    name: str, rate: float, alone: list[float], beside: list[float], batches: float
) -> None:
    print_line(
        _WIDTHS,
        name,
        f"{rate:,.0f}",
        f"{p50(alone):.1f} {p99(alone):.1f}",
        f"{p50(beside):.1f} {p99(beside):.1f}",
        f"{p50(beside) / p50(alone):.2f} {p99(beside) / p99(alone):.2f}",
        f"{batches:.0f}" if batches else "",
    )


def p50(seconds: list[float]) -> float:
    """In milliseconds."""
    return 1000 * statistics.median(seconds)


def p99(seconds: list[float]) -> float:
    """In milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100)[98]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asyncio.run(bench(options.rows, options.rounds))
