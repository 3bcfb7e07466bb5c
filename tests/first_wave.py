"""A log of the first wave (commit 86d4d60) as its users have it: where upgrades start from.

`tests/fixtures/first_wave.sql` is a plain dump of it, without COPY, so that any client loads it. It
holds rows with all columns, with none of the optional ones, without a time and at the ends of the
calendar, sampled rows, rollups, days that retention dropped, days of which only the failures are
left, the three roles, and a tenant. It was made by a server of version 15, the oldest that counts:

    git worktree add /tmp/first_wave 86d4d60
    EXECLOG_POSTGRES_BIN=/usr/lib/postgresql/15/bin PYTHONPATH=/tmp/first_wave \
        python -P tests/first_wave.py > tests/fixtures/first_wave.sql
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from tests.types import Borrowed, Connection

DUMP = Path(__file__).parent / "fixtures" / "first_wave.sql"
PREFIX = "first"
ROLES = ("first_owner", "first_writer", "first_reader", "first_tenant")
REALM = "north"
ROWS = 157
"""How many executions it holds."""
RUNS = 259
"""Of how many its rollups tell: retention has removed the others."""

COLUMNS = tuple(
    """
    id created_at strategy_id strategy_version strategy_type realm_id external_game_id
    external_task_id external_user_id status error_code points case_name duration_ms nodes_executed
    trace sampled sample_rate parent_strategy_id notes
    """.split()
)
"""What it writes."""
_CLAIM = """
    insert into execlog.recorder_progress as progress (recorder_id, batch)
    values ($1, $2)
    on conflict (recorder_id) do update set batch = excluded.batch, stored_at = excluded.stored_at
    where progress.batch < excluded.batch
    returning progress.batch
"""

_FAR_OFF = (
    datetime.min.replace(tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
    datetime(2300, 2, 28, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 0, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    None,
    None,
)


async def restore(dsn: str) -> None:
    """Loads it into an empty database."""
    connection = await asyncpg.connect(dsn)
    try:
        # Whose server it is now, the superuser may have another name.
        text = re.sub(r"\b(OWNER TO|FOR ROLE) postgres\b", r"\1 CURRENT_USER", DUMP.read_text())
        await connection.execute(text)
    finally:
        await connection.close()


async def insert(
    connection: Connection | Borrowed, rows: Sequence[Mapping[str, Any]], schema: str = "execlog"
) -> None:
    """Stores rows as the first wave did. Raises as the driver does."""
    records = [tuple(one.get(name) for name in COLUMNS) for one in rows]
    await connection.copy_records_to_table(
        "strategy_execution_log", schema_name=schema, columns=COLUMNS, records=records
    )


async def record(
    connection: Connection,
    recorder: UUID,
    batch: int,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Stores a batch as a recorder of the first wave did, once. Raises as the driver does."""
    async with connection.transaction():
        if await connection.fetchval(_CLAIM, recorder, batch) is not None:
            await insert(connection, rows)


def _row(n: int, time: datetime | None, **changes: Any) -> dict[str, Any]:
    failed = n % 4 == 3
    row: dict[str, Any] = {
        "id": UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 | n),
        "created_at": time,
        "strategy_id": ("loyalty", "referral")[n % 2],
        "strategy_version": 1 + n % 3,
        "strategy_type": "DSL_FULL",
        "realm_id": ("north", "south", None)[n % 3],
        "status": ("error", "timeout", "limit", "odd one")[n // 4 % 4] if failed else "ok",
        "error_code": f"E{n % 5}" if failed and n % 8 != 7 else None,
        "points": None if failed else 0.001 * (n % 7 - 2),
        "case_name": None if n % 5 == 0 else f"case {n % 3}",
        # Small: a rollup's histogram has ten digits for each bar up to the greatest value.
        "duration_ms": 2500.0 if n % 83 == 0 else 0.001 * (1 + n % 9),
        "nodes_executed": n % 11,
    }
    return row | changes


