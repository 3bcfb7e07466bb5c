"""Measures what partitions cost and what they save, against the targets of a log of many years.

    python -m tests.bench.partitions [--rows 2000000] [--rounds 9]

`--rows` is what a day holds that is dropped, beside a DELETE of the same rows from the same kind of
table. Everything else is asked of 60 days, of which one is written to.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.db.copy_format import COLUMNS
from execlog.db.rows import json_object
from execlog.repository import statements
from tests.bench.common import BATCH, Fresh, Report, bench_database, load, medians
from tests.databases import TABLE
from tests.types import Pool

DAY = timedelta(days=1)
DAYS = 60
ROWS_A_DAY = 50_000


async def bench_partitions(rows: int, rounds: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            version = await pool.fetchval("show server_version")
            print(f"Postgres {version}, medians of {rounds} rounds\n{load()}\n")
            report = Report()
            today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            await fill(pool, today, rows)
            await bench_nothing_to_do(report, pool, rounds)
            await bench_copy(report, pool, rounds)
            await bench_reads(report, pool, today, rounds)
            await bench_drop(report, pool, dsn, today, rows)


async def fill(pool: Pool, today: datetime, rows: int) -> None:
    """60 days of rows, and a day before them that is to go, all made by the server."""
    await execlog.maintain(pool, interval="day", ahead=1)
    for ago, count in ((DAYS + 5, rows), *((n, ROWS_A_DAY) for n in range(DAYS))):
        await pool.execute(
            f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,"
            " realm_id, status, case_name, points, duration_ms, nodes_executed)"
            f" select gen_random_uuid(), $1::timestamptz + n * interval '1 day' / {count + 1},"
            " 'strategy-' || n % 10, 3, 'DSL_FULL', 'realm-' || n % 3,"
            " case when n % 20 = 0 then 'error' else 'ok' end, 'case-' || n % 7, n % 50,"
            f" random() * 100, n % 30 from generate_series(1, {count}) as n",
            today - ago * DAY,
            timeout=3600,
        )
    while any(
        step.outcome != "postponed"
        for step in await execlog.maintain(pool, interval="day", ahead=1)
    ):
        pass
    await pool.execute("vacuum analyze", timeout=3600)


async def bench_nothing_to_do(report: Report, pool: Pool, rounds: int) -> None:
    async def maintained() -> None:
        assert await execlog.maintain(pool, interval="day", ahead=1) == []

    async def asked() -> None:
        await pool.fetch("select 1")

    seconds = await medians(rounds, {"ours": maintained, "bare": asked})
    report.row(
        "maintain, nothing to do",
        f"{seconds['ours'] * 1000:.1f} ms",
        f"a round trip {seconds['bare'] * 1000:.2f} ms",
        seconds["ours"] / seconds["bare"],
        "<= 50 ms",
        seconds["ours"] <= 0.05,
    )


async def bench_copy(report: Report, pool: Pool, rounds: int) -> None:
    """Into today, through the log of all the partitions, and into a table like today's alone."""
    fresh = Fresh(datetime.now(UTC))
    await pool.execute(f"create table execlog.bare (like {TABLE} including all)")
    taken: dict[str, list[float]] = {"strategy_execution_log": [], "bare": []}
    async with pool.acquire() as connection:
        for turn in range(-10, 4 * rounds):
            tuples = fresh.tuples(BATCH)
            for table, seconds in taken.items():
                begin = time.perf_counter()
                await connection.copy_records_to_table(
                    table, schema_name="execlog", records=tuples, columns=COLUMNS
                )
                if turn >= 0:
                    seconds.append(time.perf_counter() - begin)
    await pool.execute("drop table execlog.bare")
    ours, bare = (BATCH / statistics.median(seconds) for seconds in taken.values())
    report.row(
        f"COPY of a day, {DAYS} partitions",
        f"{ours:,.0f} /s",
        f"without partitions {bare:,.0f} /s",
        ours / bare,
        ">= 0.9",
        ours >= 0.9 * bare,
    )


