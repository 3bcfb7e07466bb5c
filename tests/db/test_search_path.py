"""In `public` anybody may have made functions and operators that fit our SQL better."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx2
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLogRepository,
    rebuild_rollups,
    verify_rollups,
)
from execlog.db.files import folder
from execlog.db.migration_files import migration_names
from execlog.web import create_app
from tests import databases
from tests.command import run
from tests.db.test_faults import CALLS
from tests.db.test_roles import OF_THE_LOG, WRITES, login, prefix
from tests.rows import fields, row
from tests.types import Connection

__all__ = ["prefix"]  # a fixture

DAY = timedelta(days=1)
ATTACKER = f"attacker_{os.getpid()}"
Log = StrategyExecutionLogRepository

# A trap for each name that our SQL calls and for each operator, with arguments of these types: it
# counts in a sequence, which no rollback undoes, and makes its author a superuser if it can.
PLANT = """
create sequence public.sprung;
grant usage on sequence public.sprung to public;

create function public.spring() returns void language plpgsql as $$
begin
    perform nextval('public.sprung');
    execute 'alter role {attacker} superuser';
exception when others then null;
end
$$;

create temporary table kind (name text, place integer);
insert into kind
select name, row_number() over ()
from unnest(
    '{{text,name,regclass,oid,timestamptz,integer,numeric,double precision}}'::text[]
    || '{{bigint,interval,boolean,"char",varchar,jsonb,regprocedure}}'::text[]
) as name;

do $$
declare
    given record;
begin
    for given in
        select called.name, list.arguments
        from unnest('{{{called}}}'::text[]) as called (name)
        cross join (
            select 1 as number, name as arguments from kind
            union all
            select 2, a.name || ', ' || b.name
            from kind as a, kind as b
            where a.place <= 8 and b.place <= 8
            union all
            select 3, a.name || ', ' || b.name || ', ' || c.name
            from kind as a, kind as b, kind as c
            where a.place <= 5 and b.place <= 5 and c.place <= 5
        ) as list
        where list.number < 3
            or called.name in (select proname from pg_proc where pronargs >= 3 or provariadic <> 0)
    loop
        execute format(
            'create function public.%I(%s) returns text language sql'
            ' as $f$ select public.spring()::text $f$',
            given.name, given.arguments
        );
    end loop;
    for given in
        select operator, a.name as a, b.name as b
        from unnest('{{=,<>,<,>,<=,>=,+,-,*,/,%,||}}'::text[]) as operator, kind as a, kind as b
    loop
        execute format(
            'create function public.%I(a %s, b %s) returns boolean language sql'
            ' as $f$ select public.spring() is null $f$',
            'trap ' || given.operator, given.a, given.b
        );
        execute format(
            'create operator public.%s (leftarg = %s, rightarg = %s, function = public.%I)',
            given.operator, given.a, given.b, 'trap ' || given.operator
        );
    end loop;
end
$$;

