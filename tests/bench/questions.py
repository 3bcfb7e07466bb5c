"""Measures what the columns, filters and questions of an incident cost, against their targets.

    python -m tests.bench.questions [--rounds 9] [--scale 1] [--only NAME[,NAME]]

`--scale` is the share of the rows of each shape that are stored; targets are for all of them. Of
storing, only the server's part is measured: the lines are ready. "Before" is a log without what
the migrations from 0010 on add.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.db.copy_format import NULL
from execlog.db.copying import in_pieces
from tests import databases, first_wave
from tests.bench.breakdowns import bench_breakdown
from tests.bench.common import PATIENCE, Bench, Sections, medians, run_sections
from tests.bench.rollup_shapes import (
    BATCH,
    DAY,
    HOUR,
    Log,
    at_most,
    batches,
    drop,
    mixed,
    timed,
)
from tests.rows import row

_BEFORE = "0009_roll_up"
_NEW = 4  # fields at the end of a line: trace_id, error_message, input, attributes
_USER = 8


class Earlier(Log):
    """A log as it was before."""

    async def make(self, since: datetime) -> None:
        statements = execlog.dump_migrations(until=_BEFORE, schema=self.schema)
        async with self.pool.acquire() as connection:
            await databases.send(connection, statements)

    async def copy(self, lines: list[bytes]) -> None:
        async with self.pool.acquire() as connection:
            await connection.copy_to_table(
                "strategy_execution_log",
                schema_name=self.schema,
                columns=first_wave.COLUMNS,
                source=in_pieces(lines),
                format="text",
                null=NULL,
            )


def _lines(
    dice: random.Random, begin: datetime, *, user: bool = False, trace: bool = False
) -> Iterator[bytes]:
    """Lines of the shape ten, with a user and a trace id or without."""
    for line in mixed(dice, begin, 10):
        fields = line[:-1].split(b"\t")
        if not user:
            fields[_USER] = NULL.encode()
        if trace:
            fields[-_NEW] = b"%032x" % dice.getrandbits(128)
        yield b"\t".join(fields) + b"\n"


async def bench_copy(bench: Bench) -> None:
    """A batch of 2,000 rows of now, stored in logs with all, some and none of what is new."""
    before = Earlier(bench.pool, "before")
    logs = {name: Log(bench.pool, name) for name in ("whole", "no_user", "no_stored", "columns")}
    this = datetime.now(UTC)
    await before.make(this)
    for log in logs.values():
        await log.make(this)
    for name in ("no_user", "columns"):
        await bench.pool.execute(f"drop index {name}.strategy_execution_log_user_hash")
    for name in ("no_stored", "columns"):
        await bench.pool.execute(f"drop index {name}.strategy_execution_log_stored")
    cases: dict[str, tuple[dict[str, bool], dict[str, float]]] = {
        "NULL": ({}, {"whole": 0.97}),
        "user": ({"user": True}, {}),
        "user, trace": ({"user": True, "trace": True}, {"whole": 0.9}),
    }
    for what, (shape, targets) in cases.items():
        seconds = await _copied(bench, [before, *logs.values()], shape)
        for name, log in logs.items():
            least = targets.get(name)
            ratio = seconds[before] / seconds[log]
            bench.report.row(
                f"COPY, {what}: {_SAID[name]}",
                f"{BATCH / seconds[log]:,.0f} /s",
                f"before {BATCH / seconds[before]:,.0f} /s",
                ratio,
                "" if least is None else f">= {least:g}",
                None if least is None else ratio >= least,
            )
    await _bytes(bench, before, logs)
    await drop(before, *logs.values())


_SAID = {
    "whole": "all",
    "no_user": "no user's index",
    "no_stored": "none of arrival",
    "columns": "columns alone",
}


async def _copied(bench: Bench, logs: list[Log], shape: Mapping[str, bool]) -> dict[Log, float]:
    """Medians of a batch; the logs take turns."""
    dice = random.Random(4)
    taken: dict[Log, list[float]] = {log: [] for log in logs}
    for turn in range(-10, 10 * bench.rounds):
        begin = datetime.now(UTC) - timedelta(seconds=2)
        [lines] = batches(_lines(dice, begin, **shape), BATCH)
        short = [_shortened(lines)]
        for log in logs if turn % 2 else logs[::-1]:
            ready = short if isinstance(log, Earlier) else lines
            seconds = await timed(partial(log.copy, ready))
            if turn >= 0:
                taken[log].append(seconds)
    return {log: statistics.median(found) for log, found in taken.items()}


def _shortened(lines: list[bytes]) -> bytes:
    """The lines without the fields that are new."""
    whole = b"".join(lines).splitlines()
    return b"".join(b"\t".join(line.split(b"\t")[:-_NEW]) + b"\n" for line in whole)


async def _bytes(bench: Bench, before: Log, logs: Mapping[str, Log]) -> None:
    """Bytes a row of what is new, after all the same rows; a third of them has no user."""
    sizes = {}
    for log in (before, *logs.values()):
        runs, rows, _ = await log.sizes()
        sizes[log] = rows / runs
    whole = sizes[logs["whole"]]
    added = whole - sizes[before]
    trace_ids = 16 / 3  # in a third of the rows
    bench.report.row(
        "bytes a row, arrival, user's index",
        f"{added - trace_ids:,.0f}",
        f"of {sizes[before]:,.0f} before",
        whole / sizes[before],
        "<= 70",
        added - trace_ids <= 70,
    )


async def bench_inputs(bench: Bench) -> None:
    """Bytes of a run whose input is small or large."""
    dice = random.Random(5)
    for name, items in (("300 B", 7), ("4 kB", 115)):
        log = Log(bench.pool, "inputs")
        await log.make(datetime.now(UTC))
        rows = bench.scaled(50_000)
        given = []
        lengths = []
        for number in range(rows):
            value = {
                "event": f"event-{number}",
                "items": [
                    {"sku": f"{dice.getrandbits(40):010x}", "amount": dice.randrange(10_000) / 100}
                    for _ in range(items)
                ],
            }
            lengths.append(len(json.dumps(value, separators=(",", ":"))))
            given.append(row(input=value, external_user_id=f"user-{number % 5000}"))
            if len(given) == BATCH or number == rows - 1:
                await log.repository.insert_rows(given)
                given = []
        runs, size, _ = await log.sizes()
        bench.report.row(
            f"bytes a run, input of {name}",
            f"{size / runs:,.0f}",
            f"JSON of the input {statistics.mean(lengths):,.0f}",
            size / runs / statistics.mean(lengths),
        )
        await drop(log)


async def bench_asked(bench: Bench) -> None:
    """The newest runs of a user over 40 partitions, and pages of one strategy by any filter."""
    log = Log(bench.pool, "asked")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await log.make(now)
    await execlog.maintain(bench.pool, interval="day", ahead=2, schema=log.schema)
    for days in range(38, 0, -1):
        begin = (now - days * DAY).replace(hour=0)
        await bench.pool.execute(
            f"create table {log.table}_{begin:%Y%m%d}_d partition of {log.table}"
            f" for values from ('{begin.isoformat()}') to ('{(begin + DAY).isoformat()}')"
        )
    await log.fill(bench.scaled(400_000), now - 38 * DAY, 38 * DAY, strategy="'s' || n % 10")
    await log.fill(bench.scaled(200_000), now - DAY, 23 * HOUR, strategy="'one'")
    await bench.pool.execute(
        f"update {log.table} set trace_id = md5(id::text)::uuid,"
        " attributes = jsonb_build_object('channel', case when strategy_version > 2 then 'web' end)"
        " where strategy_id = 'one'",
        timeout=PATIENCE,
    )
    await log.vacuum()
    await _user(bench, log)
    await _pages(bench, log, now)
    await drop(log)


async def _user(bench: Bench, log: Log) -> None:
    seconds: dict[str, float] = {}
    ways: dict[str, dict[str, Any]] = {
        "generic": {"server_settings": {"plan_cache_mode": "force_generic_plan"}},
        "planned": {"statement_cache_size": 0},
    }
    for way, options in ways.items():
        async with asyncpg.create_pool(bench.dsn, min_size=1, max_size=1, **options) as pool:
            own = StrategyExecutionLogRepository(pool, schema=log.schema)
            ask = partial(own.list_executions, external_user_id="user-77", limit=50, payloads=False)
            seconds |= await medians(bench.rounds, {way: ask})
    bare = (
        f"select id from {log.table} where external_user_id = 'user-77'"
        " order by created_at desc nulls last, id desc limit 50"
    )
    async with bench.pool.acquire() as connection:
        prepared = await connection.prepare(bare)
        seconds |= await medians(bench.rounds, {"bare": prepared.fetch})
    for what, most in (("generic", 0.002), ("planned", 0.006)):
        said = {"generic": "a generic plan", "planned": "planned each time"}[what]
        at_most(bench, f"50 of a user, {said}", seconds[what], "ids", seconds["bare"], most)


async def _pages(bench: Bench, log: Log, now: datetime) -> None:
    """The first page for each filter alone and for some pairs; the slowest is told."""
    known = await log.repository.list_executions(strategy_id="one", limit=1)
    single: dict[str, Any] = {
        "realm_id": known[0].realm_id,
        "strategy_version": 3,
        "strategy_type": "DSL_EXTEND",
        "status": "timeout",
        "error_code": "E3",
        "case_name": "case-3",
        "no_case": True,
        "external_user_id": known[0].external_user_id,
        "external_game_id": "game-3",
        "external_task_id": "task-499",
        "parent_strategy_id": "none",
        "trace_id": known[0].trace_id,
        "attributes": {"channel": "app"},
        "attribute_texts": {"channel": "app"},
        "min_duration_ms": 500.0,
        "max_duration_ms": 0.001,
        "min_nodes": 40,
        "max_nodes": 0,
        "min_points": 60.0,
        "below_points": -1.0,
    }
    names = list(single)
    cases = [{name: single[name]} for name in names]
    cases += [
        {one: single[one], other: single[other]}
        for one, other in zip(names, names[3:] + names[:3], strict=True)
        if {one, other} != {"case_name", "no_case"}
    ]
    since = now - DAY
    taken: dict[str, float] = {}
    for case in cases:
        ask = partial(
            log.repository.list_executions,
            strategy_id="one",
            since=since,
            limit=50,
            payloads=False,
            **case,
        )
        found = await medians(max(bench.rounds // 3, 1), {"page": ask})
        taken[", ".join(case)] = found["page"]
    bare = f"select count(*) from {log.table} where strategy_id = 'one' and created_at >= $1"
    count = await medians(bench.rounds, {"count": partial(bench.pool.fetchval, bare, since)})
    order = sorted(taken, key=taken.__getitem__)
    for said, name in (("median", order[len(order) // 2]), ("slowest", order[-1])):
        most = 0.05 if said == "slowest" else None
        at_most(bench, f"page, {said}: {name}", taken[name], "count(*)", count["count"], most)


SECTIONS: Sections = {
    "copy": bench_copy,
    "inputs": bench_inputs,
    "asked": bench_asked,
    "breakdown": bench_breakdown,
}


if __name__ == "__main__":
    run_sections("tests.bench.questions", __doc__, SECTIONS)
