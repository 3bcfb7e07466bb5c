"""A log in a schema of another name: everything works there, and nothing of it lies elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLogRepository,
)
from tests import databases
from tests.command import run
from tests.db.test_cli import ALL
from tests.db.test_faults import CALLS
from tests.rows import fields, row
from tests.samples import one_of
from tests.types import Pool

NAMES = [
    "audit",
    "audit-log",
    "Audit Log",
    'a"b',
    "o'clock",
    "50%",
    "%I.%s",
    ":columns",
    ":'begins'",
    "execlog.x",
    "line\nbreak",
    "x;\n\ny",
    "a$1::text",
    "protokół" * 6,
    "public",
    "select",
]
DAY = timedelta(days=1)


@pytest.fixture(params=one_of(NAMES))
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def empty(empty_dsn: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(empty_dsn, min_size=1, max_size=3) as pool:
        yield pool


async def schemas(pool: Pool) -> set[str]:
    found = await pool.fetch(
        "select distinct nspname::text from pg_class join pg_namespace n on n.oid = relnamespace"
        " where nspname not like 'pg\\_%' and nspname <> 'information_schema'"
    )
    return {record[0] for record in found}


async def test_everything_works_there(empty: Pool, empty_dsn: str, schema: str) -> None:
    names = await execlog.migrate(empty, schema=schema)
    assert names == await missing_before_and_now(empty, schema)
    log = StrategyExecutionLogRepository(empty, schema=schema)
    old = datetime.now(UTC) - 90 * DAY
    await log.insert_rows([row(created_at=old), row(status="error", external_user_id="u1")])
    for call in CALLS.values():
        await call(log)
    async with ExecutionRecorder(empty_dsn, schema=schema) as recorder:
        recorder.record(**fields(strategy_id="recorded"))
    assert (await log.count_by_status(strategy_id="recorded"))["ok"] == 1
    health = await execlog.health(empty_dsn, schema=schema)
    assert health.missing_migrations == []
    assert health.stray_rows == 1
    # Every kind of step: strays get their partition, then it is thinned, then it goes.
    for keep, action in [(None, "attach"), (60 * DAY, "thin"), (None, "drop")]:
        steps = await execlog.maintain(
            empty,
            interval="day",
            retain=keep if action != "drop" else 30 * DAY,
            retain_failures=120 * DAY if keep else None,
            schema=schema,
        )
        assert action in {step.action for step in steps}
        assert {step.outcome for step in steps} == {"done"}, steps
    assert await schemas(empty) == {schema}


async def missing_before_and_now(pool: Pool, schema: str) -> list[str]:
    assert await execlog.check_migrations(pool, schema=schema) == []
    assert await execlog.migrate(pool, schema=schema) == []
    return await execlog.check_migrations(pool, schema="somewhere_else")


async def test_the_dump_is_for_that_schema(empty: Pool, schema: str) -> None:
    async with empty.acquire() as connection:
        await databases.send(connection, execlog.dump_migrations(schema=schema))
    assert await execlog.check_migrations(empty, schema=schema) == []
    assert await schemas(empty) == {schema}


async def test_two_logs_in_one_database(dsn: str, pool: Pool) -> None:
    await execlog.migrate(dsn, schema="audit")
    ours = StrategyExecutionLogRepository(pool)
    theirs = StrategyExecutionLogRepository(pool, schema="audit")
    await ours.insert_row(row(status="ok"))
    await theirs.insert_rows([row(status="error")])
    assert await ours.count_by_status(strategy_id="loyalty") == {"ok": 1}
    assert await theirs.count_by_status(strategy_id="loyalty") == {"error": 1}
    # Who maintains the one is not in the way of who maintains the other.
    await pool.execute(
        "update audit.maintenance set holder = 'another', token = gen_random_uuid(),"
        " held_until = 'infinity'"
    )
    held = await execlog.maintain(dsn, interval="day", schema="audit")
    assert (held, held.held_by) == ([], "another")
    assert await execlog.maintain(dsn, interval="day")


async def test_the_command_line(empty_dsn: str) -> None:
    where = ("--dsn", empty_dsn, "--schema", "Audit-Log")
    assert run("migrate", *where).stdout == ALL
    assert run("doctor", *where).returncode == 0
    async with ExecutionRecorder(empty_dsn, schema="Audit-Log") as recorder:
        recorder.record(**fields(status="error"))
    assert '"error":1' in run("summary", "loyalty", "-o", "jsonl", *where).stdout
    there = run("tail", EXECLOG_DSN=empty_dsn, EXECLOG_SCHEMA="Audit-Log")
    assert len(there.stdout.splitlines()) == 2
    elsewhere = run("tail", "--dsn", empty_dsn)
    assert (elsewhere.returncode, "execlog migrate" in elsewhere.stderr) == (1, True)
    assert 'from "Audit-Log".' in run("sql", "get", "--schema", "Audit-Log").stdout
    refused = run("tail", "--dsn", empty_dsn, "--schema", "pg_x")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "schema: begins with pg_" in refused.stderr


@pytest.mark.parametrize("schema", ["", "pg_audit", None])
async def test_a_name_that_can_not_be(pool: Pool, dsn: str, schema: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^schema: "):
        StrategyExecutionLogRepository(pool, schema=schema)
    with pytest.raises(InvalidArgument, match=r"^schema: "):
        ExecutionRecorder(dsn, schema=schema)
    with pytest.raises(InvalidArgument, match=r"^schema: "):
        execlog.dump_migrations(schema=schema)
    for call in (execlog.migrate, execlog.check_migrations, execlog.maintain, execlog.health):
        with pytest.raises(InvalidArgument, match=r"^schema: "):
            await call(dsn, schema=schema)
