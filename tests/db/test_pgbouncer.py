"""PgBouncer in transaction mode in between. CI sends all the reads and the recorder through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    QueryRejected,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from tests import databases
from tests.databases import TABLE
from tests.db.test_account_apart import locked
from tests.db.test_faults import CALLS
from tests.pooler import Pooler
from tests.recording import assert_sum, load, record, until
from tests.rows import row
from tests.samples import one_of
from tests.types import Pool


@pytest.fixture
async def direct(template: str) -> AsyncIterator[str]:
    """The server itself."""
    async with databases.clone(template) as own:
        yield own


@pytest.fixture
async def dsn(direct: str, pooled: Pooler) -> str:
    """The same database through the pooler, which has three connections to it."""
    dsn = pooled.dsn(direct)
    together = [await asyncpg.connect(dsn, statement_cache_size=0) for _ in range(3)]
    await asyncio.gather(*(one.execute("select pg_sleep(0.05)") for one in together))
    for one in together:
        await one.close()
    return dsn


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool as the README says that it must be."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=8, statement_cache_size=0) as own:
        yield own


async def test_no_session_is_one_s_own(pool: Pool) -> None:
    """Else the others here would show nothing."""
    backends = {await pool.fetchval("select pg_backend_pid()") for _ in range(6)}
    assert len(backends) == 3


async def test_every_method(pool: Pool) -> None:
    log = StrategyExecutionLogRepository(pool)
    await log.insert_rows(row(points=float(n), external_user_id="u1") for n in range(500))
    calls = [call(log) for _ in range(5) for call in CALLS.values()]
    await asyncio.gather(*calls)


async def test_migrations_and_health(dsn: str, pool: Pool, direct: str) -> None:
    assert await execlog.migrate(dsn, schema="another") == await execlog.check_migrations(
        direct, schema="a_third"
    )
    names = await asyncio.gather(*(execlog.migrate(pool, schema="a_third") for _ in range(3)))
    assert sorted(map(len, names))[-1] > 0
    assert (await execlog.health(dsn)).missing_migrations == []


@pytest.mark.parametrize("by", one_of(["dsn", "pool"]))
async def test_a_recorder_whose_pooler_dies(
    dsn: str, direct: str, pool: Pool, pooled: Pooler, by: str
) -> None:
    recorder = ExecutionRecorder(dsn if by == "dsn" else pool, linger=0.02)
    async with recorder:
        loading = asyncio.create_task(load(recorder, 2))
        await until(lambda: recorder.stats().batches > 3)
        pooled.kill()
        await asyncio.sleep(0.3)
        pooled.start()
        await loading
        assert await recorder.flush()
    stats = recorder.stats()
    assert stats.retries > 0
    assert stats.dropped == stats.rejected == {}
    await assert_sum(direct, stats)


async def test_maintenance_wants_the_server_itself(dsn: str, direct: str) -> None:
    for plan in (True, False):
        with pytest.raises(InvalidArgument, match=r"^target: leads to a pooler"):
            await execlog.maintain(dsn, only_plan=plan)
    assert await execlog.maintain(direct, interval="day")


async def test_a_pool_that_keeps_statements_is_told_why_it_fails(dsn: str) -> None:
    async def ask(log: StrategyExecutionLogRepository) -> None:
        for _ in range(20):
            await log.count_by_status(strategy_id="loyalty")

    async with asyncpg.create_pool(dsn, min_size=4, max_size=4) as own:
        log = StrategyExecutionLogRepository(own)
        with pytest.raises((QueryRejected, StoreUnavailable), match="statement_cache_size=0"):
            await asyncio.gather(*(ask(log) for _ in range(4)))


async def test_a_pooler_without_a_server(pooled: Pooler) -> None:
    """What it says then is an error that may pass."""
    async with asyncpg.create_pool(
        pooled.dsn("postgresql://x/no_such_database"), min_size=0, statement_cache_size=0
    ) as pool:
        log = StrategyExecutionLogRepository(pool)
        with pytest.raises((StoreUnavailable, QueryRejected)) as caught:
            await log.get(id=row().id)
    assert "no_such_database" not in str(caught.value)


async def test_a_busy_recorder_and_its_readers(dsn: str, direct: str, pool: Pool) -> None:
    log = StrategyExecutionLogRepository(pool)
    async with ExecutionRecorder(dsn, linger=0.02) as one, ExecutionRecorder(pool) as two:
        loading = [asyncio.create_task(load(recorder, 1.5, 2000)) for recorder in (one, two)]
        while not all(task.done() for task in loading):
            await log.metrics(strategy_id="loyalty")
            await log.list_newest(limit=5)
        record(one, 1)
        assert await one.flush()
        assert await two.flush()
    written = one.stats().written + two.stats().written
    connection = await asyncpg.connect(direct)
    assert await connection.fetchval(f"select count(*) from {TABLE}") == written
    await connection.close()


async def test_a_durable_claim_leaves_nothing_behind(
    dsn: str, direct: str, pool: Pool, tmp_path: Path
) -> None:
    """Other clients are given the same connections: theirs are as their role has them."""
    connection = await asyncpg.connect(direct)
    name = await connection.fetchval("select quote_ident(current_database())")
    await connection.execute(f"alter database {name} set synchronous_commit = off")
    end = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
    await connection.execute(f"{end} and datname = current_database()")
    await connection.close()
    await asyncio.sleep(0.2)
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool") as recorder:
        for n in range(20):
            record(recorder, n)
            assert await recorder.flush()
    stats = recorder.stats()
    assert (stats.written, stats.dropped) == (20, {})
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1, statement_cache_size=0) as own:
        seen = {await own.fetchval("show synchronous_commit") for _ in range(6)}
    assert seen == {"off"}


async def test_the_account(direct: str, dsn: str, pool: Pool) -> None:
    """By a connection of its own and by the pool: batches, a lock, an idle minute and the end."""
    for target in (dsn, pool):
        async with ExecutionRecorder(target) as recorder:
            for n in range(100):
                record(recorder, n)
            assert await recorder.flush()
            async with locked(direct):
                record(recorder, 1)
                assert await recorder.flush(5)
            await recorder._delivery._ledger.keep()
            record(recorder, 1)
    found = await execlog.recorder_account(dsn)
    assert [(one.written, one.state) for one in found] == [(102, "closed")] * 2
    # Its limits are those of a transaction, and no other client's.
    assert {await pool.fetchval("show lock_timeout") for _ in range(6)} == {"0"}
    assert await StrategyExecutionLogRepository(pool).count_stored() == 204