drop table kind;
"""


def called() -> list[str]:
    """What our SQL calls as a function."""
    text = "\n".join(
        re.sub(r"--.*", "", path.read_text())
        for name in ("sql", "migrations")
        for path in folder(name).rglob("*.sql")
    )
    return sorted(set(re.findall(r"\b([a-z][a-z0-9_]+)\(", text)))


@pytest.fixture(scope="module")
async def planted(template: str) -> AsyncIterator[str]:
    """The name of a database in which an attacker was before us."""
    name = f"planted_{os.getpid()}"
    async with databases.database(template, name, template="template0") as dsn:
        admin = await asyncpg.connect(dsn)
        await admin.execute(
            f"create role {ATTACKER}; grant create, usage on schema public to {ATTACKER}"
        )
        known = {
            record[0]
            for record in await admin.fetch(
                "select distinct proname::text from pg_proc where pronamespace = 11"
            )
        }
        names = ",".join(sorted(known & set(called())))
        await admin.execute(
            f"set role {ATTACKER}; {PLANT.format(called=names, attacker=ATTACKER)}; reset role"
        )
        await admin.close()
        yield name
    admin = await asyncpg.connect(template)
    await admin.execute(f"drop role {ATTACKER}")
    await admin.close()


@pytest.fixture
async def dsn(template: str, planted: str) -> AsyncIterator[str]:
    async with databases.clone(template, template=planted) as own:
        yield own


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[Connection]:
    """A superuser, as one who has never heard of search_path."""
    connection = await asyncpg.connect(dsn)
    yield connection
    # What a trap has done must not make the next test fail.
    await connection.execute(f"alter role {ATTACKER} nosuperuser")
    await connection.close()


@pytest.fixture
async def migrated(admin: Connection) -> Connection:
    assert await execlog.migrate(admin) == migration_names()
    return admin


async def assert_not_sprung(admin: Connection) -> None:
    assert not await admin.fetchval("select is_called from public.sprung")
    assert not await admin.fetchval("select rolsuper from pg_roles where rolname = $1", ATTACKER)


@pytest.mark.parametrize(
    "sql",
    [
        "select format('%s', 'pg_class'::regclass, 'x'::text)",
        "select pg_has_role(oid, oid, 'usage'::name) from pg_roles",
        "select 'pg_class'::regclass = 'pg_class'::regclass",
        "select 1 / 2::double precision",
    ],
)
async def test_a_trap_is_one(admin: Connection, sql: str) -> None:
    """Without this the other tests show nothing."""
    await admin.execute(sql)
    assert await admin.fetchval("select is_called from public.sprung")
    assert await admin.fetchval("select rolsuper from pg_roles where rolname = $1", ATTACKER)


@pytest.mark.parametrize("schema", ["execlog", "Audit Log"])
async def test_migrations(admin: Connection, schema: str) -> None:
    assert await execlog.migrate(admin, schema=schema) == migration_names()
    for wanted in (False, True):
        await execlog.migrate(admin, rollups=wanted, schema=schema)
    assert await execlog.check_migrations(admin, schema=schema) == []
    await assert_not_sprung(admin)


async def test_the_printed_migrations(admin: Connection) -> None:
    async with admin.transaction():
        await admin.execute('set local search_path = public, pg_temp, "$user"')
        await databases.send(admin, execlog.dump_migrations())
        # The rest of the transaction, for example Alembic's, is as it would be without.
        assert await admin.fetchval("show search_path") == 'public, pg_temp, "$user"'
    assert await admin.fetchval("show search_path") == '"$user", public'
    await assert_not_sprung(admin)


async def test_the_callers_transaction_keeps_its_search_path(admin: Connection) -> None:
    async with admin.transaction():
        await admin.execute("set local search_path = public")
        await execlog.migrate(admin, rollups=False)
        assert await admin.fetchval("show search_path") == "public"
    await assert_not_sprung(admin)


@pytest.mark.long
async def test_roles(migrated: Connection, dsn: str, prefix: str) -> None:
    """Made by an administrator; and what each of them does then."""
    await migrated.execute(execlog.dump_roles(prefix=prefix))
    tenant = f"{prefix} tenant"
    await migrated.execute(execlog.dump_realm_reader(realm_id="r", role=tenant, prefix=prefix))
    await assert_not_sprung(migrated)
    old = datetime.now(UTC) - 90 * DAY
    writer = await login(migrated, dsn, f"{prefix}_writer")
    async with asyncpg.create_pool(writer, min_size=1, max_size=1) as pool:
        await Log(pool).insert_rows([row(realm_id="r"), row(created_at=old), row(created_at=None)])
        await Log(pool).insert_row(row())
    async with ExecutionRecorder(writer) as recorder:
        recorder.record(**fields())
    assert recorder.stats().written == 1
    await migrated.execute("update execlog.rollup_state set exact_runs = 1")
    for name in (f"{prefix}_reader", tenant):
        own = await login(migrated, dsn, name)
        async with asyncpg.create_pool(own, min_size=1, max_size=1) as pool:
            for about, call in CALLS.items():
                if about not in WRITES | (OF_THE_LOG if name == tenant else set()):
                    await call(Log(pool))
    owner = await login(migrated, dsn, f"{prefix}_owner")
    for keep in (None, 30 * DAY):
        steps = await execlog.maintain(owner, interval="day", retain=keep)
        assert {step.outcome for step in steps} == {"done"}
    await assert_not_sprung(migrated)


async def test_what_runs_with_the_owners_rights(migrated: Connection, dsn: str) -> None:
    """And what an administrator may do himself, with nothing pinned but what we pin."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        log = Log(pool)
        await log.insert_rows([row(), row(external_user_id="u"), row(created_at=None)])
        await log.insert_row(row())
        assert await log.insert_missing([row()]) == 1
        assert [part.executions async for part in log.erase(external_user_id="u")] == [1]
        await assert_not_sprung(migrated)
        assert await pool.fetchval("select count(*) from execlog.partitions()") > 1
        for since in (None, datetime(2020, 1, 1, tzinfo=UTC)):
            await pool.fetch("select * from execlog.rollup_parts('loyalty', $1, null)", since)
            await pool.fetch("select * from execlog.rollup_cut('loyalty', $1, now())", since)
        await pool.fetch(
            "select execlog.rollup_bar(1.5), execlog.rollup_edge(2), execlog.quantile(1e8, 0.5)"
        )
        await assert_not_sprung(migrated)
        assert [part async for part in rebuild_rollups(pool)]
        assert [one async for one in verify_rollups(pool)] == []
        await assert_not_sprung(migrated)


async def test_the_pages(migrated: Connection, dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await Log(pool).insert_rows([row(), row(status="error")])
        transport = httpx2.ASGITransport(app=create_app(pool), client=("127.0.0.1", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in ("/", "/strategy?id=loyalty", "/executions", "/storage"):
                page = await client.get(path)
                assert (page.status_code, "A part is missing" in page.text) == (200, False)
    await assert_not_sprung(migrated)


def test_a_log_in_public_has_no_roles() -> None:
    with pytest.raises(InvalidArgument, match=r"^schema: is public"):
        execlog.dump_roles(schema="public")
    with pytest.raises(InvalidArgument, match=r"^schema: is public"):
        execlog.dump_realm_reader(realm_id="r", role="t", schema="public")
    assert run("roles", "--schema", "public").returncode == 2


def test_the_distribution_names_every_schema() -> None:
    """It is sent statement by statement, in no transaction that could pin a search_path."""
    text = re.sub(r"--.*", "", execlog.dump_distribution())
    # A function that has a search_path of its own says it in front of its body.
    pinned = r"set search_path = pg_catalog, pg_temp\n(?:set [^\n]*\n)?as \$\$.*?\$\$"
    assert len(re.findall(pinned, text, re.DOTALL)) == text.count("create or replace function") - 1
    text = re.sub(pinned, "", text, flags=re.DOTALL)
    text = re.sub(r"'(?:[^']|'')*'|operator\(pg_catalog\.=\)", "", text)
    calls = set(re.findall(r"[\w.]+(?= ?\()", text))
    of_the_language = {"exists", "values"}
    assert {one for one in calls if "." not in one} <= of_the_language
    casts = {"pg_catalog.regclass", "pg_catalog.regprocedure"}
    assert set(re.findall(r"::([\w.]+)", text)) == casts
    conditions = re.findall(r"(?<=where )[^;]+|(?<=and )[^;]+", text)
    assert len(conditions) > 7
    assert not [one for one in conditions if re.search(r"[=<>|]", one)]
