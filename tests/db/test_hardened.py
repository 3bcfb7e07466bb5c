"""A database whose administrator has taken from PUBLIC what every role usually has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    MigrationError,
    StrategyExecutionLogRepository,
)
from execlog.db.sqltext import quoted
from tests import databases
from tests.databases import TABLE
from tests.db.test_faults import CALLS
from tests.db.test_roles import OF_THE_LOG, TENANT, WRITES, login, prefix
from tests.rows import fields, row
from tests.types import Connection

__all__ = ["prefix"]  # a fixture

DAY = timedelta(days=1)
Log = StrategyExecutionLogRepository


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[Connection]:
    """A superuser's connection."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def harden(admin: Connection) -> None:
    await admin.execute(
        f"revoke all on database {quoted(await admin.fetchval('select current_database()'))}"
        " from public;"
        "revoke all on schema public from public;"
        "revoke usage on language plpgsql, sql from public;"
        "alter default privileges revoke execute on functions from public;"
        "alter default privileges revoke usage on types from public"
    )
    if await admin.fetchval("select to_regnamespace('execlog') is not null"):
        await admin.execute("revoke execute on all functions in schema execlog from public")


@pytest.fixture
async def roles(admin: Connection, dsn: str, prefix: str) -> dict[str, str]:
    """The DSN of each of the three and of a tenant, in a log that holds some rows."""
    await harden(admin)
    now = datetime.now(UTC)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await Log(pool).insert_rows(
            row(realm_id=realm, status=status, created_at=now - days * DAY)
            for realm in (TENANT, "other")
            for status in ("ok", "error")
            for days in (0, 40, 80)
        )
    await admin.execute(execlog.dump_roles(prefix=prefix))
    tenant = f"{prefix} tenant"
    await admin.execute(execlog.dump_realm_reader(realm_id=TENANT, role=tenant, prefix=prefix))
    names = {kind: f"{prefix}_{kind}" for kind in ("owner", "writer", "reader")}
    return {
        kind: await login(admin, dsn, role) for kind, role in {**names, "tenant": tenant}.items()
    }


async def test_the_writer_stores(roles: dict[str, str], admin: Connection) -> None:
    async with ExecutionRecorder(roles["writer"], linger=0.01) as recorder:
        for _ in range(2):
            recorder.record(**fields())
            assert await recorder.flush()
    assert (recorder.stats().written, recorder.stats().last_error) == (2, None)
    async with asyncpg.create_pool(roles["writer"], min_size=1, max_size=1) as pool:
        await Log(pool).insert_row(row())
        assert await Log(pool).insert_rows([row(), row()]) == 2
    assert await admin.fetchval(f"select count(*) from {TABLE}") == 12 + 5
    while await execlog.roll_up(roles["writer"]):
        pass
    assert await admin.fetchval("select sum(ok) from execlog.rollup where grain = 3600") == 4


@pytest.mark.parametrize(("kind", "left_out"), [("reader", set()), ("tenant", OF_THE_LOG)])
async def test_who_reads_reads_all_answers(
    roles: dict[str, str], admin: Connection, kind: str, left_out: set[str]
) -> None:
    for exact_runs in (50_000, -1):  # from rows, and from rollups
        await admin.execute("update execlog.rollup_state set exact_runs = $1", exact_runs)
        async with asyncpg.create_pool(roles[kind], min_size=1, max_size=1) as pool:
            log = Log(pool)
            for name, call in CALLS.items():
                if name not in WRITES | left_out:
                    await call(log)
            assert (await log.metrics(strategy_id="loyalty")).status_breakdown.error > 0


