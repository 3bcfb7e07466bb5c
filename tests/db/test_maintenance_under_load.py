"""Partitions that come and go: on a real server, under load, with others in the way, killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    Maintenance,
    MaintenanceStep,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    maintain,
    migrate,
)
from execlog.admin import caretaker
from execlog.admin import lease as leasing
from execlog.admin.lease import Lease
from execlog.admin.partitions import Step, slot
from execlog.admin.session import Session
from execlog.db.sqltext import filled, pieces
from execlog.repository import statements
from tests.command import run
from tests.databases import TABLE, WAITING
from tests.recording import assert_sum, record, until
from tests.rows import row
from tests.types import Pool

DAY = timedelta(days=1)
DEFAULT = f"{TABLE}_default"
KEPT: dict[str, Any] = {"interval": "day", "retain": 10 * DAY, "retain_failures": 30 * DAY}


def told(steps: list[MaintenanceStep]) -> Counter[str]:
    return Counter(f"{step.action} {step.outcome}" for step in steps)


def day(ago: int, **changes: Any) -> StrategyExecutionLog:
    return row(created_at=datetime.now(UTC) - ago * DAY, **changes)


async def partitions(pool: Pool) -> list[str]:
    found = await pool.fetch(
        "select inhrelid::regclass::text as name from pg_inherits"
        f" where inhparent = '{TABLE}'::regclass order by 1"
    )
    return [record["name"].removeprefix(f"{TABLE}_") for record in found]


async def run_out(pool: Pool) -> None:
    """A log whose partitions have come to their end: all goes into DEFAULT."""
    for name in await partitions(pool):
        if name != "default":
            await pool.execute(f"drop table {TABLE}_{name}")


@contextlib.asynccontextmanager
async def held(pool: Pool) -> AsyncIterator[tuple[Lease, caretaker.Caretaker]]:
    """The lease is ours inside the block."""
    async with Session(pool) as session:
        lease = Lease(session, "execlog")
        await lease.look()
        assert (await lease.take()).is_ours
        yield lease, caretaker.Caretaker(lease)
        await lease.release(completed=False, left=None)


@pytest.fixture
async def scattered(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> list[StrategyExecutionLog]:
    """Rows of many days in DEFAULT, and those whose place is there."""
    await run_out(pool)
    rows = [day(ago, status=status) for ago in (0, 3, 15, 45) for status in ("ok", "error")]
    rows += [row(created_at=time) for time in (None, datetime.max.replace(tzinfo=UTC))]
    await repository.insert_rows(rows)
    return rows


async def test_partitions_come(pool: Pool) -> None:
    assert told(await maintain(pool)) == {"tune done": 4}
    assert await maintain(pool) == []
    steps = await maintain(pool, ahead=5)
    assert told(steps) == {"attach done": 2}
    assert await maintain(pool, ahead=5) == []


async def test_a_partition_has_what_the_first_ones_have(pool: Pool) -> None:
    """Whoever made it: its indexes, constraints, comments and collations are those of the log."""
    await maintain(pool, interval="day", ahead=1)
    await pool.execute(
        f"create table reference partition of {TABLE}"
        " for values from ('2001-01-01') to ('2001-02-01')"
    )
    facts = (
        "select attname::text, atttypid::regtype::text, attnotnull::text, attcollation::text"
        " from pg_attribute where attrelid = $1::text::regclass and attnum > 0",
        "select contype::text, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = $1::text::regclass",
        "select regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* USING', ''),"
        " indisvalid::text from pg_index where indrelid = $1::text::regclass",
        "select count(*)::text from pg_inherits join pg_index on indexrelid = inhrelid"
        " where indrelid = $1::text::regclass",
    )
    made = next(name for name in await partitions(pool) if name.startswith("20"))
    for fact in facts:
        ours, theirs = [
            Counter(tuple(record) for record in await pool.fetch(fact, table))
            for table in (f"{TABLE}_{made}", "reference")
        ]
        assert ours == theirs


async def test_strays_find_their_partitions(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    before = [one async for one in repository.stream()]
    assert (await repository.health()).stray_rows == 8
    steps = await maintain(pool, interval="day")
    assert told(steps)["attach done"] >= 3
    assert [one async for one in repository.stream()] == before
    assert (await repository.health()).stray_rows == 0
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 2
    assert told(await maintain(pool, interval="day")) <= Counter({"vacuum done": 3})


async def test_what_is_old_goes(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    await maintain(pool, interval="day")
    steps = await maintain(pool, **KEPT)
    assert {step.action for step in steps} >= {"thin", "drop"}
    assert {step.outcome for step in steps} == {"done"}
    left = {one.id async for one in repository.stream()}
    expected = [one for one in scattered if one.created_at is None or one.created_at.year > 9000]
    expected += [*scattered[0:4], scattered[5]]
    assert left == {one.id for one in expected}
    await maintain(pool, **KEPT)
    assert await maintain(pool, **KEPT) == []


async def test_what_is_old_in_default_goes_too(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """Whether its partition is made first or not."""
    steps = await maintain(pool, **KEPT)
    assert told(steps)["purge done"] == 1
    left = {one.id async for one in repository.stream()}
    assert scattered[6].id not in left  # ok and failed, 45 days old
    assert scattered[7].id not in left
    assert scattered[4].id not in left  # ok, 15 days old
    assert scattered[5].id in left
    assert len(left) == 7


async def test_a_plan_changes_nothing(pool: Pool, scattered: list[StrategyExecutionLog]) -> None:
    before = await partitions(pool)
    planned = await maintain(pool, **KEPT, only_plan=True)
    assert {step.outcome for step in planned} == {"planned"}
    assert await partitions(pool) == before
    done = await maintain(pool, **KEPT)
    assert [(one.action, one.partition) for one in done] == [
        (one.action, one.partition) for one in planned
    ]


async def test_ten_at_once(dsn: str, pool: Pool, scattered: list[StrategyExecutionLog]) -> None:
    all_steps = await asyncio.gather(*(maintain(dsn, interval="day") for _ in range(10)))
    assert all(not steps for steps in all_steps if steps.held_by)
    outcomes = {step.outcome for steps in all_steps for step in steps}
    assert outcomes == {"done"}
    attached = [s.partition for steps in all_steps for s in steps if s.action == "attach"]
    assert len(attached) == len(set(attached)) >= 3
    assert await pool.fetchval(f"select count(*) from {TABLE}") == len(scattered)


async def test_a_recorder_stores_meanwhile(dsn: str, pool: Pool) -> None:
    """Rows of the present day, while it has no partition, and gets one: none lost, none doubled."""
    await run_out(pool)
    async with ExecutionRecorder(dsn, linger=0.01, batch_rows=200) as recorder:

        async def load() -> None:
            for n in range(6000):
                record(recorder, n)
                if n % 20 == 0:
                    await asyncio.sleep(0.002)

        loading = asyncio.ensure_future(load())
        await until(lambda: recorder.stats().written > 500)
        steps = await maintain(pool, interval="day", lock_timeout=5)
        await loading
        stats = await recorder.aclose()
    assert told(steps)["attach done"] == 4
    await assert_sum(dsn, stats)
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 0


async def test_a_reader_in_the_way(
    dsn: str,
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """What can't be done is put off, and nobody waits for longer than the limit meanwhile."""
    await maintain(pool, interval="day")
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.fetch(f"select count(*) from {TABLE}")
    maintaining = asyncio.ensure_future(maintain(dsn, **KEPT, lock_timeout=0.3))
    longest = 0.0
    while not maintaining.done():
        begin = time.monotonic()
        await repository.insert_rows([day(0)])
        longest = max(longest, time.monotonic() - begin)
        await asyncio.sleep(0.01)
    steps = await maintaining
    outcomes = told(steps)
    assert outcomes["drop postponed"] >= 1
    assert outcomes["thin postponed"] == 1
    assert not any("failed" in outcome for outcome in outcomes)
    assert {step.problem for step in steps if step.outcome == "postponed"} == {
        "lock timeout (55P03)"
    }
    assert longest < 5
    await transaction.rollback()
    await other.close()
    assert {step.outcome for step in await maintain(dsn, **KEPT)} == {"done"}


