"""Partitions come before they are needed, hold the rows of their time, and go when old."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.repository import statements
from tests.databases import TABLE
from tests.maintaining import DAY, DEFAULT, KEPT, partitions, told
from tests.recording import assert_sum, record
from tests.rows import row
from tests.types import Pool


async def test_partitions_come(pool: Pool) -> None:
    assert told(await maintain(pool)) == {"tune done": 4}
    assert await maintain(pool) == []
    steps = await maintain(pool, ahead=5)
    assert told(steps) == {"attach done": 2}
    assert await maintain(pool, ahead=5) == []


async def test_a_partition_has_what_the_first_ones_have(pool: Pool) -> None:
    """Whoever made it: its indexes, constraints, comments and collations are those of the log."""
    await maintain(pool, interval="day", ahead=1)
    await pool.execute(
        f"create table reference partition of {TABLE}"
        " for values from ('2001-01-01') to ('2001-02-01')"
    )
    facts = (
        "select attname::text, atttypid::regtype::text, attnotnull::text, attcollation::text"
        " from pg_attribute where attrelid = $1::text::regclass and attnum > 0",
        "select contype::text, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = $1::text::regclass",
        "select regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* USING', ''),"
        " indisvalid::text from pg_index where indrelid = $1::text::regclass",
        "select count(*)::text from pg_inherits join pg_index on indexrelid = inhrelid"
        " where indrelid = $1::text::regclass",
    )
    made = next(name for name in await partitions(pool) if name.startswith("20"))
    for fact in facts:
        ours, theirs = [
            Counter(tuple(record) for record in await pool.fetch(fact, table))
            for table in (f"{TABLE}_{made}", "reference")
        ]
        assert ours == theirs


async def test_strays_find_their_partitions(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    before = [one async for one in repository.stream()]
    assert (await repository.health()).stray_rows == 8
    steps = await maintain(pool, interval="day")
    assert told(steps)["attach done"] >= 3
    assert [one async for one in repository.stream()] == before
    assert (await repository.health()).stray_rows == 0
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 2
    assert told(await maintain(pool, interval="day")) <= Counter({"vacuum done": 3})


async def test_what_is_old_goes(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    await maintain(pool, interval="day")
    steps = await maintain(pool, **KEPT)
    assert {step.action for step in steps} >= {"thin", "drop"}
    assert {step.outcome for step in steps} == {"done"}
    left = {one.id async for one in repository.stream()}
    expected = [one for one in scattered if one.created_at is None or one.created_at.year > 9000]
    expected += [*scattered[0:4], scattered[5]]
    assert left == {one.id for one in expected}
    await maintain(pool, **KEPT)
    assert await maintain(pool, **KEPT) == []


async def test_what_is_old_in_default_goes_too(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """Whether its partition is made first or not."""
    steps = await maintain(pool, **KEPT)
    assert told(steps)["purge done"] == 1
    left = {one.id async for one in repository.stream()}
    assert scattered[6].id not in left  # ok and failed, 45 days old
    assert scattered[7].id not in left
    assert scattered[4].id not in left  # ok, 15 days old
    assert scattered[5].id in left
    assert len(left) == 7


async def test_a_plan_changes_nothing(pool: Pool, scattered: list[StrategyExecutionLog]) -> None:
    before = await partitions(pool)
    planned = await maintain(pool, **KEPT, only_plan=True)
    assert {step.outcome for step in planned} == {"planned"}
    assert await partitions(pool) == before
    done = await maintain(pool, **KEPT)
    assert [(one.action, one.partition) for one in done] == [
        (one.action, one.partition) for one in planned
    ]


@pytest.mark.long
async def test_many_rows_in_default(pool: Pool) -> None:
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(),"
        " '2025-01-01 00:00+00'::timestamptz + n / 100 * interval '500 minutes', 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 40000) as n"
    )
    steps = await maintain(pool)
    assert told(steps)["attach done"] == 5
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 0
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 40_000


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_clocks_an_hour_ahead_and_behind(dsn: str, pool: Pool) -> None:
    """Rows of the hours around, and the partitions by the server's clock: all find their place."""
    await maintain(pool, interval="hour", ahead=2)
    hour = timedelta(hours=1)
    async with ExecutionRecorder(dsn) as recorder:
        for n, skew in enumerate((-hour, timedelta(), hour, 90 * timedelta(days=1))):
            record(recorder, n, created_at=datetime.now(UTC) + skew)
    health = await StrategyExecutionLogRepository(pool).health()
    assert health.stray_rows == 2  # an hour ago had no partition, and a quarter ahead has none
    steps = await maintain(pool, interval="hour", ahead=2, retain=30 * DAY)
    assert {step.outcome for step in steps} == {"done"}
    assert (await StrategyExecutionLogRepository(pool).health()).stray_rows == 1  # the latter
    await assert_sum(dsn, recorder.stats())


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_four_hundred_partitions(dsn: str) -> None:
    """Who asks about a window locks its partitions only, also when the plan is kept."""
    assert told(await maintain(dsn, interval="hour", ahead=400))["attach done"] == 401
    now = datetime.now(UTC)
    held = "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        await log.insert_rows(row(created_at=now + n * timedelta(hours=1)) for n in range(400))
        await pool.execute(f"analyze {TABLE}")
        window: dict[str, Any] = {
            "strategy_id": "loyalty",
            "since": now,
            "until": now + timedelta(hours=2),
        }
        realms: dict[str, Any] = {"realm_ids": None}
        hours = {"width_us": 3600 * 10**6, "buckets": 2}
        earlier = {
            "since_before": now - timedelta(hours=2),
            "until_before": now - timedelta(microseconds=1),
            "width_us_before": 7200 * 10**6,
            "buckets_before": 1,
        }
        known = statements()
        asked = [
            known["count_by_status"].query(**window),
            known["duration_and_nodes_summary"].query(**window),
            known["metrics"].query(**window, **realms),
            known["timeseries"].query(**window, **realms, **hours),
            known["list_executions"].query(**window, **realms, limit=50),
            known["report"].query(**window, **realms, **hours, **earlier),
        ]
        async with pool.acquire() as connection:
            for query in asked:
                for _ in range(12):
                    async with connection.transaction():
                        await connection.fetch(query.sql, *query.values)
                        locks = await connection.fetchval(held)
                assert locks < 80, query.name
        assert len(await log.list_for_strategy(strategy_id="loyalty", limit=200)) == 200
        assert (await log.metrics(strategy_id="loyalty")).status_breakdown.total == 400
        assert (await log.health()).partitions == 401
    steps = await maintain(dsn, interval="hour", ahead=400)
    assert steps == []


async def test_the_tables_are_listed(pool: Pool) -> None:
    """Partitions newest first, then DEFAULT, then rollups; sizes as the server has them."""
    log = StrategyExecutionLogRepository(pool)
    await maintain(pool, interval="day", ahead=3)
    await log.insert_rows(row(created_at=datetime.now(UTC)) for _ in range(2000))
    await pool.execute(f"analyze {TABLE}, execlog.rollup")
    tables = await log.list_tables()
    kinds = [one.kind for one in tables]
    assert kinds == sorted(kinds, key=["partition", "default", "rollup"].index)
    assert set(kinds) == {"partition", "default", "rollup"}
    parts = [one for one in tables if one.kind == "partition"]
    begins = [one.begins for one in parts if one.begins is not None]
    assert len(begins) == len(parts)
    assert begins == sorted(begins, reverse=True)
    assert sum(one.estimated_rows or 0 for one in parts) == 2000
    health = await log.health()
    stored = [one for one in tables if one.kind != "rollup"]
    assert sum(one.table_bytes for one in stored) == health.table_bytes
    assert sum(one.index_bytes for one in stored) == health.index_bytes
