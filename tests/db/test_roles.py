"""What each role can do, and what it can't; each logs in by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    QueryRejected,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.db.sqltext import quoted
from execlog.embedded.server import _find_binaries
from execlog.web import create_app
from tests.command import run
from tests.databases import TABLE
from tests.db.test_faults import CALLS
from tests.receiver import receiver
from tests.rows import fields, row
from tests.types import Connection, Pool
from tests.web.test_api import client

DAY = timedelta(days=1)
_numbers = itertools.count()
WRITES = {"insert_row", "insert_rows", "insert_missing", "erase"}
# What is asked of tables that a tenant may not read.
OF_THE_LOG = {"archive_state", "health", "maintenance_state", "recorder_account", "count_stored"}
OF_THE_LOG |= {"spooling_recorders"}
TENANT = "tenant-'s"


def as_role(dsn: str, role: str) -> str:
    """The same database for this role, whose password is its name."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(role)}@{host}"))


@pytest.fixture
async def prefix(dsn: str) -> AsyncIterator[str]:
    """The prefix of roles of this test alone: roles are the whole server's."""
    name = f'role "{os.getpid()}_{next(_numbers)}'
    yield name
    connection = await asyncpg.connect(dsn)
    found = await connection.fetch(
        "select rolname from pg_roles where pg_catalog.starts_with(rolname, $1)", name
    )
    for record in found:
        role = quoted(record["rolname"])
        await connection.execute(f"reassign owned by {role} to current_user")
        await connection.execute(f"drop owned by {role} cascade")
        await connection.execute(f"drop role {role}")
    await connection.close()


