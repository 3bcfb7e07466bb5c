"""No row is lost or doubled while others write, read, erase, maintain or are killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    Maintenance,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.admin import lease as leasing
from execlog.admin.archiving import UNSAVED
from execlog.admin.partitions import Step, slot
from execlog.admin.scripts import scripts_of, words_of
from execlog.db.sqltext import filled, pieces
from tests.databases import TABLE, WAITING
from tests.maintaining import DEFAULT, KEPT, day, held, run_out, told
from tests.recording import assert_sum, record, until
from tests.types import Pool


async def test_ten_at_once(dsn: str, pool: Pool, scattered: list[StrategyExecutionLog]) -> None:
    all_steps = await asyncio.gather(*(maintain(dsn, interval="day") for _ in range(10)))
    assert all(not steps for steps in all_steps if steps.held_by)
    outcomes = {step.outcome for steps in all_steps for step in steps}
    assert outcomes == {"done"}
    attached = [s.partition for steps in all_steps for s in steps if s.action == "attach"]
    assert len(attached) == len(set(attached)) >= 3
    assert await pool.fetchval(f"select count(*) from {TABLE}") == len(scattered)


async def test_a_recorder_stores_meanwhile(dsn: str, pool: Pool) -> None:
    """Rows of the present day, while it has no partition, and gets one: none lost, none doubled."""
    await run_out(pool)
    async with ExecutionRecorder(dsn, linger=0.01, batch_rows=200) as recorder:

        async def load() -> None:
            for n in range(6000):
                record(recorder, n)
                if n % 20 == 0:
                    await asyncio.sleep(0.002)

        loading = asyncio.ensure_future(load())
        await until(lambda: recorder.stats().written > 500)
        steps = await maintain(pool, interval="day", lock_timeout=5)
        await loading
        stats = await recorder.aclose()
    assert told(steps)["attach done"] == 4
    await assert_sum(dsn, stats)
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 0


async def test_a_reader_in_the_way(
    dsn: str,
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """What can't be done is put off, and nobody waits for longer than the limit meanwhile."""
    await maintain(pool, interval="day")
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.fetch(f"select count(*) from {TABLE}")
    maintaining = asyncio.ensure_future(maintain(dsn, **KEPT, lock_timeout=0.3))
    longest = 0.0
    while not maintaining.done():
        begin = time.monotonic()
        await repository.insert_rows([day(0)])
        longest = max(longest, time.monotonic() - begin)
        await asyncio.sleep(0.01)
    steps = await maintaining
    outcomes = told(steps)
    assert outcomes["drop postponed"] >= 1
    assert outcomes["thin postponed"] == 1
    assert not any("failed" in outcome for outcome in outcomes)
    assert {step.problem for step in steps if step.outcome == "postponed"} == {
        "lock timeout (55P03)"
    }
    assert longest < 5
    await transaction.rollback()
    await other.close()
    assert {step.outcome for step in await maintain(dsn, **KEPT)} == {"done"}


@pytest.mark.long
async def test_killed_anywhere(
    dsn: str,
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """After each step, and in the middle of one: all rows are there, and the next run goes on."""
    expected = len(scattered)
    for n in range(60):
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
            running = asyncio.ensure_future(maintain(own, interval="day", ahead=2))
            await asyncio.sleep(n * 0.005)
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and query like '%strategy_execution_log_20%'"
            )
            try:
                finished = await running == []
            except StoreUnavailable:
                finished = False
        assert await pool.fetchval(f"select count(*) from {TABLE}") == expected
        if finished:
            break
    assert told(await maintain(pool, interval="day", ahead=2)) <= Counter({"vacuum done": 9})
    assert (await repository.health()).stray_rows == 0
    leftovers = await pool.fetch(
        "select relname from pg_class where relkind = 'r' and not relispartition"
        " and relnamespace = 'execlog'::regnamespace"
    )
    lasting = {"alert_state", "archive", "archived_file", "log_identity", "maintenance"}
    rolled = ("horizon", "mark", "mark_of_all", "partition", "state")
    lasting |= {
        "recorder_account",
        "recorder_progress",
        "schema_migration",
        "rollup",
        *(f"rollup_{name}" for name in rolled),
    }
    assert {found["relname"] for found in leftovers} == lasting


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_writers_whose_partition_is_made_meanwhile(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """A COPY that waits has not chosen its partition yet: none is refused, none is lost."""
    await run_out(pool)
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(), 'infinity', 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 100000) as n"
    )
    stored, done = 0, asyncio.Event()

    async def write(method: Any) -> None:
        nonlocal stored
        while not done.is_set():
            count = await method([day(0) for _ in range(20)])
            stored += count

    writers = [
        asyncio.ensure_future(write(method))
        for method in (repository.insert_rows, repository.insert_missing)
    ]
    await asyncio.sleep(0.2)
    steps = await maintain(pool, interval="hour", ahead=2)
    done.set()
    await asyncio.gather(*writers)
    assert told(steps)["attach done"] == 3
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 100_000 + stored


