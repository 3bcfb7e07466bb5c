"""Rollups are made, verified and kept: rows that were there, rows that go, and what is off."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    maintain,
    migrate,
    rebuild_rollups,
    verify_rollups,
)
from execlog.admin.doctor import examined
from execlog.ids import uuid7
from tests.command import run
from tests.db.test_faults import CALLS
from tests.maintaining import run_out
from tests.outage import Outage
from tests.rolling import (
    HOUR,
    START,
    Log,
    assert_same,
    both,
    many_rows,
    rebuilt,
    rolled_up,
    verified,
    whole,
)
from tests.rows import T0, row
from tests.types import Pool

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
ODD_TIMES = [None, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]


async def test_what_is_rolled_back_is_in_no_rollup(pool: Pool) -> None:
    log = Log(pool)
    await log.insert_rows([row(created_at=START)])
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "insert into execlog.strategy_execution_log (id, created_at, strategy_id,"
            " strategy_version, strategy_type, status, duration_ms, nodes_executed)"
            " values (gen_random_uuid(), $1, 'loyalty', 1, 'x', 'ok', 1, 1)",
            START,
        )
        await transaction.rollback()
    await rolled_up(pool)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert rolled.status_breakdown.total == exact.status_breakdown.total == 1


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_writers_at_once(dsn: str, isolation: str) -> None:
    """Nobody waits for ever or fails, and nothing is lost, whatever order strategies come in."""
    settings = {"default_transaction_isolation": isolation}
    async with asyncpg.create_pool(dsn, min_size=8, max_size=8, server_settings=settings) as pool:

        async def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(10):
                async with pool.acquire() as connection, connection.transaction():
                    for strategy in chance.sample("abcdef", 4):
                        await connection.execute(
                            "insert into execlog.strategy_execution_log (id, created_at,"
                            " strategy_id, strategy_version, strategy_type, status, duration_ms,"
                            " nodes_executed) select gen_random_uuid(), $1, $2, 1, 'x', 'ok', 1, 1"
                            " from generate_series(1, 5)",
                            START + chance.random() * HOUR,
                            strategy,
                        )

        writers = [asyncio.ensure_future(write(number)) for number in range(8)]
        await asyncio.wait_for(asyncio.gather(*writers), 60)
        await rolled_up(pool)
        rolled, exact = await both(pool, lambda log: log.rank_strategies(by="runs"))
        assert sum(one.runs for one in rolled) == 8 * 10 * 4 * 5
        assert [one.runs for one in rolled] == [one.runs for one in exact]


@pytest.mark.long
async def test_a_log_that_has_rows_already(pool: Pool) -> None:
    """Read from its rows until its rollups are made, the oldest first."""
    log = Log(pool)
    await migrate(pool, rollups=False)
    await log.insert_rows([*many_rows(500), *(row(created_at=time) for time in ODD_TIMES)])
    assert await pool.fetchval("select count(*) from execlog.rollup") == 0
    assert (await log.metrics(strategy_id="a")).duration.method == "exact"
    with pytest.raises(InvalidArgument, match=r"^target: keeps no rollups"):
        await rebuilt(pool)
    await migrate(pool, rollups=True)
    await log.insert_rows(many_rows(100, 2))
    parts = 0
    async for part in rebuild_rollups(pool):
        parts += 1
        if part.reached is not None:
            assert (await log.rollup_state()).complete_until >= part.reached
        rolled, exact = await both(pool, functools.partial(Log.metrics, strategy_id="a"))
        assert_same(rolled, exact)
        rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
        assert rolled.status_breakdown.total == exact.status_breakdown.total == len(ODD_TIMES)
    assert parts > 5
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    assert (await log.metrics(strategy_id="a", until=START + HOUR)).duration.method == "sketch"
    await verified(pool)
    assert await rebuilt(pool) > 5
    await verified(pool)


async def test_each_rollup_that_differs_is_named(pool: Pool) -> None:
    log = Log(pool)
    await pool.execute("update execlog.rollup_state set minute_runs = 1")
    await log.insert_rows(many_rows(200))
    await rolled_up(pool)
    await verified(pool)
    hour = await pool.fetchval("select max(begins) from execlog.rollup where grain = 3600")
    some = "(select min(ctid) from execlog.rollup where grain = {} and strategy_id = '{}')"
    await pool.execute(
        "update execlog.rollup set ok = ok + 1 where grain = 3600 and begins = $1"
        " and strategy_id = 'a' and realm_id = 'r' and strategy_version = 2",
        hour,
    )
    await pool.execute(f"delete from execlog.rollup where ctid in {some.format(60, 'b')}")
    await pool.execute(
        "update execlog.rollup set case_names = '{tin}', case_runs = '{3}'"
        f" where ctid in {some.format(86400, 'c')}"
    )
    found = await whole(verify_rollups(pool))
    assert {(one.strategy_id, one.grain, one.kept - one.counted) for one in found} >= {
        ("a", 3600, 1),
        ("c", 86400, 0),
    }
    # The day is no longer the sum of its hours, either.
    assert {one.grain for one in found if one.strategy_id == "a"} == {3600, 86400}
    assert [one.kept for one in found if one.strategy_id == "b"] == [0]
    [one] = [one for one in found if one.strategy_id == "a" and one.grain == 3600]
    assert (one.realm_id, one.strategy_version, one.begins) == ("r", 2, hour)
    assert one in await whole(verify_rollups(pool, since=hour))
    await rebuilt(pool, since=hour)
    assert one not in await whole(verify_rollups(pool))
    await rebuilt(pool)
    await verified(pool)


@pytest.mark.session
@pytest.mark.parametrize("column", ["duration_min_ms", "duration_max_ms", "points_min"])
async def test_a_difference_in_the_last_digit(pool: Pool, column: str) -> None:
    """A session that writes numbers with one digit sees it too."""
    await Log(pool).insert_rows([row(created_at=T0, duration_ms=1 / 3, points=1 / 3)])
    await rolled_up(pool)
    async with pool.acquire() as connection:
        await connection.execute("set extra_float_digits = -15")
        assert await whole(verify_rollups(connection)) == []
        await connection.execute(
            f"update execlog.rollup set {column} = $1", math.nextafter(1 / 3, 1)
        )
        found = await whole(verify_rollups(connection))
        assert [one.grain for one in found] == [3600]  # the day is the sum of its hours


@pytest.mark.long
async def test_a_rebuilding_while_others_store(pool: Pool) -> None:
    log = Log(pool)
    # Each writer is at each of these hours, always: each of them takes all its tries.
    await log.insert_rows(many_rows(2000, over=2 * HOUR))
    done = asyncio.Event()

    async def write(seed: int) -> None:
        while not done.is_set():
            await log.insert_rows(many_rows(50, seed, over=2 * HOUR))

    writers = [asyncio.ensure_future(write(seed)) for seed in range(2)]
    for _ in range(3):
        await rebuilt(pool)
    await verified(pool)
    done.set()
    await asyncio.gather(*writers)
    await verified(pool)


async def test_rows_go_and_rollups_stay(pool: Pool) -> None:
    """History is readable when its rows are gone, in whole minutes, and says where rows begin."""
    now = datetime.now(UTC)
    log = Log(pool)
    old = now - 40 * DAY
    await pool.execute("update execlog.rollup_state set minute_runs = 1")
    await log.insert_rows(
        row(created_at=old + n * MINUTE, status="error" if n % 5 == 0 else "ok", points=1.0)
        for n in range(600)
    )
    await log.insert_rows(row(created_at=now - n * MINUTE) for n in range(60))
    await maintain(pool, interval="day", retain_minutes=None)
    before, _ = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    kept: dict[str, Any] = {"retain_failures": 35 * DAY, "retain_minutes": None}
    await maintain(pool, interval="day", retain=30 * DAY, **kept)
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 60
    after = await log.metrics(strategy_id="loyalty")
    assert after.rows_from is not None
    assert old < after.rows_from < old + 2 * DAY
    assert after.model_copy(update={"rows_from": None}) == before
    # A window that cuts its first minute in two.
    part = await log.metrics(strategy_id="loyalty", since=old + 300 * MINUTE + SECOND)
    assert part.status_breakdown.total == 299 + 60 + (1 if old.second < 59 else 0)
    recent = await log.metrics(strategy_id="loyalty", since=now - DAY)
    assert (recent.rows_from, recent.duration.method) == (None, "exact")
    ranked = await log.rank_strategies(since=old - DAY, until=old + DAY)
    assert [one.runs for one in ranked] == [600]
    series = await log.timeseries(strategy_id="loyalty", since=old - DAY, until=old + DAY)
    assert sum(one.total for one in series) == 600
    await verified(pool)
    await rebuilt(pool)
    assert await log.metrics(strategy_id="loyalty") == after


async def test_rollups_have_a_retention_of_their_own(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    await pool.execute("update execlog.rollup_state set minute_runs = 1")
    for days in (1, 40, 400):
        await log.insert_rows(row(created_at=now - days * DAY + n * SECOND) for n in range(100))
    steps = await maintain(pool, retain_minutes=30 * DAY, retain_rollups=365 * DAY)
    assert [step.outcome for step in steps if step.action == "forget"] == ["done"]
    kept = await pool.fetch(
        "select grain, now() - begins > interval '30 days' as old, count(*) from execlog.rollup"
        " where grain < 86400 group by 1, 2 order by 1, 2"
    )
    assert {(one["grain"], one["old"]) for one in kept} == {
        (60, False),
        (3600, False),
        (3600, True),
    }
    assert not [
        step
        for step in await maintain(pool, retain_minutes=30 * DAY, retain_rollups=365 * DAY)
        if step.action == "forget"
    ]
    # Without minutes the rows at the ragged ends are more, and the answer is the same.
    scope: dict[str, Any] = {"since": now - 41 * DAY, "until": now - 40 * DAY + 50 * SECOND}
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty", **scope))
    assert_same(rolled, exact)
    assert exact.status_breakdown.total == 51


async def test_rows_that_are_in_no_rollup_are_not_removed(dsn: str, pool: Pool) -> None:
    """Not while somebody may still store runs of that time, unseen; nor if rollups are stuck."""
    now = datetime.now(UTC)
    await Log(pool).insert_rows(row(created_at=now - 40 * DAY) for _ in range(10))
    await maintain(pool, interval="day")
    rolling = await asyncpg.connect(dsn)
    await rolling.execute("begin; select from execlog.rollup_state for update")
    await Log(pool).insert_row(row(created_at=now - 40 * DAY))
    for wanted in ("postponed", "done"):
        steps = await maintain(pool, interval="day", retain=30 * DAY)
        found = [step for step in steps if step.action in ("drop", "purge")]
        assert {step.outcome for step in found} == {wanted}
        if wanted == "postponed":
            assert found[0].problem == "statement timeout (57014)"
            await rolling.close()
    assert (await Log(pool).metrics(strategy_id="loyalty")).status_breakdown.total == 11


async def test_switched_off(pool: Pool) -> None:
    log = Log(pool)
    await log.insert_rows(many_rows(100))
    await migrate(pool, rollups=False)
    await log.insert_rows(many_rows(100, 2))
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    card = await log.metrics(strategy_id="a")
    assert card.duration.method == "exact"
    assert len(await log.timeseries(strategy_id="a", since=START, until=START + HOUR)) > 1
    assert sum(one.runs for one in await log.rank_strategies()) == 200
    assert await migrate(pool) == []
    assert (await log.metrics(strategy_id="a")) == card
    await migrate(pool, rollups=True)
    await rebuilt(pool)
    assert (await log.metrics(strategy_id="a")).duration.method == "sketch"
    await verified(pool)


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_under_load() -> None:
    """What is there after it has started again is in the rollups, and nothing else is."""
    with Outage() as outage:
        await migrate(outage.dsn)
        async with ExecutionRecorder(outage.dsn, linger=0.01) as recorder:
            for _ in range(3):
                for n in range(3000):
                    recorder.record(
                        strategy_id="abc"[n % 3],
                        strategy_version=1,
                        strategy_type="DSL_FULL",
                        status="ok" if n % 7 else "error",
                        duration_ms=float(n),
                        nodes_executed=1,
                    )
                    if n % 100 == 0:
                        await asyncio.sleep(0.005)
                outage.kill()
                outage.start()
            assert await recorder.flush(timeout=60)
        assert await whole(verify_rollups(outage.dsn)) == []
        async with asyncpg.create_pool(outage.dsn, min_size=1, max_size=1) as pool:
            rolled, exact = await both(pool, lambda log: log.rank_strategies(by="runs"))
        assert sum(one.runs for one in rolled) == sum(one.runs for one in exact) == 9000


@pytest.mark.long
async def test_the_commands(dsn: str, pool: Pool) -> None:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("execlog")), *arguments, "--dsn", dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    await Log(pool).insert_rows(many_rows(300))
    await rolled_up(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    commands = functools.partial(asyncio.to_thread, run)
    assert (await commands("rollup", "verify")).stderr.endswith("0 rollups differ from the rows\n")
    assert "duration (sketch ±1.00 %, " in (await commands("summary", "a")).stdout
    assert "within 1.00 %" in (await commands("compare", "a", "b")).stderr
    await pool.execute("update execlog.rollup set ok = ok + 5 where grain = 3600")
    found = json.loads((await commands("rollup", "verify", "--json", code=3)).stdout)
    assert {one["kept"] - one["counted"] for one in found if one["grain"] == 3600} == {5}
    shown = (await commands("rollup", "verify", code=3)).stdout
    names = ["strategy", "realm", "version", "of", "begins", "rollup", "rows"]
    assert shown.splitlines()[0].split() == names
    assert (await commands("rollup", "rebuild")).stderr.endswith(" parts rebuilt\n")
    await verified(pool)
    await commands("migrate", "--no-rollups")
    await commands("rollup", "rebuild", code=2)
    assert "duration (exact, " in (await commands("summary", "a")).stdout
    await commands("migrate", "--rollups")


async def test_the_row_of_the_state_is_missing(dsn: str, pool: Pool) -> None:
    """As after a restore of the schema alone: all is read from rows, until it is put back."""
    log = Log(pool)
    await log.insert_rows(many_rows(200))
    await rolled_up(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    card = await log.metrics(strategy_id="a")
    assert card.duration.method == "sketch"
    await pool.execute("delete from execlog.rollup_state")
    assert (await log.metrics(strategy_id="a")).status_breakdown == card.status_breakdown
    for call in CALLS.values():
        await call(log)
    assert (await log.metrics(strategy_id="a")).duration.method == "exact"
    state = await log.rollup_state()
    assert (state.missing, state.enabled) == (True, False)
    with pytest.raises(InvalidArgument, match="migrate --rollups"):
        await rebuilt(pool)
    await verified(pool)
    doctor = await asyncio.to_thread(run, "doctor", "--dsn", dsn)
    assert doctor.returncode == 1
    assert "the row of rollup_state is missing" in doctor.stdout
    assert "run `execlog migrate --rollups`" in doctor.stdout
    assert await migrate(pool, rollups=True) == []
    state = await log.rollup_state()
    assert (state.missing, state.enabled) == (False, True)
    assert state.complete_until == datetime.min.replace(tzinfo=UTC)
    await rebuilt(pool)
    await verified(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    assert (await log.metrics(strategy_id="a")).duration.method == "sketch"
    await pool.execute("delete from execlog.rollup_state")
    await migrate(pool, rollups=False)
    assert not (await log.rollup_state()).missing


async def test_rows_that_go_while_rollups_are_rebuilt(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    await log.insert_rows(row(created_at=now - days * DAY) for days in (0, 1, 40, 41, 42))
    await maintain(pool, interval="day")
    parts = rebuild_rollups(pool)
    await anext(parts)
    await maintain(pool, interval="day", retain=30 * DAY)
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 2
    assert [part async for part in parts]
    assert (await log.metrics(strategy_id="loyalty")).status_breakdown.total == 5
    await verified(pool)


@pytest.mark.long
async def test_rows_that_outlive_their_rollups(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    await log.insert_rows(row(created_at=now - days * DAY / 10) for days in range(300))
    await maintain(pool, retain_rollups=10 * DAY)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert rolled.status_breakdown.total == 300
    assert_same(rolled, exact)
    await verified(pool)


@pytest.mark.parametrize("minutes", [None, 20 * DAY])
async def test_a_time_series_where_only_failures_are_left(
    pool: Pool, minutes: timedelta | None
) -> None:
    """No row there is read, and no run is counted by two buckets."""
    begin = (datetime.now(UTC) - 40 * DAY).replace(minute=0, second=0, microsecond=0)
    await Log(pool).insert_rows(
        row(created_at=begin + n * 5 * SECOND, status="ok" if n % 5 else "error")
        for n in range(720)
    )
    await maintain(pool, interval="day")
    kept = {"retain": 30 * DAY, "retain_failures": 60 * DAY, "retain_minutes": minutes}
    await maintain(pool, interval="day", **kept)  # type: ignore[arg-type]
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 144
    for width in (10, 90, 600, 5000):
        count = 3600 // width + 1
        series = await Log(pool).timeseries(
            strategy_id="loyalty", since=begin, until=begin + count * width * SECOND, bucket=width
        )
        assert sum(one.total for one in series) == 720
        assert sum(one.error for one in series) == 144


async def test_rows_of_default_go_by_whole_hours(pool: Pool) -> None:
    """So that no hour is counted in part, whatever is stored into it late."""
    begin = (datetime.now(UTC) - 2 * HOUR).replace(minute=0, second=0, microsecond=0)
    await run_out(pool)
    await Log(pool).insert_rows(row(created_at=begin + n * SECOND) for n in range(3600))
    await maintain(pool, ahead=0, retain=datetime.now(UTC) - begin - 1800 * SECOND)
    assert (await Log(pool).rollup_state()).rows_from <= begin
    await Log(pool).insert_row(row(created_at=begin + 60 * SECOND))
    await rolled_up(pool)
    card = await Log(pool).metrics(strategy_id="loyalty")
    assert card.status_breakdown.total == 3601
    await verified(pool)


async def test_a_writer_that_rebuilding_meets_on_its_way(dsn: str, pool: Pool) -> None:
    """It holds one rollup of the hour and comes for another: who rebuilds gives way."""
    log = Log(pool)
    for strategy in "ab":
        await log.insert_row(row(strategy_id=strategy, created_at=START))
    writer = await asyncpg.connect(dsn)
    insert = (
        "insert into execlog.strategy_execution_log (id, created_at, strategy_id,"
        " strategy_version, strategy_type, status, duration_ms, nodes_executed)"
        " values (gen_random_uuid(), $1, $2, 1, 'x', 'ok', 1, 1)"
    )
    await writer.execute("begin")
    await writer.execute(insert, START, "b")
    rebuilding = asyncio.ensure_future(rebuilt(pool))
    await asyncio.sleep(0.4)
    await writer.execute(insert, START, "a")
    await writer.execute("commit")
    await writer.close()
    await rebuilding
    assert sum(one.runs for one in await log.rank_strategies()) == 4
    await verified(pool)


@pytest.mark.long
async def test_two_that_rebuild_at_once(dsn: str, pool: Pool) -> None:
    await migrate(pool, rollups=False)
    await Log(pool).insert_rows(many_rows(5000))
    await migrate(pool, rollups=True)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=2) as two:
        await asyncio.gather(*(rebuilt(two, since=START + n * HOUR) for n in (0, 1)))
    await rebuilt(pool)
    await verified(pool)


async def test_a_log_that_is_emptied_while_they_are_off(pool: Pool) -> None:
    await Log(pool).insert_rows(many_rows(50))
    await migrate(pool, rollups=False)
    await pool.execute("truncate execlog.strategy_execution_log")
    await migrate(pool, rollups=True)
    rolled, exact = await both(pool, lambda log: log.rank_strategies())
    assert rolled == exact == []


async def test_what_is_emptied_or_dropped_by_hand(pool: Pool) -> None:
    """Its runs leave the cards at once, and the doctor names it until rollups are made again."""
    await maintain(pool)
    stored = [row(created_at=datetime.now(UTC) - HOUR + n * SECOND) for n in range(100)]
    log = Log(pool)
    await log.insert_rows(stored)
    await rolled_up(pool)
    partition = await pool.fetchval(
        "select tableoid::regclass::text from execlog.strategy_execution_log limit 1"
    )
    for sql in ("truncate {}", "truncate {}", "alter table {} rename to another", "drop table {}"):
        name = partition.removeprefix("execlog.")
        await pool.execute(sql.format(partition))
        if "rename" in sql:
            partition = "execlog.another"
        rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
        assert rolled.status_breakdown == exact.status_breakdown
        state = await log.rollup_state()
        assert state.changed == [name]
        [said] = [
            one for one in examined(await log.health(), state, None) if one.about == "rollups"
        ]
        assert f"{name} changed by hand" in said.said
        await log.insert_rows([one.model_copy(update={"id": uuid7()}) for one in stored])
        rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
        assert rolled.status_breakdown == exact.status_breakdown
        await rolled_up(pool)
        assert (await log.rollup_state()).changed == []
        rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
        assert rolled.status_breakdown == exact.status_breakdown
        assert rolled.status_breakdown.total >= 100
        await verified(pool)