@pytest.fixture
async def roles(dsn: str, prefix: str) -> AsyncIterator[dict[str, Pool]]:
    """A pool for each of the three, and `admin`."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(execlog.dump_roles(prefix=prefix))
    async with contextlib.AsyncExitStack() as stack:
        pools = {"admin": dsn}
        for kind in ("owner", "writer", "reader"):
            pools[kind] = await login(connection, dsn, f"{prefix}_{kind}")
        yield {
            kind: await stack.enter_async_context(asyncpg.create_pool(own, min_size=0, max_size=3))
            for kind, own in pools.items()
        }
    await connection.close()


async def login(admin: Pool | Connection, dsn: str, role: str) -> str:
    password = role.replace("'", "''")
    await admin.execute(f"alter role {quoted(role)} password '{password}'")
    return as_role(dsn, role)


REFUSED = {
    "owner": [
        "create role intruder",
        "create database intruder",
        "create table public.intruder (n integer)",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
    ],
    "writer": [
        f"select from {TABLE}",
        f"select count(*) from {TABLE}",
        f"copy {TABLE} to stdout",
        f"select from {TABLE}_default",
        f"insert into {TABLE}_default select from pg_class",
        f"update {TABLE} set points = 0",
        f"delete from {TABLE}",
        f"truncate {TABLE}",
        f"drop table {TABLE}",
        f"alter table {TABLE} add column n integer",
        f"create index on {TABLE} (points)",
        "create table execlog.intruder (n integer)",
        "select from execlog.schema_migration",
        "select from execlog.rollup_state for share",
        "begin; lock table execlog.schema_migration in row share mode",
        "truncate execlog.recorder_progress",
        "select from execlog.recorder_progress",
        "insert into execlog.recorder_progress (recorder_id, batch) values (gen_random_uuid(), 1)",
        "update execlog.recorder_progress set batch = batch + 1000",
        "delete from execlog.recorder_progress",
        "select from execlog.recorder_account",
        "update execlog.recorder_account set written = 0",
        f"insert into {TABLE} select from pg_class returning points",
    ],
    "reader": [
        f"select input from {TABLE}",
        f"copy {TABLE} to stdout",
        f"insert into {TABLE} select from pg_class",
        f"update {TABLE} set points = 0",
        f"delete from {TABLE}",
        f"truncate {TABLE}",
        f"drop table {TABLE}",
        f"alter table {TABLE} add column n integer",
        "create table execlog.intruder (n integer)",
        "delete from execlog.recorder_progress",
        "select execlog.claim_batch(gen_random_uuid(), 1, gen_random_uuid(), null)",
        "select execlog.prune_recorders()",
        "select execlog.keep_account(gen_random_uuid(), '{}')",
        "delete from execlog.recorder_account",
        "update execlog.schema_migration set checksum = ''",
        f"begin; lock table {TABLE} in access exclusive mode",
        "begin; lock table execlog.schema_migration in share row exclusive mode",
        "delete from execlog.rollup_mark",
        "insert into execlog.rollup_mark_of_all values (now(), now())",
        "update execlog.rollup set ok = 0",
        "select execlog.roll_up()",
        "select execlog.mark('s', null, now(), '1 minute')",
        "select from execlog.rollup_state for no key update",
    ],
}


@pytest.mark.parametrize("role", REFUSED)
async def test_what_a_role_can_not_do(roles: dict[str, Pool], role: str) -> None:
    done = []
    for sql in REFUSED[role]:
        async with roles[role].acquire() as connection:
            # A setting is no protection: the role can take it back.
            await connection.execute("set default_transaction_read_only = off")
            try:
                await connection.execute(sql)
                done.append(sql)
            except asyncpg.InsufficientPrivilegeError:
                pass
            await connection.execute("rollback")
    assert done == []


async def test_the_writer_records(roles: dict[str, Pool], dsn: str, prefix: str) -> None:
    for target in (as_role(dsn, f"{prefix}_writer"), roles["writer"]):
        async with ExecutionRecorder(target) as recorder:
            recorder.record(**fields())
        assert recorder.stats().written == 1
    log = StrategyExecutionLogRepository(roles["writer"])
    await log.insert_row(row())
    assert await log.insert_rows([row(), row()]) == 2
    with pytest.raises(QueryRejected) as caught:
        await log.count_by_status(strategy_id="loyalty")
    assert caught.value.sqlstate == "42501"
    assert await roles["admin"].fetchval(f"select count(*) from {TABLE}") == 5


async def test_the_reader_reads(roles: dict[str, Pool]) -> None:
    await StrategyExecutionLogRepository(roles["admin"]).insert_row(row(external_user_id="u1"))
    log = StrategyExecutionLogRepository(roles["reader"])
    for name, call in CALLS.items():
        if name not in WRITES:
            await call(log)
    assert not (await execlog.health(roles["reader"])).writable
    for stored in (log.insert_row(row()), log.insert_rows([row()])):
        with pytest.raises((StoreUnavailable, QueryRejected)) as caught:
            await stored
        assert caught.value.sqlstate in ("25006", "42501")  # which of the two is looked at first
    found = {
        name: await roles["reader"].fetchval("select current_setting($1)", name)
        for name in ("statement_timeout", "default_transaction_read_only", "jit")
    }
    assert found == {
        "statement_timeout": "30s",
        "default_transaction_read_only": "on",
        "jit": "off",
    }


GIVEN = {"orders": 3}
COMMANDS = (
    ("show", "{id}"),
    ("tail", "loyalty"),
    ("failures",),
    ("summary", "loyalty"),
    ("timeline", "loyalty"),
    ("top",),
    ("compare", "loyalty", "loyalty"),
    ("export", "loyalty"),
    ("check", "loyalty", "--max-error-rate", "1"),
)


async def test_the_reader_has_no_inputs_unless_they_are_granted(
    roles: dict[str, Pool], prefix: str
) -> None:
    """A reader of before could read the whole table: the right to inputs is taken back."""
    one = row(input=GIVEN, attributes={"k": 1}, error_message="out of coins", status="error")
    await StrategyExecutionLogRepository(roles["admin"]).insert_row(one)
    reader = quoted(f"{prefix}_reader")
    for table in (TABLE, f"{TABLE}_default"):
        await roles["admin"].execute(f"grant select on {table} to {reader}")
    for inputs in (False, True, False, True):
        await roles["admin"].execute(execlog.dump_roles(prefix=prefix, inputs=inputs))
        log = StrategyExecutionLogRepository(roles["reader"])
        expected = one if inputs else one.model_copy(update={"input": None})
        assert [found async for found in log.stream()] == [expected]
        log = StrategyExecutionLogRepository(roles["reader"])
        assert await log.list_failures() == [expected]
        assert await log.get(id=one.id) == expected
        for call in (log.list_newest(), log.list_for_strategy(strategy_id="loyalty")):
            assert await call == [expected]
        assert await log.list_executions(strategy_id="loyalty") == [expected]
        for table in (TABLE, f"{TABLE}_default"):
            for column in ("input", "to_jsonb(log)"):
                reads = roles["reader"].fetch(f"select {column} from {table} as log")
                if inputs:
                    await reads
                else:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await reads


async def test_commands_of_a_reader_without_inputs(
    roles: dict[str, Pool], dsn: str, prefix: str
) -> None:
    one = row(input=GIVEN, trace=[{"node": "tier"}], status="error")
    await StrategyExecutionLogRepository(roles["admin"]).insert_row(one)
    own = as_role(dsn, f"{prefix}_reader")
    for words in COMMANDS:
        asked = [word.format(id=one.id) for word in words]
        done = await asyncio.to_thread(run, *asked, "--dsn", own)
        assert done.returncode in (0, 3), done.stderr
        assert ("42501" in done.stderr, "orders" in done.stdout) == (False, False), words
    assert "tier" in (await asyncio.to_thread(run, "show", str(one.id), "--dsn", own)).stdout


async def test_pages_of_a_reader_without_inputs(roles: dict[str, Pool]) -> None:
    one = row(input=GIVEN, trace=[{"node": "tier"}], status="error")
    await StrategyExecutionLogRepository(roles["admin"]).insert_row(one)
    pages = ("", "strategy?id=loyalty", "executions?id=loyalty", f"execution?id={one.id}")
    lists = ("failures", "strategies/loyalty/executions", f"executions/{one.id}")
    async with client(create_app(roles["reader"])) as web:
        for path in (*pages, *(f"api/{name}" for name in lists)):
            found = await web.get(f"/{path}")
            assert (found.status_code, "orders" in found.text) == (200, False), path
        assert (await web.get(f"/api/executions/{one.id}")).json()["input"] is None
        assert "tier" in (await web.get(f"/execution?id={one.id}")).text


async def test_the_owner_migrates_maintains_and_erases(
    roles: dict[str, Pool], dsn: str, prefix: str
) -> None:
    owner = as_role(dsn, f"{prefix}_owner")
    log = StrategyExecutionLogRepository(roles["owner"])
    old = datetime.now(UTC) - 90 * DAY
    await log.insert_rows([row(created_at=old, external_user_id="u1"), row()])
    assert await execlog.migrate(owner) == []
    for retain in (None, 30 * DAY):
        steps = await execlog.maintain(owner, interval="day", retain=retain)
        assert {step.outcome for step in steps} == {"done"}
    for call in CALLS.values():
        await call(log)
    await roles["owner"].execute(f"alter table {TABLE} add column extra integer")
    # What it has made meanwhile is the reader's and the writer's as well.
    await StrategyExecutionLogRepository(roles["writer"]).insert_row(row())
    assert await StrategyExecutionLogRepository(roles["reader"]).count_by_status(
        strategy_id="loyalty"
    )


async def test_a_member_of_the_owner_rebuilds(
    roles: dict[str, Pool], dsn: str, prefix: str
) -> None:
    """What it makes is its own, and the log's owner trusts it."""
    member = f"{prefix} member"
    await roles["admin"].execute(
        f"create role {quoted(member)} login; grant {quoted(prefix + '_owner')} to {quoted(member)}"
    )
    await StrategyExecutionLogRepository(roles["writer"]).insert_rows([row(), row()])
    own = await login(roles["admin"], dsn, member)
    assert [part async for part in execlog.rebuild_rollups(own)]
    assert [one async for one in execlog.verify_rollups(own)] == []


