"""Measures the pages: their size, their time outside Postgres, and many viewers beside a recorder.

    python -m tests.bench.web [--rows 2000000] [--rounds 30]

One of ten strategies has a tenth of the rows in the last day. The application is called in this
process, without a server in between. The time outside Postgres is the page's own: from the request
to the answer, less the statements, whose times the driver tells. The recorder stores 1,000 runs a
second by itself, and then beside 50 viewers, who share a pool of five connections with it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
from starlette.applications import Starlette

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from execlog.web import create_app
from tests.bench.common import BATCH, FAILED, STRATEGIES, Report, bench_database, fields, load
from tests.databases import TABLE
from tests.types import Pool

DAY = timedelta(hours=24)
VIEWERS, CONNECTIONS = 50, 5
VIEW_SECONDS, RECORDS_A_SECOND = 10.0, 1000
PAGES = {
    "strategy": "/strategy?id=strategy-0",
    "overview": "/",
    "executions": "/executions?id=strategy-0&status=failed",
    "compare": "/compare?a=strategy-0&b=strategy-1",
}
LARGEST, LONGEST_MS = 60_000, 15.0
LARGEST_STRATEGY, PACKED = 100_000, 18_000  # bytes of that page, and of it compressed
MOST_STATEMENTS = 2  # of a strategy whose details were read within the minute


async def bench_web(rows: int, rounds: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            await seed(pool, rows, datetime.now(UTC))
            version = await pool.fetchval("show server_version")
            print(
                f"Postgres {version}, {rows // STRATEGIES:,} rows of each of {STRATEGIES}"
                f" strategies in 24 h, {FAILED:.0%} failures, medians of {rounds} rounds\n"
                f"{load()}\n"
            )
            report = Report()
            await report_pages(report, pool, rounds)
            await report_viewers(report, pool)


async def seed(pool: Pool, rows: int, end: datetime) -> None:
    dice = random.Random(1)
    log = StrategyExecutionLogRepository(pool)
    for begin in range(0, rows, BATCH):
        await log.insert_rows(
            {**fields(n, end, dice), "created_at": end - DAY * (n / rows)}
            for n in range(begin, min(begin + BATCH, rows))
        )
    while await pool.fetchval("select execlog.roll_up()") == "more":
        pass
    await pool.execute(f"vacuum analyze {TABLE}")
    await pool.execute("vacuum analyze execlog.rollup")


@asynccontextmanager
async def client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        yield asking


async def report_pages(report: Report, pool: Pool, rounds: int) -> None:
    queries: list[Any] = []
    connections = [await pool.acquire() for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.add_query_logger(queries.append)
        await pool.release(connection)
    async with client(create_app(pool)) as api:
        for name, path in PAGES.items():
            outside, inside, statements, size, packed = [], [], 0, 0, 0
            for turn in range(-3, rounds):
                queries.clear()
                begin = time.perf_counter()
                answer = await api.get(path)
                taken = time.perf_counter() - begin
                if answer.status_code != 200:
                    raise SystemExit(f"{path}: {answer.status_code}")
                if turn >= 0:
                    in_postgres = sum(query.elapsed for query in queries)
                    inside.append(in_postgres)
                    outside.append(taken - in_postgres)
                    statements = len([one for one in queries if "execlog." in one.query])
                    size, packed = len(answer.content), len(gzip.compress(answer.content))
            is_target = name == "strategy"
            own, theirs = statistics.median(outside) * 1000, statistics.median(inside) * 1000
            report.row(
                f"{name}: outside Postgres",
                f"{own:.1f} ms",
                f"in Postgres {theirs:.1f} ms",
                own / theirs,
                f"<= {LONGEST_MS:.0f} ms" if is_target else "",
                own <= LONGEST_MS if is_target else None,
            )
            most = LARGEST_STRATEGY if is_target else LARGEST
            fits = size <= most and (not is_target or packed <= PACKED)
            report.row(
                f"{name}: size, {statements} statements",
                f"{size / 1000:.1f} kB, {packed / 1000:.1f} kB compressed",
                f"allowed {most / 1000:.0f} kB",
                size / most,
                f"<= {PACKED / 1000:.0f} kB compressed, {MOST_STATEMENTS}" if is_target else "",
                (fits and statements <= MOST_STATEMENTS) if is_target else None,
            )


async def report_viewers(report: Report, pool: Pool) -> None:
    alone, _, _ = await record_beside(pool, 0)
    beside, views, errors = await record_beside(pool, VIEWERS)
    report.row(
        f"{VIEWERS} viewers, {CONNECTIONS} connections",
        f"{views / VIEW_SECONDS:.0f} pages/s",
        f"{errors} errors",
        errors / max(views, 1),
        "no error",
        errors == 0,
    )
    report.row(
        "recorder beside them, longest pause",
        f"{beside * 1000:.0f} ms",
        f"by itself {alone * 1000:.0f} ms",
        beside / alone,
        "nothing lost",
        True,
    )


async def record_beside(pool: Pool, viewers: int) -> tuple[float, int, int]:
    """The longest time without a stored batch, how many pages were seen, and how many failed."""
    app = create_app(pool)
    views, errors, longest = 0, 0, 0.0
    ends = time.perf_counter() + VIEW_SECONDS

    async def view() -> None:
        nonlocal views, errors
        async with client(app) as api:
            while time.perf_counter() < ends:
                answer = await api.get(PAGES["strategy"])
                views += 1
                errors += answer.status_code != 200 or "A part is missing." in answer.text

    run = {name: value for name, value in fields(0, datetime.now(UTC), random.Random(3)).items()}
    del run["id"], run["created_at"]
    async with ExecutionRecorder(pool) as recorder:
        viewing = [asyncio.ensure_future(view()) for _ in range(viewers)]
        while time.perf_counter() < ends:
            for _ in range(RECORDS_A_SECOND // 100):
                recorder.record(**run)
            await asyncio.sleep(0.01)
            longest = max(longest, recorder.stats().seconds_since_success or 0.0)
        await asyncio.gather(*viewing)
    stats = recorder.stats()
    if stats.dropped or stats.written != stats.offered:
        raise SystemExit(f"the recorder lost rows: {stats}")
    return longest, views, errors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    asyncio.run(bench_web(given.rows, given.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
