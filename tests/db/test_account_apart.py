"""The log does not wait for its account, nor lacks a row for it; and clocks may be set back."""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, RecorderAccount
from execlog.db.sqltext import quoted
from execlog.recorder import ledger
from execlog.repository.accounts import total_of
from tests.databases import TABLE, WAITING
from tests.db.test_account import ACCOUNT, HOUR, accounts, refused
from tests.db.test_roles import login, prefix, roles
from tests.recording import record, until
from tests.types import Pool

__all__ = ["prefix", "roles"]

SECONDS = [0.6, pytest.param(6.0, marks=pytest.mark.long)]


@asynccontextmanager
async def locked(dsn: str, table: str = ACCOUNT) -> AsyncIterator[None]:
    """Another session holds the strongest lock on the table."""
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute(f"lock table {table} in access exclusive mode")
            yield
    finally:
        await other.close()


async def store(recorder: ExecutionRecorder, rows: int) -> float:
    """Stores so many, and says how long that took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for n in range(rows):
        record(recorder, n)
    assert await recorder.flush(10)
    return clock() - began


async def held(pool: Pool) -> int | None:
    return await execlog.StrategyExecutionLogRepository(pool).count_stored()


@pytest.mark.usefixtures("within_an_hour")
@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_a_lock_on_the_account_holds_no_batch_up(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, by: str, seconds: float
) -> None:
    monkeypatch.setattr(ledger, "_LOCKED_SECONDS", 0.25)
    clock = asyncio.get_running_loop().time
    async with ExecutionRecorder(dsn if by == "dsn" else pool) as recorder:
        await store(recorder, 10)
        refused(recorder)
        took, ends = list[float](), clock() + seconds
        async with locked(dsn):
            while clock() < ends or len(took) < 5:
                took.append(await store(recorder, 7))
        assert statistics.median(took) < 0.5
        rows = 10 + 7 * len(took)
        assert (recorder.stats().retries, recorder.stats().last_error) == (0, None)
        caught_up = f"select sum(written) = {rows} from {ACCOUNT}"
        await until(lambda: pool.fetchval(caught_up))
        [one] = await accounts(pool)
        assert (one.offered, one.written, one.state) == (rows + 1, rows, "alive")
        await store(recorder, 1)
        # What is set for a batch ends with it.
        for _ in range(4):
            assert await pool.fetchval("show lock_timeout") == "0"
    [one] = await accounts(pool)
    assert (one.written, one.state) == (rows + 1, "closed")
    assert await held(pool) == rows + 1


@pytest.mark.usefixtures("within_an_hour")
async def test_what_was_stored_without_an_account_is_held_all_the_same(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the account is kept again in another hour only."""
    monkeypatch.setattr(ledger, "_LOCKED_SECONDS", 60.0)
    async with ExecutionRecorder(dsn) as recorder:
        await store(recorder, 10)
        await pool.execute(f"update {ACCOUNT} set hour = hour - interval '1 hour'")
        async with locked(dsn):
            await store(recorder, 20)
            await store(recorder, 30)
    assert [one.written for one in await accounts(pool)] == [60]
    assert await held(pool) == 60
    log = execlog.StrategyExecutionLogRepository(pool)
    now = datetime.now(UTC)
    [one] = await log.recorder_account(since=now)
    assert (one.written, await log.count_stored(since=now)) == (50, 50)