async def test_a_partition_that_is_attached_by_hand(
    dsn: str, pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Who waited for DEFAULT is told to try again, and then it is stored."""
    await run_out(pool)
    begins, ends = slot(datetime.now(UTC), "day")
    other = await asyncpg.connect(dsn)
    await other.execute(f"begin; lock table {DEFAULT} in access exclusive mode")
    rows = [day(0)]
    waiting = asyncio.ensure_future(repository.insert_rows(rows))
    await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"))
    await other.execute(
        f"create table execlog.own (like {TABLE} including all);"
        f"alter table {TABLE} attach partition execlog.own"
        f" for values from ('{begins}') to ('{ends}'); commit"
    )
    await other.close()
    with pytest.raises(StoreUnavailable, match="partitions have just changed"):
        await waiting
    assert await repository.insert_rows(rows) == 1


async def test_late_rows_while_a_partition_is_thinned(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Nobody deadlocks, and a failure that comes late is kept with the others."""
    await run_out(pool)
    await repository.insert_rows(day(15, status="error") for _ in range(5000))
    await maintain(pool, interval="day")
    late, done = 0, asyncio.Event()

    async def write() -> None:
        nonlocal late
        while not done.is_set():
            await repository.insert_rows([day(15, status="error"), day(0), day(15)])
            late += 1

    writers = [asyncio.ensure_future(write()) for _ in range(2)]
    await asyncio.sleep(0.2)
    steps = await maintain(pool, **KEPT)
    done.set()
    await asyncio.gather(*writers)
    assert told(steps)["thin done"] == 1
    failed = await pool.fetchval(f"select count(*) from {TABLE} where status <> 'ok'")
    assert failed == 5000 + late


async def test_a_user_who_is_erased_while_a_partition_is_thinned(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """The copy was made before, the lock is taken after it: nothing of the user comes back."""
    failed: dict[str, Any] = {"status": "error", "trace": [{"node": 1}]}
    await run_out(pool)
    await repository.insert_rows(
        day(15, **failed, external_user_id=user) for user in ("gone", "kept", None) * 10
    )
    await maintain(pool, interval="day")
    [plan] = [s for s in await maintain(pool, **KEPT, only_plan=True) if s.action == "thin"]
    step = Step("thin", plan.partition, plan.begins, plan.ends)
    async with held(pool) as (lease, log):
        shape = (await log.planned(Maintenance(**KEPT).wish(), holds=True)).shape
        words = {**shape._asdict(), "lock_timeout": "5s", **words_of(step), **UNSAVED}
        parts = ("begin", *scripts_of(step, is_saved=False), "end")
        script = "\n".join(map(leasing._script, parts))
        for piece in pieces(filled(script, "execlog", words)):
            if "lock table only" in piece:
                erased = [part async for part in repository.erase(external_user_id="gone")]
                assert erased[-1].executions == 10
            await lease.session.connection.execute(piece)
    left = [one async for one in repository.stream()]
    assert Counter(one.external_user_id for one in left) == {"kept": 10, None: 20}
    assert Counter(one.trace is None for one in left) == {True: 10, False: 20}


async def test_a_cancelled_call_keeps_no_lease(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for n in range(40):
            running = asyncio.ensure_future(maintain(connection, interval="day", ahead=n % 4))
            await asyncio.sleep(n * 0.0005)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert await connection.fetchval("select 1") == 1
            assert not connection.is_in_transaction()
            assert await connection.fetchval("select token is null from execlog.maintenance")


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_time_limits_of_others(dsn: str, pool: Pool) -> None:
    await run_out(pool)
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(), now(), 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 60000) as n"
    )
    hasty = {"statement_timeout": "250"}
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=1, command_timeout=0.2, server_settings=hasty
    ) as own:
        outcomes = told(await maintain(own, interval="hour", ahead=0))
    assert outcomes["attach done"] == 1
    assert not [outcome for outcome in outcomes if "failed" in outcome]
