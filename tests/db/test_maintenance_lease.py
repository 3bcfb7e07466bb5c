"""Who maintains, and who can't hold that up: a lease that readers can't take, and that ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    Maintenance,
    StoreUnavailable,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.admin import caretaker
from execlog.admin import lease as leasing
from execlog.admin.lease import Lease
from execlog.admin.session import Session
from tests.command import run
from tests.databases import CLIENTS, TABLE, WAITING
from tests.db.test_cli_transfer import diagnosis, with_user
from tests.db.test_upgrades import taken_out
from tests.recording import until
from tests.rows import row
from tests.types import Connection, Pool

DAY = timedelta(days=1)
LEASE = "execlog.maintenance"
TAKE = (
    f"update {LEASE} set holder = 'elsewhere pid 7', token = gen_random_uuid(),"
    " held_since = now(), held_until = now() + interval '1 minute'"
)
END = f"update {LEASE} set held_until = now() - interval '1 second' where token is not null"
KEPT: dict[str, Any] = {"interval": "month", "ahead": 3}
_numbers = itertools.count()


@pytest.fixture
async def strays(pool: Pool, repository: StrategyExecutionLogRepository) -> int:
    """Rows of five months in DEFAULT, and how many: each is a step of its own."""
    now = datetime.now(UTC)
    await repository.insert_rows(row(created_at=now - ago * DAY) for ago in range(40, 200, 32))
    return 5


@pytest.fixture
async def reader(dsn: str, pool: Pool) -> AsyncIterator[Connection]:
    """Somebody who may read all of the log, and use SQL."""
    name = f"lease_reader_{os.getpid()}_{next(_numbers)}"
    await pool.execute(f"create role {name} login password 'right'")
    await pool.execute(f"grant usage on schema execlog to {name}")
    await pool.execute(f"grant select on all tables in schema execlog to {name}")
    connection = await asyncpg.connect(with_user(dsn, name))
    yield connection
    await connection.close()
    await pool.execute(f"drop owned by {name}")
    await pool.execute(f"drop role {name}")


@pytest.fixture
async def in_the_way(dsn: str) -> AsyncIterator[Connection]:
    """A transaction that has read the log and stands still: no partition comes or goes."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"begin; select count(*) from {TABLE}")
    yield connection
    await connection.close()


def outcomes(steps: list[execlog.MaintenanceStep]) -> Counter[str]:
    return Counter(f"{step.action} {step.outcome}" for step in steps)


async def stood(pool: Pool, ago: timedelta) -> None:
    """The last completed run is so long ago."""
    await pool.execute(f"update {LEASE} set maintained_at = now() - $1::interval", ago)


async def test_what_a_reader_holds_is_not_in_the_way(
    dsn: str, reader: Connection, strays: int
) -> None:
    """All advisory locks that it can think of, and the row of the lease, read and never let go."""
    key = "hashtextextended('execlog.maintain', 0)"
    await reader.execute(f"select pg_advisory_lock({key}), pg_advisory_lock_shared(0)")
    await reader.execute(f"begin; select pg_advisory_xact_lock({key})")
    assert {step.outcome for step in await maintain(dsn)} == {"done"}
    await reader.execute(f"lock table {LEASE} in access share mode; select * from {LEASE}")
    for sql in (
        f"select from {LEASE} for update",
        f"select from {LEASE} for key share",
        f"lock table {LEASE} in row share mode",
        f"lock table {LEASE} in access exclusive mode",
        f"update {LEASE} set token = null",
        f"delete from {LEASE}",
    ):
        await reader.execute("savepoint before")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(sql)
        await reader.execute("rollback to savepoint before")
    steps = await maintain(dsn, interval="month", ahead=5)
    assert outcomes(steps)["attach done"] == 2
    assert {step.outcome for step in steps} == {"done"}


