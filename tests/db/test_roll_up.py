"""What is summed up behind the writers is what the rows are, at every moment, whatever is done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

import execlog
from tests.databases import TABLE
from tests.history import History
from tests.rolling import rolled_up
from tests.samples import one_of
from tests.types import Connection

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
_STATE = "select complete_until from execlog.rollup_state"
_MARKS = "select count(*) from execlog.rollup_mark"
_ROW = (
    f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type, status,"
    " duration_ms, nodes_executed) values (gen_random_uuid(), $1, 's1', 1, 'DSL_FULL', 'ok', 5, 1)"
)


@pytest.fixture
async def history(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[History]:
    """A log of four days, with a partition each, and three more sessions."""
    async with AsyncExitStack() as stack:
        sessions = []
        for _ in range(4):
            sessions.append(await asyncpg.connect(dsn))
            stack.push_async_callback(sessions[-1].close)
        main, *others = sessions
        await main.execute("update execlog.rollup_state set minute_runs = 30")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await main.execute("drop table if exists execlog.strategy_execution_log_" + f"{today:%Y%m}")
        for ago in range(-1, 5):
            begins = today - ago * DAY
            await main.execute(
                f"create table execlog.day_{begins:%Y%m%d} partition of {TABLE}"
                f" for values from ('{begins}') to ('{begins + DAY}')"
            )
        seed = getattr(request, "param", 0)
        await main.execute("select setseed($1)", seed / 100)
        yield History(main, others, random.Random(seed))


@pytest.mark.parametrize("history", one_of(range(4)), indirect=True)
async def test_a_random_history(history: History) -> None:
    for _ in range(60):
        await history.step()
        assert await history.differences(3) == [], history.done
    await history.end()
    await rolled_up(history.main)
    assert await history.differences(20) == []
    assert await history.main.fetchval(_MARKS) == 0
    assert not [one async for one in execlog.verify_rollups(history.main)]


async def test_a_transaction_that_has_written_holds_it_up(history: History) -> None:
    writer, *_ = history.others
    await rolled_up(history.main)
    async with writer.transaction():
        await writer.execute(_ROW, datetime.now(UTC))
        began = await writer.fetchval("select now()")
        await history.main.execute("delete from execlog.rollup_horizon")
        await rolled_up(history.main)
        assert await history.main.fetchval(_STATE) < began
        assert await history.differences(5) == []
    assert await history.differences(5) == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
async def test_a_transaction_that_writes_elsewhere(history: History, isolation: str) -> None:
    """It holds nothing up, but where a statement can't see what another commits meanwhile."""
    writer, roller, *_ = history.others
    await rolled_up(history.main)
    closed = "select date_trunc('minute', now() - lag) from execlog.rollup_state"
    async with writer.transaction():
        await writer.execute("create temporary table elsewhere as select 1 as n")
        await history.main.execute("delete from execlog.rollup_horizon")
        await history.main.execute(
            "update execlog.rollup_state set complete_until = complete_until - interval '1 hour'"
        )
        await roller.execute(f"set default_transaction_isolation = '{isolation}'")
        closes = await roller.fetchval(closed)
        await rolled_up(roller)
        reached = await history.main.fetchval(_STATE)
        assert (reached >= closes) == (isolation == "read committed")
        assert await history.differences(5) == []


async def test_a_prepared_transaction_holds_it_up(history: History) -> None:
    writer, *_ = history.others
    if await writer.fetchval("show max_prepared_transactions") == "0":
        pytest.skip("the server prepares no transactions")
    await rolled_up(history.main)
    name = f"prepared_{writer.get_server_pid()}"
    await writer.execute("begin")
    began = await writer.fetchval("select now()")
    await writer.execute("savepoint within")
    await writer.execute(_ROW, datetime.now(UTC))
    await writer.execute(f"prepare transaction '{name}'")
    try:
        await history.main.execute("delete from execlog.rollup_horizon")
        await rolled_up(history.main)
        assert await history.main.fetchval(_STATE) < began
        assert await history.differences(5) == []
    finally:
        await writer.execute(f"commit prepared '{name}'")
    await rolled_up(history.main)
    assert await history.differences(5) == []


async def test_a_row_that_is_stored_late_and_committed_later(history: History) -> None:
    """The hour is summed up while the row is stored: its own mark is left."""
    writer, *_ = history.others
    time = history.now - 5 * HOUR
    await history.main.execute(_ROW, time)
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute(_ROW, time)
    await rolled_up(history.main)
    assert await history.main.fetchval(_MARKS) == 0
    assert await history.differences(10) == []
    await transaction.commit()
    assert await history.main.fetchval(_MARKS) == 1
    assert await history.differences(10) == []
    await rolled_up(history.main)
    assert await history.main.fetchval(_MARKS) == 0
    runs = "select sum(ok) from execlog.rollup where grain = 3600 and strategy_id = 's1'"
    assert await history.main.fetchval(runs) == 2


async def test_two_at_once_and_one_that_dies(history: History) -> None:
    for _ in range(20):
        await history._old()
    one, two, killer = history.others

    async def at_it(connection: Connection) -> None:
        try:
            await rolled_up(connection)
        except asyncpg.PostgresError as error:
            assert error.sqlstate in ("57P01", "08003")  # ended by the third

    async def dying() -> None:
        for _ in range(10):
            await asyncio.sleep(0.02)
            assert await history.differences(2) == []
        await killer.execute("select pg_terminate_backend($1)", one.get_server_pid())

    await asyncio.gather(at_it(one), at_it(two), dying())
    await rolled_up(two)
    assert await history.differences(20) == []
    assert not [one async for one in execlog.verify_rollups(two)]


async def test_the_clock_is_set_back(history: History) -> None:
    """What was summed up after the time that it shows is made anew."""
    for _ in range(3):
        await history._late()
    await rolled_up(history.main)
    ahead = "update execlog.rollup_horizon set at = at + interval '1 hour'"
    await history.main.execute(ahead)
    until = "update execlog.rollup_state set complete_until = complete_until + interval '1 hour'"
    await history.main.execute(until)
    await history.main.fetchval("select execlog.roll_up()")
    assert await history.differences(20) == []


async def test_rollups_are_off_and_on_again(history: History, dsn: str) -> None:
    await history._old()
    await rolled_up(history.main)
    await execlog.migrate(dsn, rollups=False)
    await history._old()
    await history._delete()
    assert await history.main.fetchval("select execlog.roll_up()") == "off"
    assert await history.differences(10) == []
    await execlog.migrate(dsn, rollups=True)
    assert await history.differences(10) == []
    await rolled_up(history.main)
    assert await history.differences(20) == []
    assert not [one async for one in execlog.verify_rollups(history.main)]