async def test_the_sql_may_run_again(roles: dict[str, Pool], prefix: str) -> None:
    await execlog.maintain(roles["admin"], interval="day", ahead=9)
    await roles["admin"].execute(execlog.dump_roles(prefix=prefix))
    owners = await roles["admin"].fetch(
        "select distinct pg_get_userbyid(relowner) from pg_class"
        " where relnamespace = 'execlog'::regnamespace and relkind in ('r', 'p')"
    )
    assert [record[0] for record in owners] == [f"{prefix}_owner"]


# Tenants.


@pytest.fixture
async def tenant(roles: dict[str, Pool], dsn: str, prefix: str) -> AsyncIterator[Pool]:
    """A pool for the reader of one realm, in a log of three."""
    log = StrategyExecutionLogRepository(roles["admin"])
    old = datetime.now(UTC) - 400 * DAY
    await log.insert_rows(
        row(realm_id=realm, status=status, created_at=at, case_name=f"{realm}'s", points=1.0)
        for realm in (TENANT, "other", None)
        for status in ("ok", "error")
        for at in (datetime.now(UTC), old, None)
    )
    role = f"{prefix} tenant"
    sql = execlog.dump_realm_reader(realm_id=TENANT, role=role, prefix=prefix)
    await roles["admin"].execute(sql)
    await roles["admin"].execute(sql)  # it may run again
    own = await login(roles["admin"], dsn, role)
    async with asyncpg.create_pool(own, min_size=0, max_size=3) as pool:
        yield pool