@pytest.mark.long
async def test_killed_anywhere(
    dsn: str,
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    scattered: list[StrategyExecutionLog],
) -> None:
    """After each step, and in the middle of one: all rows are there, and the next run goes on."""
    expected = len(scattered)
    for n in range(60):
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
            running = asyncio.ensure_future(maintain(own, interval="day", ahead=2))
            await asyncio.sleep(n * 0.005)
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and query like '%strategy_execution_log_20%'"
            )
            try:
                finished = await running == []
            except StoreUnavailable:
                finished = False
        assert await pool.fetchval(f"select count(*) from {TABLE}") == expected
        if finished:
            break
    assert told(await maintain(pool, interval="day", ahead=2)) <= Counter({"vacuum done": 9})
    assert (await repository.health()).stray_rows == 0
    leftovers = await pool.fetch(
        "select relname from pg_class where relkind = 'r' and not relispartition"
        " and relnamespace = 'execlog'::regnamespace"
    )
    lasting = {"maintenance", "recorder_progress", "schema_migration"}
    lasting |= {"rollup", "rollup_name", "rollup_slot", "rollup_state"}
    assert {found["relname"] for found in leftovers} == lasting


async def test_many_rows_in_default(pool: Pool) -> None:
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(),"
        " '2025-01-01 00:00+00'::timestamptz + n * interval '5 minutes', 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 40000) as n"
    )
    steps = await maintain(pool)
    assert told(steps)["attach done"] == 5
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 0
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 40_000


