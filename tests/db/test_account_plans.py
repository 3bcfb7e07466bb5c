"""What accounts for executions reads the hours of its window, and an index entry a stored row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository
from tests import databases
from tests.databases import TABLE
from tests.plans import MODES, explained, nodes, reading, rows_read, touched
from tests.rows import row
from tests.types import Pool

pytestmark = pytest.mark.long

RECORDERS, HOURS = 40, 20 * 24
BATCHES, BATCH_ROWS = 300, 20
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
async def accounted(template: str) -> AsyncIterator[Pool]:
    """Many recorders that were there for weeks, and what was stored in the last hours."""
    durable = {"synchronous_commit": "on"}
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=durable) as pool,
    ):
        log = StrategyExecutionLogRepository(pool)
        for _ in range(BATCHES):
            await log.insert_rows([row() for _ in range(BATCH_ROWS)])
        await pool.execute(
            "insert into execlog.recorder_account (recorder_id, hour, earlier, host, pid,"
            " application, started_at, last_seen, offered, recovered, sampled_out, rejected,"
            " dropped, written, pending, capacity, first_xid, last_xid)"
            " select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,"
            " $1::timestamptz - hours * interval '1 hour',"
            " $1::timestamptz - (hours + 1) * interval '1 hour', 'host', n, 'engine', now(), now(),"
            " 0, 0, 0, '{}', '{}', 0, 0, 100,"
            " (last.xid - 10 * hours)::text::xid8, (last.xid - 10 * hours + 9)::text::xid8"
            " from generate_series(1, $2) as n, generate_series(0, $3 - 1) as hours,"
            f" (select max(stored_xid::text::bigint) - 9 as xid from {TABLE}) as last",
            NOW,
            RECORDERS,
            HOURS,
        )
        await pool.execute(f"vacuum (analyze) {TABLE}, execlog.recorder_account")
        yield pool


@pytest.mark.parametrize("mode", MODES)
async def test_an_account_reads_its_hours(accounted: Pool, mode: str) -> None:
    since = NOW - 23 * HOUR
    async with explained(accounted, "recorder_account", mode, since=since, until=None) as plan:
        assert plan["Actual Rows"] == RECORDERS
        read = reading(plan)
        used = {node.get("Index Name") for node in nodes(plan) if "Index Name" in node}
        assert used == {"recorder_account_hour", "recorder_account_pkey"}
        assert not [node for node in read if node["Node Type"] == "Seq Scan"]
        assert sum(map(rows_read, read)) <= RECORDERS * (24 + 4)


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_stored_is_counted_by_the_index_of_arrival(
    accounted: Pool, mode: str
) -> None:
    since, until = NOW - 9 * HOUR, NOW - 5 * HOUR
    async with explained(accounted, "count_stored", mode, since=since, until=until) as plan:
        stored = [node for node in reading(plan) if "log" in node["Relation Name"]]
        assert {node["Node Type"] for node in stored} == {"Index Only Scan"}
        assert sum(map(rows_read, stored)) == 5 * 10 * BATCH_ROWS
    assert touched(plan) > 0
    log = StrategyExecutionLogRepository(accounted)
    assert await log.count_stored(since=since, until=until) == 5 * 10 * BATCH_ROWS
