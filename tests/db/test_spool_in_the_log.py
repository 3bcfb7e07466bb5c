"""What the log has of spools: its uuid, which executions are stored, durable claims, accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.db.sqltext import quoted
from execlog.recorder import flusher
from tests import databases
from tests.command import run
from tests.databases import TABLE, WAITING
from tests.db.test_roles import login, prefix, roles
from tests.plans import MODES, executed, reading, rows_read
from tests.recording import record, until
from tests.rows import T0, row
from tests.types import Borrowed, Connection, Pool

__all__ = ["prefix", "roles"]

SQL = flusher._statements("execlog")
TICK = timedelta(microseconds=1)
EARLY, LATE = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
GIVEN = {
    "host": "h", "pid": 1, "application": "x", "started_at": "2026-01-01T00:00:00Z",
    "recovered": 0, "sampled_out": 0, "rejected": {}, "dropped": {}, "written": 5, "capacity": 500,
}  # fmt: skip


async def found(
    connection: Pool | Borrowed | Connection, rows: Sequence[StrategyExecutionLog]
) -> set[UUID]:
    ids, times = [one.id for one in rows], [one.created_at for one in rows]
    return {one["id"] for one in await connection.fetch(SQL["list_stored_ids"].sql, ids, times)}


async def keep(pool: Pool, recorder: UUID, pending: int, **fields: object) -> bool:
    account = {**GIVEN, "offered": 5 + pending, "pending": pending, **fields}
    return bool(await pool.fetchval(SQL["keep_account"].sql, recorder, json.dumps(account), "5s"))


# The log's uuid.


async def test_a_copy_is_the_same_log_and_a_second_schema_another(dsn: str, pool: Pool) -> None:
    sql = SQL["log_id"].sql
    own = await pool.fetchval(sql)
    assert isinstance(own, UUID)
    assert own == await pool.fetchval(sql)
    await execlog.migrate(pool, schema="audit")
    other = await pool.fetchval(flusher._statements("audit")["log_id"].sql)
    await pool.execute("create schema dumped")
    async with pool.acquire() as connection:
        await databases.send(connection, execlog.dump_migrations(schema="dumped"))
    third = await pool.fetchval(flusher._statements("dumped")["log_id"].sql)
    assert len({own, other, third}) == 3
    name = await pool.fetchval("select current_database()")
    await pool.close()
    async with databases.clone(dsn, template=name) as copy:
        copied = await asyncpg.connect(copy)
        assert await copied.fetchval(sql) == own
        await copied.close()


async def test_who_may_claim_may_ask(roles: dict[str, Pool]) -> None:
    log = SQL["log_id"].sql
    for role in ("writer", "reader"):  # a reader compares it with an archive's
        assert await roles[role].fetchval(log) == await roles["admin"].fetchval(log)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await roles[role].fetch("select from execlog.log_identity")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await roles["reader"].fetch("select execlog.list_stored_ids('{}', '{}')")


async def test_roles_that_were_there_may_ask(empty_dsn: str, prefix: str) -> None:
    """Without the SQL of the roles once more; others may not."""
    connection = await asyncpg.connect(empty_dsn)
    await databases.send(connection, execlog.dump_migrations(until="0013_recorder_account"))
    names = [quoted(f"{prefix} {n}") for n in range(2)]
    for name in names:
        await connection.execute(f"create role {name}; grant usage on schema execlog to {name}")
    await connection.execute(f"grant execute on function execlog.claim_batch to {names[0]}")
    await execlog.migrate(connection)
    for role, may in ((f"{prefix} 0", True), (f"{prefix} 1", False)):
        for function in ("log_id()", "list_stored_ids(uuid[], timestamptz[])"):
            sql = "select has_function_privilege($1, $2, 'execute')"
            told = await connection.fetchval(sql, role, f"execlog.{function}")
            assert told is may
    for name in names:
        await connection.execute(f"drop owned by {name}; drop role {name}")
    await connection.close()


# Which executions are stored.


async def test_what_is_stored_is_found_and_nothing_else(pool: Pool) -> None:
    log = StrategyExecutionLogRepository(pool)
    times = [datetime.now(UTC), T0, T0 + TICK, EARLY, LATE, datetime.now(UTC) - timedelta(days=900)]
    stored = [row(created_at=time) for time in times]
    await log.insert_rows([*stored, row(created_at=None)])
    ids = {one.id for one in stored}
    absent = [row(created_at=time) for time in times]
    moved = [one.model_copy(update={"created_at": T0 - TICK}) for one in stored]
    assert await found(pool, [*stored, *absent, *moved]) == ids
    assert await found(pool, [*stored, *stored]) == ids
    assert await found(pool, moved) == await found(pool, absent) == set()
    assert await found(pool, []) == set()
    assert {step.outcome for step in await execlog.maintain(pool, interval="day")} == {"done"}
    assert await found(pool, stored) == ids


async def test_the_writer_finds_what_policies_hide(
    roles: dict[str, Pool], dsn: str, prefix: str
) -> None:
    stored = [row(realm_id=realm) for realm in ("acme", "other", None)]
    await StrategyExecutionLogRepository(roles["writer"]).insert_rows(stored)
    await roles["admin"].execute(
        execlog.dump_realm_reader(realm_id="acme", role=f"{prefix} tenant", prefix=prefix)
    )
    assert await found(roles["writer"], [*stored, row()]) == {one.id for one in stored}
    tenant = await asyncpg.connect(await login(roles["admin"], dsn, f"{prefix} tenant"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await found(tenant, stored)
    await tenant.close()


async def test_rows_that_move_while_it_waits_are_found(dsn: str, pool: Pool) -> None:
    """From DEFAULT to a partition of their own, where an earlier snapshot does not see them."""
    begin = datetime(2021, 3, 1, tzinfo=UTC)
    stored = [row(created_at=begin + n * TICK) for n in range(50)]
    await StrategyExecutionLogRepository(pool).insert_rows(stored)
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await connection.execute(f"lock table {TABLE}, {TABLE}_default in access exclusive mode")
        asking = asyncio.create_task(found(pool, stored))
        await until(lambda: connection.fetchval(f"select count(*) = 1 from {WAITING}"))
        await connection.execute(
            f"create table execlog.moved (like {TABLE} including defaults including constraints)"
        )
        await connection.execute(
            f"with gone as (delete from {TABLE}_default returning *)"
            " insert into execlog.moved select * from gone"
        )
        bounds = f"from ('{begin}') to ('{begin + timedelta(days=1)}')"
        await connection.execute(
            f"alter table {TABLE} attach partition execlog.moved for values {bounds}"
        )
    await connection.close()
    assert await asking == {one.id for one in stored}


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_each_execution_is_one_lookup_in_one_partition(
    pool: Pool, mode: str, analyzed: bool
) -> None:
    """2,000 of 100,000, in two partitions of ten and in DEFAULT."""
    begin = datetime(2020, 3, 1, tzinfo=UTC)
    days = [begin + timedelta(days=day) for day in range(11)]
    for day in range(10):
        bounds = f"from ('{days[day]}') to ('{days[day + 1]}')"
        await pool.execute(
            f"create table execlog.day_{day} partition of {TABLE} for values {bounds}"
        )
    await pool.execute(
        f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, duration_ms, nodes_executed) select gen_random_uuid(),"
        " $1::timestamptz + n * interval '9.6 seconds', 's' || n % 20, 1, 't', 'ok', 1, 1"
        " from generate_series(-10000, 89999) as n",
        begin,
    )
    if analyzed:
        await pool.execute(f"vacuum (analyze) {TABLE}")
    asked = await pool.fetch(
        f"(select id, created_at from {TABLE}_default limit 500) union all"
        f" (select id, created_at from {TABLE} where created_at >= $1 order by 2 limit 1500)",
        days[4] - timedelta(hours=2),
    )
    plan = await plan_of(pool, mode, [one["id"] for one in asked], [one[1] for one in asked])
    read = reading(plan)
    assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan"}
    assert sum(map(rows_read, read)) <= 2 * len(asked)
    assert {node["Relation Name"] for node in read} == {
        "day_3", "day_4", "strategy_execution_log_default",
    }  # fmt: skip
    scans = {node["Index Name"] for node in executed(plan, "Index Name")}
    assert all(name.endswith("id_strategy_id_created_at_idx") for name in scans), scans


async def plan_of(
    pool: Pool, mode: str, ids: list[UUID], times: list[datetime]
) -> dict[str, object]:
    """The plan of the function's query, under the function's own settings."""
    [(body, settings)] = await pool.fetch(
        "select prosrc, proconfig from pg_proc where oid = 'execlog.list_stored_ids'::regproc"
    )
    sql = body.replace("unnest(ids, times)", "unnest($1::uuid[], $2::timestamptz[])")
    values = [", ".join(f"'{one}'" for one in asked) for asked in (ids, times)]
    async with pool.acquire() as connection, connection.transaction():
        for setting in [*settings, f"plan_cache_mode=force_{mode}_plan"]:
            await connection.fetch("select set_config($1, $2, true)", *setting.split("=", 1))
        await connection.execute(f"prepare asked (uuid[], timestamptz[]) as {sql}")
        explain = "explain (analyze, format json) execute asked"
        given = f"(array[{values[0]}]::uuid[], array[{values[1]}]::timestamptz[])"
        plan = json.loads(await connection.fetchval(f"{explain} {given}"))[0]["Plan"]
        await connection.execute("deallocate asked")
    return dict(plan)


# Claims that must last.


@pytest.mark.parametrize("statement", ["claim_batch", "claim_with_account"])
@pytest.mark.parametrize(
    ("before", "durable"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply",) * 2],
)
async def test_a_claim_of_a_spool_is_durable(
    pool: Pool, statement: str, before: str, durable: str
) -> None:
    account = {**GIVEN, "offered": 5, "pending": 0}
    more = (uuid4(), json.dumps(account)) if statement == "claim_with_account" else ()
    async with pool.acquire() as connection:
        await connection.execute(f"set synchronous_commit = {before}")
        for wanted in (True, False):
            transaction = connection.transaction()
            await transaction.start()
            values = (uuid4(), 1, uuid4(), None, "5s", wanted, *more)
            assert await connection.fetchval(SQL[statement].sql, *values) == "claimed"
            shown = await connection.fetchval("show synchronous_commit")
            assert shown == (durable if wanted else before)
            await transaction.rollback()
            assert await connection.fetchval("show synchronous_commit") == before


async def test_a_recorder_with_a_spool_commits_durably(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    """Its role's own setting does not count."""
    await pool.execute(
        "create table execlog.seen (setting text);"
        " create function execlog.see() returns trigger language plpgsql as $$ begin"
        " insert into execlog.seen values (current_setting('synchronous_commit')); return null;"
        f" end $$; create trigger see after insert on {TABLE} execute function execlog.see()"
    )
    name = await pool.fetchval("select quote_ident(current_database())")
    await pool.execute(f"alter database {name} set synchronous_commit = off")
    for spool in (None, tmp_path / "spool"):
        async with ExecutionRecorder(dsn, spool=spool) as recorder:
            record(recorder, 1)
            assert await recorder.flush()
    seen = await pool.fetch("select setting from execlog.seen")
    assert [one["setting"] for one in seen] == ["off", "on"]