@pytest.fixture
async def within_an_hour() -> None:
    """Begins when the hour does not end in the next moments: partitions of hours are counted."""
    rest = 3600 - time.time() % 3600
    if rest < 25:
        await asyncio.sleep(rest)


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_writers_whose_partition_is_made_meanwhile(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """A COPY that waits has not chosen its partition yet: none is refused, none is lost."""
    await run_out(pool)
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(), 'infinity', 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 100000) as n"
    )
    stored, done = 0, asyncio.Event()

    async def write(method: Any) -> None:
        nonlocal stored
        while not done.is_set():
            count = await method([day(0) for _ in range(20)])
            stored += count

    writers = [
        asyncio.ensure_future(write(method))
        for method in (repository.insert_rows, repository.insert_missing)
    ]
    await asyncio.sleep(0.2)
    steps = await maintain(pool, interval="hour", ahead=2)
    done.set()
    await asyncio.gather(*writers)
    assert told(steps)["attach done"] == 3
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 100_000 + stored


async def test_a_partition_that_is_attached_by_hand(
    dsn: str, pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Who waited for DEFAULT is told to try again, and then it is stored."""
    await run_out(pool)
    begins, ends = slot(datetime.now(UTC), "day")
    other = await asyncpg.connect(dsn)
    await other.execute(f"begin; lock table {DEFAULT} in access exclusive mode")
    rows = [day(0)]
    waiting = asyncio.ensure_future(repository.insert_rows(rows))
    await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"))
    await other.execute(
        f"create table execlog.own (like {TABLE} including all);"
        f"alter table {TABLE} attach partition execlog.own"
        f" for values from ('{begins}') to ('{ends}'); commit"
    )
    await other.close()
    with pytest.raises(StoreUnavailable, match="partitions have just changed"):
        await waiting
    assert await repository.insert_rows(rows) == 1


async def test_late_rows_while_a_partition_is_thinned(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Nobody deadlocks, and a failure that comes late is kept with the others."""
    await run_out(pool)
    await repository.insert_rows(day(15, status="error") for _ in range(5000))
    await maintain(pool, interval="day")
    late, done = 0, asyncio.Event()

    async def write() -> None:
        nonlocal late
        while not done.is_set():
            await repository.insert_rows([day(15, status="error"), day(0), day(15)])
            late += 1

    writers = [asyncio.ensure_future(write()) for _ in range(2)]
    await asyncio.sleep(0.2)
    steps = await maintain(pool, **KEPT)
    done.set()
    await asyncio.gather(*writers)
    assert told(steps)["thin done"] == 1
    failed = await pool.fetchval(f"select count(*) from {TABLE} where status <> 'ok'")
    assert failed == 5000 + late


async def test_a_user_who_is_erased_while_a_partition_is_thinned(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """The copy was made before, the lock is taken after it: nothing of the user comes back."""
    failed: dict[str, Any] = {"status": "error", "trace": [{"node": 1}]}
    await run_out(pool)
    await repository.insert_rows(
        day(15, **failed, external_user_id=user) for user in ("gone", "kept", None) * 10
    )
    await maintain(pool, interval="day")
    [plan] = [s for s in await maintain(pool, **KEPT, only_plan=True) if s.action == "thin"]
    step = Step("thin", plan.partition, plan.begins, plan.ends)
    async with held(pool) as (lease, log):
        shape = (await log.planned(Maintenance(**KEPT).wish(), holds=True)).shape
        words = {**shape._asdict(), "lock_timeout": "5s", **caretaker._words(step)}
        script = "\n".join(map(leasing._script, ("begin", "thin", "end")))
        for piece in pieces(filled(script, "execlog", words)):
            if "lock table only" in piece:
                erased = [part async for part in repository.erase(external_user_id="gone")]
                assert erased[-1].executions == 10
            await lease.session.connection.execute(piece)
    left = [one async for one in repository.stream()]
    assert Counter(one.external_user_id for one in left) == {"kept": 10, None: 20}
    assert Counter(one.trace is None for one in left) == {True: 10, False: 20}


async def test_tables_that_are_somebody_elses(pool: Pool) -> None:
    """Only what is a partition of the log, and in its schema, is ever dropped."""
    await pool.execute("create schema archive")
    await pool.execute(
        f"create table archive.strategy_execution_log_202401 partition of {TABLE}"
        " for values from ('2024-01-01 00:00+00') to ('2024-02-01 00:00+00')"
    )
    await pool.execute(f"create table {TABLE}_202401 (precious text)")
    await pool.execute(
        f"create table execlog.parts partition of {TABLE} for values from"
        " ('2023-01-01 00:00+00') to ('2024-01-01 00:00+00') partition by range (created_at)"
    )
    assert told(await maintain(pool, retain=30 * DAY)) == {"tune done": 4}
    assert await pool.fetchval(f"select to_regclass('{TABLE}_202401') is not null")
    assert {"archive.strategy_execution_log_202401", "execlog.parts"} <= set(await partitions(pool))
    # Detached after it was planned.
    begins, ends = (datetime(2024, n, 1, tzinfo=UTC) for n in (1, 2))
    shape = caretaker.Shape("id", "current_user", is_cluster=False, unrolled_before=None)
    async with held(pool) as (_, log):
        for action in ("drop", "replace", "thin"):
            step = Step(action, "strategy_execution_log_202401", begins, ends)
            done = await log.done(step, shape, "1s")
            assert (done.outcome, done.problem != "another process took over") == ("failed", True)
    assert await pool.fetchval(f"select to_regclass('{TABLE}_202401') is not null")


async def test_a_cancelled_call_keeps_no_lease(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for n in range(40):
            running = asyncio.ensure_future(maintain(connection, interval="day", ahead=n % 4))
            await asyncio.sleep(n * 0.0005)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert await connection.fetchval("select 1") == 1
            assert not connection.is_in_transaction()
            assert await connection.fetchval("select token is null from execlog.maintenance")


async def test_sessions_of_other_ways(dsn: str, pool: Pool) -> None:
    await maintain(pool, interval="day")
    for style in ("SQL, DMY", "Postgres, MDY", "German"):
        for zone in ("Asia/Kolkata", "Asia/Shanghai", "America/St_Johns"):
            own = {"DateStyle": style, "TimeZone": zone}
            async with asyncpg.create_pool(dsn, min_size=1, server_settings=own) as odd:
                assert await maintain(odd, interval="day") == []


async def test_a_publication_of_all_tables(
    pool: Pool, scattered: list[StrategyExecutionLog]
) -> None:
    await pool.execute("create publication everything for all tables")
    assert told(await maintain(pool, interval="day"))["attach failed"] == 0
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 2


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_time_limits_of_others(dsn: str, pool: Pool) -> None:
    await run_out(pool)
    await pool.execute(
        f"insert into {DEFAULT} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(), now(), 's', 1, 'T',"
        " 'ok', 1, 1 from generate_series(1, 60000) as n"
    )
    hasty = {"statement_timeout": "250"}
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=1, command_timeout=0.2, server_settings=hasty
    ) as own:
        outcomes = told(await maintain(own, interval="hour", ahead=0))
    assert outcomes["attach done"] == 1
    assert not [outcome for outcome in outcomes if "failed" in outcome]


async def test_columns_in_another_order_and_of_ones_own(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await run_out(pool)
    await pool.execute(
        f"alter table {TABLE} add column doubled integer"
        " generated always as (nodes_executed * 2) stored"
    )
    await pool.execute(f"alter table {TABLE} add column region text default 'eu'")
    columns = [
        record["attname"]
        for record in await pool.fetch(
            "select attname from pg_attribute where attnum > 0 and not attisdropped"
            f" and attrelid = '{TABLE}'::regclass order by attname"
        )
    ]
    definitions = await pool.fetch(
        "select attname, format_type(atttypid, atttypmod) as type, attnotnull,"
        " attgenerated::text from pg_attribute"
        f" where attrelid = '{TABLE}'::regclass and attname = any($1::text[]) order by attname",
        columns,
    )
    body = ", ".join(
        f"{d['attname']} {d['type']}"
        + (' collate "C"' if d["type"] == "text" and d["attname"] != "region" else "")
        + (" not null" if d["attnotnull"] else "")
        + (" generated always as (nodes_executed * 2) stored" if d["attgenerated"] else "")
        for d in definitions
    )
    begins, ends = slot(datetime.now(UTC) - 15 * DAY, "day")
    await pool.execute(f"create table execlog.own ({body})")
    for found in await pool.fetch(
        "select conname, pg_get_constraintdef(oid) as rule from pg_constraint"
        f" where conrelid = '{TABLE}'::regclass and contype = 'c'"
    ):
        await pool.execute(f"alter table execlog.own add constraint {found[0]} {found[1]}")
    await pool.execute(
        f"alter table {TABLE} attach partition execlog.own"
        f" for values from ('{begins}') to ('{ends}')"
    )
    rows = [
        day(ago, status="error", external_game_id="game", external_user_id="user")
        for ago in (0, 15)
    ]
    await repository.insert_rows(rows)
    await pool.execute(f"update {TABLE} set region = 'us'")
    outcomes = told(await maintain(pool, **KEPT))
    assert (outcomes["thin done"], outcomes["attach done"]) == (1, 4)
    for one in rows:
        assert await repository.get(id=one.id) == one
    assert await pool.fetchval(f"select bool_and(region = 'us' and doubled = 8) from {TABLE}")


async def test_bounds_beyond_the_calendar(pool: Pool) -> None:
    for name, begins, ends in (
        ("old", "0044-03-15 00:00+00 BC", "0100-01-01 00:00+00"),
        ("new", "20000-01-01 00:00+00", "20001-01-01 00:00+00"),
    ):
        await pool.execute(
            f"create table execlog.{name} partition of {TABLE}"
            f" for values from ('{begins}') to ('{ends}')"
        )
    assert told(await maintain(pool)) == {"tune done": 6}
    assert (await StrategyExecutionLogRepository(pool).health()).partitions == 6


async def test_a_default_that_was_detached(pool: Pool, scattered: list[Any]) -> None:
    await pool.execute(f"alter table {TABLE} detach partition {DEFAULT}")
    before = await pool.fetchval(f"select count(*) from {DEFAULT}")
    await maintain(pool, **KEPT)
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == before


async def test_a_table_of_that_name_is_in_the_way(pool: Pool) -> None:
    begins, _ = slot(datetime.now(UTC), "day")
    await pool.execute(f"create table {TABLE}_{begins:%Y%m%d} ()")
    steps = await maintain(pool, interval="day", ahead=0)
    [failed] = [step for step in steps if step.outcome == "failed"]
    assert (failed.action, failed.problem) == ("attach", "duplicate table (42P07)")


async def test_who_may_not(dsn: str, pool: Pool, empty_dsn: str) -> None:
    with pytest.raises(SchemaOutdated):
        await maintain(empty_dsn)
    name = f"reader_{time.time_ns()}"
    await pool.execute(f"create role {name} login password 'x'")
    await pool.execute(f"grant usage on schema execlog to {name}")
    await pool.execute(f"grant select on all tables in schema execlog to {name}")
    try:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1, init=as_role(name)) as own:
            with pytest.raises(QueryRejected) as refused:
                await maintain(own, ahead=4)
            plan = await maintain(own, ahead=4, only_plan=True)
    finally:
        await pool.execute(f"drop owned by {name}")
        await pool.execute(f"drop role {name}")
    assert refused.value.sqlstate == "42501"
    assert told(plan) == {"tune planned": 4, "attach planned": 1}


def as_role(name: str) -> Any:
    async def become(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await connection.execute(f"set role {name}")

    return become


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("interval", {"interval": "year"}),
        ("interval", {"interval": None}),
        ("ahead", {"ahead": -1}),
        ("ahead", {"ahead": 1001}),
        ("ahead", {"ahead": True}),
        ("retain", {"retain": 90}),
        ("retain", {"retain": timedelta()}),
        ("retain", {"retain": timedelta.max}),
        ("retain_failures", {"retain_failures": DAY}),
        ("retain_failures", {"retain": DAY, "retain_failures": -DAY}),
        ("lock_timeout", {"lock_timeout": 0}),
    ],
)
async def test_bad_input(argument: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await maintain("postgresql://127.0.0.1:1/", **given)
    assert caught.value.argument == argument


async def test_what_it_is_given(dsn: str, pool: Pool) -> None:
    with pytest.raises(InvalidArgument, match=r"^target: "):
        await maintain(7)  # type: ignore[arg-type]
    async with pool.acquire() as connection:
        assert told(await maintain(connection)) == {"tune done": 4}
        async with connection.transaction():
            with pytest.raises(InvalidArgument, match="in a transaction"):
                await maintain(connection)
    with pytest.raises(StoreUnavailable):
        await maintain("postgresql://127.0.0.1:1/")


async def test_from_a_terminal(dsn: str, pool: Pool) -> None:
    words = ("maintain", "--interval", "day", "--ahead", "2", "--retain", "90d", "--utc")
    plan = run(*words, "--plan", EXECLOG_DSN=dsn)
    assert (plan.returncode, plan.stderr) == (0, "")
    header, *lines = [line.split("\t") for line in plan.stdout.splitlines()]
    assert header == ["step", "partition", "from", "to", "outcome", "took", "problem"]
    assert Counter(line[0] for line in lines) == {"replace": 4, "attach": 3}
    done = run(*words, EXECLOG_DSN=dsn)
    assert [line.split("\t")[:4] for line in done.stdout.splitlines()[1:]] == [
        line[:4] for line in lines
    ]
    again = run(*words, EXECLOG_DSN=dsn)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr
    assert run("maintain", "--retain-failures", "9d", EXECLOG_DSN=dsn).returncode == 2


async def test_a_cluster_that_is_migrated_and_maintained_is_found_healthy(empty_dsn: str) -> None:
    await migrate(empty_dsn)
    await maintain(empty_dsn, interval="week", ahead=8)
    found = run("doctor", EXECLOG_DSN=empty_dsn)
    assert (found.returncode, "!!" in found.stdout) == (0, False)


@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_the_recorder_maintains(dsn: str, pool: Pool, by: str) -> None:
    await run_out(pool)
    await StrategyExecutionLogRepository(pool).insert_rows([day(3), day(20)])
    wanted = Maintenance(interval="day", ahead=5, retain=10 * DAY)
    async with ExecutionRecorder(dsn if by == "dsn" else pool, maintenance=wanted) as recorder:
        record(recorder, 1)
        await until(lambda: covered(pool, 5))
        await until(lambda: empty(pool, DEFAULT))
        record(recorder, 1)
        assert await recorder.flush()
        stats = await recorder.aclose()
    assert (stats.written, stats.retries) == (2, 0)


async def covered(pool: Pool, days: int) -> bool:
    return (await StrategyExecutionLogRepository(pool).health()).days_ahead >= days


async def empty(pool: Pool, table: str) -> bool:
    return not await pool.fetchval(f"select exists (select from {table})")


async def test_a_recorder_that_may_not_maintain(
    pool: Pool, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and stores all the same."""
    await pool.execute("drop function execlog.partitions()")
    async with ExecutionRecorder(dsn, maintenance=Maintenance()) as recorder:
        record(recorder, 1)
        await until(lambda: "maintenance is not possible" in caplog.text)
        assert await recorder.flush()
        stats = await recorder.aclose()
    assert (stats.written, stats.last_error) == (1, None)


async def test_a_closed_recorder_maintains_no_more(dsn: str, pool: Pool) -> None:
    for _ in range(5):
        recorder = ExecutionRecorder(dsn, maintenance=Maintenance(interval="hour", ahead=48))
        await recorder.start()
        await asyncio.sleep(0.02)
        await recorder.aclose()
    await until(lambda: nobody(pool, "select count(token) from execlog.maintenance"))


async def nobody(pool: Pool, count: str) -> bool:
    return bool(await pool.fetchval(count) == 0)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"interval": "year"}, "interval"),
        ({"ahead": 1001}, "ahead"),
        ({"retain": 3}, "retain"),
        ({"retain_failures": DAY}, "retain_failures"),
        ({"lock_timeout": 0}, "lock_timeout"),
    ],
)
def test_how_partitions_can_not_be(given: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{argument}: "):
        Maintenance(**given)


async def test_a_pool_of_one_connection_is_not_for_maintenance(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1) as own:
        with pytest.raises(InvalidArgument, match=r"^maintenance: needs a DSN or a pool of two"):
            ExecutionRecorder(own, maintenance=Maintenance())


def test_a_recorder_takes_nothing_else_for_it() -> None:
    with pytest.raises(InvalidArgument, match=r"^maintenance: "):
        ExecutionRecorder("postgresql://", maintenance={"interval": "day"})  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_four_hundred_partitions(dsn: str) -> None:
    """Who asks about a window locks its partitions only, also when the plan is kept."""
    assert told(await maintain(dsn, interval="hour", ahead=400))["attach done"] == 401
    now = datetime.now(UTC)
    held = "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'relation'"
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        await log.insert_rows(row(created_at=now + n * timedelta(hours=1)) for n in range(400))
        await pool.execute(f"analyze {TABLE}")
        window: dict[str, Any] = {
            "strategy_id": "loyalty",
            "since": now,
            "until": now + timedelta(hours=2),
        }
        realms: dict[str, Any] = {"realm_ids": None}
        hours = {"width_us": 3600 * 10**6, "buckets": 2}
        earlier = {
            "since_before": now - timedelta(hours=2),
            "until_before": now - timedelta(microseconds=1),
            "width_us_before": 7200 * 10**6,
            "buckets_before": 1,
        }
        known = statements()
        asked = [
            known["count_by_status"].query(**window),
            known["duration_and_nodes_summary"].query(**window),
            known["metrics"].query(**window, **realms),
            known["timeseries"].query(**window, **realms, **hours),
            known["list_executions"].query(**window, **realms, limit=50),
            known["report"].query(**window, **realms, **hours, **earlier),
        ]
        async with pool.acquire() as connection:
            for query in asked:
                for _ in range(12):
                    async with connection.transaction():
                        await connection.fetch(query.sql, *query.values)
                        locks = await connection.fetchval(held)
                assert locks < 60, query.name
        assert len(await log.list_for_strategy(strategy_id="loyalty", limit=200)) == 200
        assert (await log.metrics(strategy_id="loyalty")).status_breakdown.total == 400
        assert (await log.health()).partitions == 401
    steps = await maintain(dsn, interval="hour", ahead=400)
    assert steps == []


@pytest.mark.long
@pytest.mark.usefixtures("within_an_hour")
async def test_clocks_an_hour_ahead_and_behind(dsn: str, pool: Pool) -> None:
    """Rows of the hours around, and the partitions by the server's clock: all find their place."""
    await maintain(pool, interval="hour", ahead=2)
    hour = timedelta(hours=1)
    async with ExecutionRecorder(dsn) as recorder:
        for n, skew in enumerate((-hour, timedelta(), hour, 90 * timedelta(days=1))):
            record(recorder, n, created_at=datetime.now(UTC) + skew)
    health = await StrategyExecutionLogRepository(pool).health()
    assert health.stray_rows == 2  # an hour ago had no partition, and a quarter ahead has none
    steps = await maintain(pool, interval="hour", ahead=2, retain=30 * DAY)
    assert {step.outcome for step in steps} == {"done"}
    assert (await StrategyExecutionLogRepository(pool).health()).stray_rows == 1  # the latter
    await assert_sum(dsn, recorder.stats())


async def test_the_tables_are_listed(pool: Pool) -> None:
    """Partitions newest first, then DEFAULT, then rollups; sizes as the server has them."""
    log = StrategyExecutionLogRepository(pool)
    await maintain(pool, interval="day", ahead=3)
    await log.insert_rows(row(created_at=datetime.now(UTC)) for _ in range(2000))
    await pool.execute(f"analyze {TABLE}, execlog.rollup")
    tables = await log.list_tables()
    kinds = [one.kind for one in tables]
    assert kinds == sorted(kinds, key=["partition", "default", "rollup"].index)
    assert set(kinds) == {"partition", "default", "rollup"}
    parts = [one for one in tables if one.kind == "partition"]
    begins = [one.begins for one in parts if one.begins is not None]
    assert len(begins) == len(parts)
    assert begins == sorted(begins, reverse=True)
    assert sum(one.estimated_rows or 0 for one in parts) == 2000
    health = await log.health()
    stored = [one for one in tables if one.kind != "rollup"]
    assert sum(one.table_bytes for one in stored) == health.table_bytes
    assert sum(one.index_bytes for one in stored) == health.index_bytes