async def test_a_recorder_that_begins_while_the_account_is_locked(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rows it stored before its first entry the log can't tell: they are in no account."""
    monkeypatch.setattr(ledger, "_LOCKED_SECONDS", 0.1)
    async with ExecutionRecorder(dsn) as recorder:
        async with locked(dsn):
            for _ in range(3):
                await store(recorder, 5)
        await until(lambda: pool.fetchval(f"select true from {ACCOUNT}"))
        await store(recorder, 2)
        refused(recorder)
    [one] = await accounts(pool)
    assert (one.written, one.offered, one.state) == (2, 3, "closed")
    assert await held(pool) == 2
    assert recorder.stats().written == 17


async def test_rows_wait_for_the_log_as_long_as_ever(dsn: str, pool: Pool) -> None:
    """The short limit is the account's only."""
    async with ExecutionRecorder(dsn) as recorder:
        await store(recorder, 1)
        async with locked(dsn, TABLE):
            storing = asyncio.create_task(store(recorder, 5))
            await until(lambda: pool.fetchval(f"select true from {WAITING}"))
            await asyncio.sleep(0.5)
        assert await storing > 0.5
        assert recorder.stats().retries == 0
    assert [one.written for one in await accounts(pool)] == [6]


async def test_an_identity_that_is_renewed_while_the_account_is_locked(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_LOCKED_SECONDS", 60.0)
    async with ExecutionRecorder(dsn) as recorder:
        await store(recorder, 3)
        async with locked(dsn):
            await store(recorder, 4)
            await pool.execute("update execlog.recorder_progress set token = gen_random_uuid()")
            await store(recorder, 5)
    found = await accounts(pool)
    assert {one.state for one in found} == {"closed"}
    written, total = total_of(found).written, await held(pool)
    assert total is not None
    assert 3 <= written <= total <= recorder.stats().written == 12


async def test_a_writer_without_the_right(
    dsn: str, prefix: str, roles: dict[str, Pool], caplog: pytest.LogCaptureFixture
) -> None:
    """Each batch is stored, and one line says that the account is not kept, and why."""
    admin = roles["admin"]
    writer = f"{prefix}_writer"
    await admin.execute(f"revoke execute on function execlog.keep_account from {quoted(writer)}")
    own = await login(admin, dsn, writer)
    with caplog.at_level(logging.INFO, "execlog.recorder"):
        async with ExecutionRecorder(own) as recorder:
            for _ in range(3):
                await store(recorder, 5)
                recorder._reporter.report()
            assert (recorder.stats().retries, recorder.stats().written) == (0, 15)
    assert await admin.fetchval(f"select count(*) from {TABLE}") == 15
    assert await accounts(admin) == []
    said = "stores, but the log does not keep the account: record: insufficient privilege (42501)"
    assert [each.getMessage() for each in caplog.records] == [said]


AHEAD = 5 * HOUR


async def set_back(pool: Pool, closed: bool) -> None:
    """As if what was kept up to now had been so while the server's clock was hours ahead."""
    more = "interval '5 hours'"
    await pool.execute(
        f"update {ACCOUNT} set hour = hour + {more}, last_seen = last_seen + {more},"
        f" closed_at = {'last_seen' if closed else 'null'}"
    )


@pytest.mark.usefixtures("within_an_hour")
async def test_a_clock_that_was_set_back_hides_nothing(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        await store(recorder, 10)
        await pool.execute(f"update {ACCOUNT} set hour = hour - interval '1 hour'")
        await store(recorder, 20)
        await pool.execute(
            f"update {ACCOUNT} set hour = hour + interval '5 hours',"
            f" last_seen = last_seen + interval '5 hours' where earlier is not null"
        )
        await store(recorder, 30)
        now = datetime.now(UTC)

        async def seen(since: datetime | None, until: datetime | None) -> RecorderAccount:
            [one] = await execlog.recorder_account(pool, since=since, until=until)
            return one

        for since in (None, now - HOUR, now - 2 * HOUR):
            for end in (None, now, now + 9 * HOUR):
                one = await seen(since, end)
                assert (one.written, one.state) == (60, "alive"), (since, end)
        assert (await seen(now, None)).written == (await seen(now, now)).written == 50
        assert (await seen(None, now - HOUR)).written == 10
        refused(recorder)
    one = await seen(now - HOUR, None)
    assert (one.offered, one.written, one.state, one.most_missing) == (61, 60, "closed", 0)
    assert await held(pool) == 60
    log = execlog.StrategyExecutionLogRepository(pool)
    assert await log.count_stored(since=now) == 50


@pytest.mark.parametrize("closed", [True, False])
async def test_one_that_ended_before_the_clock_was_set_back(
    dsn: str, pool: Pool, closed: bool
) -> None:
    """It was closed, or was killed then: it will not be seen again."""
    async with ExecutionRecorder(dsn) as recorder:
        await store(recorder, 10)
    await set_back(pool, closed)
    [one] = await execlog.recorder_account(pool, since=datetime.now(UTC) - HOUR)
    assert (one.written, one.state) == (10, "closed" if closed else "open")
    assert one.last_seen > datetime.now(UTC) + timedelta(hours=4)
    assert await held(pool) == 10
