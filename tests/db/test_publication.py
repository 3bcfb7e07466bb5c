"""A publication of all tables, as change data capture and upgrades make one: everything goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    migrate,
    rebuild_rollups,
    verify_rollups,
)
from execlog.db.migration_files import migration_names
from execlog.embedded import EmbeddedPostgres
from tests import databases, first_wave
from tests.command import run
from tests.databases import TABLE
from tests.db.test_cli_transfer import diagnosis
from tests.db.test_faults import CALLS
from tests.recording import until
from tests.rows import fields, row
from tests.types import Pool

DAY = timedelta(days=1)
PUBLISH = "create publication everything for all tables"
Log = StrategyExecutionLogRepository


async def stored_before(pool: Pool, rows: Sequence[StrategyExecutionLog]) -> None:
    """Stores rows as the first wave did."""
    async with pool.acquire() as connection:
        await first_wave.insert(connection, [one.model_dump() for one in rows])


@pytest.fixture(scope="module")
def publisher() -> Iterator[str]:
    """A server that can publish: what the publication forbids, it forbids there alone."""
    with EmbeddedPostgres(settings={"wal_level": "logical"}) as server:
        yield server.dsn


@pytest.fixture
async def published(publisher: str) -> AsyncIterator[str]:
    """An empty database there, all of whose tables are published."""
    async with databases.clone(publisher, template="template0") as own:
        connection = await asyncpg.connect(own)
        await connection.execute(PUBLISH)
        await connection.close()
        yield own


@pytest.mark.long
async def test_everything_is_written_as_before(published: str, tmp_path: Path) -> None:
    assert await migrate(published) == migration_names()
    now = datetime.now(UTC)
    async with asyncpg.create_pool(published, min_size=1, max_size=3) as pool:
        log = Log(pool)
        await log.insert_row(row())
        assert await log.insert_rows([row(), row(created_at=None)]) == 2
        assert await log.insert_missing([row(), row(external_user_id="u")]) == 2
        async with ExecutionRecorder(published, linger=0.01) as recorder:
            for _ in range(3):
                recorder.record(**fields())
                assert await recorder.flush()
        assert recorder.stats().written == 3
        file = tmp_path / "rows.jsonl"
        one = row(external_user_id="u").model_dump(by_alias=True, mode="json")
        file.write_text(json.dumps(one))
        done = run("import", str(file), EXECLOG_DSN=published)
        assert done.returncode == 0, done.stderr
        assert [part.executions async for part in log.erase(external_user_id="u")] == [2]
        assert sum((await log.count_by_status(strategy_id="loyalty")).values()) == 9

        old = [row(created_at=now - days * DAY, status=status) for days in (40, 80, 200)
               for status in ("ok", "error")]  # fmt: skip
        await log.insert_rows(old)
        done_by: dict[str, int] = {}
        for keep, failures in ((None, None), (60 * DAY, 100 * DAY), (30 * DAY, 30 * DAY)):
            steps = await execlog.maintain(
                pool, interval="day", retain=keep, retain_failures=failures,
                retain_minutes=50 * DAY, retain_rollups=150 * DAY,
            )  # fmt: skip
            assert {step.outcome for step in steps} == {"done"}, steps
            for step in steps:
                done_by[step.action] = done_by.get(step.action, 0) + 1
        # DEFAULT holds what is too old for a partition: purged, not moved.
        await log.insert_rows([row(created_at=now - 300 * DAY)])
        steps = await execlog.maintain(pool, interval="day", retain=30 * DAY)
        assert {step.outcome for step in steps} == {"done"}, steps
        done_by |= {step.action: 1 for step in steps}
        assert done_by.keys() >= {"attach", "thin", "drop", "purge", "forget", "vacuum"}

        assert [one async for one in verify_rollups(pool)] == []
        assert [part async for part in rebuild_rollups(pool)]
        await migrate(pool, rollups=False)
        await migrate(pool, rollups=True)
        assert (await log.health()).without_replica_identity == []


@pytest.mark.long
async def test_a_log_of_the_first_wave_is_upgraded_beside_one(
    publisher: str, later: Callable[[], list[str]]
) -> None:
    """Its partitions too, whoever attached them; rows that are there stay."""
    async with databases.clone(publisher, template="template0") as dsn:
        await migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=3) as pool:
            log = Log(pool)
            await pool.execute(
                "create schema elsewhere;"
                f"create table elsewhere.old partition of {TABLE}"
                " for values from ('2020-01-01Z') to ('2021-01-01Z')"
            )
            old = datetime(2020, 5, 1, tzinfo=UTC)
            await stored_before(pool, [row(), row(created_at=None), row(created_at=old)])
            await pool.execute(PUBLISH)
            with pytest.raises(asyncpg.PostgresError) as caught:
                await stored_before(pool, [row()])
            assert caught.value.sqlstate == "55000"
            names = later()
            assert await migrate(dsn) == names
            await log.insert_rows([row(external_user_id="u", created_at=old)])
            assert [part.executions async for part in log.erase(external_user_id="u")] == [1]
            assert (await log.count_by_status(strategy_id="loyalty")) == {"ok": 4}
            assert (await log.health()).without_replica_identity == []
            assert [one async for one in verify_rollups(pool)] == []


@pytest.mark.long
async def test_every_table_has_an_identity(pool: Pool) -> None:
    """What a later migration makes, too: the server says so of each table of the schema."""
    await execlog.maintain(pool, interval="day", ahead=2)
    without = await pool.fetch(
        "select relname::text from pg_class as class where relkind in ('r', 'p')"
        " and relnamespace = 'execlog'::regnamespace and relreplident <> 'f' and not exists ("
        "  select from pg_index where indrelid = class.oid and indisprimary and indimmediate)"
    )
    assert [record["relname"] for record in without] == []


@pytest.mark.long
async def test_one_that_lacks_it_is_named(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "create schema elsewhere;"
        f'create table elsewhere."Old" partition of {TABLE}'
        " for values from ('2020-01-01Z') to ('2021-01-01Z');"
        "alter table execlog.rollup replica identity nothing"
    )
    assert (await execlog.health(pool)).without_replica_identity == [
        "execlog.rollup",
        'elsewhere."Old"',
    ]
    said = diagnosis(dsn, code=1)["identity"]
    assert said.startswith('!! 2 lack one (execlog.rollup, elsewhere."Old"): ')
    remedy = said.partition(" -> ")[2]
    assert remedy.startswith("alter table execlog.rollup replica identity full; ")
    await pool.execute(remedy)
    assert "identity" not in diagnosis(dsn, code=0)


@pytest.mark.long
async def test_an_index_identifies_too(pool: Pool) -> None:
    await pool.execute(
        "create unique index one on execlog.recorder_progress (recorder_id);"
        "alter table execlog.recorder_progress replica identity using index one"
    )
    assert (await execlog.health(pool)).without_replica_identity == []
    await pool.execute("drop index execlog.one")
    found = await execlog.health(pool)
    assert found.without_replica_identity == ["execlog.recorder_progress"]


@pytest.mark.long
async def test_in_a_schema_of_another_name(empty_dsn: str) -> None:
    await migrate(empty_dsn, schema="Audit Log")
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute('alter table "Audit Log".rollup replica identity default')
    done = await asyncio.to_thread(run, "doctor", "--dsn", empty_dsn, "--schema", "Audit Log")
    remedy = 'alter table "Audit Log".rollup replica identity full'
    assert (done.returncode, remedy in done.stdout) == (1, True)
    await connection.execute(remedy)
    done = await asyncio.to_thread(run, "doctor", "--dsn", empty_dsn, "--schema", "Audit Log")
    assert done.returncode == 0
    await connection.close()


EARLIER = {
    "count_by_case_name",
    "count_by_error_code",
    "count_by_status",
    "duration_and_nodes_summary",
    "duration_percentiles",
    "health",
    "list_tables",
    "sample_durations",
    "sample_points",
}
"""What reads neither whole executions nor what maintenance keeps: these were always there."""


@pytest.mark.long
async def test_the_upgrade_under_load(empty_dsn: str, later: Callable[[], list[str]]) -> None:
    """Who stores and who reads meanwhile waits a moment, and hears of no error."""
    await migrate(empty_dsn)
    stop = asyncio.Event()
    stored = asked = 0
    upgraded = False

    async with asyncpg.create_pool(empty_dsn, min_size=6, max_size=6) as pool:
        log = Log(pool)

        async def store() -> None:
            nonlocal stored
            while not stop.is_set():
                given = [row(), row(created_at=None)]
                await (log.insert_rows(given) if upgraded else stored_before(pool, given))
                stored += len(given)

        async def read() -> None:
            nonlocal asked
            while not stop.is_set():
                for name, call in CALLS.items():
                    if name in EARLIER or (upgraded and not name.startswith("insert")):
                        await call(log)
                        asked += 1

        busy = [asyncio.create_task(work()) for work in (store, store, read, read)]
        await until(lambda: stored > 20 and asked > 40)
        names = later()
        assert await migrate(empty_dsn) == names
        upgraded = True
        before = stored, asked
        await until(lambda: stored > before[0] + 20 and asked > before[1] + 40)
        stop.set()
        await asyncio.gather(*busy)
        assert await log.count_by_status(strategy_id="loyalty") == {"ok": stored}
        assert [one async for one in verify_rollups(pool)] == []
