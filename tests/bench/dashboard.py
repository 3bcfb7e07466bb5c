"""Measures the dashboard against its targets, beside the peer and the bare statements.

    python -m tests.bench.dashboard [--rows 2000000] [--rounds 9]

All sides run in turn, in this one process, on the same rows and the same durable server: see
`tests.bench`. A bare statement is one asyncpg call with ready-made arguments, for a window that is
known to be bounded; its plan is the generic one, as that of every statement after five calls.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.db.copy_format import COLUMNS
from execlog.repository import statements
from tests.bench.common import (
    FAILED,
    STRATEGIES,
    Report,
    Work,
    bench_database,
    load,
    medians,
    peer_repository,
)
from tests.bench.peer import SCHEMA, PeerRepository
from tests.databases import TABLE
from tests.types import Pool

REALM_STRATEGIES = 100
_PERCENTILES = "percentile_cont('{0.5,0.95,0.99}'::float8[]) within group (order by duration_ms)"
_WINDOW = "created_at >= $2 and created_at <= $3"


async def bench_dashboard(rows: int, rounds: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with (
            peer_repository(dsn) as peer,
            asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool,
        ):
            version = await pool.fetchval("show server_version")
            jit = await pool.fetchval("select pg_jit_available()")
            end = datetime.now(UTC)
            await seed(pool, rows, end)
            print(
                f"Postgres {version}, {rows:,} rows over {STRATEGIES} strategies and as many over"
                f" {REALM_STRATEGIES} of one realm, {FAILED:.0%} failures,"
                f" medians of {rounds} rounds\n{load()}, {'with' if jit else 'without'} JIT\n"
            )
            report = Report()
            await report_cards(report, pool, peer, rows, end, rounds)
            await report_realm(report, pool, end, rounds)
            print(f"\n{load()}")


async def seed(pool: Pool, rows: int, end: datetime) -> None:
    """A day of two realms: the first has few strategies, and the peer has its rows too."""
    day = timedelta(days=1)
    for realm, strategies in (("few", STRATEGIES), ("many", REALM_STRATEGIES)):
        print(f"\rseeding: realm {realm} ", end="", file=sys.stderr)
        await pool.execute(
            f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,"
            " realm_id, external_user_id, status, error_code, points, case_name, duration_ms,"
            " nodes_executed, trace)"
            " select gen_random_uuid(), $1::timestamptz - (n * $2::float8) * interval '1 second',"
            " $3 || '-' || n % $4::int, 3, 'DSL_FULL', $3, 'user-' || n % 50000,"
            " case when failed then (array['error', 'error', 'timeout', 'limit'])[1 + n % 4]"
            " else 'ok' end,"
            " case when failed then 'E' || n % 5 end,"
            " case when not failed then floor(random() * 50) end,"
            " 'case-' || floor(random() * 7), exp(random_normal(2, 1)), 1 + n % 29,"
            ' case when failed then \'[{"node": "rule-1", "ms": 0.125}]\'::jsonb end'
            " from (select n, random() < $5::float8 as failed"
            " from generate_series($6::bigint, 1, -1) as n) as run",
            end,
            day.total_seconds() / rows,
            realm,
            strategies,
            FAILED,
            rows,
            timeout=3600,
        )
    columns = ", ".join(COLUMNS)
    await pool.execute(
        f"insert into {SCHEMA}.strategy_execution_log ({columns})"
        f" select {columns} from {TABLE} where realm_id = 'few'",
        timeout=3600,
    )
    await pool.execute("vacuum analyze", timeout=3600)
    print("\r" + " " * 40, end="\r", file=sys.stderr)


async def report_cards(
    report: Report, pool: Pool, peer: PeerRepository, rows: int, end: datetime, rounds: int
) -> None:
    repository = StrategyExecutionLogRepository(pool, timeout=600)
    one, two = "few-4", "few-5"
    scope: dict[str, Any] = {"since": end - timedelta(days=1), "until": end}
    arguments = (one, *scope.values())
    of_one = f"from {TABLE} where strategy_id = $1 and {_WINDOW}"
    sides: dict[str, Work] = {
        "metrics": lambda: repository.metrics(strategy_id=one, timeout=600, **scope),
        "compare": lambda: repository.compare(a=one, b=two, timeout=600, **scope),
        "timeseries": lambda: repository.timeseries(
            strategy_id=one, bucket=timedelta(minutes=12), **scope
        ),
        "peer": lambda: peer.dashboard(*arguments),
        "percentiles": lambda: pool.fetch(f"select {_PERCENTILES}::text {of_one}", *arguments),
        "groups": lambda: pool.fetch(
            "select status, error_code, case_name, count(*), sum(duration_ms), max(duration_ms),"
            " sum(nodes_executed), max(nodes_executed), sum(points), min(points), max(points)"
            f" {of_one} group by status, error_code, case_name",
            *arguments,
        ),
        "count": lambda: pool.fetch(f"select count(*) {of_one}", *arguments),
    }
    taken = await medians(rounds, sides)

    def line(work: str, side: str, beside: str, label: str, target: float | None = None) -> None:
        ratio = taken[side] / taken[beside]
        report.row(
            work,
            f"{taken[side] * 1000:.1f} ms",
            f"{label} {taken[beside] * 1000:.1f} ms",
            ratio,
            "" if target is None else f"<= {target:g}",
            None if target is None else ratio <= target,
        )

    line(f"metrics, {rows // STRATEGIES:,} rows", "metrics", "peer", "peer's six queries", 0.25)
    line("", "metrics", "percentiles", "bare percentiles", 2.0)
    taken["floor"] = taken["percentiles"] + taken["groups"]
    line("  the floor of that", "metrics", "floor", "bare percentiles and GROUP BY")
    line("  bare GROUP BY of three columns", "groups", "percentiles", "bare percentiles")
    line("  bare count(*)", "count", "percentiles", "bare percentiles")
    line("compare, two of these", "compare", "metrics", "one metrics", 2.2)
    line("timeseries, 120 buckets with p95", "timeseries", "peer", "peer's six queries", 0.5)
    line("", "timeseries", "percentiles", "bare percentiles")


async def report_realm(report: Report, pool: Pool, end: datetime, rounds: int) -> None:
    repository = StrategyExecutionLogRepository(pool, timeout=600)
    hour: dict[str, Any] = {"since": end - timedelta(hours=1), "until": end}
    listing = statements()["list_failures"].query("of_one_realm", realm_ids=["many"], limit=50)
    of_all = statements()["list_failures"].query(realm_ids=None, limit=50)
    sides: dict[str, Work] = {
        "rank": lambda: repository.rank_strategies(realm_id="many", **hour),
        "bare rank": lambda: pool.fetch(
            f"select strategy_id, {_PERCENTILES}::text from {TABLE}"
            f" where strategy_id is distinct from '' and realm_id = $1 and {_WINDOW}"
            " group by strategy_id",
            "many",
            *hour.values(),
        ),
        "list": lambda: repository.list_failures(realm_id="many"),
        "bare list": lambda: pool.fetch(listing.sql, *listing.values),
        "list all": lambda: repository.list_failures(),
        "bare list all": lambda: pool.fetch(of_all.sql, *of_all.values),
    }
    taken = await medians(rounds, sides)
    for work, side, label, target in (
        (f"rank of {REALM_STRATEGIES} strategies, an hour", "rank", "bare GROUP BY", 3.0),
        ("list_failures, newest 50 of a realm", "list", "bare fetch", 2.0),
        ("list_failures, newest 50 of all", "list all", "bare fetch", 2.0),
    ):
        bare = taken[f"bare {side}"]
        ratio = taken[side] / bare
        report.row(
            work,
            f"{taken[side] * 1000:.2f} ms",
            f"{label} {bare * 1000:.2f} ms",
            ratio,
            f"<= {target:g}",
            ratio <= target,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    asyncio.run(bench_dashboard(options.rows, options.rounds))
