"""The recorder in an event loop and in a thread of its own, beside earlier ones in a loop.

    python -m tests.bench.ways [--rounds 7]

Each side is a process of its own, which measures the median call of `record` in bursts of a
thousand while the recorder runs, and how many executions a second are stored if one producer offers
as many as it can, and after each fifty lets others run, as any input or output does. One that never
does keeps Python's lock for 5 ms at a time, and a batch needs it five times: `greedy`. The sides
take turns; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import execlog
from tests.bench.common import Report, bench_database, load

ROOT = Path(__file__).parents[2]
_FIRST, _BEFORE, _LOOP = "first wave, loop", "before, loop", "loop"
_THREAD, _GREEDY = "thread", "thread, producer never waits"
COMMITS = {_FIRST: "86d4d60", _BEFORE: "cd44f1b", _LOOP: None, _THREAD: None, _GREEDY: None}
"""The version of each side: before there were threads and accounts, or this one."""

_BURSTS = 25
_LIMIT_SECONDS = 60.0

# Runs with the first wave's package too, so it imports nothing of ours but the recorder.
WORKER = """
import asyncio, gc, json, statistics, sys, time
import execlog

way, dsn, bursts, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
greedy = way == "greedy"
run = dict(
    strategy_id="strategy-4", strategy_version=3, strategy_type="DSL_FULL", realm_id="realm-1",
    external_game_id="game-17", external_task_id="task-233", external_user_id="user-48211",
    status="ok", points=12.0, case_name="case-5", duration_ms=7.412903, nodes_executed=12,
)

def burst(record):
    begin = time.perf_counter()
    for _ in range(1000):
        record(**run)
    return (time.perf_counter() - begin) * 1000

async def wait(recorder, most):
    while recorder.stats().pending_rows > most:
        await asyncio.sleep(0.001)

async def in_loop(recorder):
    calls = []
    async with recorder:
        for _ in range(bursts):
            gc.collect()
            calls.append(burst(recorder.record))
            await recorder.flush()
        begin = time.perf_counter()
        for first in range(0, rows, 50):
            await wait(recorder, 20_000)
            for _ in range(50):
                recorder.record(**run)
            await asyncio.sleep(0)
        await recorder.flush(60)
        taken = time.perf_counter() - begin
    return calls, rows / taken

def in_thread(recorder):
    calls = []
    with recorder:
        for _ in range(bursts):
            gc.collect()
            calls.append(burst(recorder.record))
            recorder.flush_blocking()
        begin = time.perf_counter()
        for first in range(0, rows, 50):
            while recorder.stats().pending_rows > 20_000:
                time.sleep(0.001)
            for _ in range(50):
                recorder.record(**run)
            if not greedy:
                time.sleep(0)
        recorder.flush_blocking(60)
        taken = time.perf_counter() - begin
    return calls, rows / taken

recorder = execlog.ExecutionRecorder(dsn)
calls, rate = asyncio.run(in_loop(recorder)) if way == "loop" else in_thread(recorder)
stats = recorder.stats()
assert stats.offered == stats.written == bursts * 1000 + rows, stats
print(json.dumps({"call": statistics.median(calls), "rate": rate}))
"""


@contextlib.contextmanager
def checkout(commit: str | None) -> Iterator[Path]:
    """A folder with the package as it was then, from the project's history; None: as it is."""
    if commit is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", commit, "execlog", "sql", "migrations", "pyproject.toml"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        yield Path(folder)


async def measure(side: str, dsn: str, package: Path, rows: int) -> dict[str, float]:
    """One process of a side: the median call in microseconds, the rate in executions a second."""
    way = {_THREAD: "thread", _GREEDY: "greedy"}.get(side, "loop")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, way, dsn, str(_BURSTS), str(rows)),
        cwd=package,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_LIMIT_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0, side
    found: dict[str, float] = json.loads(said)
    return found


async def report_ways(report: Report, dsn: str, rounds: int, rows: int = 40_000) -> None:
    """The rows of all sides."""
    made: dict[str, list[dict[str, float]]] = {side: [] for side in COMMITS}
    with contextlib.ExitStack() as stack:
        folders = {side: stack.enter_context(checkout(one)) for side, one in COMMITS.items()}
        for turn in range(-1, rounds):
            for side, folder in folders.items():
                found = await measure(side, dsn, folder, rows)
                if turn >= 0:
                    made[side].append(found)
    call = {side: statistics.median(one["call"] for one in each) for side, each in made.items()}
    rate = {side: statistics.median(one["rate"] for one in each) for side, each in made.items()}
    for side, most in ((_LOOP, 1.0), (_THREAD, 1.1)):
        for beside in (_BEFORE, _FIRST):
            ratio = call[side] / call[beside]
            cells = f"{call[side]:.2f} us", f"{beside} {call[beside]:.2f} us"
            report.row(f"record(), {side}", *cells, ratio, f"<= {most:g} x", ratio <= most)
    for side, beside in ((_LOOP, _BEFORE), (_LOOP, _FIRST)):
        cells = f"{rate[side]:,.0f} /s", f"{beside} {rate[beside]:,.0f} /s"
        report.row(f"stored, {side}", *cells, rate[side] / rate[beside])
    for side in (_THREAD, _GREEDY):
        ratio = rate[side] / rate[_LOOP]
        cells = f"{rate[side]:,.0f} /s", f"{_LOOP} {rate[_LOOP]:,.0f} /s"
        report.row(f"stored, {side}", *cells, ratio, ">= 0.9 x", ratio >= 0.9)


async def main(rounds: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        print(f"{rounds} rounds, processes in turn; {load()}\n")
        await report_ways(Report(), dsn, rounds)
    print(f"\n{load()}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m tests.bench.ways", description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    asyncio.run(main(options.parse_args().rounds))
