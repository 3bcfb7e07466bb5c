"""The indexes of a partition that has closed are rebuilt: once, beside whoever reads and writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository, maintain
from tests.command import run
from tests.databases import CLIENTS, TABLE
from tests.db.test_maintenance_lease import END, TAKE
from tests.maintaining import DAY, run_out, told
from tests.recording import until
from tests.rows import row
from tests.types import Connection, Pool

CLOSED = "closed"
BEGINS = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 45 * DAY
ROWS = 12_000
AT_WORK = f"{CLIENTS} and query like '%reindex index concurrently%' and pid <> pg_backend_pid()"
LOCKED = "wait_event_type = 'Lock'"


async def make(pool: Pool, name: str = CLOSED, ago: int = 0, rows: int = ROWS) -> None:
    """A closed partition of a day, its rows stored as they come: many strategies in turn."""
    begins = BEGINS - ago * DAY
    await pool.execute(
        f"create table execlog.{name} partition of {TABLE}"
        f" for values from ('{begins}') to ('{begins + DAY}');"
        f"alter table execlog.{name} replica identity full"
    )
    await fill(pool, name, rows)
    await pool.execute(f"vacuum execlog.{name}")


async def fill(pool: Pool, name: str, rows: int, *, spread: str = "n") -> None:
    await pool.execute(
        f"insert into execlog.{name} (id, created_at, strategy_id, strategy_version,"
        " strategy_type, realm_id, status, case_name, points, duration_ms, nodes_executed)"
        f" select gen_random_uuid(), bound.begins + {spread} * interval '1 second',"
        " 'strategy-' || n % 10, 3, 'DSL_FULL', 'realm-' || n % 3,"
        " case when n % 20 = 0 then 'error' else 'ok' end, 'case-' || n % 7, n % 50, n, n % 30"
        f" from generate_series(1, {rows}) as n, execlog.partitions() as bound"
        f" where bound.id = 'execlog.{name}'::regclass"
    )


async def indexes(pool: Pool, name: str = CLOSED) -> dict[str, int]:
    """The bytes of each index, by its name."""
    found = await pool.fetch(
        "select indexrelid::regclass::text as name, pg_relation_size(indexrelid) as bytes"
        " from pg_index where indrelid = $1::text::regclass",
        f"execlog.{name}",
    )
    return {one["name"]: one["bytes"] for one in found}


async def rebuilt(pool: Pool, **changes: Any) -> list[tuple[str, str]]:
    """The partitions whose indexes were to be rebuilt, with the outcome."""
    steps = await maintain(pool, **changes)
    return [(one.partition, one.outcome) for one in steps if one.action == "rebuild"]


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def test_once(dsn: str, pool: Pool) -> None:
    await maintain(pool)
    await make(pool)
    before = await indexes(pool)
    plan = run("maintain", "--plan", EXECLOG_DSN=dsn)
    assert f"rebuild\t{CLOSED}\t" in plan.stdout
    assert await indexes(pool) == before
    [step] = [one for one in await maintain(pool) if one.action == "rebuild"]
    assert (step.partition, step.outcome, step.begins) == (CLOSED, "done", BEGINS)
    after = await indexes(pool)
    assert after.keys() == before.keys()
    assert sum(after.values()) < 0.85 * sum(before.values())
    assert all(after[name] <= before[name] for name in before)
    assert await maintain(pool) == []
    # They are still those of the log: one that is made for all of it would find none to make.
    attached = "select count(*) from pg_inherits join pg_index on indexrelid = inhrelid where"
    assert await pool.fetchval(f"{attached} indrelid = 'execlog.{CLOSED}'::regclass") == 8
    doctor = run("doctor", EXECLOG_DSN=dsn)
    assert (doctor.returncode, "!!" in doctor.stdout) == (0, False), doctor.stdout


async def test_again_if_many_rows_come_late(pool: Pool) -> None:
    await make(pool)
    assert await rebuilt(pool) == [(CLOSED, "done")]
    fresh = await indexes(pool)
    # One in a hundred, at any time, finds its place.
    await fill(pool, CLOSED, ROWS // 100, spread="(n * 97)")
    assert sum((await indexes(pool)).values()) < 1.1 * sum(fresh.values())
    assert await rebuilt(pool) == []
    await fill(pool, CLOSED, ROWS, spread="((n * 97) % 12000)")
    grown = await indexes(pool)
    assert await rebuilt(pool) == [(CLOSED, "done")]
    assert sum((await indexes(pool)).values()) < sum(grown.values())
    assert await rebuilt(pool) == []


async def test_which_partitions_are_left_alone(pool: Pool) -> None:
    """Those that are open, closed just now or small, those that go, and those of another owner."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await run_out(pool)
    for name, begins, ends in (
        ("still_open", hour, hour + DAY),
        ("just_closed", hour - DAY, hour),
    ):
        await pool.execute(
            f"create table execlog.{name} partition of {TABLE}"
            f" for values from ('{begins}') to ('{ends}')"
        )
        await fill(pool, name, ROWS)
    await make(pool, "small", 1, rows=1000)
    await make(pool, "theirs", 2)
    await make(pool, "old", 40)
    await make(pool)
    role = f"rebuild_owner_{time.time_ns()}"
    await pool.execute(f"create role {role}")
    try:
        await pool.execute(f"alter table {TABLE} owner to {role}")
        for name in ("still_open", "just_closed", "small", "old", CLOSED):
            await pool.execute(f"alter table execlog.{name} owner to {role}")
        assert await rebuilt(pool, ahead=0, retain=60 * DAY) == [(CLOSED, "done")]
        assert await rebuilt(pool, ahead=0, retain=60 * DAY) == []
    finally:
        await pool.execute(f"reassign owned by {role} to current_user")
        await pool.execute(f"drop owned by {role}")
        await pool.execute(f"drop role {role}")