async def test_a_tenant_sees_its_realm_and_no_other(roles: dict[str, Pool], tenant: Pool) -> None:
    everything = StrategyExecutionLogRepository(roles["reader"])
    own = StrategyExecutionLogRepository(tenant)
    assert await own.count_by_status(strategy_id="loyalty") == {"ok": 3, "error": 3}
    assert await everything.count_by_status(strategy_id="loyalty") == {"ok": 9, "error": 9}
    assert [case.case_name for case in await own.count_by_case_name(strategy_id="loyalty")] == [
        f"{TENANT}'s"
    ]
    assert (await own.metrics(strategy_id="loyalty")).status_breakdown.total == 6
    assert {one.realm_id for one in await own.list_newest()} == {TENANT}
    assert {one.realm_id for one in await own.list_failures()} == {TENANT}
    assert await own.list_failures(realm_id="other") == []
    assert [one.runs for one in await own.rank_strategies()] == [6]
    assert {one.realm_id async for one in own.stream()} == {TENANT}
    for one in await everything.list_newest():
        assert (await own.get(id=one.id) is None) == (one.realm_id != TENANT)
    for name, call in CALLS.items():
        if name not in WRITES | OF_THE_LOG:
            await call(own)


async def test_a_tenant_has_no_inputs_unless_they_are_granted(
    roles: dict[str, Pool], tenant: Pool, prefix: str
) -> None:
    one = row(input=GIVEN, realm_id=TENANT)
    await StrategyExecutionLogRepository(roles["admin"]).insert_row(one)
    for inputs in (False, True, False):
        sql = execlog.dump_realm_reader(
            realm_id=TENANT, role=f"{prefix} tenant", prefix=prefix, inputs=inputs
        )
        await roles["admin"].execute(sql)
        found = await StrategyExecutionLogRepository(tenant).get(id=one.id)
        assert found is not None
        assert found.input == (GIVEN if inputs else None)


