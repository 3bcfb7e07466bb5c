"""The index of users: what it takes, what it finds, and how a log that has another one gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from execlog.db.migration_files import migration_names
from tests.databases import TABLE
from tests.plans import MODES, explained, nodes, touched
from tests.recording import record
from tests.rows import row
from tests.types import Connection, Pool

EARLIER = "0013_recorder_account"
INDEX = f"{TABLE}_user_hash"
ROWS, USERS = 20_000, 2000
LONG = ["x" * 3000, "x" * 3001, "é" * 100_000]
# One has as many runs as all others together.
FILL = (
    f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type, status,"
    " duration_ms, nodes_executed, external_user_id)"
    " select gen_random_uuid(), now() - n * interval '1 ms', 'strategy-' || n % 10, 3, 'DSL_FULL',"
    f" 'ok', n, 1, case when n % 2 = 0 then 'busy' else 'user-' || n % {USERS} end"
    f" from generate_series(1, {ROWS}) as n"
)


async def test_ids_of_any_length(
    dsn: str, pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """They are stored in each way, told apart, and erased."""
    async with ExecutionRecorder(dsn) as recorder:
        for user in LONG:
            record(recorder, 1, external_user_id=user)
        assert await recorder.flush()
    await repository.insert_rows(row(external_user_id=user) for user in LONG)
    await repository.insert_row(row(external_user_id=LONG[0]))
    for user, runs in zip(LONG, (3, 2, 2), strict=True):
        found = await repository.list_executions(external_user_id=user)
        assert [one.external_user_id for one in found] == [user] * runs
    assert len(await repository.list_executions(external_user_id=LONG)) == 7
    [part] = [part async for part in repository.erase(external_user_id=LONG[2])]
    assert part.executions == 2
    assert len(await repository.list_executions(external_user_id=LONG)) == 5


ASKED: dict[str, tuple[str, list[str] | str, dict[str, Any]]] = {
    "a user": ("list_newest", ["user-7"], {}),
    "several": ("list_newest", ["user-7", "user-9", "none"], {}),
    "many": ("list_newest", [f"user-{n}" for n in (1, 3, 5, 7, 9)], {}),
    "of a strategy": ("list_executions", ["user-7"], {"strategy_id": "strategy-7"}),
    "several of a strategy": ("list_executions", ["user-7", "x"], {"strategy_id": "strategy-7"}),
    "erase": ("erase", "user-7", {"before": None, "rows": ROWS, "only_count": True}),
}


@pytest.fixture
async def filled(pool: Pool) -> Pool:
    await pool.execute(FILL)
    await pool.execute(f"vacuum (analyze) {TABLE}")
    return pool


async def test_a_user_is_found_by_the_index(filled: Pool) -> None:
    """By plans of both kinds: the runs of others are not read."""
    for name, users, others in ASKED.values():
        given: dict[str, Any] = {"external_user_id": users, **others}
        if name != "erase":
            given = {"external_user_ids": users, "realm_ids": None, "limit": 50, **others}
            if "strategy_id" in given:
                given |= {"since": None, "until": None}
        for mode in MODES:
            async with explained(filled, name, mode, **given) as plan:
                used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
                assert any("hashtextextended" in index for index in used)
                # Erasing walks through the times of a part once, to see where it ends.
                assert touched(plan) <= 6 * ROWS / USERS + (ROWS if name == "erase" else 0)


async def test_a_user_with_half_of_all_runs_is_known(filled: Pool) -> None:
    """A page of a strategy's is read in its order, if the plan is for that user."""
    given = {"strategy_id": "strategy-4", "external_user_ids": ["busy"]}
    rest = {"since": None, "until": None, "realm_ids": None, "limit": 50}
    async with explained(filled, "list_executions", "custom", **given, **rest) as plan:
        assert touched(plan) <= 50 * 4


@pytest.fixture
async def earlier(empty_dsn: str, migrations: Path) -> str:
    """A log of the version before, with rows."""
    later = {migrations / f"{name}.sql": "" for name in migration_names() if name > EARLIER}
    for path in later:
        later[path] = path.read_text()
        path.unlink()
    await execlog.migrate(empty_dsn)
    for path, text in later.items():
        path.write_text(text)
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(FILL)
    await connection.execute(f"analyze {TABLE}")
    await connection.close()
    return empty_dsn


async def leaves(connection: Connection) -> set[str]:
    """The partitions' indexes that belong to that of users."""
    found = await connection.fetch(
        "select inhrelid::regclass::text as name from pg_inherits"
        f" join pg_index on indexrelid = inhrelid where inhparent = '{INDEX}'::regclass"
        " and indisvalid"
    )
    return {one["name"] for one in found}


@pytest.mark.parametrize("before", ["as it was", "built beforehand", "dropped beforehand"])
async def test_a_log_that_has_another(earlier: str, before: str) -> None:
    """It gets this one, whose statistics are known, and loses the other."""
    connection = await asyncpg.connect(earlier)
    partition = await connection.fetchval(f"select tableoid::regclass::text from {TABLE} limit 1")
    if before == "built beforehand":
        await connection.execute(
            f"create index concurrently mine on {partition}"
            " (pg_catalog.hashtextextended(external_user_id, 0))"
        )
    if before == "dropped beforehand":
        await connection.execute(f"drop index {TABLE}_user")
    lacking = [name for name in migration_names() if name > EARLIER]
    assert await execlog.migrate(connection) == lacking
    kinds = await connection.fetch(
        "select distinct amname from pg_class join pg_am on pg_am.oid = relam"
        " where relkind in ('i', 'I') and relnamespace = 'execlog'::regnamespace"
    )
    assert [one["amname"] for one in kinds] == ["btree"]
    indexes = await leaves(connection)
    assert len(indexes) == 5
    assert ("execlog.mine" in indexes) == (before == "built beforehand")
    distinct = await connection.fetchval(
        "select abs(n_distinct) > 0 from pg_stats where schemaname = 'execlog'"
        " and attname = 'hashtextextended' and format('execlog.%I', tablename) = any($1::text[])",
        sorted(indexes),
    )
    assert distinct
    await connection.close()
    async with asyncpg.create_pool(earlier, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        found = await log.list_executions(external_user_id="user-7", limit=200)
    assert len(found) == ROWS // USERS
