"""Inputs that are too old are cleared, and nothing else of their runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from execlog import (
    InvalidArgument,
    Maintenance,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.admin import expiry
from execlog.admin.lease import Lease
from tests.command import run
from tests.databases import TABLE
from tests.maintaining import DAY, DEFAULT, day, held, told
from tests.rows import row
from tests.types import Pool

WANTED: dict[str, Any] = {"interval": "day", "retain_inputs": 30 * DAY}
GIVEN = {"orders": [1, 2, 3], "text": "x" * 200}


@pytest.fixture
async def log(repository: StrategyExecutionLogRepository) -> StrategyExecutionLogRepository:
    return repository


async def expired(pool: Pool, **changes: Any) -> list[str]:
    steps = await maintain(pool, **{**WANTED, **changes})
    assert {step.outcome for step in steps} <= {"done"}, steps
    return [step.partition for step in steps if step.action == "expire"]


async def found(log: StrategyExecutionLogRepository) -> dict[str, StrategyExecutionLog]:
    return {one.strategy_id: one async for one in log.stream()}


async def test_old_inputs_go_and_all_else_stays(
    pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    rows = [
        day(40, strategy_id="old", input=GIVEN, attributes={"a": 1}, error_message="no"),
        day(40, strategy_id="noted", input=None, notes="trace cut: 1 of 2 entries"),
        day(41, strategy_id="both", input=[], notes="trace cut: 1 of 2 entries"),
        day(41, strategy_id="null", notes=""),
        day(29, strategy_id="kept", input=GIVEN),
        day(0, strategy_id="new", input=GIVEN),
    ]
    await log.insert_rows(rows)
    await pool.execute(f"update {TABLE} set input = 'null' where strategy_id = 'null'")
    assert await expired(pool, retain_inputs=None) == []
    before = [await log.metrics(strategy_id=one.strategy_id) for one in rows]
    rolled = await log.rollup_state()
    assert len(await expired(pool)) == 2
    stored = await found(log)
    changed = {
        "old": {"input": None, "notes": "input expired"},
        "both": {"input": None, "notes": "trace cut: 1 of 2 entries; input expired"},
        "null": {"input": None, "notes": "input expired"},
    }
    for one in rows:
        expected = one.model_copy(update=changed.get(one.strategy_id, {}))
        assert stored[one.strategy_id] == expected
    assert [await log.metrics(strategy_id=one.strategy_id) for one in rows] == before
    # Rollups tell nothing of inputs.
    assert (await log.rollup_state()).marks == rolled.marks == 0
    assert await expired(pool) == []


async def test_inputs_that_come_late_go_too(
    pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    """Also those of a transaction that had begun before, and was not seen."""
    await log.insert_rows([day(40, strategy_id="first", input=GIVEN), day(50), day(60)])
    await maintain(pool, interval="day")
    async with pool.acquire() as slow, slow.transaction():
        await slow.fetchval("select pg_current_xact_id()")
        assert len(await expired(pool)) == 3
        await StrategyExecutionLogRepository(pool).insert_rows([day(40, strategy_id="bare")])
        assert await expired(pool) == []
        await slow.execute(
            f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,"
            " status, duration_ms, nodes_executed, sampled, sample_rate, input)"
            " select gen_random_uuid(), created_at, 'slow', 1, 'x', 'ok', 1, 1, false, 1, '{}'"
            f" from {TABLE} where strategy_id = 'first'"
        )
    assert len(await expired(pool)) == 1
    await log.insert_row(day(50, strategy_id="late", input=GIVEN))
    assert len(await expired(pool)) == 1
    assert {one.input for one in (await found(log)).values()} == {None}
    assert await expired(pool) == []


async def test_a_mark_of_another_table_says_nothing(
    pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    """A dump that is restored elsewhere, where transactions have other numbers."""
    await log.insert_rows([day(40, input=GIVEN)])
    await maintain(pool, interval="day")
    [name] = await expired(pool)
    await pool.execute(
        f"comment on column execlog.{name}.input"
        " is 'Cleared before transaction 999999999 of relation 7.'"
    )
    assert await expired(pool) == [name]
    assert await expired(pool) == []


async def test_rows_in_default_and_thinned_partitions(
    pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    """Few rows of a day stay in DEFAULT. A run without a time is of no age."""
    wanted = {**WANTED, "retain": 50 * DAY, "retain_failures": 365 * DAY}
    await log.insert_rows(
        [
            *(
                day(70, status=status, input=GIVEN)
                for status in ("ok", "error")
                for _ in range(150)
            ),
            *(day(80 + n, strategy_id="stray", status="error", input=GIVEN) for n in range(150)),
            day(0, strategy_id="new", input=GIVEN),
            row(created_at=None, strategy_id="timeless", input=GIVEN),
        ]
    )
    for _ in range(3):  # moved, thinned, cleared
        steps = await maintain(pool, **wanted)
        assert {step.outcome for step in steps} == {"done"}
    stored = await found(log)
    assert {name for name, one in stored.items() if one.input is not None} == {"new", "timeless"}
    for name in ("loyalty", "stray"):
        assert (stored[name].status, stored[name].notes) == ("error", "input expired")
    assert await pool.fetchval(f"select count(*) from {DEFAULT} where strategy_id = 'stray'") == 150
    assert "expire done" not in told(await maintain(pool, **wanted))


async def test_a_few_pages_at_a_time(
    pool: Pool, log: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others read and write meanwhile, and what is cleared makes room for what follows."""
    monkeypatch.setattr(expiry, "_PAGES", 4)
    await log.insert_rows(day(40, strategy_id=f"s{n % 9}", input=GIVEN) for n in range(2000))
    await maintain(pool, interval="day")
    size = (
        "select sum(pg_relation_size(inhrelid))::bigint from pg_inherits"
        " where inhparent = $1::regclass"
    )
    before = await pool.fetchval(size, TABLE)
    parts = 0
    send = Lease.send

    async def sent(self: Any, names: Any, *given: Any, **options: Any) -> None:
        nonlocal parts
        await send(self, names, *given, **options)
        if "expire" in names:
            parts += 1
            await log.insert_row(day(40, strategy_id="late", input=GIVEN))

    monkeypatch.setattr(Lease, "send", sent)
    [name] = await expired(pool)
    assert parts > 10
    monkeypatch.setattr(Lease, "send", send)
    assert await pool.fetchval(size, TABLE) < 1.4 * before
    left = "select count(*) from " + TABLE + " where input is not null and strategy_id <> 'late'"
    assert await pool.fetchval(left) == 0
    assert await expired(pool) == [name]
    assert await pool.fetchval(left.partition(" and ")[0]) == 0
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 2000 + parts


