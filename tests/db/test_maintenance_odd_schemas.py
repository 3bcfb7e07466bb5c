"""What others made of the schema, the tables or their session is left as it is, or named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository, maintain
from execlog.admin import caretaker
from execlog.admin.partitions import Step, slot
from tests.databases import TABLE
from tests.maintaining import DAY, DEFAULT, KEPT, day, held, partitions, run_out, told
from tests.types import Pool


async def test_tables_that_are_somebody_elses(pool: Pool) -> None:
    """Only what is a partition of the log, and in its schema, is ever dropped."""
    await pool.execute("create schema archive")
    await pool.execute(
        f"create table archive.strategy_execution_log_202401 partition of {TABLE}"
        " for values from ('2024-01-01 00:00+00') to ('2024-02-01 00:00+00')"
    )
    await pool.execute(f"create table {TABLE}_202401 (precious text)")
    await pool.execute(
        f"create table execlog.parts partition of {TABLE} for values from"
        " ('2023-01-01 00:00+00') to ('2024-01-01 00:00+00') partition by range (created_at)"
    )
    assert told(await maintain(pool, retain=30 * DAY)) == {"tune done": 4}
    assert await pool.fetchval(f"select to_regclass('{TABLE}_202401') is not null")
    assert {"archive.strategy_execution_log_202401", "execlog.parts"} <= set(await partitions(pool))
    # Detached after it was planned.
    begins, ends = (datetime(2024, n, 1, tzinfo=UTC) for n in (1, 2))
    shape = caretaker.Shape("id", "current_user", is_cluster=False, unrolled_from=None)
    async with held(pool) as (_, log):
        for action in ("drop", "replace", "thin"):
            step = Step(action, "strategy_execution_log_202401", begins, ends)
            done = await log.done(step, shape, "1s")
            assert (done.outcome, done.problem != "another process took over") == ("failed", True)
    assert await pool.fetchval(f"select to_regclass('{TABLE}_202401') is not null")


async def test_sessions_of_other_ways(dsn: str, pool: Pool) -> None:
    await maintain(pool, interval="day")
    for style in ("SQL, DMY", "Postgres, MDY", "German"):
        for zone in ("Asia/Kolkata", "Asia/Shanghai", "America/St_Johns"):
            own = {"DateStyle": style, "TimeZone": zone}
            async with asyncpg.create_pool(dsn, min_size=1, server_settings=own) as odd:
                assert await maintain(odd, interval="day") == []


async def test_a_publication_of_all_tables(
    pool: Pool, scattered: list[StrategyExecutionLog]
) -> None:
    await pool.execute("create publication everything for all tables")
    assert told(await maintain(pool, interval="day"))["attach failed"] == 0
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 2


async def test_columns_in_another_order_and_of_ones_own(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await run_out(pool)
    await pool.execute(
        f"alter table {TABLE} add column doubled integer"
        " generated always as (nodes_executed * 2) stored"
    )
    await pool.execute(f"alter table {TABLE} add column region text default 'eu'")
    columns = [
        record["attname"]
        for record in await pool.fetch(
            "select attname from pg_attribute where attnum > 0 and not attisdropped"
            f" and attrelid = '{TABLE}'::regclass order by attname"
        )
    ]
    definitions = await pool.fetch(
        "select attname, format_type(atttypid, atttypmod) as type, attnotnull,"
        " attgenerated::text from pg_attribute"
        f" where attrelid = '{TABLE}'::regclass and attname = any($1::text[]) order by attname",
        columns,
    )
    body = ", ".join(
        f"{d['attname']} {d['type']}"
        + (' collate "C"' if d["type"] == "text" and d["attname"] != "region" else "")
        + (" not null" if d["attnotnull"] else "")
        + (" generated always as (nodes_executed * 2) stored" if d["attgenerated"] else "")
        for d in definitions
    )
    begins, ends = slot(datetime.now(UTC) - 15 * DAY, "day")
    await pool.execute(f"create table execlog.own ({body})")
    for found in await pool.fetch(
        "select conname, pg_get_constraintdef(oid) as rule from pg_constraint"
        f" where conrelid = '{TABLE}'::regclass and contype = 'c'"
    ):
        await pool.execute(f"alter table execlog.own add constraint {found[0]} {found[1]}")
    await pool.execute(
        f"alter table {TABLE} attach partition execlog.own"
        f" for values from ('{begins}') to ('{ends}')"
    )
    rows = [
        day(ago, status="error", external_game_id="game", external_user_id="user")
        for ago in (0, 15)
    ]
    await repository.insert_rows(rows)
    await pool.execute(f"update {TABLE} set region = 'us'")
    outcomes = told(await maintain(pool, **KEPT))
    assert (outcomes["thin done"], outcomes["attach done"]) == (1, 4)
    for one in rows:
        assert await repository.get(id=one.id) == one
    assert await pool.fetchval(f"select bool_and(region = 'us' and doubled = 8) from {TABLE}")


async def test_bounds_beyond_the_calendar(pool: Pool) -> None:
    for name, begins, ends in (
        ("old", "0044-03-15 00:00+00 BC", "0100-01-01 00:00+00"),
        ("new", "20000-01-01 00:00+00", "20001-01-01 00:00+00"),
    ):
        await pool.execute(
            f"create table execlog.{name} partition of {TABLE}"
            f" for values from ('{begins}') to ('{ends}')"
        )
    assert told(await maintain(pool)) == {"tune done": 6}
    assert (await StrategyExecutionLogRepository(pool).health()).partitions == 6


async def test_a_default_that_was_detached(pool: Pool, scattered: list[Any]) -> None:
    await pool.execute(f"alter table {TABLE} detach partition {DEFAULT}")
    before = await pool.fetchval(f"select count(*) from {DEFAULT}")
    await maintain(pool, **KEPT)
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == before


async def test_a_table_of_that_name_is_in_the_way(pool: Pool) -> None:
    begins, _ = slot(datetime.now(UTC), "day")
    await pool.execute(f"create table {TABLE}_{begins:%Y%m%d} ()")
    steps = await maintain(pool, interval="day", ahead=0)
    [failed] = [step for step in steps if step.outcome == "failed"]
    assert (failed.action, failed.problem) == ("attach", "duplicate table (42P07)")
