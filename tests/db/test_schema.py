"""Migrations on the real server: applied once, by one of many, checked, printed, and refused."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import InvalidArgument, MigrationError, StoreUnavailable
from execlog.admin.migrations import _statements
from execlog.db.migration_files import migration_names
from execlog.ids import uuid7
from tests.command import run
from tests.databases import send
from tests.db.test_upgrades import what_is_there
from tests.rows import row
from tests.types import Pool

FIRST = "0001_strategy_execution_log"
ALL = migration_names()
NEXT, AFTER_NEXT = (f"{len(ALL) + n:04d}" for n in (1, 2))


async def test_twice_is_once(empty_dsn: str) -> None:
    assert await execlog.check_migrations(empty_dsn) == ALL
    assert await execlog.migrate(empty_dsn) == ALL
    assert await execlog.check_migrations(empty_dsn) == []
    assert await execlog.migrate(empty_dsn) == []


async def test_check_changes_nothing(empty_dsn: str) -> None:
    await execlog.check_migrations(empty_dsn)
    connection = await asyncpg.connect(empty_dsn)
    assert await connection.fetchval("select to_regnamespace('execlog')") is None
    await connection.close()


async def test_every_kind_of_target(empty_dsn: str) -> None:
    async with asyncpg.create_pool(empty_dsn, min_size=1, max_size=1) as pool:
        assert await execlog.check_migrations(pool) == ALL
        async with pool.acquire() as borrowed:
            transaction = borrowed.transaction()
            await transaction.start()
            assert await execlog.migrate(borrowed) == ALL
            assert await execlog.check_migrations(borrowed) == []
            await transaction.rollback()
            assert await execlog.check_migrations(borrowed) == ALL
        connection = await asyncpg.connect(empty_dsn)
        assert await execlog.migrate(connection) == ALL
        await connection.close()
        assert await execlog.migrate(pool) == []


@pytest.mark.parametrize("target", [None, 7, b"postgresql://", object()])
async def test_a_target_that_is_none(target: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^target: must be a DSN"):
        await execlog.migrate(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("dsn", ["", "nonsense", "http://secret@host/", "postgresql://h:secret/"])
async def test_a_dsn_that_is_none_is_not_printed(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    with pytest.raises((InvalidArgument, StoreUnavailable)) as caught:
        await execlog.migrate(dsn)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("argument", ["lock_timeout", "wait_timeout"])
@pytest.mark.parametrize("value", [0, -1, True, "1"])
async def test_timeouts(argument: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await execlog.migrate("postgresql://", **{argument: value})  # type: ignore[arg-type]
    assert caught.value.argument == argument


async def test_many_processes_at_once(empty_dsn: str) -> None:
    code = (
        "import asyncio, execlog, sys;print(len(asyncio.run(execlog.migrate(sys.argv[1]))), end='')"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, empty_dsn, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    applied = [(await process.communicate())[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    # Each file once, by whichever process came first to it.
    assert sum(map(int, applied)) == len(ALL)
    assert await execlog.check_migrations(empty_dsn) == []


async def test_a_file_that_fails_leaves_nothing(empty_dsn: str, migrations: Path) -> None:
    (migrations / f"{NEXT}_broken.sql").write_text(
        "create table execlog.half (n integer);\nselect nonsense;\n"
    )
    with pytest.raises(MigrationError, match=f"{NEXT}_broken: failed") as caught:
        await execlog.migrate(empty_dsn)
    assert caught.value.sqlstate == "42703"
    assert await execlog.check_migrations(empty_dsn) == [f"{NEXT}_broken"]
    connection = await asyncpg.connect(empty_dsn)
    assert await connection.fetchval("select to_regclass('execlog.half')") is None
    await connection.close()


async def test_a_file_that_was_changed(dsn: str, migrations: Path) -> None:
    path = migrations / f"{FIRST}.sql"
    path.write_text(path.read_text() + "-- changed\n")
    for call in (execlog.migrate(dsn), execlog.check_migrations(dsn)):
        with pytest.raises(MigrationError, match=f"{FIRST} was changed after it was applied"):
            await call


async def test_a_history_that_is_not_ours(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "insert into execlog.schema_migration (name, checksum) values ('9999_later', '')"
    )
    assert await execlog.migrate(dsn) == []  # applied by a later version: not our business
    await pool.execute(
        "insert into execlog.schema_migration (name, checksum) values ('0000_other', '')"
    )
    with pytest.raises(MigrationError, match="0000_other was applied"):
        await execlog.check_migrations(dsn)


async def test_a_history_with_a_hole(dsn: str, pool: Pool, migrations: Path) -> None:
    for name in (f"{NEXT}_second", f"{AFTER_NEXT}_third"):
        (migrations / f"{name}.sql").write_text("select 1;\n")
    assert await execlog.migrate(dsn) == [f"{NEXT}_second", f"{AFTER_NEXT}_third"]
    await pool.execute(f"delete from execlog.schema_migration where name = '{NEXT}_second'")
    with pytest.raises(MigrationError, match=f"{NEXT}_second was left out"):
        await execlog.check_migrations(dsn)


async def test_the_callers_transaction_keeps_its_lock_timeout(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '77s'")
        assert await execlog.migrate(connection) == ALL
        assert await connection.fetchval("show lock_timeout") == "77s"
    await connection.close()


@pytest.mark.parametrize(
    "name", [f"{AFTER_NEXT}_gap.sql", "two.sql", f"{NEXT}_Odd-Name.sql", "0001_twice.sql"]
)
async def test_numbers_without_a_gap(dsn: str, migrations: Path, name: str) -> None:
    (migrations / name).write_text("select 1;\n")
    with pytest.raises(MigrationError, match=name):
        await execlog.migrate(dsn)


async def test_a_lock_that_is_not_to_be_had(dsn: str, migrations: Path) -> None:
    (migrations / f"{NEXT}_alter.sql").write_text(
        "alter table execlog.strategy_execution_log add column extra integer;\n"
    )
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute("select 1 from execlog.strategy_execution_log")
        with pytest.raises(
            StoreUnavailable, match=f"{NEXT}_alter: a lock was not obtained"
        ) as caught:
            await execlog.migrate(dsn, lock_timeout=0.1)
    assert caught.value.sqlstate == "55P03"
    await holder.close()
    assert await execlog.migrate(dsn) == [f"{NEXT}_alter"]


async def test_another_process_that_never_ends(dsn: str, migrations: Path) -> None:
    (migrations / f"{NEXT}_more.sql").write_text("create table execlog.more (n integer);\n")
    lock = _statements("execlog")["lock_history"].sql
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute(lock)
        with pytest.raises(StoreUnavailable, match=f"{NEXT}_more"):
            await execlog.migrate(dsn, wait_timeout=0.0001)
    await holder.close()


async def test_who_may_only_read_is_in_nobodys_way(dsn: str, pool: Pool, migrations: Path) -> None:
    """A tenant can hold advisory locks, and none that a migration waits for."""
    role = f"guest_{uuid7().hex}"
    await pool.execute(
        f"create role {role}; grant usage on schema execlog to {role};"
        f"grant select on execlog.schema_migration to {role}"
    )
    holder = await asyncpg.connect(dsn)
    await holder.execute(f"set role {role}")
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute(
        "select pg_advisory_lock(hashtextextended('execlog.migrate', 0));"
        "lock table execlog.schema_migration in access share mode"
    )
    for name in (f"{NEXT}_more", f"{AFTER_NEXT}_again"):
        (migrations / f"{name}.sql").write_text(f"create table execlog.t{name[:4]} ();\n")
        assert await execlog.migrate(dsn, wait_timeout=2) == [name]
    for mode in ("row share", "share row exclusive", "access exclusive"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with holder.transaction():
                await holder.execute(f"lock table execlog.schema_migration in {mode} mode")
    await holder.close()
    await pool.execute(f"drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("how", ["drop table", "truncate"])
async def test_a_log_without_a_record_of_its_migrations(dsn: str, pool: Pool, how: str) -> None:
    """For example after a restore of the schema alone: it says what to do, and that works."""
    records = await pool.fetch("select name, checksum from execlog.schema_migration")
    await pool.execute(f"{how} execlog.schema_migration")
    for call in (execlog.migrate, execlog.check_migrations):
        with pytest.raises(MigrationError, match=r"no record of its migrations: .*--sql"):
            await call(dsn)
    doctor = await asyncio.to_thread(run, "doctor", "--dsn", dsn)
    assert (doctor.returncode, doctor.stderr) == (1, "")
    printed = execlog.dump_migrations()
    if how == "drop table":
        [made] = [one for one in printed if one.startswith("create table execlog.schema_migration")]
        await pool.execute(made)
    inserts = [one for one in printed if one.startswith("insert into execlog.schema_migration ")]
    assert len(inserts) == len(ALL)
    await pool.execute(";".join(inserts))
    assert await execlog.migrate(dsn) == await execlog.check_migrations(dsn) == []
    assert await pool.fetch("select name, checksum from execlog.schema_migration") == records


async def test_a_part_of_the_dump(dsn: str, empty_dsn: str) -> None:
    """In two parts it makes what it makes at once; each begins and ends alike."""
    connection = await asyncpg.connect(empty_dsn)
    whole = execlog.dump_migrations()
    first = execlog.dump_migrations(until=ALL[2])
    rest = execlog.dump_migrations(after=ALL[2])
    for part in (first, rest):
        assert (part[:2], part[-1]) == (whole[:2], whole[-1])
        await send(connection, part)
    assert first[2:-1] + rest[2:-1] == whole[2:-1]
    await connection.close()
    assert await what_is_there(empty_dsn) == await what_is_there(dsn)
    assert execlog.dump_migrations(after=ALL[-1]) == []
    assert execlog.dump_migrations(after=ALL[1], until=ALL[1]) == []


async def test_the_dump_with_a_transaction_for_each(dsn: str, empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    for statement in execlog.dump_migrations():
        await connection.fetch(statement)
    assert await connection.fetchval("select current_user || ' ' || current_setting('role')")
    await connection.close()
    assert await what_is_there(empty_dsn) == await what_is_there(dsn)
    assert await execlog.check_migrations(empty_dsn) == []


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"after": "0009_later"}, f"after: '0009_later' is no migration; the last is {ALL[-1]}"),
        ({"until": "0001"}, "until: '0001' is no migration"),
        ({"after": ALL[3], "until": ALL[1]}, f"until: '{ALL[1]}' comes before '{ALL[3]}'"),
        ({"after": 3}, "after: must be a string"),
        ({"after": ""}, "after: is empty"),
    ],
)
def test_a_part_that_there_is_not(limits: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        execlog.dump_migrations(**limits)
    assert str(caught.value).startswith(says)


async def test_a_record_that_is_missing(dsn: str, pool: Pool) -> None:
    """Of those at the end, or of one in between. (Some can be applied again.)"""
    for names, problem in ((ALL[-1:], "failed"), (ALL[1:2], "was left out")):
        await pool.execute("delete from execlog.schema_migration where name = any($1)", names)
        with pytest.raises(MigrationError, match=f"{names[0]}:? {problem}.*migrate --sql"):
            await execlog.migrate(dsn)
        for name in names:
            [record] = [one for one in execlog.dump_migrations() if f"values ('{name}', " in one]
            await pool.execute(record)
        assert await execlog.migrate(dsn) == []


async def test_the_table_as_it_must_be(pool: Pool) -> None:
    partitions = await pool.fetch(
        "select relid::text as name, pg_get_expr(relpartbound, relid) as bound"
        " from pg_partition_tree('execlog.strategy_execution_log') join pg_class on oid = relid"
        " where isleaf order by 1"
    )
    bounds = [record["bound"] for record in partitions]
    assert "DEFAULT" in bounds
    assert len(bounds) == 5
    key = await pool.fetchval(
        "select pg_get_partkeydef('execlog.strategy_execution_log'::regclass)"
    )
    assert key == "RANGE (created_at)"
    unique = await pool.fetch(
        "select indexdef from pg_indexes where schemaname = 'execlog'"
        " and tablename = 'strategy_execution_log' and indexdef like '%UNIQUE%'"
    )
    assert unique
    assert all("strategy_id" in r["indexdef"] and "created_at" in r["indexdef"] for r in unique)
    uncommented = await pool.fetch(
        "select attname from pg_attribute"
        " where attrelid = 'execlog.strategy_execution_log'::regclass and attnum > 0"
        " and col_description(attrelid, attnum) is null"
    )
    assert uncommented == []


async def test_every_time_is_stored_somewhere(
    pool: Pool, repository: execlog.StrategyExecutionLogRepository
) -> None:
    now = datetime.now(UTC)
    times = [now, None, *(datetime(year, 1, 1, tzinfo=UTC) for year in (1990, 2990))]
    await repository.insert_rows(row(created_at=time) for time in times)
    found = await pool.fetch(
        "select tableoid::regclass::text as home from execlog.strategy_execution_log"
        " order by created_at nulls last"
    )
    default = "execlog.strategy_execution_log_default"
    current = f"execlog.strategy_execution_log_{now:%Y%m}"
    assert [record["home"] for record in found] == [default, current, default, default]


BAD_VALUES = {
    "strategy_id": "''",
    "duration_ms": "'NaN'",
    "points": "'-Infinity'",
    "nodes_executed": "-1",
    "sample_rate": "0",
    "trace": "'{}'",
    "created_at": "'20000-01-01'",
}


@pytest.mark.parametrize("column", BAD_VALUES)
async def test_the_table_refuses_what_the_model_refuses(pool: Pool, column: str) -> None:
    values = {
        "id": "gen_random_uuid()",
        "strategy_id": "'s'",
        "strategy_version": "1",
        "strategy_type": "'t'",
        "status": "'ok'",
        "duration_ms": "1",
        "nodes_executed": "1",
    }
    insert = "insert into execlog.strategy_execution_log ({}) values ({})"
    await pool.execute(insert.format(", ".join(values), ", ".join(values.values())))
    values[column] = BAD_VALUES[column]
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(insert.format(", ".join(values), ", ".join(values.values())))
