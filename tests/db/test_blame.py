"""Which refusals of the server are a row's fault, and which are conditions that pass."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, RejectedExecution, StoreUnavailable
from tests.databases import TABLE
from tests.outage import Outage
from tests.recording import assert_sum, record, until
from tests.samples import one_of
from tests.types import Pool

pytestmark = pytest.mark.usefixtures("way")

CONDITIONS = ["40001", "53100", "53200", "54000", "54001", "55000", "57014", "58030", "XX000"]
CONDITIONS += ["0A000", "25006", "42501", "HV000"]  # may be mended as well


async def refuse(pool: Pool, sqlstate: str, when: str, *, by: str = "statement") -> None:
    """Has the log refuse: rows of which `when` holds, by a trigger of the row or the statement."""
    await pool.execute(
        "create function execlog.refuse() returns trigger language plpgsql as $$ begin"
        f" if {when} then raise sqlstate '{sqlstate}'; end if; return new; end $$"
    )
    if by == "statement":
        how = "after insert on {} referencing new table as stored for each statement"
    elif by == "commit":
        how = "after insert on {} deferrable initially deferred for each row"
    else:
        how = "before insert on {} for each row"
    kind = "constraint trigger" if by == "commit" else "trigger"
    made = f"create {kind} refuse {how.format(TABLE)} execute function execlog.refuse()"
    await pool.execute(made)


async def accept(pool: Pool) -> None:
    """Drops the trigger; again, if a recorder at its commit holds its locks in another order."""
    for _ in range(20):
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            await pool.execute(f"drop trigger refuse on {TABLE}")
            return
    raise AssertionError("it can't be dropped")


ALL = "true"
POISON = "exists (select from stored where notes = 'poison')"


@pytest.mark.parametrize("by", one_of(["row", "statement", "commit"]))
@pytest.mark.parametrize("sqlstate", CONDITIONS)
async def test_a_condition_of_the_server_blames_no_row(
    dsn: str, pool: Pool, sqlstate: str, by: str
) -> None:
    await refuse(pool, sqlstate, ALL, by=by)
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(300):
            record(recorder, n)
        await until(lambda: sqlstate in str(recorder.stats().last_error))
        assert not await recorder.flush(0.6)
        stats = recorder.stats()
        assert (stats.pending_rows, stats.rejected, stats.alive) == (300, {}, True)
        await accept(pool)
        assert await recorder.flush()
    assert recorder.stats().written == 300
    await assert_sum(dsn, recorder.stats())


@pytest.mark.parametrize("by", one_of(["statement", "commit"]))
async def test_what_refuses_every_row_and_names_none_blames_none(
    dsn: str, pool: Pool, by: str
) -> None:
    """An exception of a trigger may be about the rows, or about the hour of the day."""
    await refuse(pool, "P0001", ALL, by=by)
    async with ExecutionRecorder(dsn, batch_rows=100) as recorder:
        for n in range(300):
            record(recorder, n)
        assert not await recorder.flush(2)
        stats = recorder.stats()
        assert (stats.pending_rows, stats.rejected) == (300, {})
        assert "P0001" in str(stats.last_error)
        await accept(pool)
        assert await recorder.flush()
    assert recorder.stats().written == 300
    await assert_sum(dsn, recorder.stats())


async def test_one_row_alone_is_taken_out_when_another_one_is_stored(dsn: str, pool: Pool) -> None:
    await refuse(pool, "23503", POISON)
    refused: list[RejectedExecution] = []
    async with ExecutionRecorder(dsn, on_reject=refused.append) as recorder:
        id_ = record(recorder, 1, notes="poison")
        assert not await recorder.flush(1)
        assert recorder.stats().rejected == {}
        record(recorder, 2)
        assert await recorder.flush()
    stats = recorder.stats()
    assert (stats.written, stats.rejected) == (1, {"refused_by_store": 1})
    assert [one.fields["id"] for one in refused] == [str(id_).replace("-", "")]
    await assert_sum(dsn, stats)


async def test_a_batch_of_poison_waits_for_a_row_that_is_stored(dsn: str, pool: Pool) -> None:
    await refuse(pool, "23503", POISON)
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(200):
            record(recorder, n, notes="poison")
        assert not await recorder.flush(1)
        assert (recorder.stats().rejected, recorder.stats().pending_rows) == ({}, 200)
        for n in range(10):
            record(recorder, n)
        assert await recorder.flush(30)
    stats = recorder.stats()
    assert (stats.written, stats.rejected) == (10, {"refused_by_store": 200})
    await assert_sum(dsn, stats)


@pytest.mark.parametrize("sqlstate", one_of(["MY001", "2F003", "38001", "20000", "27000", "23514"]))
async def test_a_row_that_is_named_is_to_blame(dsn: str, pool: Pool, sqlstate: str) -> None:
    """Whatever its trigger calls it."""
    await refuse(pool, sqlstate, "new.notes = 'poison'", by="row")
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(300):
            record(recorder, n, notes="poison" if n in (0, 77, 299) else None)
        assert await recorder.flush(30)
    stats = recorder.stats()
    assert (stats.written, stats.rejected) == (297, {"refused_by_store": 3})
    await assert_sum(dsn, stats)


async def test_a_foreign_key_blames_its_row(dsn: str, pool: Pool) -> None:
    """It is looked at when all rows are there, and names none."""
    await pool.execute('create table execlog.strategy (id text collate "C" primary key)')
    await pool.execute("insert into execlog.strategy values ('loyalty')")
    await pool.execute(
        f"alter table {TABLE} add foreign key (strategy_id) references execlog.strategy (id)"
    )
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(500):
            record(recorder, n, strategy_id="unknown" if n in (0, 1, 250) else "loyalty")
        assert await recorder.flush(30)
    stats = recorder.stats()
    assert (stats.written, stats.rejected) == (497, {"refused_by_store": 3})
    await assert_sum(dsn, stats)


async def test_a_condition_that_comes_between_blames_no_row(dsn: str, pool: Pool) -> None:
    """A row is refused by itself, others were stored long before: that proves nothing."""
    async with ExecutionRecorder(dsn, batch_rows=50) as recorder:
        for n in range(100):
            record(recorder, n)
        assert await recorder.flush()
        await refuse(pool, "23514", ALL)
        for n in range(100):
            record(recorder, n)
        assert not await recorder.flush(1.5)
        assert recorder.stats().rejected == {}
        await accept(pool)
        assert await recorder.flush()
    assert recorder.stats().written == 200
    await assert_sum(dsn, recorder.stats())


@pytest.mark.long
async def test_a_full_queue_of_notifications() -> None:
    """COMMIT itself fails, with 54000, until a listener has moved on."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(Outage({"max_notify_queue_pages": "64"}))
        except StoreUnavailable:
            pytest.skip("before Postgres 17 the queue of notifications always holds 8 GB")
        connection = await asyncpg.connect(server.dsn)
        await execlog.migrate(server.dsn)
        await connection.execute(
            "create function execlog.tell() returns trigger language plpgsql as $$ begin"
            " perform pg_notify('stored', repeat('x', 7000) || new.id); return new; end $$"
        )
        await connection.execute(
            f"create trigger tell after insert on {TABLE}"
            " for each row execute function execlog.tell()"
        )
        listener = await asyncpg.connect(server.dsn)
        await listener.execute("listen stored")
        await listener.execute("begin; select 1")
        async with ExecutionRecorder(server.dsn, batch_rows=20) as recorder:
            for n in range(300):
                record(recorder, n)
            await until(lambda: "54000" in str(recorder.stats().last_error))
            assert not await recorder.flush(0.6)
            assert recorder.stats().rejected == {}
            await listener.execute("rollback")
            await listener.close()
            await connection.execute("select pg_notification_queue_usage()")  # makes room
            assert await recorder.flush(30)
        assert recorder.stats().written == 300
        await connection.close()
        await assert_sum(server.dsn, recorder.stats())


async def test_rows_wait_behind_a_refusal_with_the_policy_in_force(
    dsn: str, pool: Pool, way: str
) -> None:
    waits, dropped = (118, {}) if way == "spool" else (50, {"full": 68})  # files have room
    await refuse(pool, "P0001", ALL)
    async with ExecutionRecorder(dsn, max_rows=50, batch_rows=10) as recorder:
        for n in range(1, 20):
            record(recorder, n)
        assert not await recorder.flush(0.6)
        for n in range(1, 100):
            record(recorder, n)
        await asyncio.sleep(0)
        stats = recorder.stats()
        assert (stats.pending_rows, stats.dropped, stats.alive) == (waits, dropped, True)
        await accept(pool)
        assert await recorder.flush()
    assert recorder.stats().written == waits
    await assert_sum(dsn, recorder.stats())