@pytest.mark.parametrize(
    "sql",
    [
        "select input from {0}",
        "set row_security = off; select from {0}",
        "select from {0}_default",
        "copy {0}_default to stdout",
        "insert into {0} select from pg_class",
        "update {0} set realm_id = 'x'",
        "delete from {0}",
        "alter table {0} disable row level security",
        "create policy mine on {0} using (true)",
        "set role pg_read_all_data",
        "set session authorization pg_read_all_data",
        "select from execlog.recorder_progress",
        "select from execlog.recorder_account",
        "select from execlog.rollup_state for key share",
        "create table execlog.intruder (n integer)",
    ],
)
async def test_no_way_around_it(tenant: Pool, sql: str) -> None:
    async with tenant.acquire() as connection:
        await connection.execute("set default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql.format(TABLE))


async def test_a_function_that_tells_what_it_is_given(tenant: Pool) -> None:
    """However cheap it says that it is, it is not asked about rows of others."""
    heard: list[str] = []
    async with tenant.acquire() as connection:

        def listen(_: object, message: object) -> None:
            heard.append(str(message))

        connection.add_log_listener(listen)
        await connection.execute("set default_transaction_read_only = off")
        await connection.execute(
            "create function pg_temp.tell(text) returns boolean language plpgsql cost 0.0001 as"
            " $$ begin raise notice 'seen %', $1; return true; end $$"
        )
        await connection.fetch(f"select from {TABLE} where pg_temp.tell(realm_id)")
        statistics = await connection.fetch("select from pg_stats where schemaname = 'execlog'")
        connection.remove_log_listener(listen)
    assert len([one for one in heard if "seen" in one]) == 6
    assert not [one for one in heard if "other" in one]
    assert statistics == []


async def test_the_log_goes_on_beside_tenants(
    roles: dict[str, Pool], tenant: Pool, dsn: str, prefix: str
) -> None:
    """The writer still stores by COPY, and maintenance makes and thins partitions."""
    async with ExecutionRecorder(as_role(dsn, f"{prefix}_writer")) as recorder:
        recorder.record(**fields(strategy_id="new", realm_id=TENANT))
        recorder.record(**fields(strategy_id="new", realm_id="other"))
    assert recorder.stats().written == 2
    for retain in (None, 300 * DAY):
        steps = await execlog.maintain(
            as_role(dsn, f"{prefix}_owner"),
            interval="day",
            retain=retain,
            retain_failures=retain and 900 * DAY,
        )
        assert {step.outcome for step in steps} == {"done"}
    own = StrategyExecutionLogRepository(tenant)
    assert await own.count_by_status(strategy_id="new") == {"ok": 1}
    assert await own.count_by_status(strategy_id="loyalty") == {"ok": 2, "error": 3}
    assert {one.realm_id async for one in own.stream()} == {TENANT}


async def test_whoever_sees_all_is_made_no_tenant(roles: dict[str, Pool], prefix: str) -> None:
    admin = roles["admin"]
    member = f"{prefix} member"
    await admin.execute(f"create role {quoted(member)}")
    await admin.execute(f"grant {quoted(prefix + '_reader')} to {quoted(member)}")
    everything, partition, bypass = (f"{prefix} {n}" for n in range(3))
    await admin.execute(
        f"create role {quoted(everything)}; grant pg_read_all_data to {quoted(everything)};"
        f"create role {quoted(partition)};"
        f"grant select on {TABLE}_default to {quoted(partition)};"
        f"create role {quoted(bypass)}; grant {quoted(everything)} to {quoted(bypass)}"
    )
    me = await admin.fetchval("select current_user::text")
    for role in (member, everything, partition, bypass, me):
        sql = execlog.dump_realm_reader(realm_id="r", role=role, prefix=prefix)
        async with admin.acquire() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="all realms already"):
                await connection.execute(sql)
            await connection.execute("rollback")
    with pytest.raises(InvalidArgument, match=r"^role: "):
        execlog.dump_realm_reader(realm_id="r", role=f"{prefix}_reader", prefix=prefix)


