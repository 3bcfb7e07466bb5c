"""A tenant sees its own rows and no others, in every shape of every statement that reads.

What it is told must be what a log is told that holds no other rows: by a tenant's role whatever is
asked, and by anybody's if the tenant is what is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.db.statements import Statement
from execlog.repository import statements
from tests.db.test_roles import login, prefix, roles
from tests.db.test_statements import shapes
from tests.rows import row
from tests.types import Pool

__all__ = ["prefix", "roles"]
pytestmark = pytest.mark.long

TENANT = "acme"
ONLY = "only acme"
DAY = timedelta(days=1)
NOW = datetime.now(UTC)
LAST = UUID(int=2**128 - 1)
HOUR_US = 3600 * 10**6
ROWS = [
    row(
        strategy_id=strategy,
        realm_id=realm,
        status=status,
        created_at=at,
        case_name=f"of {realm}",
        error_code=f"of {realm}",
        points=points,
        external_user_id="u",
        external_game_id="g",
        external_task_id="t",
        parent_strategy_id="p",
        trace_id=UUID(int=7),
        attributes={"n": 1},
        trace=[{"node": f"of {realm}", "ms": points}],
    )
    for strategy in ("loyalty", "second")
    for realm, points in ((TENANT, 1.0), ("other", 2.0), (None, 4.0))
    for status in ("ok", "error", "odd")
    for at in (NOW, NOW - 400 * DAY, None)
]
GIVEN: dict[str, Any] = {
    "strategy_id": "loyalty",
    "strategy_ids": ["loyalty", "second"],
    "a": "loyalty",
    "b": "second",
    "realm_ids": [TENANT],
    "realm_ids_b": [TENANT],
    "strategy_versions": [3],
    "strategy_versions_b": [3],
    "since_b": NOW - 500 * DAY,
    "until_b": NOW + DAY,
    "since": NOW - 500 * DAY,
    "until": NOW + DAY,
    "before": NOW - 1100 * DAY,
    "since_before": NOW - 1100 * DAY,
    "until_before": NOW - 501 * DAY,
    "strategy_types": ["DSL_FULL"],
    "status": "error",
    "statuses": ["error", "odd"],
    "statuses_left_out": ["ok"],
    "error_codes": [f"of {TENANT}"],
    "case_names": [f"of {TENANT}"],
    "external_user_ids": ["u"],
    "external_game_ids": ["g"],
    "external_task_ids": ["t"],
    "parent_strategy_ids": ["p"],
    "trace_ids": [UUID(int=7).hex],
    "attributes": '{"n": 1}',
    "attribute_texts": '{"n": "1"}',
    "min_nodes": 0,
    "max_nodes": 100,
    "min_duration_ms": 0.0,
    "max_duration_ms": 1e9,
    "above_duration_ms": 0.0,
    "min_points": 0.0,
    "max_points": 1e9,
    "below_points": 1e9,
    "before_created_at": NOW + DAY,
    "before_id": LAST,
    "before_undated_id": LAST,
    "before_strategy_id": "loyalty",
    "before_undated_strategy_id": "loyalty",
    "after_created_at": NOW - 400 * DAY,  # and the last of the tenant's runs of that time
    "lowest": UUID(int=0),
    "highest": LAST,
    "seen": "3:3:",
    "upto": None,
    "after_xid": "0",
    "after_id": max(
        one.id
        for one in ROWS
        if (one.realm_id, one.created_at) == (TENANT, NOW - 400 * DAY)
        and one.strategy_id == "loyalty"
    ),
    "strategies": ["loyalty", "absent"],
    "realms": [TENANT],
    "versions": ["3", "4"],
    "codes": [f"of {TENANT}", "absent"],
    "cases": [f"of {TENANT}", "absent"],
    "words": ["failed", "limit"],
    "attribute": "n",
    "order": "runs",
    "newest": 2000,
    "most_bytes": 10**6,
    "trace_bytes": 10**6,
    "slower_than_ms": None,
    "limit": 50,
    "by": "runs",
    "min_runs": 1,
    "baseline_since": NOW - 800 * DAY,
    "baseline_until": NOW - 300 * DAY,
    "measured_case": f"of {TENANT}",
    "step_us": 24 * HOUR_US,
    "steps": 1000,
    "narrow_steps": 1000,
    "most_runs": 10**6,
    "drawn_runs": 10**6,
    "least_blocks": 1,
    "fractions": "{0,0.5,1}",
    "first_us": HOUR_US,
    "width_us": 600 * 24 * HOUR_US,
    "width_us_before": 600 * 24 * HOUR_US,
    "buckets": 2,
    "buckets_before": 1,
}
# About the log, and not about its rows; or one that is asked about each row below.
OTHERS = {"health", "list_tables", "maintenance_state", "rollup_state", "get"}
OTHERS |= {"archive_state", "recorder_account", "count_stored", "spooling_recorders"}
READING = {
    name: (statement, statements(ONLY)[name])
    for name, statement in statements().items()
    if not statement.writes and name not in OTHERS
}


@pytest.fixture
async def tenant(roles: dict[str, Pool], dsn: str, prefix: str) -> AsyncIterator[Pool]:
    """A pool for the reader of one realm, in a log of three; beside it a log of that one alone."""
    admin = roles["admin"]
    await StrategyExecutionLogRepository(admin).insert_rows(ROWS)
    await execlog.migrate(admin, schema=ONLY)
    only = StrategyExecutionLogRepository(admin, schema=ONLY)
    await only.insert_rows(one for one in ROWS if one.realm_id == TENANT)
    role = f"{prefix} tenant"
    sql = execlog.dump_realm_reader(realm_id=TENANT, role=role, prefix=prefix, inputs=True)
    await admin.execute(sql)
    own = await login(admin, dsn, role)
    async with asyncpg.create_pool(own, min_size=0, max_size=1) as pool:
        yield pool


async def told(pool: Pool, statement: Statement, chosen: frozenset[str]) -> list[dict[str, Any]]:
    sql, parameters = statement.shape(chosen)
    values = [GIVEN[one.name] for one in parameters]
    for place, one in enumerate(parameters):
        if one.type == "text[]":  # versions are sent as text by some
            values[place] = [*map(str, values[place])]
    found = await pool.fetch(sql, *values)
    # The two logs took the same rows at different times, and the two were asked at different
    # times: another database's transactions move a snapshot too.
    of_time = ("stored_at", "last_xid", "upto", "current")
    return [{name: held for name, held in one.items() if name not in of_time} for one in found]


@pytest.mark.parametrize("name", READING)
async def test_every_shape_shows_its_own_rows(
    roles: dict[str, Pool], tenant: Pool, name: str
) -> None:
    statement, only = READING[name]
    for chosen in shapes(statement):
        expected = await told(roles["admin"], only, chosen)
        assert await told(tenant, statement, chosen) == expected, sorted(chosen)
        if realms := statement.filters & {"realm_ids", "realm_ids_b"}:
            asked = chosen | realms
            expected = await told(roles["admin"], only, asked)
            assert await told(roles["admin"], statement, asked) == expected, sorted(asked)
            assert await told(tenant, statement, asked) == expected, sorted(asked)


async def test_what_is_asked_finds_something(roles: dict[str, Pool], tenant: Pool) -> None:
    """Else all of the above would be the same of nothing."""
    for name, (statement, _) in READING.items():
        everything = await told(roles["admin"], statement, frozenset())
        own = await told(tenant, statement, frozenset())
        assert own, name
        if name == "list_absent":
            continue  # it is told what is asked for and not there
        assert own != everything, name
    for one in ROWS:
        found = await tenant.fetch(statements()["get"].shape(frozenset()).sql, one.id)
        assert bool(found) == (one.realm_id == TENANT)
