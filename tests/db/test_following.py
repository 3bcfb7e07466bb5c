"""What is stored is found once, in whichever order transactions begin, end, and date their rows."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

import execlog
from execlog import (
    InvalidArgument,
    QueryRejected,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.cli.following import ByCommit, ByTime, Follower, following
from execlog.ids import uuid7
from execlog.repository.following import StoredPage
from tests import standby
from tests.command import COMMAND
from tests.maintaining import day, run_out
from tests.outage import Outage
from tests.recording import until
from tests.rows import STRATEGY, row
from tests.types import Borrowed, Pool

Log = StrategyExecutionLogRepository
DAY = timedelta(days=1)
INSERT = (
    "insert into execlog.strategy_execution_log (id, strategy_id, strategy_version, strategy_type,"
    " status, duration_ms, nodes_executed, sampled, sample_rate)"
    " values ($1, 'loyalty', 3, 'DSL_FULL', 'ok', 1.5, 4, false, 1)"
)


async def stored(connection: Borrowed | Pool) -> UUID:
    """The id of a row that this connection stores, within its transaction if it has one."""
    id = uuid7()
    await connection.execute(INSERT, id)
    return id


async def present(log: Log) -> str:
    page = await log.list_stored(after=None)
    assert (page.executions, page.has_more, page.is_reset) == ([], False, False)
    return page.place


async def pages(log: Log, place: str, **how: object) -> tuple[list[StrategyExecutionLog], str]:
    """All that is there, page by page, and the place behind it."""
    found: list[StrategyExecutionLog] = []
    while True:
        page: StoredPage = await log.list_stored(after=place, **how)  # type: ignore[arg-type]
        found += page.executions
        place = page.place
        if not page.has_more:
            return found, place


def ids(found: list[StrategyExecutionLog]) -> list[UUID]:
    return [one.id for one in found]


@pytest.fixture
async def other(pool: Pool) -> AsyncIterator[Borrowed]:
    async with pool.acquire() as connection:
        yield connection


async def test_transactions_that_end_in_another_order(
    repository: Log, pool: Pool, other: Borrowed
) -> None:
    place = await present(repository)
    first = other.transaction()
    await first.start()
    late = await stored(other)
    early = [await stored(pool) for _ in range(3)]
    found, place = await pages(repository, place)
    assert ids(found) == early
    assert await pages(repository, place) == ([], place)
    later = await stored(pool)
    await first.commit()
    found, place = await pages(repository, place)
    assert ids(found) == [late, later]
    # A place may be kept for as long as one likes.
    assert (await pages(repository, place))[0] == []


async def test_what_is_rolled_back_is_not_found(
    repository: Log, pool: Pool, other: Borrowed
) -> None:
    place = await present(repository)
    ended = other.transaction()
    await ended.start()
    await stored(other)
    _, place = await pages(repository, place)
    await ended.rollback()
    async with other.transaction():
        kept = await stored(other)
        inner = other.transaction()
        await inner.start()
        await stored(other)
        await inner.rollback()
        async with other.transaction():
            nested = await stored(other)
        assert (await pages(repository, place))[0] == []
    found, place = await pages(repository, place)
    assert sorted(ids(found)) == sorted([kept, nested])


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000, 10**9])
async def test_pages(repository: Log, pool: Pool, other: Borrowed, limit: int) -> None:
    """Also if transactions end between two pages: their rows come with the next round."""
    place = await present(repository)
    first = other.transaction()
    await first.start()
    late = [await stored(other) for _ in range(5)]
    expected = set()
    for size in (1, 4, 3):
        batch = [row(created_at=None if n else datetime.now(UTC)) for n in range(size)]
        await repository.insert_rows(batch)
        expected |= {one.id for one in batch}
    page = await repository.list_stored(after=place, limit=limit)
    found = ids(page.executions)
    assert (len(found), page.has_more) == (min(limit, 8), limit <= 8)
    await first.commit()
    meanwhile = await stored(pool)
    rest, place = await pages(repository, page.place, limit=limit)
    found += ids(rest)
    if limit > 8:
        assert set(found) == expected | {meanwhile, *late}
    else:
        assert (set(found), len(found)) == (expected, 8)
        found = ids((await pages(repository, place, limit=limit))[0])
        assert sorted(found) == sorted([meanwhile, *late])


async def test_times_do_not_matter(repository: Log) -> None:
    rows = [
        row(created_at=time)
        for time in (
            None,
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime.now(UTC) + DAY,
            datetime.now(UTC) - 400 * DAY,
        )
    ]
    await repository.insert_rows([row(created_at=datetime.now(UTC) + DAY) for _ in range(50)])
    place = await present(repository)
    await repository.insert_rows(rows)
    await repository.insert_missing([rows[0], imported := row()])
    found, _ = await pages(repository, place)
    assert sorted(ids(found)) == sorted(ids([*rows, imported]))


async def test_filters_and_payloads(repository: Log) -> None:
    place = await present(repository)
    rows = [
        row(realm_id="acme", status="error", error_code="E1", trace=[1], input={"a": 1}),
        row(realm_id="acme", strategy_id="other", trace=[2]),
        row(realm_id="other", status="timeout", external_user_id="u"),
    ]
    await repository.insert_rows(rows)
    a, b, c = ids(rows)

    async def asked(**how: object) -> set[UUID]:
        return set(ids((await pages(repository, place, limit=1, **how))[0]))

    assert await asked(realm_id="acme") == {a, b}
    assert await asked(status="failed") == {a, c}
    assert await asked(strategy_id=STRATEGY, realm_id=["acme", "no such"]) == {a}
    assert await asked(strategy_id=[STRATEGY, "other"]) == {a, b, c}
    assert await asked(external_user_id="u", error_code="E1") == set()
    assert await asked(strategy_id=[]) == set()
    found, _ = await pages(repository, place, payloads=True)
    assert sorted(found, key=lambda one: one.id) == sorted(rows, key=lambda one: one.id)
    found, _ = await pages(repository, place)
    assert all(one.payloads_left_out and one.trace is None for one in found)


async def test_the_answer_of_a_tenant_does_not_tell_of_others(repository: Log) -> None:
    place = await present(repository)
    await repository.insert_rows([row(realm_id="other") for _ in range(10)])
    page = await repository.list_stored(after=place, realm_id="acme", limit=5)
    assert (page.executions, page.has_more) == ([], False)


async def test_what_is_moved_or_erased_is_not_found_again(repository: Log, pool: Pool) -> None:
    first = place = await present(repository)
    await run_out(pool)
    rows = [day(ago, external_user_id="u") for ago in (0, 3, 15)]
    await repository.insert_rows(rows)
    found, place = await pages(repository, place)
    assert sorted(ids(found)) == sorted(ids(rows))
    in_default = "select count(*) from execlog.strategy_execution_log_default"
    before = await pool.fetchval(in_default)
    await maintain(pool, interval="day")
    assert await pool.fetchval(in_default) < before
    async for _ in repository.erase(external_user_id="u"):
        pass
    assert (await pages(repository, place))[0] == []
    found, _ = await pages(repository, first)
    assert sorted(ids(found)) == sorted(ids(rows))


async def test_the_place_of_another_history(repository: Log, pool: Pool) -> None:
    await repository.insert_row(row())
    page = await repository.list_stored(after="99999999:99999999:")
    assert (page.executions, page.has_more, page.is_reset) == ([], False, True)
    fresh = await stored(pool)
    found, _ = await pages(repository, page.place)
    assert ids(found) == [fresh]
    half = f"{page.place} 99999998:99999999:99999998 7 {UUID(int=7)}"
    assert (await repository.list_stored(after=half)).is_reset


@pytest.mark.parametrize(
    "place",
    [
        "", "x", "1", "1:2", "0:1:", "2:1:", "1:2:2", "1:3:2,1", "1:3:1,1", "1:2:1;3",
        "1:2: 1:2:", "1:2: 1:2: 3 x", "1:2: 2:1: 3 " + str(UUID(int=1)), f"{2**63}:{2**63}:",
        "-1:2:", "1:2:\n", "\u0661:2:", 7, b"1:1:",
    ],
)  # fmt: skip
async def test_what_is_no_place(shared_repository: Log, place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await shared_repository.list_stored(after=place)
    assert caught.value.argument == "after"


async def test_a_log_that_does_not_keep_the_order(repository: Log, pool: Pool) -> None:
    with pytest.raises(QueryRejected):
        await Log(pool, spread=True).list_stored(after=None)
    await pool.execute(
        "alter table execlog.strategy_execution_log alter column stored_xid drop default"
    )
    with pytest.raises(QueryRejected):
        await repository.list_stored(after=None)


async def followed(follower: Follower) -> list[UUID]:
    return [one.id async for rows in follower.new() for one in rows]


@pytest.mark.parametrize("keeps_order", [True, False])
async def test_what_is_stored_while_the_first_are_read_is_shown_once(
    repository: Log, pool: Pool, capsys: pytest.CaptureFixture[str], keeps_order: bool
) -> None:
    if not keeps_order:
        await pool.execute(
            "alter table execlog.strategy_execution_log alter column stored_xid drop default"
        )
    now = datetime.now(UTC)
    rows = [row(created_at=now - timedelta(seconds=9 - n)) for n in range(9)]
    await repository.insert_rows(rows[:4])
    scope = {"strategy_id": None, "payloads": False, "realm_id": None}
    follower = await following(repository, scope, None, None)
    await repository.insert_rows(rows[4:6])
    assert ids(await follower.begin(3)) == ids(rows[3:6])
    assert await followed(follower) == []
    await repository.insert_rows(rows[6:])
    assert sorted(await followed(follower)) == sorted(ids(rows[6:]))
    assert await followed(follower) == []
    assert isinstance(follower, ByCommit if keeps_order else ByTime)
    assert ("--late" in capsys.readouterr().err) is not keeps_order


async def test_following_a_server_that_was_set_back(
    repository: Log, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = {"strategy_id": STRATEGY, "payloads": True}
    follower = ByCommit(repository, scope, None, "99999999:99999999:")
    assert await followed(follower) == []
    assert capsys.readouterr().err.endswith("shown from now on\n")
    fresh = await stored(pool)
    assert await followed(follower) == [fresh]


@pytest.mark.long
async def test_following_goes_on_after_an_outage() -> None:
    """Where it was: each execution of before, during and after it is shown once."""
    with Outage() as server:
        await execlog.migrate(server.dsn)
        process = await asyncio.create_subprocess_exec(
            COMMAND, "tail", "-f", "--dsn", server.dsn, stdout=PIPE, stderr=PIPE
        )
        assert process.stdout is not None
        lines = process.stdout

        async def shown(count: int) -> set[str]:
            async with asyncio.timeout(30):
                read = [(await lines.readline()).decode() for _ in range(count)]
            return {line.rstrip("\n").rpartition("\t")[2] for line in read}

        try:
            assert await shown(1) == {"id"}
            expected = await some_stored(server.dsn)
            assert await shown(20) == expected
            server.kill()
            server.start()
            expected = await some_stored(server.dsn)
            server.stop()
            await asyncio.sleep(1.5)
            server.start()
            expected |= await some_stored(server.dsn)
            assert await shown(40) == expected
            process.send_signal(signal.SIGINT)
            out, said = await asyncio.wait_for(process.communicate(), 20)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, out) == (130, b"")
        assert b"trying again" in said


async def some_stored(dsn: str) -> set[str]:
    rows = [row(created_at=datetime.now(UTC) + n * DAY) for n in range(-10, 10)]
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await Log(pool).insert_rows(rows)
    return {str(one.id) for one in rows}


@pytest.mark.parametrize("seconds", [1.5, pytest.param(20, marks=pytest.mark.long)])
async def test_many_writers(dsn: str, seconds: float) -> None:
    """Each row is found once, also those of transactions that are open for long."""
    end = time.monotonic() + seconds
    kept: list[UUID] = []

    async def write(seed: int, pool: Pool) -> None:
        dice = random.Random(seed)
        log = Log(pool)
        while time.monotonic() < end:
            if dice.random() < 0.3:
                async with pool.acquire() as connection:
                    transaction = connection.transaction()
                    await transaction.start()
                    held = [await stored(connection) for _ in range(dice.randrange(1, 9))]
                    await asyncio.sleep(dice.random() * 0.3)
                    if dice.random() < 0.2:
                        await transaction.rollback()
                        continue
                    await transaction.commit()
                kept.extend(held)
            else:
                rows = [row() for _ in range(dice.randrange(1, 40))]
                await log.insert_rows(rows)
                kept.extend(ids(rows))

    found: list[UUID] = []
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=10) as pool,
        asyncpg.create_pool(dsn, min_size=1, max_size=1) as own,
    ):
        reader = Log(own)
        place = await present(reader)
        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write(n, pool)) for n in range(10)]
            while not all(one.done() for one in writers):
                page = await reader.list_stored(after=place, limit=random.choice([5, 50, 1000]))
                found += ids(page.executions)
                place = page.place
        for _ in range(2):  # the pages that were begun, then what was stored since they were
            rest, place = await pages(reader, place)
            found += ids(rest)
    assert len(found) > 100
    assert (len(set(found)), sorted(found)) == (len(found), sorted(kept))


@pytest.mark.long
async def test_on_a_standby() -> None:
    """It knows of no unfinished transaction but the oldest: later rows wait for its end."""
    try:
        with standby.started() as pair:
            await check_standby(pair)
    except standby.Absent as reason:
        pytest.skip(str(reason))


async def check_standby(pair: standby.Pair) -> None:
    await execlog.migrate(pair.primary)
    async with (
        asyncpg.create_pool(pair.primary, min_size=2) as pool,
        asyncpg.create_pool(pair.standby) as reading,
    ):
        await pair.caught_up()
        log, copy = Log(pool), Log(reading)
        place, of_primary = await present(copy), await present(log)
        async with pool.acquire() as connection:
            open_ = connection.transaction()
            await open_.start()
            late = await stored(connection)
            early = await stored(pool)
            found, of_primary = await pages(log, of_primary)
            assert ids(found) == [early]
            await pair.caught_up()
            found, place = await pages(copy, place)
            assert found == []
            # One of the primary has seen more than the standby can tell apart.
            assert await pages(copy, of_primary) == ([], of_primary)
            await open_.commit()
        await pair.caught_up()

        async def arrived() -> bool:
            nonlocal found, place
            more, place = await pages(copy, place)
            found += more
            return len(found) == 2

        found = []
        await until(arrived, 20)
        assert sorted(ids(found)) == sorted([late, early])
        assert ids((await pages(copy, of_primary))[0]) == [late]
        assert (await pages(log, place))[0] == []
