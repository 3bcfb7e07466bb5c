"""Limits of a role, a database or a server: long work lifts them all, and says what ended it."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import StoreUnavailable, StrategyExecutionLogRepository
from execlog.admin import caretaker, rollups
from execlog.admin import migrations as applying
from execlog.db import session_limits
from tests.command import run
from tests.databases import CLIENTS, TABLE
from tests.db.test_cli_transfer import with_user
from tests.db.test_schema import NEXT
from tests.recording import until
from tests.rows import row
from tests.types import Pool

DAY = timedelta(days=1)
SECONDS = 1.2
"""What each piece of long work takes here, and is twice what any limit allows."""
LIMITED = {
    "statement_timeout": "500ms",
    "transaction_timeout": "500ms",
    "idle_in_transaction_session_timeout": "500ms",
    "lock_timeout": "500ms",
}
_numbers = itertools.count()


@pytest.fixture
async def hasty(dsn: str, pool: Pool) -> AsyncIterator[str]:
    """The name of a role that may do everything."""
    name = f"hasty_{os.getpid()}_{next(_numbers)}"
    await pool.execute(f"create role {name} superuser login password 'right'")
    yield name
    await pool.execute(f"drop owned by {name}")
    await pool.execute(f"drop role {name}")


@pytest.fixture
async def slow(pool: Pool, repository: StrategyExecutionLogRepository) -> None:
    """A log of two months with triggers of somebody's, who take their time."""
    now = datetime.now(UTC)
    await repository.insert_rows(
        row(created_at=now - ago * DAY, external_user_id="u1") for ago in (0, 45)
    )
    await pool.execute(
        "create function public.wait() returns trigger language plpgsql as"
        f" $$ begin perform pg_catalog.pg_sleep({SECONDS}); return null; end $$"
    )
    for table, when in (
        (TABLE, "update"),
        (f"{TABLE}_default", "delete"),
        ("execlog.rollup", "insert"),
    ):
        await pool.execute(
            f"create trigger wait after {when} on {table}"
            " for each statement execute function public.wait()"
        )


async def rebuilt(dsn: str, _: Path) -> None:
    async for _part in execlog.rebuild_rollups(dsn):
        pass


async def verified(dsn: str, _: Path) -> None:
    assert [one async for one in execlog.verify_rollups(dsn)] == []


async def maintained(dsn: str, _: Path) -> None:
    steps = await execlog.maintain(dsn)
    assert {step.outcome for step in steps} == {"done"}, steps
    assert "attach" in {step.action for step in steps}


