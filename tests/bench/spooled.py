"""Measures what a spool costs the recorder, and what it gives: beside a recorder without one.

    python -m tests.bench.spooled [--rounds 7] [--outage-seconds 20] [--rows 200000]

All sides run in this one run, in turn, on the same rows and the same server, which is durable; the
spool lies in the temporary folder, whose disk is also the embedded server's. The outage has a
server and a process of its own for each side, at 5,000/s: see `tests.bench.outage`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

import execlog
from execlog import ExecutionRecorder
from execlog.recorder.spool.row_file import RowFile
from execlog.recorder.spooling import Durability
from tests.bench import filling, flow, outage
from tests.bench.common import DURABLE, FAILED, TRACE, Report, alone, bench_database, load

WITHOUT, PROCESS, DISK = "without", "process", "disk"
OUTAGE_RATE = 5000

_BURSTS, _BURST_ROWS = 25, 1000
_MOST_RATIO, _LEAST_SHARE = 1.4, {PROCESS: 0.85, DISK: 0.7}
_WORST_MS = 20.0
_SYNCS, _FILE_BYTES = 200, 1024 * 1024 + 64 * 1024
_MIB = 1024 * 1024
_PAUSE = 0.01

# Leaves a spool of so many rows, as a killed process does.
_LEAVER = """
import logging, os, sys
import execlog
from tests.bench.flow import runs

logging.disable()
folder, rows = sys.argv[1], int(sys.argv[2])
chosen = runs(1000, failures=True)
recorder = execlog.ExecutionRecorder("postgresql://127.0.0.1:1/none", spool=folder)
for n in range(rows):
    recorder.record(**chosen[n % 1000])