def _rows(now: datetime) -> list[dict[str, Any]]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    ages = {"dropped": 40, "thinned": 20, "thinned too": 19, "kept": 3}
    rows: list[dict[str, Any]] = []
    for days in ages.values():
        for n in range(40):
            time = hour - timedelta(days=days) + timedelta(minutes=n % 2, seconds=n)
            rows.append(_row(len(rows), time))
    for n in range(60):
        rows.append(_row(len(rows), hour - timedelta(minutes=90, seconds=n)))
    for n in range(30):
        changes = {"status": "ok", "points": 1.0, "error_code": None}
        sampled = {"sampled": True, "sample_rate": 0.05}
        rows.append(_row(len(rows), hour - timedelta(minutes=30, seconds=n), **changes, **sampled))
    rows += [_row(len(rows) + n, time) for n, time in enumerate(_FAR_OFF)]
    rows.append(
        _row(
            len(rows),
            hour - timedelta(minutes=45),
            strategy_id="all of it\t\\ 'quoted' \N{SNOWMAN}",
            external_game_id="game",
            external_task_id="task",
            external_user_id="user",
            status="error",
            error_code="E9",
            points=-3.25,
            case_name="",
            trace=[{"node": 1, "output": {"deep": [1, 2.5, None, "\N{GREEK SMALL LETTER ALPHA}"]}}],
            parent_strategy_id="loyalty",
            notes="trace truncated: 1000 -> 200 entries",
        )
    )
    return rows


async def _make(dsn: str) -> str:
    """Makes the log on a server of its own; answers the SQL of its roles."""
    import execlog

    now = datetime.now(UTC)
    await execlog.migrate(dsn)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        log = execlog.StrategyExecutionLogRepository(pool)
        keep: dict[str, Any] = {"retain": timedelta(days=10), "retain_failures": timedelta(days=30)}
        await execlog.maintain(dsn, interval="day", ahead=2)
        await log.insert_rows(_rows(now))
        # Days for what lies in DEFAULT; then some of them go, some lose their ok runs.
        for retention in (dict[str, Any](), keep):
            wish = execlog.Maintenance(interval="day", ahead=2, **retention)
            steps = await execlog.maintain(dsn, **asdict(wish))
            print(
                *(f"-- {step.action} {step.partition}" for step in steps), sep="\n", file=sys.stderr
            )
            assert not [step for step in steps if step.outcome != "done"], steps
        await pool.execute(execlog.dump_roles(prefix=PREFIX))
        tenant = execlog.dump_realm_reader(realm_id=REALM, role=ROLES[3], prefix=PREFIX)
        await pool.execute(tenant)
        found = await pool.fetch(
            "select rolname, rolbypassrls, rolconfig from pg_roles where rolname = any($1)", ROLES
        )
    return "".join(map(_role, found))


def _role(found: asyncpg.Record) -> str:
    name = found["rolname"]
    made = f"create role {name} login"
    sql = f"do $$ begin if to_regrole('{name}') is null then {made}; end if; end $$;\n"
    if found["rolbypassrls"]:
        sql += f"alter role {name} bypassrls;\n"
    for setting in found["rolconfig"] or ():
        key, _, value = setting.partition("=")
        sql += f"alter role {name} set {key} = '{value}';\n"
    return sql


def _dumped(dsn: str) -> str:
    program = Path(os.environ["EXECLOG_POSTGRES_BIN"], "pg_dump")
    words = ["--inserts", "--rows-per-insert=100", "--schema=execlog"]
    text = subprocess.run([program, *words, dsn], capture_output=True, text=True, check=True).stdout
    # What only psql understands.
    return re.sub(r"^\\.*\n", "", text, flags=re.MULTILINE)


def main() -> None:
    from execlog.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        roles = asyncio.run(_make(server.dsn))
        print("-- A log of commit 86d4d60; tests/first_wave.py says how it was made.\n")
        print(roles)
        print(_dumped(server.dsn), end="")


if __name__ == "__main__":
    main()