async def imported(dsn: str, _: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        # The second time they are there already, which is another statement.
        for text in (lines := [row().model_dump_json() + "\n"], [*lines, row().model_dump_json()]):
            file.writelines(text)
            file.flush()
            done = await asyncio.to_thread(run, "import", file.name, "--dsn", dsn)
            assert done.returncode == 0, done.stderr


async def erased(dsn: str, _: Path) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        parts = [part async for part in log.erase(external_user_id="u1")]
    assert parts[-1].executions == 2


async def migrated(dsn: str, migrations: Path) -> None:
    (migrations / f"{NEXT}_slow.sql").write_text(f"select pg_sleep({SECONDS});\n")
    assert await execlog.migrate(dsn) == [f"{NEXT}_slow"]


Work = Callable[[str, Path], Awaitable[None]]


def has(pool_version: int, limit: str) -> bool:
    return limit != "transaction_timeout" or pool_version >= 17


@pytest.mark.long
@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout"])
@pytest.mark.parametrize("work", [rebuilt, verified, maintained, erased, migrated, imported])
async def test_work_that_takes_longer_than_its_role_may(
    dsn: str, pool: Pool, hasty: str, migrations: Path, work: Work, limit: str
) -> None:
    async with pool.acquire() as connection:
        if not has(connection.get_server_version().major, limit):
            pytest.skip(f"a server without {limit}")
    await pool.execute(f"alter role {hasty} set {limit} = '{LIMITED[limit]}'")
    await work(with_user(dsn, hasty), migrations)


@pytest.mark.long
@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("where", ["database", "session"])
async def test_whoever_has_set_them(dsn: str, pool: Pool, migrations: Path, where: str) -> None:
    """All of them at once, for all of a database, or for the session that is given."""
    async with pool.acquire() as connection:
        version = connection.get_server_version().major
        known = {name: value for name, value in LIMITED.items() if has(version, name)}
        if where == "session":
            for name, value in known.items():
                await connection.execute(f"set {name} = '{value}'")
            steps = await execlog.maintain(connection)
            async for _ in execlog.rebuild_rollups(connection):
                pass
            # They are the caller's again.
            assert await session_limits.held(connection) == known
        else:
            name = await connection.fetchval("select current_database()")
            for setting, value in known.items():
                await connection.execute(f"alter database \"{name}\" set {setting} = '{value}'")
            await verified(dsn, migrations)
            steps = await execlog.maintain(dsn)
    assert {step.outcome for step in steps} == {"done"}, steps
    assert {"attach", "vacuum"} <= {step.action for step in steps}


@pytest.mark.long
async def test_a_vacuum_that_takes_longer_than_its_role_may(
    dsn: str, pool: Pool, hasty: str, repository: StrategyExecutionLogRepository
) -> None:
    """Which can be in no transaction of ours."""
    old = datetime.now(UTC) - 45 * DAY
    await repository.insert_rows(row(created_at=old) for _ in range(4000))
    for name, value in (
        *((n, v) for n, v in LIMITED.items() if n == "statement_timeout"),
        ("vacuum_cost_delay", "60ms"),
        ("vacuum_cost_limit", "20"),
    ):
        await pool.execute(f"alter role {hasty} set {name} = '{value}'")
    steps = await execlog.maintain(with_user(dsn, hasty))
    [longest] = sorted(steps, key=lambda step: step.seconds)[-1:]
    assert (longest.action, longest.outcome) == ("vacuum", "done"), steps
    assert longest.seconds > 0.5


@pytest.mark.long
@pytest.mark.parametrize("work", [rebuilt, verified, maintained, migrated])
async def test_a_client_that_stands_still_for_a_while(
    dsn: str,
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    hasty: str,
    migrations: Path,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the middle of a transaction, as on a machine that is busy: half a minute is allowed."""
    await repository.insert_rows([row(created_at=datetime.now(UTC) - 45 * DAY)])
    for module, name in ((rollups, "aware"), (caretaker, "plan"), (applying, "pieces")):
        monkeypatch.setattr(module, name, held_up(getattr(module, name)))
    limit = "idle_in_transaction_session_timeout"
    await pool.execute(f"alter role {hasty} set {limit} = '{LIMITED[limit]}'")
    await work(with_user(dsn, hasty), migrations)


def held_up(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def late(*given: Any) -> Any:
        time.sleep(SECONDS)
        return function(*given)

    return late


async def test_a_user_is_erased_behind_a_lock(
    dsn: str, pool: Pool, hasty: str, repository: StrategyExecutionLogRepository
) -> None:
    """For longer than the role may wait for one."""
    await repository.insert_rows(row(external_user_id="u1") for _ in range(2))
    await pool.execute(f"alter role {hasty} set lock_timeout = '1ms'")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"lock table {TABLE} in share row exclusive mode")
        erasing = asyncio.ensure_future(erased(with_user(dsn, hasty), Path()))
        waiting = f"{CLIENTS} and wait_event_type = 'Lock' and usename = '{hasty}'"
        await until(lambda: pool.fetchval(f"select count(*) > 0 from {waiting}"), 60)
        await asyncio.sleep(0.05)
        await transaction.rollback()
    await erasing


@pytest.mark.usefixtures("slow")
async def test_what_was_ended_says_what_it_was(dsn: str, pool: Pool, migrations: Path) -> None:
    """By an administrator, in this case."""
    running = asyncio.ensure_future(rebuilt(dsn, migrations))
    busy = f"{CLIENTS} and wait_event = 'PgSleep'"
    await until(lambda: pool.fetchval(f"select count(*) > 0 from {busy}"), 60)
    await pool.execute(f"select pg_cancel_backend(pid) from {busy}")
    with pytest.raises(StoreUnavailable) as caught:
        await running
    assert str(caught.value) == "rebuild: query canceled (57014)"


async def test_the_callers_transaction_keeps_its_limits(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    version = connection.get_server_version().major
    mine = {name: "77s" for name in LIMITED if has(version, name)}
    async with connection.transaction():
        for name, value in mine.items():
            await connection.execute(f"set local {name} = '{value}'")
        assert await execlog.migrate(connection, rollups=False)
        assert await session_limits.held(connection) == mine
    await connection.close()
