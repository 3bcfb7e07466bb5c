"""What is recorded is stored once, as it was given, in the order of the calls."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from tests.databases import TABLE
from tests.recording import assert_sum, record, until
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool

pytestmark = pytest.mark.usefixtures("way")


async def test_an_execution_is_stored_as_it_was_given(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    whole = row(
        realm_id="r",
        external_game_id="g\t1",
        external_task_id="t\\n",
        external_user_id="ü\n😀",
        error_code="E",
        points=-1.25,
        case_name="\1",
        trace=[{"node": "a", "ms": 0.5, "text": 'q"\\\t\n\x01é😀'}, None],
        parent_strategy_id="p",
        notes="a\\tb\r\nc",
        created_at=T0,
        status="error",
    )
    async with ExecutionRecorder(dsn) as recorder:
        given = whole.model_dump()
        assert recorder.record(**given) == whole.id
        before = datetime.now(UTC)
        made = recorder.record(**fields())
        after = datetime.now(UTC)
        assert isinstance(made, UUID)
        assert await recorder.flush()
    assert await repository.get(id=whole.id) == whole
    stored = await repository.get(id=made)
    assert stored is not None
    assert stored == row(id=made, created_at=stored.created_at)
    assert stored.created_at is not None
    assert before - timedelta(microseconds=1) <= stored.created_at <= after
    await assert_sum(dsn, recorder.stats())


async def test_ids_and_rows_are_in_the_order_of_the_calls(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, batch_rows=7) as recorder:
        ids = [recorder.record(**fields(notes=str(n))) for n in range(100)]
        assert await recorder.flush()
    assert ids == sorted(ids, key=str)
    stored = await pool.fetch(f"select id, notes from {TABLE} order by id")
    assert [r["id"] for r in stored] == ids
    batches = await pool.fetchval(f"select count(distinct xmin::text) from {TABLE}")
    assert batches == recorder.stats().batches == 15
    assert await pool.fetchval("select batch from execlog.recorder_progress") == 15


async def test_a_full_batch_goes_at_once_and_another_when_it_has_waited(dsn: str) -> None:
    async with ExecutionRecorder(dsn, batch_rows=10, linger=30) as recorder:
        begin = time.monotonic()
        for n in range(10):
            record(recorder, n)
        await until(lambda: recorder.stats().written == 10)
        assert time.monotonic() - begin < 5
        record(recorder, 1)
        await asyncio.sleep(0.3)
        assert recorder.stats().pending_rows == 1
    async with ExecutionRecorder(dsn, linger=0.2) as recorder:
        record(recorder, 1)
        await asyncio.sleep(0.1)
        assert recorder.stats().written == 0
        await until(lambda: recorder.stats().written == 1)


async def test_what_the_engine_changes_afterwards_is_not_stored(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    trace = [{"node": 1}]
    async with ExecutionRecorder(dsn) as recorder:
        id_ = recorder.record(**fields(trace=trace))
        trace[0]["node"] = 2
        trace.append({"node": 3})
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert stored.trace == [{"node": 1}]


async def test_the_same_id_twice_is_refused_by_the_store(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        for _ in range(3):
            recorder.record(**row(created_at=T0, id=row().id).model_dump())
        twice = row(created_at=T0).model_dump()
        recorder.record(**twice)
        recorder.record(**twice)
        assert await recorder.flush()
    assert recorder.stats().rejected == {"refused_by_store": 1}
    assert recorder.stats().written == 4
    await assert_sum(dsn, recorder.stats())


async def test_recorders_of_long_ago_are_forgotten(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "insert into execlog.recorder_progress (recorder_id, batch, stored_at)"
        " select gen_random_uuid(), 1, now() - days * interval '1 day'"
        " from unnest(array[0, 29, 31, 400]) as days"
    )
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        three = "select count(*) = 3 from execlog.recorder_progress"
        await until(lambda: pool.fetchval(three))
    ages = await pool.fetch(
        "select extract(day from now() - stored_at)::integer as days"
        " from execlog.recorder_progress order by 1"
    )
    assert [r["days"] for r in ages] == [0, 0, 29]


async def test_many_recorders_at_once(dsn: str) -> None:
    recorders = [ExecutionRecorder(dsn, linger=0.01) for _ in range(8)]
    for recorder in recorders:
        await recorder.start()
    for n in range(2000):
        record(recorders[n % 8], n)
        if n % 100 == 0:
            await asyncio.sleep(0.005)
    closed = await asyncio.gather(*(recorder.aclose() for recorder in recorders))
    assert [stats.written for stats in closed] == [250] * 8
    both = closed[0].model_copy(update={"written": 2000, "offered": 2000})
    await assert_sum(dsn, both)


async def test_the_stats_dump_as_every_answer_does(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 0)
        await recorder.flush()
        dumped = recorder.stats().model_dump(by_alias=True, mode="json")
    assert dumped.pop("secondsSinceSuccess") >= 0
    assert dumped.pop("slowWrites") >= 0
    assert dumped == {
        "offered": 1,
        "recovered": 0,
        "sampledOut": 0,
        "rejected": {},
        "dropped": {},
        "altered": {},
        "written": 1,
        "pendingRows": 0,
        "pendingBytes": 0,
        "batches": 1,
        "retries": 0,
        "lastError": None,
        "alive": True,
        "spooledRows": 0,
        "spooledBytes": 0,
    }


async def test_a_name_for_the_strategy_that_is_an_enum(dsn: str, pool: Pool) -> None:
    from tests.db.test_bad_input import Named

    async with ExecutionRecorder(dsn) as recorder:
        assert recorder.record(**fields(strategy_id=Named.LOYALTY)) is not None
    assert await pool.fetchval(f"select strategy_id from {TABLE}") == STRATEGY


async def test_migrate_while_it_records(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, linger=0.01) as recorder:
        for n in range(20):
            record(recorder, n)
            await execlog.migrate(dsn)
            await pool.execute(f"alter table {TABLE} add column extra_{n} integer")
            await asyncio.sleep(0.01)
        assert await recorder.flush()
    assert recorder.stats().written == 20
    await assert_sum(dsn, recorder.stats())


async def test_an_error_before_the_rows_were_sent_blames_none_of_them(dsn: str) -> None:
    """22023, invalid parameter value, is of a class that blames rows; here it is the connection."""
    odd = f"{dsn}{'&' if '?' in dsn else '?'}TimeZone=nowhere"
    async with ExecutionRecorder(odd) as recorder:
        for n in range(10):
            record(recorder, n)
        await until(lambda: recorder.stats().retries > 0)
        assert not await recorder.flush(timeout=0.1)
        stats = recorder.stats()
        assert (stats.pending_rows, stats.rejected) == (10, {})
        await recorder.aclose(timeout=0.1)


async def test_rows_that_a_trigger_swallows_do_not_count_as_written(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "create function execlog.swallow() returns trigger language plpgsql as $$ begin"
        " if new.notes = 'poison' then return null; end if; return new; end $$"
    )
    await pool.execute(
        f"create trigger swallow before insert on {TABLE}"
        " for each row execute function execlog.swallow()"
    )
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(10):
            recorder.record(**fields(notes="poison" if n % 2 else "a"))
        assert await recorder.flush()
    assert recorder.stats().rejected == {"swallowed_by_store": 5}
    await assert_sum(dsn, recorder.stats())
