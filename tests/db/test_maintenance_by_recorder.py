"""A recorder maintains the partitions if it is told to, and stores all the same if it can't."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    Maintenance,
    StrategyExecutionLogRepository,
    maintain,
)
from tests.databases import TABLE
from tests.maintaining import DAY, DEFAULT, day, partitions, run_out, told
from tests.recording import record, until
from tests.types import Pool


@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_the_recorder_maintains(dsn: str, pool: Pool, by: str) -> None:
    await run_out(pool)
    await StrategyExecutionLogRepository(pool).insert_rows([day(3), day(20)])
    wanted = Maintenance(interval="day", ahead=5, retain=10 * DAY)
    async with ExecutionRecorder(dsn if by == "dsn" else pool, maintenance=wanted) as recorder:
        record(recorder, 1)
        await until(lambda: covered(pool, 5))
        await until(lambda: empty(pool, DEFAULT))
        record(recorder, 1)
        assert await recorder.flush()
        stats = await recorder.aclose()
    assert (stats.written, stats.retries) == (2, 0)


async def test_partitions_that_can_not_be_replaced_yet(dsn: str, pool: Pool) -> None:
    """New ones wait for their place, which the next call makes."""
    wanted = asdict(Maintenance(interval="day", ahead=2, lock_timeout=0.2))
    async with pool.acquire() as storing:
        stored = storing.transaction()
        await stored.start()
        await storing.execute(f"lock table {TABLE} in row exclusive mode")
        run = await maintain(dsn, **wanted)
        assert told(run) == {"replace postponed": 4, "attach postponed": 3}
        assert {step.problem for step in run if step.action == "attach"} == {
            f"{run[0].partition} has its place until it is replaced"
        }
        await stored.rollback()
    assert told(await maintain(dsn, **wanted)) == {"replace done": 4, "attach done": 3}
    assert await in_days(pool)


async def test_a_partition_that_gets_its_first_row_as_it_is_replaced(dsn: str, pool: Pool) -> None:
    """It stays, and the new ones lie beside it, at once and not an hour later."""
    present = f"{TABLE}_{datetime.now(UTC):%Y%m}"
    waiting = "select count(*) > 0 from pg_locks where not granted"
    wanted = Maintenance(interval="day", ahead=40)
    async with pool.acquire() as storing:
        stored = storing.transaction()
        await stored.start()
        await storing.execute(f"lock table {present} in share update exclusive mode")
        async with ExecutionRecorder(dsn, maintenance=wanted) as recorder:
            await until(lambda: pool.fetchval(waiting))
            record(recorder, 1)
            assert await recorder.flush()
            await stored.rollback()
            await asyncio.wait_for(until(lambda: planned_nothing(dsn, wanted), 30), 30)
    assert present.removeprefix(f"{TABLE}_") in await partitions(pool)
    assert not await in_days(pool)


async def planned_nothing(dsn: str, wanted: Maintenance) -> bool:
    return not await maintain(dsn, **asdict(wanted), only_plan=True)


async def in_days(pool: Pool) -> bool:
    named = [name for name in await partitions(pool) if name != "default"]
    return all(len(name) == len("20260131") for name in named)


async def covered(pool: Pool, days: int) -> bool:
    return (await StrategyExecutionLogRepository(pool).health()).days_ahead >= days


async def empty(pool: Pool, table: str) -> bool:
    return not await pool.fetchval(f"select exists (select from {table})")


async def test_a_recorder_that_may_not_maintain(
    pool: Pool, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and stores all the same."""
    await pool.execute("drop function execlog.partitions()")
    async with ExecutionRecorder(dsn, maintenance=Maintenance()) as recorder:
        record(recorder, 1)
        await until(lambda: "maintenance is not possible" in caplog.text)
        assert await recorder.flush()
        stats = await recorder.aclose()
    assert (stats.written, stats.last_error) == (1, None)


async def test_a_closed_recorder_maintains_no_more(dsn: str, pool: Pool) -> None:
    for _ in range(5):
        recorder = ExecutionRecorder(dsn, maintenance=Maintenance(interval="hour", ahead=48))
        await recorder.start()
        await asyncio.sleep(0.02)
        await recorder.aclose()
    await until(lambda: nobody(pool, "select count(token) from execlog.maintenance"))


async def nobody(pool: Pool, count: str) -> bool:
    return bool(await pool.fetchval(count) == 0)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"interval": "year"}, "interval"),
        ({"ahead": 1001}, "ahead"),
        ({"retain": 3}, "retain"),
        ({"retain_failures": DAY}, "retain_failures"),
        ({"lock_timeout": 0}, "lock_timeout"),
    ],
)
def test_how_partitions_can_not_be(given: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{argument}: "):
        Maintenance(**given)


async def test_a_pool_of_one_connection_is_not_for_maintenance(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1) as own:
        with pytest.raises(InvalidArgument, match=r"^maintenance: needs a DSN or a pool of two"):
            ExecutionRecorder(own, maintenance=Maintenance())


def test_a_recorder_takes_nothing_else_for_it() -> None:
    with pytest.raises(InvalidArgument, match=r"^maintenance: "):
        ExecutionRecorder("postgresql://", maintenance={"interval": "day"})  # type: ignore[arg-type]