async def bench_reads(report: Report, pool: Pool, today: datetime, rounds: int) -> None:
    repository = StrategyExecutionLogRepository(pool)
    name = "strategy-4"
    columns = ", ".join("trace::text" if column == "trace" else column for column in COLUMNS)
    one_day = (
        f"select {columns} from {TABLE}_{today:%Y%m%d} where strategy_id = $1"
        " order by created_at desc nulls last, id desc limit 50"
    )
    seconds = await medians(
        rounds,
        {
            "ours": lambda: repository.list_for_strategy(strategy_id=name),
            "newest": lambda: repository.list_newest(),
            "one": lambda: pool.fetch(one_day, name),
        },
    )
    for what, side in (("of a strategy", "ours"), ("of all", "newest")):
        report.row(
            f"newest 50 {what}, {DAYS} partitions",
            f"{seconds[side] * 1000:.2f} ms",
            f"bare, one partition {seconds['one'] * 1000:.2f} ms",
            seconds[side] / seconds["one"],
            "<= 3 ms or 10 x",
            seconds[side] <= max(0.003, 10 * seconds["one"]),
        )
    window = (today - 3 * DAY, today - 2 * DAY - timedelta(seconds=1))
    plan, planning, whole = await explained(pool, name, *window)
    read = {f"{TABLE}_{window[0]:%Y%m%d}".removeprefix("execlog.")}
    report.row(
        "windowed card, planning",
        f"{planning:.2f} ms",
        f"of {planning + whole:.2f} ms, {len(plan)} of {DAYS} partitions read",
        planning / (planning + whole),
        "<= 0.2",
        planning <= 0.2 * (planning + whole) and plan == read,
    )


async def explained(
    pool: Pool, name: str, since: datetime, until: datetime
) -> tuple[set[str], float, float]:
    """The partitions that a card reads, and milliseconds of planning and of doing."""
    scope = {"strategy_id": name, "since": since, "until": until, "realm_ids": None}
    query = statements()["metrics"].query(**scope)
    explain = f"explain (analyze, timing off, format json) {query.sql}"
    found = await pool.fetchval(explain, *query.values)
    [plan] = json.loads(found)
    read: set[str] = set()
    waiting = [plan["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if "Relation Name" in node and node["Actual Loops"]:
            read.add(node["Relation Name"])
    return read, plan["Planning Time"], plan["Execution Time"]


async def bench_drop(report: Report, pool: Pool, dsn: str, today: datetime, rows: int) -> None:
    """A day of rows by `maintain`; beside it the same rows by DELETE, from a copy of that day.

    A writer stores row after row meanwhile, and has the server say how long it waited for a lock.
    Its slowest insert took longer: the files go after the lock, by the same processors.
    """
    old = f"{TABLE}_{today - (DAYS + 5) * DAY:%Y%m%d}"
    await pool.execute(
        f"create table execlog.copy (like {TABLE} including all);"
        f"insert into execlog.copy select * from {old}",
        timeout=3600,
    )
    deleting = await timed(lambda: pool.execute("delete from execlog.copy", timeout=3600))
    said: list[str] = []

    def listen(_: object, message: object) -> None:
        said.append(str(message))

    settings = {"client_min_messages": "log", "log_lock_waits": "on", "deadlock_timeout": "1"}
    writer = await asyncpg.connect(dsn, server_settings=settings)
    writer.add_log_listener(listen)
    slowest = 0.0

    async def write() -> None:
        nonlocal slowest
        insert = statements()["insert_row"].sql
        fresh = Fresh(datetime.now(UTC))
        while True:
            [model] = fresh.models(1)
            begin = time.perf_counter()
            await writer.execute(insert, json_object(model, "row"))
            slowest = max(slowest, time.perf_counter() - begin)

    writing = asyncio.ensure_future(write())
    await asyncio.sleep(0.5)
    [step] = await execlog.maintain(pool, interval="day", ahead=1, retain=(DAYS + 2) * DAY)
    await asyncio.sleep(0.2)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await writer.close()
    assert (step.action, step.outcome) == ("drop", "done")
    waits = [
        float(wait)
        for wait in re.findall(r"acquired \w+ on relation .+? after ([\d.]+) ms", str(said))
    ]
    lock = max(waits, default=1.0) / 1000
    report.row(
        f"dropping {rows:,} rows, its lock",
        f"{lock * 1000:.1f} ms, of {step.seconds * 1000:.0f} ms",
        f"DELETE {deleting * 1000:,.0f} ms",
        deleting / lock,
        "<= 100 ms, 50 x",
        lock <= 0.1 and deleting >= 50 * lock,
    )
    report.row(
        "a writer's slowest insert meanwhile",
        f"{slowest * 1000:.1f} ms",
        f"DELETE {deleting * 1000:,.0f} ms",
        deleting / slowest,
    )


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await work()
    return time.perf_counter() - begin


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.partitions", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    await bench_partitions(options.rows, options.rounds)


if __name__ == "__main__":
    asyncio.run(main())
