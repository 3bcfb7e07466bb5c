"""A log of the first wave is brought up to date, and stays what it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    MigrationError,
    SchemaOutdated,
    StrategyExecutionLogRepository,
)
from execlog.db.migration_files import migration_names
from tests import first_wave
from tests.databases import TABLE
from tests.recording import until
from tests.rows import fields, row

STRATEGIES = ("loyalty", "referral", "all of it\t\\ 'quoted' \N{SNOWMAN}")


@pytest.fixture
async def old_dsn(empty_dsn: str) -> str:
    """A database that holds the log as the first wave left it."""
    await first_wave.restore(empty_dsn)
    return empty_dsn


async def read(log: StrategyExecutionLogRepository) -> dict[str, Any]:
    """What the log answers from its rows alone."""
    answers: dict[str, Any] = {"rows": [row async for row in log.stream()]}
    for strategy in STRATEGIES:
        answers[strategy] = [
            await log.count_by_status(strategy_id=strategy),
            await log.count_by_case_name(strategy_id=strategy),
        ]
    answers["failures"] = await log.list_failures(limit=200)
    return answers


async def summed(log: StrategyExecutionLogRepository) -> dict[str, Any]:
    """What it answers from rollups too."""
    answers: dict[str, Any] = {one: await log.metrics(strategy_id=one) for one in STRATEGIES}
    answers["ranking"] = await log.rank_strategies(by="runs", limit=50)
    return answers


async def test_the_fixture_is_what_it_says(old_dsn: str) -> None:
    connection = await asyncpg.connect(old_dsn)
    [rows, without_time, far_off] = await connection.fetchrow(
        "select count(*), count(*) filter (where created_at is null),"
        " count(*) filter (where not isfinite(created_at) or created_at > '2200-01-01')"
        f" from {TABLE}"
    ) or [0, 0, 0]
    assert (rows, without_time, far_off) == (first_wave.ROWS, 2, 4)
    runs = (
        'select sum(ok + error + timeout + "limit" + other) from execlog.rollup where grain <> 60'
    )
    assert await connection.fetchval(runs) == first_wave.RUNS
    thinned = (
        "select count(*) from execlog.partitions() where obj_description(id) = 'Failures only.'"
    )
    assert await connection.fetchval(thinned) == 2
    tenants = f"set local role {first_wave.ROLES[3]}; select count(distinct realm_id) from {TABLE}"
    async with connection.transaction():
        await connection.execute(tenants.partition("; ")[0])
        assert await connection.fetchval(tenants.partition("; ")[2]) == 1
    await connection.close()


async def test_an_upgrade_leaves_it_as_it_was(old_dsn: str) -> None:
    """Rows are not touched, and a run whose row is gone is counted still."""
    rows = (
        "select id, created_at, strategy_id, status, trace::text, notes, sample_rate"
        f" from {TABLE} order by created_at, id"
    )
    connection = await asyncpg.connect(old_dsn)
    before = await connection.fetch(rows)
    async with asyncpg.create_pool(old_dsn, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        # An engine that is deployed before its migrations counts its rows, and is told what to do.
        counts = await log.count_by_status(strategy_id="loyalty")
        for ask in (read, summed):
            with pytest.raises(SchemaOutdated):
                await ask(log)
    behind = (await execlog.health(old_dsn)).missing_migrations
    assert behind == [name for name in migration_names() if name > "0004"]
    assert await execlog.migrate(old_dsn) == behind
    assert await execlog.check_migrations(old_dsn) == []
    assert await connection.fetch(rows) == before
    await connection.close()
    async with asyncpg.create_pool(old_dsn, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        first = await read(log)
        assert first["loyalty"][0] == counts
        assert len(first["rows"]) == first_wave.ROWS
        assert {one.stored_at for one in first["rows"]} == {datetime.min.replace(tzinfo=UTC)}
        upgraded = await summed(log)
        assert sum(one.runs for one in upgraded["ranking"]) == first_wave.RUNS
        state = await log.rollup_state()
        assert state.rows_from.year == 2026
        assert state.versions_from == state.rows_from
        await execlog.maintain(old_dsn, interval="day", ahead=2)
    assert not [one async for one in execlog.verify_rollups(old_dsn)]
    async with asyncpg.create_pool(old_dsn, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        assert (await read(log))["rows"] == first["rows"]
        made = await summed(log)
        assert [(one.strategy_id, one.runs, one.failures) for one in made["ranking"]] == [
            (one.strategy_id, one.runs, one.failures) for one in upgraded["ranking"]
        ]


@pytest.mark.long
async def test_recorders_of_both_waves_store_while_it_is_upgraded(old_dsn: str) -> None:
    """One that is newer than the schema waits for it; what is older goes on; nothing is lost."""
    connection = await asyncpg.connect(old_dsn)
    recorder_id, batches, stop = uuid4(), 0, asyncio.Event()

    async def first_recorder() -> None:
        nonlocal batches
        while not stop.is_set():
            given = [row(strategy_id="old").model_dump() for _ in range(20)]
            await first_wave.record(connection, recorder_id, batches + 1, given)
            batches += 1
            await asyncio.sleep(0.002)

    storing = asyncio.create_task(first_recorder())
    async with ExecutionRecorder(old_dsn, linger=0.01) as recorder:
        for _ in range(100):
            recorder.record(**fields(strategy_id="new", input={"n": 1}, trace_id="ab" * 16))
        await until(lambda: "migrate" in (recorder.stats().last_error or "") and batches > 5)
        await execlog.migrate(old_dsn)
        after = batches
        await until(lambda: batches > after + 20 and recorder.stats().written == 100)
        stop.set()
        await storing
        stats = await recorder.aclose()
    assert (stats.written, stats.dropped, stats.rejected) == (100, {}, {})
    stored = (
        "select count(*), count(distinct id), count(input), count(stored_xid)"
        f" from {TABLE} where strategy_id = $1"
    )
    old = await connection.fetchrow(stored, "old")
    assert old is not None
    assert tuple(old)[:3] == (20 * batches, 20 * batches, 0)
    assert 0 < old[3] < 20 * batches
    assert tuple(await connection.fetchrow(stored, "new") or ()) == (100, 100, 100, 100)
    await connection.close()


async def test_all_of_it_stays_its_owners(old_dsn: str) -> None:
    """Whoever applies the migrations, here a superuser; who asks afterwards is who asked before."""
    strangers = """
        select relname::text from pg_class
        where relnamespace = 'execlog'::regnamespace and relowner <> 'first_owner'::regrole
        union all
        select proname::text from pg_proc
        where pronamespace = 'execlog'::regnamespace and proowner <> 'first_owner'::regrole
    """
    connection = await asyncpg.connect(old_dsn)
    name = await connection.fetchval("select current_user")
    async with connection.transaction():
        await execlog.migrate(connection, rollups=True)
        assert await connection.fetchval("select current_user") == name
        assert await connection.fetchval("show search_path") == '"$user", public'
    assert await connection.fetch(strangers) == []
    async with asyncpg.create_pool(old_dsn, min_size=1, max_size=1) as pool:
        assert await StrategyExecutionLogRepository(pool).insert_rows([row(realm_id="north")]) == 1
    await connection.close()


async def test_an_owner_who_may_not_make_anything(old_dsn: str) -> None:
    """Who owns the schema lets the log's owner; else it is an error that says so."""
    connection = await asyncpg.connect(old_dsn)
    await connection.execute("revoke create on schema execlog from first_owner")
    await connection.execute("set session authorization first_owner")
    with pytest.raises(MigrationError, match="needs CREATE on its schema") as caught:
        async with connection.transaction():
            await execlog.migrate(connection)
    assert caught.value.sqlstate == "42501"
    await connection.execute("reset session authorization")
    await connection.execute("revoke all on schema execlog from first_owner")
    assert await execlog.migrate(connection)
    await connection.close()