async def test_indexes_that_others_have_marked_are_left_alone(pool: Pool) -> None:
    await make(pool)
    await pool.execute(f"create index own on execlog.{CLOSED} (external_user_id, id)")
    sizes = await indexes(pool)
    commented, settled, *_ = sorted(sizes.keys() - {"execlog.own"}, key=lambda name: sizes[name])
    await pool.execute(f"comment on index {commented} is 'Rebuilt: never.'")
    await pool.execute(f"alter index {settled} set (fillfactor = 70)")
    nodes = "select oid::regclass::text, relfilenode from pg_class where relkind = 'i'"
    before = {tuple(found) for found in await pool.fetch(nodes)}
    assert await rebuilt(pool) == [(CLOSED, "done")]
    after = {tuple(found) for found in await pool.fetch(nodes)}
    same = {name for name, _ in before & after} & (await indexes(pool)).keys()
    assert same == {"execlog.own", commented, settled}
    assert await rebuilt(pool) == []


@pytest.mark.long
async def test_a_backlog_is_done_by_several_runs(pool: Pool) -> None:
    """The newest partitions first, so that what is urgent need not wait for all of them."""
    for n in range(10):
        await make(pool, f"p{n}", n)
    for names in (range(8), range(8, 10), range(0)):
        assert await rebuilt(pool) == [(f"p{n}", "done") for n in names]


HELD = pytest.mark.parametrize(
    ("held_up", "left"),
    [
        # An old snapshot is waited for before the new index takes its place,
        (f"begin isolation level repeatable read; select count(*) from {TABLE}", "_ccnew"),
        # and one who may still use the replaced one before that is removed.
        (f"begin; select count(*) from {TABLE}", "_ccold"),
    ],
)


@HELD
async def test_writers_and_readers_go_on(
    dsn: str, pool: Pool, other: Connection, held_up: str, left: str
) -> None:
    """At the moments at which the rebuild itself waits: nobody waits for it."""
    await make(pool)
    await other.execute(held_up)
    running = asyncio.ensure_future(maintain(dsn))
    await until(lambda: pool.fetchval(f"select count(*) = 1 from {AT_WORK} and {LOCKED}"))
    impatient = {"lock_timeout": "1s"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=impatient) as own:
        log = StrategyExecutionLogRepository(own)
        late = [row(created_at=BEGINS + n * timedelta(hours=1)) for n in range(20)]
        assert await log.insert_rows(late) == 20
        assert await log.get(id=late[0].id) == late[0]
        window: dict[str, Any] = {"since": BEGINS, "until": BEGINS + DAY}
        card = await log.metrics(strategy_id=late[0].strategy_id, **window)
        assert card.status_breakdown.total == 20
        assert len(await log.list_failures(**window, limit=50)) == 50
        assert len([part async for part in log.erase(external_user_id="nobody")]) >= 0
    assert not running.done()
    assert await pool.fetchval(f"select count(*) = 1 from {AT_WORK} and {LOCKED}")
    assert any(left in name for name in await indexes(pool))
    await other.execute("rollback")
    assert told(await running)["rebuild done"] == 1
    assert not any("_cc" in name for name in await indexes(pool))
    assert await pool.fetchval(f"select count(*) from execlog.{CLOSED}") == ROWS + 20