async def test_whoever_could_not_store_any_more_is_named(
    roles: dict[str, Pool], dsn: str, prefix: str
) -> None:
    """A member of the writer does not inherit that it bypasses policies."""
    admin = roles["admin"]
    engine = f"{prefix} engine"
    await admin.execute(f"create role {quoted(engine)} login")
    await admin.execute(f"grant {quoted(prefix + '_writer')} to {quoted(engine)}")
    own = await login(admin, dsn, engine)
    sql = execlog.dump_realm_reader(realm_id="r", role=f"{prefix} t", prefix=prefix)
    for storing in (False, True):
        async with ExecutionRecorder(own) as recorder:
            recorder.record(**fields())
        assert recorder.stats().written == 1
        if not storing:
            async with admin.acquire() as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="engine"):
                    await connection.execute(sql)
                await connection.execute("rollback")
            await admin.execute(f"alter role {quoted(engine)} bypassrls")
            await admin.execute(sql)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"role": ""}, "role"),
        ({"role": "pg_read_all_data"}, "role"),
        ({"role": "a$$b"}, "role"),
        ({"realm_id": ""}, "realm_id"),
        ({"realm_id": None}, "realm_id"),
        ({"realm_id": "a\\"}, "realm_id"),
        ({"realm_id": "a$$; alter role t superuser; do $$"}, "realm_id"),
        ({"schema": "pg_x"}, "schema"),
        ({"schema": "public"}, "schema"),
        ({"schema": "x" * 60}, "schema"),
        ({"prefix": "x" * 60}, "prefix"),
        ({"inputs": "yes"}, "inputs"),
    ],
)
def test_bad_input(given: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{argument}: "):
        execlog.dump_realm_reader(**{"realm_id": "r", "role": "t", **given})


def test_from_a_terminal() -> None:
    assert run("roles").stdout == execlog.dump_roles()
    assert run("roles", "--inputs").stdout == execlog.dump_roles(inputs=True)
    tenant = run("roles", "--realm", "acme", "--role", "acme_reader", "--schema", "audit")
    assert tenant.stdout == execlog.dump_realm_reader(
        realm_id="acme", role="acme_reader", schema="audit"
    )
    assert run("roles", "--realm", "acme").returncode == 2
    assert run("roles", "--realm", "acme", "--role", "execlog_owner").returncode == 2


async def test_through_psql(dsn: str, prefix: str) -> None:
    """As the README says it."""
    program = str(_find_binaries() / "psql")
    tenant = execlog.dump_realm_reader(realm_id=TENANT, role=f"{prefix} t", prefix=prefix)
    for sql in (execlog.dump_roles(prefix=prefix), tenant):
        done = await asyncio.to_thread(
            subprocess.run,
            [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", dsn],
            input=sql,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


async def test_the_alerter_keeps_what_fires_and_nothing_else(
    dsn: str, pool: Pool, prefix: str
) -> None:
    rows = [row(status="error", created_at=datetime.now(UTC)) for _ in range(20)]
    await StrategyExecutionLogRepository(pool).insert_rows(rows)
    await pool.execute(execlog.dump_roles(prefix=prefix))
    for _ in range(2):
        await pool.execute(execlog.dump_alerter(prefix=prefix))
    alerter, reader = [await login(pool, dsn, f"{prefix}_{one}") for one in ("alerter", "reader")]
    words = ("check", "--each", "--max-failed", "5%", "--webhook")
    with receiver() as hook:
        for own, code in ((alerter, 3), (alerter, 3), (reader, 1)):
            done = run(*words, EXECLOG_DSN=own, EXECLOG_WEBHOOK=hook.url)
            assert done.returncode == code, done.stderr
        assert len(hook.took) == 1
    assert "give --state, or make a role with `execlog roles --alerter`" in done.stderr
    connection = await asyncpg.connect(alerter)
    for sql in (
        f"select input from {TABLE}",
        f"update {TABLE} set points = 0",
        f"delete from {TABLE}",
        "truncate execlog.alert_state",
        "create table execlog.intruder (n integer)",
        "delete from execlog.recorder_account",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)
    await connection.close()
    one = run("roles", "--alerter", "--prefix", prefix)
    assert one.stdout == execlog.dump_alerter(prefix=prefix)
    assert run("roles", "--alerter", "--inputs").returncode == 2