async def test_behind_another(dsn: str, pool: Pool, strays: int) -> None:
    await stood(pool, 3 * DAY)
    await pool.execute(TAKE)
    held = await maintain(pool, **KEPT)
    assert (held, held.held_by) == ([], "elsewhere pid 7")
    assert held.held_since is not None
    assert held.maintained_at is not None
    assert 3 * DAY <= held.behind < 4 * DAY
    assert [held.is_overdue(), held.is_overdue(4 * DAY)] == [True, False]
    # A plan neither needs the lease nor takes it.
    plan = await maintain(pool, **KEPT, only_plan=True)
    assert outcomes(plan)["attach planned"] >= strays
    assert await pool.fetchval(f"select holder from {LEASE}") == "elsewhere pid 7"
    await pool.execute(END)
    done = await maintain(pool, **KEPT)
    assert (outcomes(done), done.held_by) == (outcomes_as_done(plan), None)
    assert (done.behind, done.is_overdue(timedelta(microseconds=1))) == (timedelta(), False)
    found = await pool.fetchrow(f"select token, holder, maintained_at from {LEASE}")
    assert tuple(found or ()) == (None, None, done.maintained_at)
    await maintain(pool, **KEPT)  # what has just closed is vacuumed
    nothing = await maintain(pool, **KEPT)
    assert (nothing, nothing.held_by) == ([], None)
    assert nothing.maintained_at is not None
    assert done.maintained_at is not None
    assert nothing.maintained_at > done.maintained_at


def outcomes_as_done(plan: list[execlog.MaintenanceStep]) -> Counter[str]:
    return Counter(f"{step.action} done" for step in plan)


async def test_without_the_row(pool: Pool, strays: int) -> None:
    """As after a restore without data: the first one that comes makes it."""
    await pool.execute(f"delete from {LEASE}")
    assert (await StrategyExecutionLogRepository(pool).maintenance_state()).tracked_since is None
    runs = await asyncio.gather(*(maintain(pool, **KEPT) for _ in range(3)))
    attached = [step.partition for one in runs for step in one if step.action == "attach"]
    assert len(attached) == len(set(attached)) >= strays
    assert await pool.fetchval(f"select count(*) from {LEASE} where maintained_at is not null") == 1