os._exit(0 if recorder.stats().spooled_rows == rows else 1)
"""


def recorder_of(side: str, dsn: str, folder: Path) -> ExecutionRecorder:
    """A recorder of a side."""
    if side == WITHOUT:
        return ExecutionRecorder(dsn)
    durability: Durability = "process" if side == PROCESS else "disk"
    return ExecutionRecorder(dsn, spool=folder / side, durability=durability)


async def report_calls(
    report: Report, recorders: dict[str, ExecutionRecorder], chosen: flow.Runs, rounds: int
) -> None:
    """The median call of bursts of a thousand."""
    made: dict[str, list[float]] = {side: [] for side in recorders}
    for _ in range(rounds * _BURSTS):
        for side, recorder in recorders.items():
            record = recorder.record
            await asyncio.sleep(_PAUSE)  # so that the spool has spares
            begin = time.perf_counter()
            for run in chosen:
                record(**run)
            made[side].append((time.perf_counter() - begin) / _BURST_ROWS * 1e6)
            assert await recorder.flush(flow.LIMIT_SECONDS)
    us = {side: statistics.median(each) for side, each in made.items()}
    for side in (PROCESS, DISK):
        ratio = us[side] / us[WITHOUT]
        cells = f"{us[side]:.2f} us", f"without {us[WITHOUT]:.2f} us"
        target = f"<= {_MOST_RATIO:g} x"
        report.row(f"record(), {side}", *cells, ratio, target, ratio <= _MOST_RATIO)


async def report_throughput(
    report: Report, recorders: dict[str, ExecutionRecorder], rounds: int
) -> None:
    """The rate at which all is stored, and how much of what pends lies in files meanwhile."""
    made: dict[str, list[float]] = {side: [] for side in recorders}
    shares: dict[str, list[float]] = {side: [] for side in recorders}
    mixed = flow.runs(1000, failures=True)
    for turn in range(-1, rounds):
        for side, recorder in recorders.items():
            gc.collect()
            watching = asyncio.create_task(_watch(recorder, shares[side]))
            rate = await flow.saturate(recorder, mixed, flow.ROUND_ROWS)
            watching.cancel()
            if turn >= 0:
                made[side].append(rate)
    without = statistics.median(made[WITHOUT])
    for side in (PROCESS, DISK):
        rate, least = statistics.median(made[side]), _LEAST_SHARE[side]
        cells = f"{rate:,.0f} /s{_spread(made[side])}", f"without {without:,.0f} /s"
        ratio = rate / without
        report.row(f"sustained, {side}", *cells, ratio, f">= {least:g} x", ratio >= least)
        middle, lowest = statistics.fmean(shares[side]), min(shares[side])
        cells = f"{middle:.1%} on average", f"{lowest:.1%} at least"
        report.row("  of what pends, in files", *cells, middle)


async def _watch(recorder: ExecutionRecorder, shares: list[float]) -> None:
    while True:
        await asyncio.sleep(_PAUSE)
        stats = recorder.stats()
        if stats.pending_rows:
            shares.append(stats.spooled_rows / stats.pending_rows)


async def report_filling(
    report: Report, recorders: dict[str, ExecutionRecorder], folder: Path, rounds: int
) -> None:
    """The slowest calls while another process fills the disk."""
    chosen = flow.runs(1000, failures=True)
    for rate in (OUTAGE_RATE, flow.RATE):
        made = await filling.beside_filling(recorders, chosen, rate, folder, rounds)
        floor = made[WITHOUT]
        for side in (PROCESS, DISK):
            calls = made[side]
            begin = f"record() at {rate:,} /s, {side}, "
            for share in (0.5, 0.99, 0.999):
                ours, beside = calls.percentile(share), floor.percentile(share)
                cells = f"{ours:.1f} us", f"without {beside:.1f} us"
                report.row(f"{begin}p{share * 100:g}", *cells, ours / beside)
                begin = "  "
            ours, beside = calls.worst(), floor.worst()
            over = f"{calls.over(_WORST_MS)} and {floor.over(_WORST_MS)} over {_WORST_MS:g} ms"
            cells = f"{ours:.1f} ms", f"without {beside:.1f} ms; {over}"
            met = ours <= max(_WORST_MS, beside)
            report.row("  worst", *cells, ours / beside, "<= 20 ms or that", met)
            filled = statistics.median(calls.filled) / _MIB
            share = calls.waited / sum(map(len, calls.taken))
            cells = f"{calls.waited}", f"disk filled at {filled:.0f} MiB/s"
            report.row("  waited for the disk over 5 ms", *cells, share)


def report_sync(report: Report, folder: Path) -> None:
    """What the disk takes for a batch, beside the same bytes in a plain file."""
    lines = [b"x" * 190 + b"\n"] * 1900 + [b"x" * 1400 + b"\n"] * 100
    ours, plain = [], []
    for n in range(_SYNCS):
        file = RowFile.create(str(folder / f"{n}.rows"), _FILE_BYTES)
        for line in lines:
            file.append(line, False)
        ours.append(_milliseconds(file.sync))
        file.close()
        with open(folder / "plain", "wb") as opened:
            opened.write(b"".join(lines))
            opened.flush()
            plain.append(_milliseconds(lambda: os.fdatasync(opened.fileno())))
        os.unlink(folder / f"{n}.rows")
        os.unlink(folder / "plain")
    for name, made in (("median", statistics.median), ("worst", max)):
        cells = f"{made(ours):.2f} ms", f"plain file {made(plain):.2f} ms"
        report.row(f"fdatasync of a batch, {name} of {_SYNCS}", *cells, made(ours) / made(plain))


def _milliseconds(work: object) -> float:
    begin = time.perf_counter()
    work()  # type: ignore[operator]
    return (time.perf_counter() - begin) * 1000


async def report_adoption(report: Report, dsn: str, folder: Path, rows: int) -> None:
    """What a dead process left: how long `start` takes, and storing it."""
    command = [sys.executable, "-c", _LEAVER, str(folder), str(rows)]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    recorder = ExecutionRecorder(dsn, spool=folder)
    begin = time.perf_counter()
    await recorder.start()
    started = time.perf_counter() - begin
    assert recorder.stats().recovered == rows, recorder.stats()
    assert await recorder.flush(flow.LIMIT_SECONDS + rows / OUTAGE_RATE)
    stored = time.perf_counter() - begin - started
    await recorder.aclose()
    rate = f"{rows / (started + stored):,.0f} /s"
    report.row(f"start(), {rows:,} rows left", f"{started * 1000:.0f} ms", rate, started / stored)
    report.row("  storing them", f"{stored:.2f} s", "start / storing above", stored / started)


async def report_outage(report: Report, seconds: float) -> None:
    """What an outage costs with a spool, and without one."""
    without = await outage.run(seconds, OUTAGE_RATE, None)
    made = await outage.run(seconds, OUTAGE_RATE, "process")
    ratio = made.anonymous / without.anonymous
    report.row(
        f"anonymous memory, outage of {seconds:g} s",
        f"{made.anonymous / _MIB:.1f} MiB (+{made.grown_anonymous / _MIB:.1f})",
        f"without {without.anonymous / _MIB:.1f} (+{without.grown_anonymous / _MIB:.1f})",
        ratio,
        "<= 1.2 x",
        ratio <= 1.2,
    )
    report.row(
        f"  dropped, at {made.rate:,.0f} /s",
        f"{made.dropped:,} of {made.offered:,}",
        f"without {without.dropped:,} of {without.offered:,}",
        made.dropped / max(without.dropped, 1),
        "0, all stored",
        made.dropped == 0 and made.stored == made.written == made.offered,
    )
    drained, seconds_without = made.drain_seconds, without.drain_seconds
    cells = f"{drained:.1f} s", f"without {seconds_without:.1f} s"
    report.row("  drained after", *cells, drained / seconds_without)
    rows = f"{made.most_spooled_rows:,} rows in files"
    cells = f"{made.disk_bytes / made.most_spooled_rows:.0f} bytes a row", rows
    report.row("  on disk", *cells, made.disk_bytes / made.spooled_bytes)


def _spread(values: Sequence[float]) -> str:
    return f" ({min(values):,.0f}-{max(values):,.0f})"


async def report_spooled(report: Report, dsn: str, rounds: int, rows: int) -> None:
    """All but the outage."""
    with tempfile.TemporaryDirectory(prefix="execlog-") as name:
        folder = Path(name)
        async with contextlib.AsyncExitStack() as stack:
            sides = {side: recorder_of(side, dsn, folder) for side in (WITHOUT, PROCESS, DISK)}
            for recorder in sides.values():
                await stack.enter_async_context(recorder)
            flow.set_aside()
            try:
                await report_calls(report, sides, flow.runs(_BURST_ROWS, failures=False), rounds)
                await report_throughput(report, sides, rounds)
                await report_filling(report, sides, folder, max(rounds // 2, 1))
            finally:
                gc.unfreeze()
            for side, recorder in sides.items():
                stats = recorder.stats()
                assert stats.offered == stats.written, (side, stats)
        report_sync(report, folder)
        await report_adoption(report, dsn, folder / "left", rows)


async def bench_spooled(rounds: int, outage_seconds: float, rows: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            settings = [f"{name} {await connection.fetchval(f'show {name}')}" for name in DURABLE]
            version = await connection.fetchval("show server_version")
        finally:
            await connection.close()
        print(
            f"Postgres {version}: {', '.join(settings)}\n"
            f"{FAILED:.0%} failures with a trace of {len(TRACE)} entries, but ok runs for calls"
            f" alone; medians of {rounds} rounds (least-most)\n{load()}\n"
        )
        report = Report()
        await report_spooled(report, dsn, rounds, rows)
    await report_outage(report, outage_seconds)
    print(f"\n{load()}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.spooled", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--outage-seconds", type=float, default=20.0)
    parser.add_argument("--rows", type=int, default=200_000, help="that a dead process left")
    options = parser.parse_args()
    with alone():
        asyncio.run(bench_spooled(options.rounds, options.outage_seconds, options.rows))


if __name__ == "__main__":
    main()
