"""Measures execlog against the peer and against the floor, and prints ratios.

    python -m tests.bench [--rows 2000000] [--rounds 9] [--only reads|dashboard|recorder]

All sides run in this one process, in turn, on the same rows on the same server: the one in
`EXECLOG_TEST_DSN` (in a database made for this), else an embedded one with fsync on. The floor is
the bare asyncpg call with ready-made arguments and without any care for rows that have no time,
written by hand for that one question. Each figure is the median of the rounds. The dashboard and
the recorder have tables of their own: see `tests.bench.dashboard` and `tests.bench.recorder`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.db.copy_format import COLUMNS
from tests.bench.common import (
    BATCH,
    FAILED,
    STRATEGIES,
    TRACE,
    Fresh,
    Work,
    bench_database,
    fields,
    medians,
    peer_repository,
    print_line,
)
from tests.bench.dashboard import bench_dashboard
from tests.bench.peer import SCHEMA, Execution, PeerRepository
from tests.bench.recorder import add_arguments, bench_recorder
from tests.databases import TABLE
from tests.types import Pool


class Table:
    """Prints its lines as they come."""

    def __init__(self) -> None:
        self.line("work", "execlog", "peer", "floor", "peer/execlog", "execlog/floor")

    def line(self, *cells: str) -> None:
        print_line((36, 14, 14, 14, 14, 14), *cells)

    def times(self, work: str, ours: float, peer: float | None, floor: float) -> None:
        self.line(
            work,
            f"{ours * 1000:.2f} ms",
            "" if peer is None else f"{peer * 1000:.2f} ms",
            f"{floor * 1000:.2f} ms",
            "" if peer is None else f"{peer / ours:.1f} x",
            f"{ours / floor:.2f} x",
        )

    def rates(self, work: str, ours: float, peer: float, floor: float) -> None:
        self.line(
            work,
            f"{ours:,.0f} /s",
            f"{peer:,.0f} /s",
            f"{floor:,.0f} /s",
            f"{ours / peer:.0f} x more",
            f"{ours / floor:.2f} of it",
        )


async def bench_reads(
    table: Table, pool: Pool, peer: PeerRepository, end: datetime, rounds: int
) -> None:
    repository = StrategyExecutionLogRepository(pool)
    name = "strategy-4"
    since, until = end - timedelta(days=30), end
    scope: dict[str, Any] = {"strategy_id": name, "since": since, "until": until}
    window = "strategy_id = $1 and created_at >= $2 and created_at <= $3"
    newest = "order by created_at desc nulls last, id desc limit 50"
    listed = ", ".join("trace::text" if column == "trace" else column for column in COLUMNS)
    arguments = (name, since, until)
    one = await pool.fetchval(f"select id from {TABLE} limit 1")

    def bare(sql: str, *values: object) -> Work:
        return lambda: pool.fetch(sql, *values)

    works: dict[str, tuple[Work, Work | None, Work]] = {
        "list_for_strategy, newest 50": (
            lambda: repository.list_for_strategy(strategy_id=name),
            lambda: peer.list_for_strategy(name),
            bare(f"select {listed} from {TABLE} where strategy_id = $1 {newest}", name),
        ),
        "list_for_strategy, newest 50 failures": (
            lambda: repository.list_for_strategy(strategy_id=name, status="error"),
            lambda: peer.list_for_strategy(name, "error"),
            bare(
                f"select {listed} from {TABLE}"
                f" where strategy_id = $1 and status = 'error' {newest}",
                name,
            ),
        ),
        "count_by_status": (
            lambda: repository.count_by_status(**scope),
            lambda: peer.count_by(Execution.status, name, since, until),
            bare(
                f"select status, count(*) from {TABLE} where {window}"
                " group by status order by count(*) desc, status",
                *arguments,
            ),
        ),
        "count_by_error_code": (
            lambda: repository.count_by_error_code(**scope),
            lambda: peer.count_by_error_code(name, since, until),
            bare(
                f"select error_code, count(*) from {TABLE} where {window}"
                " and error_code is not null"
                " group by error_code order by count(*) desc, error_code limit 10",
                *arguments,
            ),
        ),
        "count_by_case_name": (
            lambda: repository.count_by_case_name(**scope),
            lambda: peer.count_by(Execution.case_name, name, since, until),
            bare(
                f"select case_name, count(*) from {TABLE} where {window}"
                " group by case_name order by count(*) desc, case_name limit 10",
                *arguments,
            ),
        ),
        "duration_and_nodes_summary": (
            lambda: repository.duration_and_nodes_summary(**scope),
            lambda: peer.summary(name, since, until),
            bare(
                f"select count(*), sum(duration_ms), min(duration_ms), max(duration_ms),"
                f" sum(nodes_executed), max(nodes_executed), sum(points)"
                f" from {TABLE} where {window}",
                *arguments,
            ),
        ),
        "duration_percentiles (peer: a sample)": (
            lambda: repository.duration_percentiles(**scope),
            lambda: peer.sample_percentiles(name, since, until),
            bare(
                "select percentile_cont('{0.5,0.95,0.99}'::float8[])"
                f" within group (order by duration_ms)::text from {TABLE} where {window}",
                *arguments,
            ),
        ),
        "sample_durations, 1000": (
            lambda: repository.sample_durations(**scope),
            lambda: peer.sample_percentiles(name, since, until),
            bare(
                f"select duration_ms from {TABLE} where {window}"
                " order by created_at desc nulls last, id desc limit 1000",
                *arguments,
            ),
        ),
        "get by id": (
            lambda: repository.get(id=one),
            None,
            bare(f"select {listed} from {TABLE} where id = $1", one),
        ),
    }
    for work, (ours, theirs, floor) in works.items():
        sides = {"ours": ours, "floor": floor} | ({"peer": theirs} if theirs else {})
        seconds = await medians(rounds, sides)
        table.times(work, seconds["ours"], seconds.get("peer"), seconds["floor"])


async def seed(pool: Pool, rows: int, end: datetime) -> None:
    """The same rows in both tables, vacuumed."""
    repository = StrategyExecutionLogRepository(pool)
    dice = random.Random(1)
    for first in range(rows, 0, -4 * BATCH):
        numbers = range(first, max(first - 4 * BATCH, 0), -1)
        await repository.insert_rows(StrategyExecutionLog(**fields(n, end, dice)) for n in numbers)
        print(f"\rseeding: {rows - first:,} rows", end="", file=sys.stderr)
    columns = ", ".join(COLUMNS)
    await pool.execute(
        f"insert into {SCHEMA}.strategy_execution_log ({columns}) select {columns} from {TABLE}"
    )
    await pool.execute("vacuum analyze")
    print("\r" + " " * 40, end="\r", file=sys.stderr)


async def bench_inserts(
    table: Table, pool: Pool, peer: PeerRepository, fresh: Fresh, rounds: int
) -> None:
    """Rows a second into the tables that hold all the seeded rows already."""
    repository = StrategyExecutionLogRepository(pool)
    schema, name = TABLE.split(".")
    peer_rows = 200
    taken: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    async with pool.acquire() as connection:
        for _ in range(rounds):
            models, tuples = fresh.models(BATCH), fresh.tuples(BATCH)
            begin = time.perf_counter()
            await repository.insert_rows(models)
            ours = time.perf_counter()
            await connection.copy_records_to_table(
                name, schema_name=schema, records=tuples, columns=COLUMNS
            )
            floor = time.perf_counter()
            taken["ours"].append(ours - begin)
            taken["floor"].append(floor - ours)
            singles = [model.model_dump() for model in fresh.models(peer_rows)]
            begin = time.perf_counter()
            for single in singles:
                await peer.insert_row(single)
            taken["peer"].append((time.perf_counter() - begin) / peer_rows * BATCH)
    rates = {side: BATCH / statistics.median(seconds) for side, seconds in taken.items()}
    table.rates(f"insert_rows of {BATCH:,} models", rates["ours"], rates["peer"], rates["floor"])


async def bench_indexes(pool: Pool, fresh: Fresh, rounds: int) -> None:
    """What each index costs a COPY: tables that differ in nothing else, 200,000 rows in each."""
    found = await pool.fetch(
        "select indexname, indexdef from pg_indexes where schemaname = 'execlog'"
        " and tablename = 'strategy_execution_log' order by indexname"
    )
    indexes = {
        record["indexname"].removeprefix("strategy_execution_log_"): record["indexdef"]
        for record in found
    }
    names = list(indexes)
    sets: dict[str, list[str]] = {
        "no index": [],
        **{f"only {name}": [name] for name in names},
        **{f"all but {name}": [other for other in names if other != name] for name in names},
        "all": names,
    }
    await pool.execute("create schema bench")
    for number, chosen in enumerate(sets.values()):
        await pool.execute(
            f"create table bench.t{number} (like {TABLE} including defaults including constraints)"
        )
        for name in chosen:
            definition = indexes[name].replace(
                f"strategy_execution_log_{name}", f"{name}_{number}", 1
            )
            await pool.execute(definition.replace(f"ON ONLY {TABLE}", f"ON bench.t{number}"))
    taken: dict[str, list[float]] = {label: [] for label in sets}
    async with pool.acquire() as connection:
        filling = 200_000 // BATCH
        for turn in range(filling + rounds):
            tuples = fresh.tuples(BATCH)
            for number, label in enumerate(sets):
                begin = time.perf_counter()
                await connection.copy_records_to_table(
                    f"t{number}", schema_name="bench", records=tuples, columns=COLUMNS
                )
                if turn >= filling:
                    taken[label].append(time.perf_counter() - begin)
    print(f"\nCOPY of {BATCH:,} ready-made tuples, by the indexes of the table")
    bare = statistics.median(taken["no index"])
    for label, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{label:<36} {BATCH / median:>12,.0f} /s {median / bare:>8.2f} x the time of none")


async def bench_repository(rows: int, rounds: int) -> None:
    end = datetime.now(UTC)
    fresh = Fresh(end)
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with (
            peer_repository(dsn) as peer,
            asyncpg.create_pool(dsn, min_size=4, max_size=4) as pool,
        ):
            version = await pool.fetchval("show server_version")
            await seed(pool, rows, end)
            print(
                f"Postgres {version}, {rows:,} rows over {STRATEGIES} strategies,"
                f" {FAILED:.0%} failures with a trace of {len(TRACE)} entries,"
                f" medians of {rounds} rounds\n"
            )
            table = Table()
            await bench_reads(table, pool, peer, end, rounds)
            await bench_inserts(table, pool, peer, fresh, rounds)
            await bench_indexes(pool, fresh, rounds)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=("reads", "dashboard", "recorder"))
    add_arguments(parser)
    options = parser.parse_args()
    if options.only in (None, "reads"):
        await bench_repository(options.rows, options.rounds)
        print()
    if options.only in (None, "dashboard"):
        await bench_dashboard(options.rows, options.rounds)
        print()
    if options.only in (None, "recorder"):
        await bench_recorder(options.outage_seconds)


if __name__ == "__main__":
    asyncio.run(main())
