"""Measures what an execution takes on disk and how many a second are stored, and draws conclusions.

    python -m tests.bench.capacity [--rows 400000]

One run of twenty is a failure with a trace of ten entries. What is printed first is measured here,
on a server with fsync that shares the processors with the one that writes. The table is calculated
from it: the lines that fit one machine, and those beyond it, which nobody has measured.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from datetime import UTC, datetime

import asyncpg

import execlog
from execlog.db.copy_format import COLUMNS
from tests.bench.common import Fresh, bench_database, load, print_line
from tests.databases import TABLE
from tests.types import Pool

BATCH = 2000  # as the recorder stores them
RATES = (100, 1_000, 10_000, 100_000, 1_000_000)
DISK = 4e12  # bytes of one machine that the log may have
SHARE = 0.5  # of the measured rate that is planned with: there are readers, vacuum and bad days
LARGEST_PARTITION = 100e9
DAYS_KEPT = 30
HOURS = {"month": 30 * 24, "week": 7 * 24, "day": 24, "hour": 1}


async def stored(pool: Pool, batches: list[list[tuple[object, ...]]]) -> None:
    async with pool.acquire() as connection:
        for tuples in batches:
            async with connection.transaction():
                await connection.copy_records_to_table(
                    "strategy_execution_log", schema_name="execlog", records=tuples, columns=COLUMNS
                )


async def measured(rows: int) -> tuple[float, float]:
    """Bytes of an execution, and executions a second; prints them."""
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        await execlog.maintain(dsn)
        async with asyncpg.create_pool(dsn, min_size=2, max_size=2) as pool:
            version = await pool.fetchval("show server_version")
            print(f"Postgres {version}, {rows:,} rows\n{load()}\n")
            fresh = Fresh(datetime.now(UTC))
            rates = []
            for writers in (1, 2):
                batches = [fresh.tuples(BATCH) for _ in range(rows // 2 // BATCH)]
                before = await pool.fetchval("select pg_current_wal_insert_lsn()")
                begin = time.perf_counter()
                shares = [batches[n::writers] for n in range(writers)]
                await asyncio.gather(*(stored(pool, share) for share in shares))
                count = len(batches) * BATCH
                rates.append(count / (time.perf_counter() - begin))
                wal = await pool.fetchval(
                    "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)", before
                )
                each = f"{wal / count:,.0f} B of WAL each"
                print(f"stored by {writers} connections: {rates[-1]:,.0f}/s, {each}")
            await pool.execute(f"vacuum {TABLE}", timeout=600)
            found = await pool.fetchrow(
                "select sum(pg_table_size(id))::float8 as rows,"
                " sum(pg_indexes_size(id))::float8 as indexes from execlog.partitions()"
            )
            count = await pool.fetchval(f"select count(*) from {TABLE}")
    assert found is not None
    row, indexes = found["rows"] / count, found["indexes"] / count
    print(f"bytes of an execution: {row:,.0f} with its trace, {indexes:,.0f} in indexes")
    return row + indexes, max(rates)


def print_plan(size: float, rate: float) -> None:
    """What the measured figures come to."""
    print(
        f"\nfrom {size:,.0f} B each and {SHARE:.0%} of {rate:,.0f}/s,"
        f" with {DISK / 1e12:.0f} TB of disk a machine:\n"
    )
    widths = (12, 12, 10, 10, 14, 14, 16, 16)
    heads = ("rows a day", "GB a day", "interval", "a partition", f"{DAYS_KEPT} days")
    print_line(widths, "executions/s", *heads, "machines: write", "and keep")
    for wanted in RATES:
        daily = wanted * 86_400 * size
        interval = next(
            (name for name, hours in HOURS.items() if daily * hours / 24 <= LARGEST_PARTITION),
            "hour",
        )
        to_write = math.ceil(wanted / (rate * SHARE))
        to_keep = math.ceil(daily * DAYS_KEPT / DISK)
        print_line(
            widths,
            f"{wanted:,}",
            f"{wanted * 0.0864:,.0f} M",
            f"{daily / 1e9:,.0f}",
            interval,
            f"{daily * HOURS[interval] / 24 / 1e9:,.1f} GB",
            f"{daily * DAYS_KEPT / 1e12:,.1f} TB",
            f"{to_write}",
            f"{max(to_write, to_keep)}",
        )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    print_plan(*await measured(parser.parse_args().rows))


if __name__ == "__main__":
    asyncio.run(main())