async def test_the_owner_does_all_that_it_should(roles: dict[str, str]) -> None:
    owner = roles["owner"]
    assert await execlog.migrate(owner) == []
    for keep, failures in ((None, None), (60 * DAY, 100 * DAY), (30 * DAY, None)):
        steps = await execlog.maintain(
            owner, interval="day", retain=keep, retain_failures=failures, retain_rollups=60 * DAY
        )
        assert {step.outcome for step in steps} == {"done"}, steps
    assert [part async for part in execlog.rebuild_rollups(owner)]
    assert [one async for one in execlog.verify_rollups(owner)] == []
    for wanted in (False, True):
        await execlog.migrate(owner, rollups=wanted)
    async with asyncpg.create_pool(owner, min_size=1, max_size=1) as pool:
        for call in CALLS.values():
            await call(Log(pool))


async def migrating(admin: Connection, dsn: str, prefix: str) -> str:
    """The DSN of a role that may connect, and write functions, and no more; there is no log."""
    await admin.execute("drop schema execlog cascade")
    await harden(admin)
    role = quoted(f"{prefix} migrator")
    database = quoted(await admin.fetchval("select current_database()"))
    await admin.execute(
        f"create role {role} login; grant connect, temporary on database {database} to {role};"
        f"grant usage on language plpgsql, sql to {role}"
    )
    return await login(admin, dsn, f"{prefix} migrator")


@pytest.mark.parametrize("by", ["migrate", "dump"])
@pytest.mark.parametrize("owner", ["itself", "another"])
@pytest.mark.parametrize("schema", ["execlog", "Audit Log"])
async def test_a_schema_that_is_there_is_enough(
    admin: Connection, dsn: str, prefix: str, owner: str, by: str, schema: str
) -> None:
    own = await migrating(admin, dsn, prefix)
    role = quoted(f"{prefix} migrator")
    if owner == "itself":
        await admin.execute(f"create schema {quoted(schema)} authorization {role}")
    else:
        await admin.execute(
            f"create schema {quoted(schema)}; comment on schema {quoted(schema)} is 'mine';"
            f"grant usage, create on schema {quoted(schema)} to {role}"
        )
    async with asyncpg.create_pool(own, min_size=1, max_size=1) as pool:
        if by == "migrate":
            assert await execlog.migrate(pool, schema=schema)
        else:
            async with pool.acquire() as connection:
                await databases.send(connection, execlog.dump_migrations(schema=schema))
        assert await execlog.check_migrations(pool, schema=schema) == []
        for call in CALLS.values():
            await call(Log(pool, schema=schema))
    comment = await admin.fetchval(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1", schema
    )
    assert comment == {"itself": "Execution log of a scoring engine.", "another": "mine"}[owner]


async def test_a_schema_that_is_not_there_is_an_error_that_leaves_nothing(
    admin: Connection, dsn: str, prefix: str
) -> None:
    own = await migrating(admin, dsn, prefix)
    with pytest.raises(MigrationError) as caught:
        await execlog.migrate(own)
    assert caught.value.sqlstate == "42501"
    assert await admin.fetchval("select to_regnamespace('execlog') is null")


@pytest.mark.parametrize("call", [execlog.check_migrations, execlog.migrate])
async def test_a_superuser_who_looks_runs_nothing_of_the_owners(
    roles: dict[str, str], admin: Connection, dsn: str, call: Callable[[str], Awaitable[object]]
) -> None:
    """The owner's records may be a view by now, whose functions run as whoever asks."""
    owner = await asyncpg.connect(roles["owner"])
    asked_by = "create table execlog.asked (by text); insert into execlog.asked values ('none')"
    await owner.execute(
        f"{asked_by};"
        "create function execlog.seen(text) returns text language plpgsql as $$ begin"
        " begin update execlog.asked set by = current_user; exception when others then end;"
        " return $1; end $$;"
        "alter table execlog.schema_migration rename to kept;"
        "create view execlog.schema_migration as"
        " select execlog.seen(name) as name, checksum, applied_at from execlog.kept"
    )
    name = await owner.fetchval("select current_user")
    await owner.close()
    assert await call(dsn) == []
    assert await admin.fetchval("select by from execlog.asked") in (name, "none")
