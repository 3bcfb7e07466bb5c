"""Measures what rollups cost and what they save, against their targets.

    python -m tests.bench.rollups [--rows 20000000] [--rounds 9] [--thin]

With `--thin` only what flatters least: many strategies and realms, each with few runs a minute.

Two logs of 30 days: one with `--rows` runs of a busy strategy, one with a twentieth of them; in
each 100 other strategies have together had as many on the last day as the busy one. The card begins
and ends at odd seconds; time series and ranking at whole hours, and once more at odd seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

import execlog
from execlog import (
    ExecutionRecorder,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.db.executor import Store
from execlog.db.rows import copy_lines
from execlog.repository import statements
from tests.bench.common import BATCH, Report, bench_database, load
from tests.databases import TABLE
from tests.rows import row
from tests.types import Pool

DAYS, STRATEGIES = 30, 100
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PATIENCE = 3600.0
TARGETS = {"card, 30 days": "<= 1.5 x", "time series, 120 buckets of 12 min": "<= 20 ms"}
Log = StrategyExecutionLogRepository


async def bench_rollups(rows: int, rounds: int, *, thin: bool) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, command_timeout=PATIENCE
        ) as pool:
            version = await pool.fetchval("show server_version")
            print(f"Postgres {version}, medians of {rounds} rounds\n{load()}\n")
            report = Report()
            await bench_thin(report, pool, rounds)
            if thin:
                return
            await bench_copy(report, pool, rounds)
            await bench_recorders(report, dsn, pool)
            await bench_size(report, pool)
            await bench_reads(report, dsn, rows, rounds)


async def bench_copy(report: Report, pool: Pool, rounds: int) -> None:
    for strategies, target in ((10, 0.7), (100, 0.6)):
        for batch in (BATCH, 2000):
            dice = random.Random(3)
            taken: dict[bool, list[float]] = {False: [], True: []}
            await pool.execute(f"truncate {TABLE}, execlog.rollup, execlog.rollup_name")
            at = datetime.now(UTC)
            for turn in range(-4, 3 * rounds):
                for enabled, seconds in taken.items():
                    at += timedelta(seconds=1)
                    models = [some(dice, strategies, at) for _ in range(batch)]
                    await pool.execute(
                        f"alter table {TABLE} {'enable' if enabled else 'disable'} trigger roll_up"
                    )
                    begin = time.perf_counter()
                    await Log(pool).insert_rows(models)
                    if turn >= 0:
                        seconds.append(time.perf_counter() - begin)
            bare, ours = (batch / statistics.median(seconds) for seconds in taken.values())
            is_target = batch == BATCH
            report.row(
                f"COPY of {batch}, {strategies} strategies",
                f"{ours:,.0f} /s",
                f"without rollups {bare:,.0f} /s",
                ours / bare,
                f">= {target}" if is_target else "",
                ours / bare >= target if is_target else None,
            )


async def bench_thin(report: Report, pool: Pool, rounds: int) -> None:
    """Batches of 100 strategies and 3 realms; a day of 50 runs a minute of one and 1 of nine."""
    dice = random.Random(7)
    taken: dict[bool, list[float]] = {False: [], True: []}
    at = datetime.now(UTC)
    for turn in range(-2, 3 * rounds):
        for enabled, seconds in taken.items():
            at += timedelta(seconds=2)
            lines = [b"".join(copy_lines([spread(dice, 100, at) for _ in range(2000)]))]
            await pool.execute(
                f"alter table {TABLE} {'enable' if enabled else 'disable'} trigger roll_up"
            )
            begin = time.perf_counter()
            await Store(pool, PATIENCE).copy(statements()["insert_rows"], lines)
            if turn >= 0:
                seconds.append(time.perf_counter() - begin)
    bare, ours = (2000 / statistics.median(seconds) for seconds in taken.values())
    report.row(
        "COPY of 2,000 lines, 100 strategies, 3 realms",
        f"{ours:,.0f} /s",
        f"without rollups {bare:,.0f} /s",
        ours / bare,
    )
    await pool.execute(f"truncate {TABLE}, execlog.rollup, execlog.rollup_name")
    await pool.execute(f"alter table {TABLE} enable trigger roll_up")
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for minute in range(24 * 60):
        moment = day + timedelta(minutes=minute)
        busy = [spread(dice, 1, moment) for _ in range(50)]
        others = [spread(dice, 1, moment, first=n) for n in range(1, 10)]
        await Log(pool).insert_rows([*busy, *others])
    await pool.execute("vacuum")
    await report_size(
        report, pool, "size, a day of 50 runs a minute of one strategy, 1 of nine", None
    )


def spread(
    dice: random.Random, strategies: int, at: datetime, first: int = 0
) -> StrategyExecutionLog:
    """A run of one of the strategies, from the first on, in one of three realms."""
    failed = dice.random() < 0.05
    return row(
        strategy_id=f"strategy-{first + dice.randrange(strategies)}",
        realm_id=dice.choices(["a", "b", "c"], [60, 30, 10])[0],
        created_at=at + timedelta(microseconds=dice.randrange(1_000_000)),
        status="error" if failed else "ok",
        error_code=f"E{dice.randrange(6)}" if failed else None,
        case_name=f"case-{dice.randrange(7)}",
        points=None if failed else float(dice.randrange(50)),
        duration_ms=dice.lognormvariate(1.386, 1),
        external_user_id=f"user-{dice.randrange(50_000)}",
        trace=[{"node": f"rule-{n}", "ms": dice.random()} for n in range(10)] if failed else None,
    )


def some(dice: random.Random, strategies: int, at: datetime) -> StrategyExecutionLog:
    failed = dice.random() < 0.05
    return row(
        strategy_id=f"strategy-{dice.randrange(strategies)}",
        realm_id=f"realm-{dice.randrange(3)}" if strategies < 3 else "realm",
        created_at=at + timedelta(microseconds=dice.randrange(1_000_000)),
        status="error" if failed else "ok",
        error_code=f"E{dice.randrange(5)}" if failed else None,
        case_name=f"case-{dice.randrange(7)}",
        points=None if failed else float(dice.randrange(50)),
        duration_ms=dice.lognormvariate(2, 1),
        external_user_id=f"user-{dice.randrange(50_000)}",
        trace=[{"node": f"rule-{n}", "ms": 0.125 * n} for n in range(5)],
    )


RECORDER = """
import asyncio, sys, tests.bench.rollups as bench
asyncio.run(bench.record(sys.argv[1], int(sys.argv[2])))
"""
RECORDED = 40_000


async def record(dsn: str, number: int) -> None:
    """What one process records, as fast as the recorder takes it."""
    dice = random.Random(number)
    models = [some(dice, 10, datetime.now(UTC)) for _ in range(2000)]
    offers = [model.model_dump(exclude={"id", "created_at"}) for model in models]
    async with ExecutionRecorder(dsn, max_rows=2 * RECORDED) as recorder:
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(RECORDED):
            recorder.record(**offers[n % len(offers)])
            if n % 500 == 0:
                await asyncio.sleep(0)
        if not await recorder.flush(timeout=300) or recorder.stats().written != RECORDED:
            raise RuntimeError("not all was stored")
    print("done", flush=True)


async def bench_recorders(report: Report, dsn: str, pool: Pool) -> None:
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(4):
        for enabled, seconds in taken.items():
            await pool.execute(f"truncate {TABLE}, execlog.rollup, execlog.rollup_name")
            await pool.execute(
                f"alter table {TABLE} {'enable' if enabled else 'disable'} trigger roll_up"
            )
            pipe = asyncio.subprocess.PIPE
            processes = [
                await asyncio.create_subprocess_exec(
                    sys.executable, "-c", RECORDER, dsn, str(n), stdin=pipe, stdout=pipe
                )
                for n in range(4)
            ]
            for process in processes:
                assert process.stdout is not None
                await process.stdout.readline()
            begin = time.perf_counter()
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(b"\n")
            for process in processes:
                await process.communicate()
                assert process.returncode == 0
            seconds.append(time.perf_counter() - begin)
    bare, ours = (4 * RECORDED / statistics.median(seconds) for seconds in taken.values())
    slots = await pool.fetchval("select count(distinct slot) from execlog.rollup")
    report.row(
        f"four recorder processes, {slots} slots",
        f"{ours:,.0f} /s",
        f"without rollups {bare:,.0f} /s",
        ours / bare,
        ">= 0.8",
        ours / bare >= 0.8,
    )


async def bench_size(report: Report, pool: Pool) -> None:
    """Half an hour of ten strategies with 1,000 runs a minute each, ten batches a second."""
    await pool.execute(f"truncate {TABLE}, execlog.rollup, execlog.rollup_name")
    await pool.execute(f"alter table {TABLE} enable trigger roll_up")
    await execlog.maintain(pool)
    dice = random.Random(5)
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for minute in range(30):
        for n in range(50):
            moment = at + timedelta(minutes=minute, seconds=n)
            await Log(pool).insert_rows(some(dice, 10, moment) for _ in range(200))
    await pool.execute("vacuum")
    await report_size(report, pool, "size, 1,000 rows a minute", 0.02)


async def report_size(report: Report, pool: Pool, what: str, most: float | None) -> None:
    """The bytes of the rollups beside those of the rows and their indexes."""
    rows = await pool.fetchval(
        "select sum(pg_total_relation_size(relid))::bigint"
        f" from pg_partition_tree('{TABLE}') where isleaf"
    )
    ours = await pool.fetchval(
        "select pg_total_relation_size('execlog.rollup')"
        " + pg_total_relation_size('execlog.rollup_name')"
    )
    report.row(
        what,
        f"{ours / 1e6:,.1f} MB",
        f"rows {rows / 1e6:,.1f} MB",
        ours / rows,
        "" if most is None else f"<= {most}",
        None if most is None else ours <= most * rows,
    )


async def fill(pool: Pool, schema: str, rows: int, end: datetime) -> None:
    """Made by the server, an hour in each statement, rollups and all."""
    await pool.execute("set synchronous_commit = off")
    each = rows // (DAYS * 24)
    for ago in range(DAYS * 24, 0, -1):
        begin = end - ago * HOUR
        for strategy, number in (
            ("'busy'", each),
            *((("'strategy-' || n % 100", each),) if ago <= 25 else ()),
        ):
            await pool.execute(
                f"insert into {schema}.strategy_execution_log (id, created_at, strategy_id,"
                " strategy_version, strategy_type, realm_id, status, error_code, case_name, points,"
                " duration_ms, nodes_executed) select gen_random_uuid(),"
                f" $1::timestamptz + n * interval '1 hour' / {number + 1}, {strategy}, 3,"
                " 'DSL_FULL', 'realm', case when n % 20 = 0 then 'error' else 'ok' end,"
                " case when n % 20 = 0 then 'E' || n % 3 end, 'case-' || n % 7, n % 50,"
                f" exp(2 + random_normal()), n % 30 from generate_series(1, {number}) as n",
                begin,
                timeout=PATIENCE,
            )
    await pool.execute(f"vacuum (analyze) {schema}.strategy_execution_log", timeout=PATIENCE)
    await pool.execute(f"vacuum (analyze) {schema}.rollup", timeout=PATIENCE)
    await pool.execute(f"vacuum (analyze) {schema}.rollup_name", timeout=PATIENCE)


async def bench_reads(report: Report, dsn: str, rows: int, rounds: int) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    sizes = {"execlog_small": rows // 20, "execlog_large": rows}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, command_timeout=PATIENCE) as pool:
        logs = {}
        for schema, number in sizes.items():
            await execlog.migrate(pool, schema=schema)
            await execlog.maintain(pool, schema=schema)
            await fill(pool, schema, number, end)
            logs[schema] = Log(pool, schema=schema, timeout=PATIENCE)
        odd = timedelta(minutes=17, seconds=23)
        until = end - odd
        month: dict[str, Any] = {"since": until - DAYS * DAY + odd + odd, "until": until}
        works: dict[str, Callable[[Log], object]] = {
            "card, 30 days": lambda log: log.metrics(strategy_id="busy", **month),
            "time series, 120 buckets of 6 h": lambda log: log.timeseries(
                strategy_id="busy", since=end - DAYS * DAY, until=end, bucket=6 * HOUR
            ),
            "the same at odd seconds": lambda log: log.timeseries(
                strategy_id="busy", since=end - DAYS * DAY - odd, until=end - odd, bucket=6 * HOUR
            ),
            "time series, 120 buckets of 12 min": lambda log: log.timeseries(
                strategy_id="busy", since=end - DAY, until=end, bucket=720
            ),
            "ranking of 101, 24 h": lambda log: log.rank_strategies(
                since=end - DAY, until=end, limit=50
            ),
            "the same at odd seconds (ranking)": lambda log: log.rank_strategies(
                since=until - DAY, until=until, limit=50
            ),
        }
        for work, ask in works.items():
            seconds: dict[str, list[float]] = {schema: [] for schema in logs}
            for turn in range(-6, 3 * rounds):
                for schema, log in logs.items():
                    begin = time.perf_counter()
                    await ask(log)  # type: ignore[misc]
                    if turn >= 0:
                        seconds[schema].append(time.perf_counter() - begin)
            small, large = (statistics.median(seconds[schema]) for schema in sizes)
            # In the small log the last day is read from rows: it holds few enough.
            met = (large <= 1.5 * small or "12 min" in work) and (
                work.startswith("card") or large <= 0.02
            )
            has_target = "same" not in work
            report.row(
                work,
                f"{rows:,}: {large * 1000:.1f} ms",
                f"{rows // 20:,}: {small * 1000:.1f} ms",
                large / small,
                TARGETS.get(work, "<= 1.5 x, 20 ms") if has_target else "",
                met if has_target else None,
            )
            if work.startswith("card"):
                await bench_raw(report, logs["execlog_large"], pool, large, month)


async def bench_raw(
    report: Report, log: Log, pool: Pool, ours: float, month: dict[str, Any]
) -> None:
    state = "update execlog_large.rollup_state set complete_from = $1"
    await pool.execute(state, datetime.max.replace(tzinfo=UTC))
    begin = time.perf_counter()
    card = await log.metrics(strategy_id="busy", timeout=PATIENCE / 2, **month)
    raw = time.perf_counter() - begin
    await pool.execute(state, datetime.min.replace(tzinfo=UTC))
    assert card.duration.method == "exact"
    report.row(
        "card, 30 days",
        f"{ours * 1000:.1f} ms",
        f"from rows {raw * 1000:,.0f} ms",
        raw / ours,
        ">= 20 x",
        ours <= raw / 20,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--thin", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(bench_rollups(arguments.rows, arguments.rounds, thin=arguments.thin))


if __name__ == "__main__":
    main()
