"""From one version to the next: to the same catalogue, under those who write and read meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    MigrationError,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.db.migration_files import migration_names
from tests import databases, first_wave
from tests.databases import TABLE
from tests.db.test_faults import CALLS
from tests.recording import assert_sum, load, until
from tests.rows import row
from tests.types import Connection, Pool

PROGRESS = "execlog.recorder_progress"
NEXT, AFTER_NEXT = (f"{len(migration_names()) + n:04d}" for n in (1, 2))
# What a later version may do to a log in use, and some that none should.
LATER = {
    "a column": f"alter table {TABLE} add column region text collate \"C\" default 'here';",
    "an index": f"create index later on {TABLE} (strategy_id, points);",
    "a table": "create table execlog.another (n integer primary key);",
    "another order": f"alter table {TABLE} drop column notes;\n\n"
    f'alter table {TABLE} add column notes text collate "C";',
    "types": f"alter table {TABLE} alter column points type numeric,"
    " alter column duration_ms type numeric, alter column nodes_executed type bigint;",
    "types back": f"alter table {TABLE} alter column points type double precision,"
    " alter column duration_ms type double precision, alter column nodes_executed type integer;",
    "the batch's number": f"alter table {PROGRESS} alter column batch type numeric;",
    "and back": f"alter table {PROGRESS} alter column batch type bigint;",
}


async def catalogue(connection: Connection) -> list[tuple[object, ...]]:
    """All that a schema is made of, as text: nothing of it depends on the way there."""
    found = await connection.fetch(
        """
        select 'relation' as kind, c.relname::text as name, c.relkind::text as a,
            array_to_string(c.reloptions, ' ') as b, c.relreplident::text as c,
            pg_get_expr(c.relpartbound, c.oid) as d, obj_description(c.oid, 'pg_class') as e
        from pg_class c
        where c.relnamespace = 'execlog'::regnamespace
        union all
        select 'column', c.relname::text, a.attname::text,
            format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(l.collname, ''),
            a.attnotnull::text, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        left join pg_collation l on l.oid = a.attcollation
        where c.relnamespace = 'execlog'::regnamespace
        union all
        select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid),
            convalidated::text, '', ''
        from pg_constraint
        where connamespace = 'execlog'::regnamespace
        union all
        select 'index', indrelid::regclass::text, indexrelid::regclass::text,
            pg_get_indexdef(indexrelid), indisvalid::text, '', ''
        from pg_index
        join pg_class c on c.oid = indrelid
        where c.relnamespace = 'execlog'::regnamespace
        union all
        select 'function', proname::text, pg_get_functiondef(oid), obj_description(oid, 'pg_proc'),
            '', '', ''
        from pg_proc
        where pronamespace = 'execlog'::regnamespace
        union all
        select 'trigger', tgrelid::regclass::text, tgname::text, pg_get_triggerdef(t.oid),
            '', '', ''
        from pg_trigger t
        join pg_class c on c.oid = tgrelid
        where c.relnamespace = 'execlog'::regnamespace
        union all
        select 'migration', name, checksum, '', '', '', ''
        from execlog.schema_migration
        order by 1, 2, 3, 4
        """
    )
    return [tuple(record) for record in found]


async def what_is_there(dsn: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return await catalogue(connection)
    finally:
        await connection.close()


@pytest.fixture
async def another_dsn(template: str) -> AsyncIterator[str]:
    async with databases.clone(template, template="template0") as own:
        yield own


def taken_out(folder: Path) -> dict[str, bytes]:
    """What the folder held."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.sql"))}
    for name in files:
        (folder / name).unlink()
    return files


@pytest.mark.long
async def test_step_by_step_is_the_same_as_at_once(
    dsn: str, another_dsn: str, migrations: Path
) -> None:
    """Also with rows in it, and partitions of another width."""
    files = taken_out(migrations)
    applied = []
    for name, data in files.items():
        (migrations / name).write_bytes(data)
        applied += await execlog.migrate(another_dsn)
        connection = await asyncpg.connect(another_dsn)
        given = [row().model_dump(), row(created_at=None).model_dump()]
        await first_wave.insert(connection, given)
        await connection.close()
    assert [f"{name}.sql" for name in applied] == list(files)
    stepwise, at_once = await what_is_there(another_dsn), await what_is_there(dsn)
    assert stepwise == at_once
    assert {entry[0] for entry in at_once} == {
        "relation",
        "column",
        "constraint",
        "index",
        "function",
        "migration",
        "trigger",
    }


