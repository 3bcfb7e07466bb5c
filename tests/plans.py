"""The plans of statements on seeded data; an assertion over one that fails says the whole plan."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog import StrategyExecutionLogRepository
from execlog.repository import statements
from tests.rows import row
from tests.types import Pool

# Twelve days, each a partition of its own, in a year that the migration's own partitions leave out.
START = datetime(2020, 3, 1, tzinfo=UTC)
DAYS = 12
ROWS_A_DAY = 5000
STRATEGIES = 20
UNDATED = 400
WINDOW = (START + timedelta(days=3), START + timedelta(days=5, hours=-1))
STRATEGY = "strategy-1"
REALM = "realm-1"
REALMS = 4
USERS = 997
STEP = timedelta(days=1) / ROWS_A_DAY
IN_WINDOW = sum(
    WINDOW[0] <= START + n * STEP <= WINDOW[1] for n in range(1, DAYS * ROWS_A_DAY, STRATEGIES)
)
MODES = ("custom", "generic")

Node = dict[str, Any]


async def seed(pool: Pool) -> None:
    for day in range(DAYS):
        begin = START + timedelta(days=day)
        await pool.execute(
            f"create table execlog.day_{day} partition of execlog.strategy_execution_log"
            f" for values from ('{begin}') to ('{begin + timedelta(days=1)}')"
        )
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(
        row(
            strategy_id=f"strategy-{n % STRATEGIES}",
            created_at=START + n * STEP,
            realm_id=f"realm-{n % REALMS}",
            status="error" if n // STRATEGIES % 5 == 0 else "ok",
            error_code="E1" if n // STRATEGIES % 5 == 0 else None,
            points=None if n // STRATEGIES % 5 == 0 else float(n % 50),
            case_name=f"case-{n % 7}",
            duration_ms=float(n % 97),
            external_user_id=f"user-{n % USERS}",
        )
        for n in range(DAYS * ROWS_A_DAY)
    )
    await repository.insert_rows(
        row(
            strategy_id=f"strategy-{n % STRATEGIES}",
            realm_id=f"realm-{n % REALMS}",
            created_at=None,
            status="error",
        )
        for n in range(UNDATED)
    )
    await pool.execute("vacuum (analyze) execlog.strategy_execution_log")


@contextmanager
def shown(plan: str) -> Iterator[None]:
    """What fails in the block ends its message with the plan."""
    try:
        yield
    except Exception as error:
        error.add_note(plan)
        raise


@asynccontextmanager
async def explained(
    pool: Pool, name: str, mode: str, *switches: str, **values: object
) -> AsyncIterator[Node]:
    """The executed plan of a statement, through a real prepared statement in that mode.

    What fails in the block says the statement, the mode, the shape, the values and the plan, as
    EXPLAIN prints it.
    """
    statement = statements()[name]
    query = statement.query(*switches, **values)
    chosen = {*switches, *(one for one in statement.filters if values.get(one) is not None)}
    types, literals = "", ""
    if query.values:
        parameters = statement.shape(frozenset(chosen)).parameters
        types = f"({', '.join(parameter.type for parameter in parameters)})"
        literals = f"({', '.join(map(literal, query.values))})"
    async with pool.acquire() as connection:
        await connection.execute(f"prepare explained {types} as {query.sql}")
        try:
            async with connection.transaction():
                await connection.execute(f"set local plan_cache_mode = force_{mode}_plan")
                data, text = [
                    await connection.fetch(
                        f"explain (analyze, buffers, format {form}) execute explained {literals}"
                    )
                    for form in ("json", "text")
                ]
        finally:
            await connection.execute("deallocate explained")
    plan: Node = json.loads(data[0][0])[0]["Plan"]
    head = f"{name}, {mode} plan, shape: {', '.join(sorted(chosen)) or 'none chosen'}"
    asked = ", ".join(f"{one}={value}" for one, value in values.items())
    with shown("\n".join([head, asked, *(line[0] for line in text)])):
        yield plan


def scope(
    window: tuple[datetime | None, ...], strategy_id: str | None = STRATEGY
) -> dict[str, object]:
    return {"strategy_id": strategy_id, "since": window[0], "until": window[1]}


def literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"'{{{','.join(value)}}}'"
    return str(value).lower() if isinstance(value, int) else f"'{value}'"


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def executed(plan: Node, key: str) -> list[Node]:
    """The nodes that have this key and were carried out; what they read is no rollup."""
    return [
        node
        for node in nodes(plan)
        if key in node and node["Actual Loops"] and not node[key].startswith("rollup")
    ]


def reading(plan: Node) -> list[Node]:
    """The scans of tables; those of empty partitions, which cost nothing in any way, left out."""
    return [
        node
        for node in executed(plan, "Relation Name")
        if not (node["Node Type"] == "Seq Scan" and rows_read(node) == 0)
    ]


def rows_read(node: Node) -> float:
    """The rows of one scan, those that a filter threw away included."""
    rows: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return rows * int(node["Actual Loops"])


def touched(plan: Node) -> float:
    return sum(map(rows_read, reading(plan)))


async def indexes_of(pool: Pool, parents: tuple[str, ...]) -> set[str]:
    """The indexes of the partitions that belong to those of the table."""
    found = await pool.fetch(
        "select inhrelid::regclass::text as index from pg_inherits"
        " where inhparent::regclass::text = any($1::text[])",
        [f"execlog.{parent}" for parent in parents],
    )
    return {record["index"].removeprefix("execlog.") for record in found}


def file_of(name: str) -> str:
    return name.partition(",")[0]


async def foreign_indexes(pool: Pool, name: str, plan: Node, *, default: bool = False) -> set[str]:
    """What reads a table of rows beside the indexes that the header names; rollups are empty here.

    With `default`, the DEFAULT partition may be read from end to end: here it holds nothing but
    rows without a time, all of which are asked for.
    """
    allowed = await indexes_of(pool, statements()[file_of(name)].indexes)
    used = {node["Index Name"] for node in executed(plan, "Index Name")}
    return used - allowed | {
        node["Node Type"]
        for node in reading(plan)
        if node["Node Type"] == "Seq Scan"
        and not node["Relation Name"].startswith("rollup")
        and not (default and node["Relation Name"] == "strategy_execution_log_default")
    }