@pytest.mark.long
async def test_a_maintainer_that_is_killed(
    dsn: str, pool: Pool, in_the_way: Connection, strays: int
) -> None:
    """With SIGKILL, in a step: that is done or it is not, and a minute later others go on."""
    code = (
        "import asyncio, execlog, sys\nasyncio.run(execlog.maintain(sys.argv[1], lock_timeout=300))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, dsn)
    await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"), 60)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    for _ in range(2):  # while its backend still waits, and when that has gone
        held = await maintain(pool, **KEPT)
        assert (held, str(held.held_by).endswith(f"pid {process.pid}")) == ([], True)
        with contextlib.suppress(asyncpg.InterfaceError):
            await in_the_way.close()
        await until(lambda: pool.fetchval(f"select count(*) = 0 from {WAITING}"), 60)
    await until(lambda: no_maintainer(pool), 60)
    await pool.execute(END)
    steps = await maintain(pool, **KEPT)
    assert outcomes(steps)["attach done"] >= strays - 1
    assert await pool.fetchval(f"select count(*) from {TABLE}_default") == 0
    assert await pool.fetchval(f"select count(*) from {TABLE}") == strays


async def no_maintainer(pool: Pool) -> bool:
    found = await pool.fetchval(
        f"select count(*) from {CLIENTS} and query like '%execlog.maintenance%'"
        " and state = 'active' and pid <> pg_backend_pid()"
    )
    return bool(found == 0)


@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_a_connection_that_is_lost_in_a_step(
    dsn: str, pool: Pool, in_the_way: Connection, strays: int, by: str
) -> None:
    """The step fails, and says of what; the others are done on another connection."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
        target = dsn if by == "dsn" else own
        running = asyncio.ensure_future(maintain(target, **KEPT, lock_timeout=300))
        await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"), 60)
        await pool.execute(f"select pg_terminate_backend(pid) from {WAITING}")
        await in_the_way.close()
        steps = await running
    failed, *others = sorted(steps, key=lambda step: step.outcome != "failed")
    assert (failed.outcome, failed.problem) == ("failed", "admin shutdown (57P01)")
    assert {step.outcome for step in others} == {"done"}
    assert str(failed) == f"{failed.action} {failed.partition}: admin shutdown (57P01)"
    assert not [key for key, value in (await lease(pool)).items() if key == "token" and value]
    assert {step.outcome for step in await maintain(dsn, **KEPT)} == {"done"}
    assert await pool.fetchval(f"select count(*) from {TABLE}") == strays


async def lease(pool: Pool) -> dict[str, Any]:
    found = await pool.fetchrow(f"select * from {LEASE}")
    return dict(found or {})


async def test_a_connection_that_is_given_and_lost(
    dsn: str, pool: Pool, in_the_way: Connection, strays: int
) -> None:
    """There is no other one: the caller hears of it, and the lease ends by itself."""
    own = await asyncpg.connect(dsn)
    running = asyncio.ensure_future(maintain(own, **KEPT, lock_timeout=300))
    await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"), 60)
    await pool.execute(f"select pg_terminate_backend(pid) from {WAITING}")
    await in_the_way.close()
    with pytest.raises(StoreUnavailable):
        await running
    assert (await maintain(pool, **KEPT)).held_by is not None
    await pool.execute(END)
    assert {step.outcome for step in await maintain(pool, **KEPT)} == {"done"}


async def test_a_step_that_outlasts_the_lease(
    dsn: str, pool: Pool, in_the_way: Connection, strays: int
) -> None:
    """As long as its transaction lasts, others can't take over, and don't wait for it."""
    async with Session(dsn) as session:
        holder = Lease(session, "execlog")
        await holder.look()
        assert (await holder.take()).is_ours
        work = caretaker.Caretaker(holder)
        planned = await work.planned(Maintenance().wish(), holds=True)
        await pool.execute(END)
        step = next(step for step in planned.steps if step.action == "attach")
        running = asyncio.ensure_future(work.done(step, planned.shape, "300s"))
        await until(lambda: pool.fetchval(f"select count(*) > 0 from {WAITING}"), 60)
        held = await maintain(pool, **KEPT)
        assert (held, held.held_by) == ([], (await lease(pool))["holder"])
        await in_the_way.close()
        assert (await running).outcome == "done"
        assert (await maintain(pool, **KEPT)).held_by is not None  # renewed as the step ended
        # Somebody takes over between two steps: the holder notices, and stops.
        await pool.execute(TAKE)
        for step in planned.steps[1:]:
            done = await work.done(step, planned.shape, "1s")
            assert done[:2] == ("postponed", "another process took over")
        await holder.release(completed=True, left=0)
    assert (await lease(pool))["holder"] == "elsewhere pid 7"


async def test_a_plan_that_takes_longer_than_the_lease(
    dsn: str, pool: Pool, strays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who counts what DEFAULT holds keeps the lease; others would only begin the count anew."""
    count = caretaker.Caretaker._strays

    async def slowly(self: caretaker.Caretaker, wish: Any) -> Any:
        found = await count(self, wish)
        async with Session(dsn) as session:
            other = Lease(session, "execlog")
            await other.look()
            # The end of the lease lies behind us, as if a minute had passed.
            taken.append((await other.take()).is_ours)
        return found

    taken: list[bool] = []
    monkeypatch.setattr(caretaker.Caretaker, "_strays", slowly)
    prove = "interval '1 minute'", "interval '-1 minute'"
    script = leasing._script
    monkeypatch.setattr(leasing, "_script", lambda name: script(name).replace(*prove))
    await maintain(pool, only_plan=True)
    assert taken == [True]
    await pool.execute(f"update {LEASE} set holder = null, token = null, held_until = null")
    await maintain(pool, **KEPT)
    assert taken[1] is False


async def test_a_log_that_was_there_before(
    dsn: str, empty_dsn: str, pool: Pool, migrations: Path
) -> None:
    """The row's table is whose the log is, and who may ask about migrations may read it."""
    files = list(taken_out(migrations).items())
    first, later = dict(files[:3]), dict(files[3:])
    for name, data in first.items():
        (migrations / name).write_bytes(data)
    owner, guest = (f"lease_{os.getpid()}_{next(_numbers)}" for _ in range(2))
    admin = await asyncpg.connect(empty_dsn)
    await admin.execute(f"create role {owner}; create role {guest}")
    try:
        await execlog.migrate(empty_dsn)
        await admin.execute(
            f"alter table {TABLE} owner to {owner};"
            f"grant select on execlog.schema_migration to {guest}"
        )
        for name, data in later.items():
            (migrations / name).write_bytes(data)
        applied = await execlog.migrate(empty_dsn)
        assert [f"{name}.sql" for name in applied] == list(later)
        found = await admin.fetchrow(
            "select pg_get_userbyid(relowner)::text, has_table_privilege($1, oid, 'select'),"
            " has_table_privilege($1, oid, 'update'), current_setting('search_path')"
            f" from pg_class where oid = '{LEASE}'::regclass",
            guest,
        )
        path = await pool.fetchval("show search_path")
        assert tuple(found or ()) == (owner, True, False, path)
    finally:
        await admin.execute(f"reassign owned by {owner} to current_user; drop owned by {guest}")
        await admin.execute(f"drop role {owner}; drop role {guest}")
        await admin.close()


async def test_functions_of_others_are_not_called(dsn: str, pool: Pool, strays: int) -> None:
    """Not if they fit better than the server's own, and not if the path names theirs first."""
    await pool.execute("create table public.witness (what text)")
    for name, given, answers in (
        ("pg_relation_size", "oid", "bigint"),
        ("date_trunc", "text, timestamptz, text", "timestamptz"),
        ("quote_ident", "name", "text"),
        ("clock_timestamp", "", "timestamptz"),
        ("statement_timestamp", "", "timestamptz"),
        ("pg_backend_pid", "", "integer"),
        ("set_config", "text, text, boolean", "text"),
    ):
        await pool.execute(
            f"create function public.{name}({given}) returns {answers} language plpgsql as"
            f" $$ begin insert into public.witness values ('{name}'); return null; end $$"
        )
    name = await pool.fetchval("select current_database()")
    await pool.execute(f'alter database "{name}" set search_path = public, pg_catalog')
    steps = await maintain(dsn, **KEPT)
    assert outcomes(steps)["attach done"] >= strays
    async for _ in execlog.rebuild_rollups(dsn):
        pass
    assert await pool.fetch("select what from public.witness") == []


# What is said, and how a command ends.


@pytest.mark.long
async def test_what_the_command_says(dsn: str, pool: Pool, strays: int) -> None:
    """Who is at it since when; and that it is overdue, by another exit code."""
    words = ("maintain", "--utc")
    await pool.execute(TAKE)
    for ago, more, code in (
        (timedelta(hours=23), (), 0),
        (timedelta(hours=25), (), 5),
        (timedelta(hours=25), ("--stale", "2d"), 0),
        (timedelta(hours=25), ("--stale", "2d", "--plan"), 0),
        (timedelta(hours=2), ("--stale", "90m"), 5),
        (timedelta(hours=25), ("--plan",), 0),
    ):
        await stood(pool, ago)
        done = run(*words, *more, EXECLOG_DSN=dsn)
        assert done.returncode == code, (ago, more)
        if "--plan" in more:
            assert (done.stdout.count("planned") > strays, done.stderr) == (True, "")
            continue
        [line] = done.stderr.splitlines()
        assert line.startswith("execlog: elsewhere pid 7 maintains this log since ")
        assert ("overdue" in line, done.stdout) == (code == 5, "")
    await pool.execute(f"update {LEASE} set maintained_at = null, tracked_since = '2020-01-01'")
    never = run(*words, EXECLOG_DSN=dsn)
    assert (never.returncode, never.stderr.strip().endswith("completed: never")) == (5, True)
    await pool.execute(f"update {LEASE} set tracked_since = now()")
    assert run(*words, EXECLOG_DSN=dsn).returncode == 0
    await pool.execute(END)
    for _ in range(2):  # what has closed is vacuumed by the next one
        assert run(*words, EXECLOG_DSN=dsn).returncode == 0
    again = run(*words, EXECLOG_DSN=dsn)
    assert (again.returncode, again.stderr) == (0, "execlog: nothing to do\n")


async def test_steps_that_are_put_off_for_ever(
    dsn: str, pool: Pool, in_the_way: Connection, strays: int
) -> None:
    """A transaction that stands still keeps partitions from coming: overdue after a day too."""
    words = ("maintain", "--lock-timeout", "100ms")
    for ago, code in ((timedelta(hours=1), 0), (2 * DAY, 5)):
        await stood(pool, ago)
        done = run(*words, EXECLOG_DSN=dsn)
        assert done.returncode == code
        assert ": lock timeout (55P03)\n" in done.stderr
        assert (
            "put off; the next run tries again; " + ("overdue" if code else "last") in done.stderr
        )
    assert (await lease(pool))["maintained_at"] < datetime.now(UTC) - DAY
    await in_the_way.close()
    assert run(*words, EXECLOG_DSN=dsn).returncode == 0
    assert (await lease(pool))["maintained_at"] > datetime.now(UTC) - DAY


async def test_a_step_that_fails_is_no_completed_run(dsn: str, pool: Pool) -> None:
    await pool.execute(f"create table {TABLE}_{datetime.now(UTC):%Y%m%d} ()")
    done = run("maintain", "--interval", "day", EXECLOG_DSN=dsn)
    assert done.returncode == 1
    assert ": duplicate table (42P07)\n" in done.stderr
    assert (await lease(pool))["maintained_at"] is None


@pytest.mark.long
async def test_what_the_doctor_says(dsn: str, pool: Pool) -> None:
    assert diagnosis(dsn, code=0)["maintained"] == "ok not yet"
    await pool.execute(f"update {LEASE} set tracked_since = now() - interval '25 hours'")
    remedy = diagnosis(dsn, code=1)["maintained"]
    assert remedy.startswith("!! not yet -> run `execlog maintain`, and let cron run it every hour")
    await maintain(pool)
    at = (await lease(pool))["maintained_at"]
    said = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}+00:00"
    assert diagnosis(dsn, "--utc", code=0)["maintained"] == f"ok {said}"
    await pool.execute(TAKE)
    found = diagnosis(dsn, "--utc", code=0)["maintained"]
    assert found == f"ok {said}; elsewhere pid 7 maintains it now"
    await stood(pool, 25 * DAY / 24)
    found = diagnosis(dsn, code=1)["maintained"]
    assert found.startswith("!! ")
    assert "; elsewhere pid 7 maintains it now -> run `execlog maintain`" in found


async def test_the_recorder_warns(dsn: str, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    """Behind another that has held it up for longer than a day."""
    await stood(pool, 2 * DAY)
    await pool.execute(TAKE)
    with caplog.at_level(logging.WARNING, "execlog.maintenance"):
        async with ExecutionRecorder(dsn, maintenance=Maintenance()):
            await until(lambda: "elsewhere pid 7 holds it up" in caplog.text)
    assert "maintenance is overdue since " in caplog.text
