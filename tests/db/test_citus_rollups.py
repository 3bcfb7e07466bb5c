"""Rollups on a Citus cluster: the server in `EXECLOG_TEST_CITUS_DSN`, its coordinator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from tests.databases import TABLE
from tests.db.test_citus import DSN, cluster, machines
from tests.history import STRATEGIES, History
from tests.rolling import assert_same, both, rolled_up
from tests.types import Connection, Pool

pytestmark = [cluster, pytest.mark.timeout(600)]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
_STATE = "select complete_until < $1 from execlog.rollup_state"
_MARKS = "select count(*) from execlog.rollup_mark"
_ROW = (
    "insert into {} (id, created_at, strategy_id, strategy_version, strategy_type, status,"
    " duration_ms, nodes_executed) values (gen_random_uuid(), $1, $2, 1, 'DSL_FULL', 'ok', 5, 1)"
)


class SpreadHistory(History):
    """Without what a cluster refuses, or learns of later: partitions that are changed by hand."""

    async def _change(self) -> None:
        await self.main.execute(
            f"update {TABLE} set duration_ms = duration_ms + 1, status = 'timeout', created_at = $2"
            f" where id in (select id from {TABLE} order by random() limit $1)",
            5,
            self._time(),
        )

    async def _partition(self) -> None:
        pass


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """Of a log in the schema `execlog` of the cluster's database: one test has it at a time."""
    async with (
        asyncpg.create_pool(DSN, min_size=1, max_size=4) as own,
        own.acquire() as lock,
    ):
        await lock.execute("select pg_advisory_lock(20261127)", timeout=600)
        await own.execute("drop schema if exists execlog cascade")
        await execlog.migrate(own)
        await execlog.distribute(own, shard_count=8)
        await own.execute("update execlog.rollup_state set minute_runs = 30")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await own.execute(f"drop table if exists {TABLE}_{today:%Y%m}")
        for ago in range(-1, 5):
            begins = today - ago * DAY
            await own.execute(
                f"create table execlog.day_{begins:%Y%m%d} partition of {TABLE}"
                f" for values from ('{begins}') to ('{begins + DAY}')"
            )
        yield own
        await own.execute("drop schema execlog cascade")


@pytest.fixture
async def history(pool: Pool) -> AsyncIterator[History]:
    """A log of four days, with a partition each, and four sessions."""
    async with AsyncExitStack() as stack:
        sessions = []
        for _ in range(4):
            sessions.append(await asyncpg.connect(DSN))
            stack.push_async_callback(sessions[-1].close)
        main, *others = sessions
        yield SpreadHistory(main, others, random.Random(1))


async def verified(connection: Connection) -> None:
    await rolled_up(connection)
    assert await connection.fetchval(_MARKS) == 0
    assert not [one async for one in execlog.verify_rollups(connection)]


async def test_a_random_history(history: History) -> None:
    for _ in range(30):
        await history.step()
        assert await history.differences(3) == [], history.done
    await history.end()
    await verified(history.main)
    assert await history.differences(20) == []


async def test_the_answers_are_those_of_the_rows(pool: Pool, history: History) -> None:
    """All of them rolled up, then with rows that came late, were changed and are gone."""
    for _ in range(6):
        await history._old()
        await history._late()
    await rolled_up(history.main)
    windows: list[dict[str, Any]] = [
        {},
        {"since": history.now - 2 * DAY, "until": history.now - timedelta(minutes=7)},
    ]
    for change in (None, history._late, history._change, history._delete, history._undate):
        if change is not None:
            await change()
            assert await history.main.fetchval(_MARKS) > 0
        for window in windows:
            await same_answers(pool, window)
    await verified(history.main)
    for window in windows:
        await same_answers(pool, window)


async def same_answers(pool: Pool, window: dict[str, Any]) -> None:
    told, wanted = await both(pool, lambda log: log.metrics(strategy_id="s2", **window))
    assert_same(told, wanted)
    told, wanted = await both(pool, lambda log: log.compare(a="s0", b="s3", **window))
    assert_same(told.a, wanted.a)
    assert_same(told.b, wanted.b)
    told, wanted = await both(pool, lambda log: log.rank_strategies(by="runs", **window))
    counted = [
        [(one.strategy_id, one.runs, one.failures) for one in ranks] for ranks in (told, wanted)
    ]
    assert counted[0] == counted[1]
    assert [one.error_rate for one in told] == pytest.approx([one.error_rate for one in wanted])
    if window:
        told, wanted = await both(pool, lambda log: log.timeseries(strategy_id="s1", **window))
        assert [one.total for one in told] == [one.total for one in wanted]
        told, wanted = await both(pool, lambda log: log.activity(**window))
        assert told == wanted


async def test_a_row_that_is_stored_into_a_partition_by_its_name(history: History) -> None:
    time = history.now - 30 * HOUR
    await rolled_up(history.main)
    await history.main.execute(_ROW.format(f"execlog.day_{time:%Y%m%d}"), time, "s1")
    assert await history.main.fetchval(_MARKS) == 1
    assert await history.differences(5) == []
    await verified(history.main)


async def test_a_row_that_a_worker_stores(pool: Pool, history: History) -> None:
    await rolled_up(history.main)
    for dsn in await machines(pool):
        worker = await asyncpg.connect(dsn)
        for strategy in STRATEGIES:
            await worker.execute(_ROW.format(TABLE), history.now - 30 * HOUR, strategy)
        answered = await StrategyExecutionLogRepository(pool).metrics(strategy_id="s1")
        assert await worker.fetchval("select execlog.roll_up()") == "done"
        await worker.close()
        assert answered.status_breakdown.total > 0
        assert await history.differences(5) == []
    await verified(history.main)


async def test_a_prepared_transaction_of_a_worker_holds_it_up(pool: Pool, history: History) -> None:
    await rolled_up(history.main)
    [dsn, *_] = await machines(pool)
    worker = await asyncpg.connect(dsn)
    await worker.execute("begin")
    await worker.execute("select pg_current_xact_id()")
    began = await worker.fetchval("select now()")
    await worker.execute("prepare transaction 'execlog_test'")
    try:
        await history.main.execute("delete from execlog.rollup_horizon")
        await history.main.execute("update execlog.rollup_state set complete_until = rows_from")
        await rolled_up(history.main)
        assert await history.main.fetchval(_STATE, began)
    finally:
        await worker.execute("rollback prepared 'execlog_test'")
        await worker.close()
    await rolled_up(history.main)
    assert not await history.main.fetchval(_STATE, began - timedelta(minutes=2))


async def test_two_at_once(history: History) -> None:
    for _ in range(4):
        await history._old()
    await asyncio.gather(*(rolled_up(one) for one in history.others[:2]))
    await verified(history.main)


async def test_rollups_are_off_and_on_again(pool: Pool, history: History) -> None:
    await history._old()
    await rolled_up(history.main)
    await execlog.migrate(pool, rollups=False)
    await history._old()
    await history._delete()
    assert await history.main.fetchval("select execlog.roll_up()") == "off"
    assert await history.differences(5) == []
    await execlog.migrate(pool, rollups=True)
    assert await history.differences(5) == []
    await verified(history.main)
