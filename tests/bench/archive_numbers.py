"""Measures numbers of the archive: of days of rows that are in files only, and of one in the log.

    python -m tests.bench.archive_numbers [--days 4] [--rows 500000] [--strategies 1]

Each day has as many rows, all of them in files only: the card is of 2,000,000 runs, which may take
400 ms. Today, which is in the log, has 100,000 runs more.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

import execlog
from execlog import StrategyExecutionLogRepository, archived_files, maintain
from execlog.archive.joined import MOST_OF_LOG
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.archive_reads import AGO, TIMES, forgotten_peak, midnight, peak
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import DAY, batches, mixed
from tests.databases import TABLE
from tests.types import Pool

Question = Callable[[], Awaitable[Any]]
_WIDTHS = (44, 14, 14, 10)


async def bench(days: int, rows: int, strategies: int) -> None:
    print(load())
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place, "archive")
                for ago in range(AGO, AGO - days, -1):
                    await make_day(pool, ago)
                    await fill(pool, ago, rows, strategies)
                await fill(pool, 0, MOST_OF_LOG, strategies)
                steps = await maintain(pool, retain=timedelta(days=20), archive=folder)
                assert {one.outcome for one in steps} == {"done"}, [str(one) for one in steps]
                files = await archived_files(pool)
                print(f"{sum(one.rows for one in files):,} rows in {len(files)} files")
                await measure(pool, folder)


async def make_day(pool: Pool, ago: int) -> None:
    begin = midnight(ago)
    await pool.execute(
        f"create table execlog.old_{ago} partition of {TABLE} for values from ('{begin}') to"
        f" ('{begin + DAY}')"
    )


async def fill(pool: Pool, ago: int, rows: int, strategies: int) -> None:
    await pool.execute(f"alter table {TABLE} disable trigger mark_late")
    store = Store(pool, PATIENCE)
    for batch in batches(mixed(random.Random(ago), midnight(ago), strategies), rows):
        await store.copy(statements()["insert_rows"], batch)
    await pool.execute(f"alter table {TABLE} enable always trigger mark_late")


async def questions(log: StrategyExecutionLogRepository) -> dict[str, Question]:
    """What is asked, by name."""
    last = midnight(1)
    [one] = await log.list_executions(until=last, limit=1)
    return {
        "percentiles of all days": lambda: log.duration_percentiles(
            strategy_id=one.strategy_id, until=last
        ),
        "count by status, all days": lambda: log.count_by_status(strategy_id=one.strategy_id),
        "card of all days": lambda: log.metrics(strategy_id=one.strategy_id, until=last),
        "card of them and the day of the log": lambda: log.metrics(strategy_id=one.strategy_id),
        "breakdown by case, all days": lambda: log.breakdown(
            by="case_name", strategy_id=one.strategy_id, until=last
        ),
        "breakdown by user, all days": lambda: log.breakdown(
            by="external_user_id", strategy_id=one.strategy_id, until=last
        ),
        "nodes of all days": lambda: log.node_times(strategy_id=one.strategy_id, until=last),
    }


async def measure(pool: Pool, folder: Path) -> None:
    start = forgotten_peak()
    log = StrategyExecutionLogRepository(pool, archive=folder)
    asked = await questions(log)
    card = await asked["card of all days"]()
    print(f"{card.status_breakdown.total:,} runs of the strategy, {card.duration.method}")
    highest = start
    print_line(_WIDTHS, "question", "first ms", "median ms", "MB more")
    for name, question in asked.items():
        took = []
        before = forgotten_peak()
        for _ in range(TIMES):
            begin = time.perf_counter()
            await question()
            took.append(1000 * (time.perf_counter() - begin))
        highest = max(highest, peak())
        median = statistics.median(took[1:])
        more = peak() - before
        print_line(_WIDTHS, name, f"{took[0]:.0f}", f"{median:.0f}", f"{more:.0f}")
    print(f"{highest - start:.0f} MB more at most, of this process")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--strategies", type=int, default=1)
    options = parser.parse_args()
    asyncio.run(bench(options.days, options.rows, options.strategies))
