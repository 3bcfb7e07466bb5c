"""A store that refuses the recorder may take everything a moment later: it goes on by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder
from tests import databases
from tests.databases import TABLE
from tests.outage import Outage
from tests.recording import assert_sum, record, until
from tests.rows import fields
from tests.types import Pool

pytestmark = pytest.mark.usefixtures("way")

AWAY = "alter table execlog.strategy_execution_log rename to away"
BACK = "alter table execlog.away rename to strategy_execution_log"
REFUSALS = {
    "no table": (AWAY, BACK),
    "no schema": ("alter schema execlog rename to away", "alter schema away rename to execlog"),
    "no column": (
        f"alter table {TABLE} rename column notes to remarks",
        f"alter table {TABLE} rename column remarks to notes",
    ),
    "no function": (
        "alter function execlog.claim_batch rename to away",
        "alter function execlog.away rename to claim_batch",
    ),
    "no right": (f"revoke insert on {TABLE} from writer", f"grant insert on {TABLE} to writer"),
    "no right to the schema": (
        "revoke usage on schema execlog from writer",
        "grant usage on schema execlog to writer",
    ),
    "no right to claim": (
        "revoke execute on function execlog.claim_batch from writer",
        "grant execute on function execlog.claim_batch to writer",
    ),
    "not supported": (
        "create function execlog.refuse() returns trigger language plpgsql as $$ begin"
        " raise feature_not_supported; end $$;"
        f" create trigger refuse before insert on {TABLE}"
        " for each row execute function execlog.refuse()",
        f"drop trigger refuse on {TABLE}",
    ),
}


@pytest.mark.session
@pytest.mark.parametrize(("spoil", "mend"), REFUSALS.values(), ids=REFUSALS)
async def test_a_store_that_refuses(
    dsn: str, pool: Pool, spoil: str, mend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "execlog.recorder")
    await pool.execute("drop role if exists writer")
    await pool.execute("create role writer login")
    try:
        await pool.execute("grant usage on schema execlog to writer")
        await pool.execute(f"grant insert on {TABLE} to writer")
        for routine in ("claim_batch", "keep_account"):
            await pool.execute(f"grant execute on function execlog.{routine} to writer")
        async with asyncpg.create_pool(
            dsn, min_size=1, init=lambda connection: connection.execute("set role writer")
        ) as own:
            async with ExecutionRecorder(own) as recorder:
                record(recorder, 1)
                assert await recorder.flush()
                await pool.execute(spoil)
                for n in range(3):
                    record(recorder, n)
                assert not await recorder.flush(0.7)
                stats = recorder.stats()
                assert (stats.pending_rows, stats.dropped, stats.rejected) == (3, {}, {})
                assert stats.alive
                assert recorder.record(**fields()) is not None
                for _ in range(3):
                    recorder._reporter.report()
                said = [r.message for r in caplog.records if r.levelno == logging.WARNING]
                # Once, maybe by itself before the fourth came.
                text = f" executions wait: {recorder.stats().last_error}"
                assert said in ([f"can't store, {count}{text}"] for count in (3, 4))
                await pool.execute(mend)
                assert await recorder.flush(30)
                assert recorder.stats().written == 5
                recorder._reporter.report()
            assert "stores again" in caplog.messages
        await assert_sum(dsn, recorder.stats())
    finally:
        await pool.execute("drop owned by writer")
        await pool.execute("drop role writer")


async def test_an_engine_that_is_deployed_before_its_migrations(empty_dsn: str) -> None:
    async with ExecutionRecorder(empty_dsn) as recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries > 0)
        assert "execlog migrate" in str(recorder.stats().last_error)
        await execlog.migrate(empty_dsn)
        assert await recorder.flush(30)
    assert recorder.stats().written == 1
    await assert_sum(empty_dsn, recorder.stats())


async def test_an_engine_of_this_wave_on_a_log_of_the_first(empty_dsn: str) -> None:
    from tests import first_wave

    await first_wave.restore(empty_dsn)
    async with ExecutionRecorder(empty_dsn) as recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries > 0)
        assert "execlog migrate" in str(recorder.stats().last_error)
        await execlog.migrate(empty_dsn)
        assert await recorder.flush(30)
    assert recorder.stats().written == 1


async def nologin(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter role app nologin")


async def login(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter role app login")


async def rename(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter database app rename to away")


async def rename_back(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter database away rename to app")


async def full(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter role app connection limit 0")


async def roomy(server: Outage) -> None:
    async with server.connection() as connection:
        await connection.execute("alter role app connection limit -1")


LOGINS = {
    "may not log in": ("28000", nologin, login),
    "no such database": ("3D000", rename, rename_back),
    "too many connections": ("53300", full, roomy),
}


@pytest.mark.long
@pytest.mark.parametrize(("sqlstate", "spoil", "mend"), LOGINS.values(), ids=LOGINS)
async def test_a_login_that_is_refused_for_a_while(
    sqlstate: str,
    spoil: Callable[[Outage], Awaitable[None]],
    mend: Callable[[Outage], Awaitable[None]],
) -> None:
    """Nobody waits here: it comes back by itself, not because somebody flushes."""
    with Outage() as server:
        async with server.connection() as connection:
            await connection.execute("create role app login")
            await connection.execute("create database app owner app")
        dsn = databases.in_database(server.dsn, "app").replace("postgres@", "app@")
        await execlog.migrate(dsn)
        async with ExecutionRecorder(dsn, linger=0.01) as recorder:
            record(recorder, 1)
            assert await recorder.flush()
            await spoil_while_connected(server, spoil)
            record(recorder, 2)
            await until(lambda: sqlstate in str(recorder.stats().last_error))
            assert recorder.stats().alive
            await mend(server)
            await until(lambda: recorder.stats().written == 2, 30)
        await assert_sum(dsn, recorder.stats())


async def spoil_while_connected(server: Outage, spoil: Callable[[Outage], Awaitable[None]]) -> None:
    """The recorder's connection ends, as with a failover, and the next login is refused."""
    end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'app'"
    async with server.connection() as connection:
        await connection.execute(end)
    await spoil(server)


async def test_its_tries_become_rare(empty_dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal fills the server's log: not ten lines a second for as long as it lasts."""
    async with ExecutionRecorder(empty_dsn, linger=0.01) as recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries > 0)
        slow = recorder._delivery._slow_backoff
        assert [0 < slow.next() <= 60 for _ in range(10)] == [True] * 10
        assert slow.next() >= 30
        before = recorder.stats().retries
        await asyncio.sleep(1)
        assert recorder.stats().retries <= before + 2
        await recorder.aclose(timeout=0.1)
