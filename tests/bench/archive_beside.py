"""Measures what archiving costs writers: the time of their batches, without it and beside it.

    python -m tests.bench.archive_beside [--rows 1000000] [--rounds 3]

A process of its own stores 5,000 rows/s in batches of 100. Each round is some seconds beside a
process that only uses up one processor at low priority (the floor), some seconds of it alone, and
then the time in which a partition of one day moves out. Times are the median and the 99th
percentile of a batch. The second table has them by what archiving did for most of a batch; "late"
are batches from the 99th percentile of all of them on. What the two halves of the times alone
differ by is no cost of the archive.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
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
from tests.bench.archive_phases import Span, at, noted
from tests.bench.archive_reads import fill, midnight
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import run
from tests.types import Pool

AGO = 60
RATE, BATCH = 5000, 100
WARM_UP_SECONDS, ALONE_SECONDS = 3.0, 20.0
TARGET = 1.1
NICE = 10
_WIDTHS = (8, 12, 14, 16, 14, 12)
_PHASE_WIDTHS = (30, 14, 8, 8, 8, 6)

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


def burn(control: Connection) -> None:
    """The process of the floor: a processor, at DuckDB's priority, until it is told to stop."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    while not control.poll():
        sum(range(100_000))


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
            await maintain(pool)  # vacuums these partitions and rebuilds their indexes
            with noted() as phases:
                found, floors, spans = await beside(dsn, pool, rounds)
    report(rows, found, floors, spans)
    report_phases(found, spans, phases)
    print(f"at the end: {load()}")


async def beside(dsn: str, pool: Pool, rounds: int) -> tuple[list[Batch], list[Batch], list[Batch]]:
    """The batches, when one processor was burnt, and when each partition moved out."""
    control, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=write, args=(dsn, theirs))
    process.start()
    await asyncio.sleep(WARM_UP_SECONDS)
    floors: list[Batch] = []
    spans: list[Batch] = []
    with tempfile.TemporaryDirectory() as place:
        for ago in range(AGO, AGO - rounds, -1):
            floors.append(await floor())
            await asyncio.sleep(ALONE_SECONDS)
            retain = datetime.now(UTC) - midnight(ago - 1)
            begin = time.monotonic()
            steps = await maintain(pool, retain=retain, archive=Path(place, "archive"))
            assert {one.outcome for one in steps} == {"done"}, [str(one) for one in steps]
            spans.append((begin, time.monotonic() - begin))
    control.send("stop")
    found: list[Batch] = await asyncio.to_thread(control.recv)
    process.join()
    return found, floors, spans


async def floor() -> Batch:
    """When a processor was burnt."""
    control, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=burn, args=(theirs,))
    process.start()
    await asyncio.sleep(1)
    begin = time.monotonic()
    await asyncio.sleep(ALONE_SECONDS)
    taken = begin, time.monotonic() - begin
    control.send("stop")
    process.join()
    return taken


def report(rows: int, found: list[Batch], floors: list[Batch], spans: list[Batch]) -> None:
    print_line(_WIDTHS, "round", "rows/s", "alone ms", "beside ms", "ratio", "batches/s")
    alone: list[float] = []
    burnt: list[float] = []
    beside: list[float] = []
    for number, (span, floor) in enumerate(zip(spans, floors, strict=True), 1):
        begin, seconds = span
        before = within(found, (begin - ALONE_SECONDS, ALONE_SECONDS))
        during = within(found, span)
        alone += before
        burnt += within(found, floor)
        beside += during
        line_of(f"{number}", rows / seconds, before, during, len(during) / seconds)
    line_of("all", rows * len(spans) / sum(one for _, one in spans), alone, beside, 0)
    line_of("floor", 0, alone, burnt, 0)
    print(f"p99 beside it to the floor's: {p99(beside) / p99(burnt):.2f} x")
    half = len(alone) // 2
    print(f"the first half alone and the second: {p99(alone[:half]):.1f}, {p99(alone[half:]):.1f}")
    print(f"target: p99 beside at most {TARGET} x p99 alone")


def report_phases(found: list[Batch], spans: list[Batch], phases: list[Span]) -> None:
    during = [one for span in spans for one in found if span[0] <= one[0] < sum(span)]
    whole = sum(seconds for _, seconds in spans)
    late = p99([took for _, took in during])
    by_name: dict[str, list[float]] = {}
    for begin, took in during:
        by_name.setdefault(at(phases, begin, took), []).append(took)
    print_line(_PHASE_WIDTHS, "phase", "share of time", "batches", "p50 ms", "p99 ms", "late")
    for name, times in sorted(by_name.items(), key=lambda one: -len(one[1])):
        spent = sum(one.ends - one.begins for one in phases if one.name == name)
        print_line(
            _PHASE_WIDTHS,
            name,
            f"{spent / whole:.1%}",
            f"{len(times)}",
            f"{p50(times):.1f}",
            f"{p99(times) if len(times) > 1 else 1000 * times[0]:.1f}",
            f"{sum(1000 * took >= late for took in times)}",
        )


def within(found: list[Batch], span: Batch) -> list[float]:
    """The times of the batches that began in it."""
    return [took for begin, took in found if span[0] <= begin < sum(span)]


def line_of(
    name: str, rate: float, alone: list[float], beside: list[float], batches: float
) -> None:
    print_line(
        _WIDTHS,
        name,
        f"{rate:,.0f}" if rate else "",
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
