"""Measures reads of the archive: days of rows that are in files only.

    python -m tests.bench.archive_reads [--days 30] [--rows 2000000] [--strategies 10]

Each day has as many rows, all of them in files only. With 1 strategy, 4 days and 500,000 rows, a
card is of 2,000,000 runs, which may take 400 ms; today, which is in the log, has 100,000 runs more.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

import execlog
from execlog import StrategyExecutionLogRepository, archived_files, maintain
from execlog.archive.joined import MOST_OF_LOG
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import DAY, batches, mixed
from tests.databases import TABLE
from tests.types import Pool

AGO = 60
TIMES = 5
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
                await measure(pool, folder, rows)


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


async def questions(log: StrategyExecutionLogRepository, rows: int) -> dict[str, Question]:
    """What is asked, by name."""
    # Half of the oldest day's rows are before this: each is a millisecond after the one before it.
    end = midnight(AGO) + rows // 2 * timedelta(milliseconds=1)
    [one] = await log.list_executions(until=end, limit=1)
    since, last = datetime.now(UTC) - (AGO + 1) * DAY, midnight(1)
    assert one.external_user_id is not None
    return {
        "newest 50 of a strategy, deep": lambda: log.list_executions(
            strategy_id=one.strategy_id, until=end
        ),
        "newest 50 failures, deep": lambda: log.list_failures(until=end),
        "newest 50 of all, deep": lambda: log.list_executions(until=end),
        f"by id, of version {one.id.version}": lambda: log.get(id=one.id),
        "by id and strategy": lambda: log.get(id=one.id, strategy_id=one.strategy_id),
        "a user's newest 50 of all days": lambda: log.list_executions(
            external_user_id=one.external_user_id, since=since
        ),
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


async def measure(pool: Pool, folder: Path, rows: int) -> None:
    start = forgotten_peak()
    log = StrategyExecutionLogRepository(pool, archive=folder)
    asked = await questions(log, rows)
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


def midnight(ago: int) -> datetime:
    return (datetime.now(UTC) - ago * DAY).replace(hour=0, minute=0, second=0, microsecond=0)


def forgotten_peak() -> float:
    """The memory of this process, from which its peak begins anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most memory of this process since it was noted, in MB."""
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in one]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--strategies", type=int, default=10)
    options = parser.parse_args()
    asyncio.run(bench(options.days, options.rows, options.strategies))