# Accounts.


async def test_an_account_says_what_is_spooled(dsn: str, pool: Pool) -> None:
    spooling, closed, earlier = uuid4(), uuid4(), uuid4()
    assert await keep(pool, earlier, 7)  # a recorder of before tells nothing of it
    assert await keep(pool, spooling, 12_000, spooled=11_900)
    assert await keep(pool, spooling, 12_000, spooled=12_000)
    assert await keep(pool, closed, 30, spooled=30, closed=True)
    told = {one.recorder_id: one for one in await execlog.recorder_account(pool)}
    shown = {id_: (one.state, one.pending, one.spooled) for id_, one in told.items()}
    assert shown == {
        earlier: ("alive", 7, 0),
        spooling: ("alive", 12_000, 12_000),
        closed: ("closed", 30, 30),
    }
    assert [told[id_].most_missing for id_ in (earlier, spooling, closed)] == [500, 500, 0]
    done = await asyncio.to_thread(run, "account", "--utc", EXECLOG_DSN=dsn)
    lines = [line for line in done.stdout.splitlines() if line.startswith("h\t")]
    states = sorted(line.rpartition("\t")[2] for line in lines)
    assert states == ["alive", "alive: 12,000 spooled", "closed: 30 spooled"]
    assert "12,052 offered = 15 written + 12,037 pending" in done.stdout
    await pool.execute("update execlog.recorder_account set last_seen = now() - interval '1 h'")
    done = await asyncio.to_thread(run, "account", "--utc", EXECLOG_DSN=dsn)
    assert done.returncode == 1
    assert "open: 500 missing at most, 12,000 spooled" in done.stdout
    doctor = await asyncio.to_thread(run, "doctor", EXECLOG_DSN=dsn)
    assert "at most 1,000 executions are missing, and 12,000 were left in files" in doctor.stdout


async def test_what_was_taken_over_is_in_the_sum_once(pool: Pool) -> None:
    await keep(pool, uuid4(), 30, spooled=30, closed=True)
    await keep(pool, uuid4(), 10, spooled=0, recovered=30, offered=0, written=20)
    total = execlog.repository.accounts.total_of(await execlog.recorder_account(pool))
    assert (total.offered, total.recovered, total.written, total.pending) == (35, 30, 25, 40)
    assert total.offered + total.recovered == total.written + total.pending
    assert total.pending - total.recovered == 10