async def test_a_row_that_is_held_puts_it_off(
    dsn: str, pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    await log.insert_rows([day(40, input=GIVEN)])
    await maintain(pool, interval="day")
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute(f"select from {TABLE} for update")
        steps = await maintain(pool, **WANTED, lock_timeout=0.4)
        assert told(steps)["expire postponed"] == 1
    await holder.close()
    assert len(await expired(pool)) == 1


async def test_nothing_is_done_once_another_has_taken_over(
    pool: Pool, log: StrategyExecutionLogRepository
) -> None:
    await log.insert_rows([day(40, input=GIVEN)])
    await maintain(pool, interval="day")
    async with held(pool) as (_, caretaker):
        planned = await caretaker.planned(Maintenance(**WANTED).wish(), holds=True)
        [step] = [step for step in planned.steps if step.action == "expire"]
        await pool.execute("update execlog.maintenance set token = gen_random_uuid()")
        assert (await caretaker.done(step, planned.shape, "1s")).outcome == "postponed"
    assert await pool.fetchval(f"select count(*) from {TABLE} where input is not null") == 1


async def test_from_a_terminal(dsn: str, log: StrategyExecutionLogRepository) -> None:
    await log.insert_rows([day(40, input=GIVEN)])
    plain = ("maintain", "--interval", "day", "--dsn", dsn)
    assert (await asyncio.to_thread(run, *plain)).returncode == 0
    words = (*plain, "--retain-inputs", "30d")
    planned = await asyncio.to_thread(run, *words, "--plan", "-o", "csv")
    assert planned.stdout.count("expire,") == 1
    assert "planned" in planned.stdout
    done = await asyncio.to_thread(run, *words, "-o", "csv")
    assert (done.returncode, done.stdout.count("expire,")) == (0, 1)
    assert [one.input async for one in log.stream()] == [None]


@pytest.mark.parametrize("retain", [30, timedelta(0), -DAY])
def test_bad_input(retain: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^retain_inputs: "):
        Maintenance(retain_inputs=retain)