@HELD
async def test_what_an_interrupted_rebuild_leaves_is_removed(
    pool: Pool, dsn: str, other: Connection, held_up: str, left: str
) -> None:
    await make(pool)
    names = (await indexes(pool)).keys()
    await other.execute(held_up)
    running = asyncio.ensure_future(maintain(dsn))
    await until(lambda: pool.fetchval(f"select count(*) = 1 from {AT_WORK} and {LOCKED}"))
    await pool.execute(f"select pg_terminate_backend(pid) from {AT_WORK}")
    steps = await running
    [problem] = [step.problem for step in steps if step.outcome == "failed"]
    assert problem in ("admin shutdown (57P01)", "the connection was lost")
    await other.execute("rollback")
    [invalid] = (await indexes(pool)).keys() - names
    assert left in invalid
    assert await rebuilt(pool) == [(CLOSED, "done")]
    assert (await indexes(pool)).keys() == names
    assert await rebuilt(pool) == []


async def test_one_that_was_left_after_all_was_done(pool: Pool) -> None:
    """All are as small as they can be: what was left is removed all the same."""
    await make(pool)
    await rebuilt(pool)
    names = (await indexes(pool)).keys()
    await pool.execute(f"create index late_ccnew3 on execlog.{CLOSED} (nodes_executed)")
    await pool.execute(
        "update pg_index set indisvalid = false where indexrelid = 'execlog.late_ccnew3'::regclass"
    )
    assert await rebuilt(pool) == [(CLOSED, "done")]
    assert (await indexes(pool)).keys() == names
    assert await rebuilt(pool) == []


async def test_one_that_is_in_the_way_stops_no_other(
    dsn: str, pool: Pool, other: Connection
) -> None:
    """What was begun is removed at once, and the next partition has its turn."""
    await make(pool)
    await make(pool, "earlier", 1)
    names = (await indexes(pool)).keys()
    await other.execute("begin isolation level repeatable read; select 1")
    running = asyncio.ensure_future(maintain(dsn))
    await until(lambda: pool.fetchval(f"select count(*) = 1 from {AT_WORK} and {LOCKED}"))
    await pool.execute(f"select pg_cancel_backend(pid) from {AT_WORK}")
    begun = "select count(*) = 9 from pg_index where indrelid = 'execlog.earlier'::regclass"
    await until(lambda: pool.fetchval(begun))
    assert (await indexes(pool)).keys() == names
    await other.execute("rollback")
    done = [(one.partition, one.outcome) for one in await running if one.action == "rebuild"]
    assert done == [(CLOSED, "postponed"), ("earlier", "done")]
    assert await rebuilt(pool) == [(CLOSED, "done")]


async def test_one_that_takes_over_does_not_begin_again(
    dsn: str, pool: Pool, other: Connection
) -> None:
    """A rebuild that takes longer than the lease: the index that it was at is noted as done."""
    await make(pool)
    await other.execute("begin isolation level repeatable read; select 1")
    running = asyncio.ensure_future(maintain(dsn))
    await until(lambda: pool.fetchval(f"select count(*) = 1 from {AT_WORK} and {LOCKED}"))
    await pool.execute(TAKE)
    await other.execute("rollback")
    [step] = [one for one in await running if one.action == "rebuild"]
    assert (step.outcome, step.problem) == ("postponed", "another process took over")
    noted = (
        "select count(*) from pg_class where relkind = 'i'"
        " and obj_description(oid, 'pg_class') like 'Rebuilt: % bytes.'"
    )
    assert await pool.fetchval(noted) == 1
    await pool.execute(END)
    assert await rebuilt(pool) == [(CLOSED, "done")]
    assert await pool.fetchval(noted) == 8
