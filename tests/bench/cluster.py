"""Measures what a log costs that is spread over a cluster of Citus, beside one that is not.

    EXECLOG_TEST_CITUS_DSN=postgresql://... python -m tests.bench.cluster [--rows 500000]

Both logs lie on the same machines, hold the same rows and answer from them, without rollups. A
cluster whose nodes share the processors of one machine can't be faster than it: the ratios are
overheads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from tests.bench.common import BATCH, Fresh, Report, load, medians
from tests.types import Pool

SHARDS = 32
DAYS = 12
BATCHES = 10
DAY = timedelta(days=1)
# One task a shard, which finds nothing: below this no statement goes that no strategy prunes.
NOTHING = "select count(*) from {schema}.strategy_execution_log where created_at < 'epoch'"
WANTED = {"rank_strategies": 1.5, "compare": 1.5, "newest failures of all": 25.0}


@dataclass(frozen=True)
class Side:
    """A log, in a schema of its own, and what asks it."""

    schema: str
    repository: StrategyExecutionLogRepository


async def bench_cluster(dsn: str, rows: int, rounds: int) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        version = await pool.fetchval("select citus_version()")
        print(f"{version}\n{SHARDS} shards, medians of {rounds} rounds\n{load()}\n")
        async with log(pool, "bench_spread", rows) as spread, log(pool, "bench_one", rows) as one:
            report = Report()
            await bench_storing(report, pool, spread, one, rounds)
            await bench_reading(report, pool, spread, one, rounds)


@asynccontextmanager
async def log(pool: Pool, schema: str, rows: int) -> AsyncIterator[Side]:
    """A log of `rows` runs of ten strategies in twelve days, dropped at the end."""
    await pool.execute(f"drop schema if exists {schema} cascade")
    await execlog.migrate(pool, schema=schema)
    is_spread = schema == "bench_spread"
    if is_spread:
        await execlog.distribute(pool, shard_count=SHARDS, schema=schema)
    await execlog.migrate(pool, schema=schema, rollups=False)
    try:
        end = datetime.now(UTC)
        await execlog.maintain(pool, interval="day", ahead=1, schema=schema)
        await pool.execute(
            f"insert into {schema}.strategy_execution_log (id, created_at, strategy_id,"
            " strategy_version, strategy_type, realm_id, status, case_name, points, duration_ms,"
            " nodes_executed) select gen_random_uuid(), $1::timestamptz - n * $2::interval,"
            " 'strategy-' || n % 10, 3, 'DSL_FULL', 'realm-' || n % 3,"
            " case when n % 20 = 7 then 'error' else 'ok' end, 'case-' || n % 7, n % 50,"
            f" exp(random() * 5), n % 30 from generate_series(1, {rows}) as n",
            end,
            DAYS * DAY / rows,
            timeout=3600,
        )
        while any(
            step.outcome != "postponed"
            for step in await execlog.maintain(pool, interval="day", ahead=1, schema=schema)
        ):
            pass
        await pool.execute(f"analyze {schema}.strategy_execution_log", timeout=3600)
        yield Side(schema, StrategyExecutionLogRepository(pool, schema=schema, spread=is_spread))
    finally:
        await pool.execute(f"drop schema {schema} cascade", timeout=600)


async def bench_storing(report: Report, pool: Pool, spread: Side, one: Side, rounds: int) -> None:
    """The same rows by a recorder of each log, a few batches a turn."""
    taken: dict[str, list[float]] = {spread.schema: [], one.schema: []}
    fresh = Fresh(datetime.now(UTC))
    count = BATCH * BATCHES // 5
    for turn in range(-1, rounds):
        models = fresh.models(count)
        for side in (spread, one):
            async with ExecutionRecorder(pool, schema=side.schema) as recorder:
                await asyncio.sleep(0.2)
                begin = time.perf_counter()
                for model in models:
                    recorder.record(**dict(model, id=execlog.ids.uuid7()))
                await recorder.flush()
                if turn >= 0:
                    taken[side.schema].append(time.perf_counter() - begin)
            assert recorder.stats().written == count
    ours, beside = (count / statistics.median(taken[side.schema]) for side in (spread, one))
    report.row(
        "storing by the recorder",
        f"{ours:,.0f} /s",
        f"one server {beside:,.0f} /s",
        beside / ours,
        "<= 1.6",
        beside <= 1.6 * ours,
    )


async def bench_reading(report: Report, pool: Pool, spread: Side, one: Side, rounds: int) -> None:
    now = datetime.now(UTC)
    since = now - DAYS * DAY

    def asked(side: Side) -> dict[str, Callable[[], Awaitable[object]]]:
        log = side.repository
        return {
            "rank_strategies": lambda: log.rank_strategies(since=since),
            "compare": lambda: log.compare(a="strategy-1", b="strategy-2", since=since),
            "metrics": lambda: log.metrics(strategy_id="strategy-1", since=since),
            "newest failures of all": lambda: log.list_failures(),
            "newest of one strategy": lambda: log.list_for_strategy(strategy_id="strategy-1"),
            "a task a shard that finds nothing": lambda: pool.fetchval(
                NOTHING.format(schema=side.schema)
            ),
        }

    ours = asked(spread)
    for name, beside in asked(one).items():
        seconds = await medians(rounds, {"spread": ours[name], "one": beside})
        ratio = seconds["spread"] / seconds["one"]
        wanted = WANTED.get(name)
        report.row(
            name,
            f"{seconds['spread'] * 1000:.1f} ms",
            f"one server {seconds['one'] * 1000:.2f} ms",
            ratio,
            f"<= {wanted}" if wanted else "",
            ratio <= wanted if wanted else None,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    asyncio.run(bench_cluster(os.environ["EXECLOG_TEST_CITUS_DSN"], given.rows, given.rounds))
