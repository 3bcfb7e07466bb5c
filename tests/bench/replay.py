"""What a replay costs beside the candidate itself, and what a second worker gains.

    python -m tests.bench.replay [--runs 20000] [--rounds 5] [--engine-us 300]

Inputs are of about 300 bytes. The parent's cost is its processor time for each run, reading and
handing over included, with a candidate that only decides; the gain is the time of one worker over
that of two, with an engine that does a fixed amount of work, which takes it so long by itself. The
server is another process, and takes its part of the same processors: its own time is not the
parent's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from datetime import timedelta
from typing import Any

import asyncpg

import execlog
from execlog import Outcome, StrategyExecutionLog, StrategyExecutionLogRepository
from tests.bench.common import alone, bench_database, load, print_line
from tests.replaying import decide
from tests.rows import STRATEGY, T0, row

_VARIABLE = "REPLAY_BENCH_STEPS"
_ENGINE = "tests.bench.replay:engine"  # here it is a function of the main program
_WIDTHS = (44, 14, 14, 12, 6)


def engine(execution: StrategyExecutionLog) -> Outcome:
    """Python code that computes for some hundred microseconds."""
    compute(int(os.environ[_VARIABLE]))
    return decide(execution)


def compute(steps: int) -> int:
    """So many steps of integer arithmetic."""
    value = 1
    for _ in range(steps):
        value = value * 1103515245 % 2147483647
    return value


def steps_of(microseconds: float) -> int:
    """How many steps take so long here, if nothing else runs."""
    tried, fastest = 100_000, float("inf")
    for _ in range(20):
        begin = time.perf_counter()
        compute(tried)
        fastest = min(fastest, time.perf_counter() - begin)
    return int(microseconds / 1e6 / fastest * tried)


def rows(count: int) -> list[StrategyExecutionLog]:
    """Runs whose inputs have 300 bytes."""
    found = []
    for number in range(count):
        given = {"amount": number % 100, "cart": [{"sku": f"item-{n}", "n": n} for n in range(8)]}
        given["note"] = "x" * 40
        one = row(created_at=T0 + timedelta(milliseconds=number), input=given)
        outcome = decide(one)
        changes = {"points": outcome.points, "case_name": outcome.case_name}
        found.append(one.model_copy(update={**changes, "external_user_id": f"u{number % 5000}"}))
    return found


async def taken(
    log: StrategyExecutionLogRepository, evaluate: Any, processes: int
) -> tuple[float, float]:
    """Seconds of a replay, and of the processor in this process."""
    begin, worked = time.perf_counter(), time.process_time()
    found = await execlog.replay(log, evaluate, strategy_id=STRATEGY, processes=processes)
    assert found.same == found.total
    return time.perf_counter() - begin, time.process_time() - worked


async def measure(runs: int, rounds: int, engine_us: float) -> None:
    """Prints a line a measure."""
    os.environ[_VARIABLE] = str(steps_of(engine_us))
    async with (
        bench_database() as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2, command_timeout=600) as pool,
    ):
        await execlog.migrate(pool)
        log = StrategyExecutionLogRepository(pool, timeout=600)
        await log.insert_rows(rows(runs))
        print(f"{runs} runs, {rounds} rounds, an engine of {engine_us:g} µs; {load()}\n")
        print_line(_WIDTHS, "measure", "figure", "beside", "target", "met?")
        parent, gain = [], []
        for _ in range(rounds):
            parent.append((await taken(log, decide, 1))[1] / runs * 1e6)
            one, _ = await taken(log, _ENGINE, 1)
            two, _ = await taken(log, _ENGINE, 2)
            gain.append((one, two))
        cost = statistics.median(parent)
        _line("processor time of the parent, a run", f"{cost:.1f} µs", "", "<= 60 µs", cost <= 60)
        one, two = sorted(gain, key=lambda pair: pair[0] / pair[1])[rounds // 2]
        text = f"{one / runs * 1e6:.0f} µs a run"
        _line(
            "two workers in place of one", f"{one / two:.2f} x", text, ">= 1.6 x", one / two >= 1.6
        )
        print(f"\nat the end: {load()}")


def _line(measure: str, figure: str, beside: str, target: str, is_met: bool) -> None:
    print_line(_WIDTHS, measure, figure, beside, target, "yes" if is_met else "NO")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="What a replay costs.")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine-us", type=float, default=300.0)
    options = parser.parse_args()
    with alone():
        asyncio.run(measure(options.runs, options.rounds, options.engine_us))


if __name__ == "__main__":
    main()