@pytest.mark.long
async def test_the_dump_makes_the_same_database(dsn: str, empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    await databases.send(connection, execlog.dump_migrations())
    await connection.close()
    assert await what_is_there(empty_dsn) == await what_is_there(dsn)
    assert await execlog.check_migrations(empty_dsn) == []


@pytest.mark.long
async def test_a_partition_of_maintenance_is_as_one_of_the_migration(dsn: str, pool: Pool) -> None:
    """What it makes with LIKE has all that a partition inherits, by the same names or its own."""
    await execlog.maintain(pool, interval="day", ahead=2)

    async def shape(name: str) -> set[tuple[object, ...]]:
        found = await pool.fetch(
            "select attname::text, format_type(atttypid, atttypmod), attnotnull::text"
            f" from pg_attribute where attrelid = '{name}'::regclass and attnum > 0"
            " union all select conname::text, pg_get_constraintdef(oid), convalidated::text"
            f" from pg_constraint where conrelid = '{name}'::regclass"
            " union all select parent.relname::text, '', '' from pg_index"
            " join pg_inherits on inhrelid = indexrelid"
            f" join pg_class parent on parent.oid = inhparent where indrelid = '{name}'::regclass"
        )
        return {tuple(record) for record in found}

    made = await pool.fetchval(
        "select id::regclass::text from execlog.partitions() where begins > now() limit 1"
    )
    assert await shape(made) == await shape(f"{TABLE}_default")


@pytest.mark.long
@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_nobody_notices_a_migration(
    dsn: str, migrations: Path, by: str, cached: bool
) -> None:
    """Writers lose and spoil nothing, readers get answers: no error reaches them."""
    number = len(migration_names())
    stop = asyncio.Event()
    asked = 0

    async def read(log: StrategyExecutionLogRepository) -> None:
        nonlocal asked
        while not stop.is_set():
            for name, call in CALLS.items():
                if not name.startswith("insert"):
                    await call(log)
                    asked += 1

    size = 100 if cached else 0
    async with asyncpg.create_pool(dsn, min_size=1, max_size=5, statement_cache_size=size) as pool:
        log = StrategyExecutionLogRepository(pool)
        async with ExecutionRecorder(dsn if by == "dsn" else pool, linger=0.01) as recorder:
            loading = asyncio.create_task(load(recorder, 600, 500))
            reading = [asyncio.create_task(read(log)) for _ in range(2)]
            await until(lambda: recorder.stats().batches > 5 and asked > 40)
            for about, sql in LATER.items():
                number += 1
                name = f"{number:04d}_later"
                (migrations / f"{name}.sql").write_text(f"{sql}\n")
                assert await execlog.migrate(dsn) == [name], about
                before = asked, recorder.stats().batches
                await until(
                    lambda before=before: (
                        asked > before[0] + 20  # type: ignore[misc]
                        and recorder.stats().batches > before[1] + 3
                    )
                )
            loading.cancel()
            stop.set()
            await asyncio.gather(*reading)
            assert await recorder.flush()
        stats = recorder.stats()
        assert stats.dropped == stats.rejected == {}
        await assert_sum(dsn, stats)
        spoilt = await pool.fetchval(
            f"select count(*) from {TABLE} where duration_ms <> 1.5 or points is not null"
            " or notes is not null and nodes_executed <> notes::integer % 1000"
        )
        assert spoilt == 0


@pytest.mark.long
async def test_one_that_fails_halfway(dsn: str, empty_dsn: str, migrations: Path) -> None:
    """Those before it stay, nothing of it does, and the log goes on."""
    (migrations / f"{NEXT}_well.sql").write_text("create table execlog.well (n integer);\n")
    (migrations / f"{AFTER_NEXT}_fails.sql").write_text(
        f"create table execlog.halfway (n integer);\n\nalter table {TABLE} add column x text;\n\n"
        "do $$ begin raise exception 'no'; end $$;\n\ncreate table execlog.never (n integer);\n"
    )
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        log = StrategyExecutionLogRepository(pool)
        async with ExecutionRecorder(dsn, linger=0.01) as recorder:
            loading = asyncio.create_task(load(recorder, 1, 500))
            await until(lambda: recorder.stats().batches > 2)
            with pytest.raises(MigrationError, match=f"{AFTER_NEXT}_fails: failed"):
                await execlog.migrate(dsn)
            await loading
            assert await recorder.flush()
        await assert_sum(dsn, recorder.stats())
        assert await log.count_by_status(strategy_id="loyalty")
        there = {
            name: await pool.fetchval(f"select to_regclass('execlog.{name}') is not null")
            for name in ("well", "halfway", "never")
        }
    assert there == {"well": True, "halfway": False, "never": False}
    assert await execlog.check_migrations(dsn) == [f"{AFTER_NEXT}_fails"]
    (migrations / f"{AFTER_NEXT}_fails.sql").write_text(
        "create table execlog.halfway (n integer);\n"
    )
    assert await execlog.migrate(dsn) == [f"{AFTER_NEXT}_fails"]
    assert await execlog.migrate(empty_dsn)
    assert await what_is_there(dsn) == await what_is_there(empty_dsn)


@pytest.mark.long
async def test_a_migration_whose_client_dies(dsn: str, migrations: Path) -> None:
    (migrations / f"{NEXT}_long.sql").write_text(
        f"alter table {TABLE} add column x text;\n\nselect pg_sleep(30);\n"
    )
    migrating = asyncio.create_task(execlog.migrate(dsn))
    connection = await asyncpg.connect(dsn)
    busy = (
        "select pid from pg_stat_activity where query like '%pg_sleep%'"
        " and datname = current_database()"
        " and state = 'active' and pid <> pg_backend_pid()"
    )
    await until(lambda: connection.fetchval(busy))
    await connection.execute(f"select pg_terminate_backend(pid) from ({busy}) as one")
    with pytest.raises(StoreUnavailable):
        await migrating
    (migrations / f"{NEXT}_long.sql").write_text(f"alter table {TABLE} add column x text;\n")
    assert await execlog.migrate(dsn) == [f"{NEXT}_long"]
    await connection.close()
