"""Measures reads of the archive: days of rows that are in files only.

    python -m tests.bench.archive_reads [--days 30] [--rows 1000000] [--users 1000000]

The first day's rows, of shape ten, move out of the log. The others are made of its files: the same
runs some days later, each of a user that is drawn anew. The first time of a question includes the
digests of all files that it reads, as in a process that has just begun.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import duckdb

import execlog
from execlog import StrategyExecutionLogRepository, archived_files, erase_archived, maintain
from execlog.archive import checking
from execlog.archive.engine import opened
from execlog.archive.users import filter_of_users
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import DAY, batches, mixed
from tests.databases import TABLE
from tests.types import Pool

AGO = 60
TIMES = 5
MEMORY_MB = 256
_WIDTHS = (44, 10, 12, 12, 10)
_COPY = """
copy (
    select * replace (
        created_at + to_days({days}) as created_at,
        'user-' || (random() * {users})::integer as external_user_id,
        (lpad(to_hex(epoch_ms(created_at + to_days({days}))), 12, '0')
            || substr(replace(id::text, '-', ''), 13))::uuid as id
    )
    from read_parquet('{old}', hive_partitioning = false)
    order by strategy_id, created_at, id
) to '{new}' (
    format parquet, parquet_version v2, compression zstd, compression_level 3, row_group_size 50000
)
"""
_ENTER = """
insert into execlog.archived_file (
    day, part, path, begins, ends, rows, ok_rows, bytes, sha256, first_at, last_at, in_log,
    users
)
select day + $2::integer, part, $3, begins + make_interval(days => $2),
    ends + make_interval(days => $2), rows, ok_rows, $4, $5, first_at + make_interval(days => $2),
    last_at + make_interval(days => $2), '{}', $6
from execlog.archived_file
where path = $1
"""


async def bench(days: int, rows: int, users: int) -> None:
    print(load())
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place, "archive")
                await fill(pool, AGO, rows)
                steps = await maintain(pool, retain=timedelta(days=20), archive=folder)
                assert {one.outcome for one in steps} == {"done"}, [str(one) for one in steps]
                await repeat(pool, folder, days, users)
                files = await archived_files(pool)
                total = sum(one.rows for one in files)
                size = sum(one.bytes for one in files) / total
                print(f"{total:,} rows in {len(files)} files, {size:.1f} bytes each; {load()}")
                await measure(pool, folder, rows, users)
    print(f"at the end: {load()}")


async def repeat(pool: Pool, folder: Path, days: int, users: int) -> None:
    """The files of the first day once more, for each of the days that follow."""
    first = await archived_files(pool)
    with duckdb.connect() as engine:
        engine.execute("set threads = 2; set timezone = 'UTC'")
        for later in range(1, days):
            for one in first:
                day = one.day + timedelta(days=later)
                path = f"strategy_execution_log/day={day}/part-{one.part:04}.parquet"
                new = folder / path
                new.parent.mkdir(exist_ok=True)
                engine.execute(
                    _COPY.format(days=later, users=users, old=folder / one.path, new=new)
                )
                data = new.read_bytes()
                digest = hashlib.sha256(data).digest()
                async with opened(folder, folder / "unfinished") as reader:
                    await reader.sent("written", {"part": str(new)})
                    bits = await filter_of_users(reader)
                await pool.execute(_ENTER, one.path, later, path, len(data), digest, bits)


async def fill(pool: Pool, ago: int, rows: int) -> None:
    begin = midnight(ago)
    await pool.execute(
        f"create table execlog.old_{ago} partition of {TABLE} for values from ('{begin}') to"
        f" ('{begin + DAY}')"
    )
    await pool.execute(f"alter table {TABLE} disable trigger mark_late")
    store = Store(pool, PATIENCE)
    for batch in batches(mixed(random.Random(ago), begin, 10), rows):
        await store.copy(statements()["insert_rows"], batch)
    await pool.execute(f"alter table {TABLE} enable always trigger mark_late")


async def measure(pool: Pool, folder: Path, rows: int, users: int) -> None:
    log = StrategyExecutionLogRepository(pool, archive=folder)
    # Half of the oldest day's rows are before this: each is a millisecond after the one before it.
    end = midnight(AGO) + rows // 2 * timedelta(milliseconds=1)
    [one] = await log.list_executions(until=end, limit=1)
    since = datetime.now(UTC) - (AGO + 1) * DAY
    user = f"user-{random.Random(5).randrange(users)}"
    mine: dict[str, Any] = {"external_user_id": user, "since": since}
    asked: dict[str, tuple[Callable[[], Awaitable[Any]], int | None]] = {
        "newest 50 of a strategy, deep": (
            lambda: log.list_executions(strategy_id=one.strategy_id, until=end),
            100,
        ),
        "newest 50 failures, deep": (lambda: log.list_failures(until=end), None),
        "newest 50 of all, deep": (lambda: log.list_executions(until=end), None),
        f"by id, of version {one.id.version}": (lambda: log.get(id=one.id), 50),
        "by id and strategy": (lambda: log.get(id=one.id, strategy_id=one.strategy_id), 50),
        "a user's newest 50 of all days": (lambda: log.list_executions(**mine), 300),
        "a user's runs, counted": (lambda: log.count_executions(**mine), 300),
        "percentiles of all days": (
            lambda: log.duration_percentiles(strategy_id=one.strategy_id),
            None,
        ),
        "count by status, all days": (
            lambda: log.count_by_status(strategy_id=one.strategy_id),
            None,
        ),
    }
    print_line(_WIDTHS, "question", "first ms", "median ms", "target ms", "MB more")
    for name, (question, target) in asked.items():
        checking._known.clear()
        before = forgotten_peak()
        took = []
        for _ in range(TIMES):
            begin = time.perf_counter()
            await question()
            took.append(1000 * (time.perf_counter() - begin))
        median = statistics.median(took[1:])
        print_line(
            _WIDTHS,
            name,
            f"{took[0]:.0f}",
            f"{median:.0f}",
            "" if target is None else f"{target} {'yes' if median <= target else 'NO'}",
            f"{peak() - before:.0f}",
        )
    print(f"target of memory: at most {MEMORY_MB} MB more; {load()}")
    await search(pool, folder, user)


async def search(pool: Pool, folder: Path, user: str) -> None:
    """How long `erase` looks for a user."""
    begin = time.perf_counter()
    found = erase_archived(pool, archive=folder, external_user_id=user, only_count=True)
    counts = [one.executions async for one in found]
    seconds = time.perf_counter() - begin
    hits = sum(count > 0 for count in counts)
    print(
        f"{sum(counts)} runs of a user in {hits} of {len(counts)} files: found in {seconds:.1f} s"
    )


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
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    options = parser.parse_args()
    asyncio.run(bench(options.days, options.rows, options.users))
