"""The plan of each statement on seeded data: its index, the rows that it touches, its partitions.

Each is shown for the plan that knows its parameters and for the generic one, which the server may
choose after five calls and which must be as good.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository
from execlog.repository import statements
from tests import databases
from tests.rows import row
from tests.types import Pool

# Twelve days, each a partition of its own, in a year that the migration's own partitions leave out.
START = datetime(2020, 3, 1, tzinfo=UTC)
DAYS = 12
pytestmark = pytest.mark.long
ROWS_A_DAY = 5000
STRATEGIES = 20
UNDATED = 400
WINDOW = (START + timedelta(days=3), START + timedelta(days=5, hours=-1))
STRATEGY = "strategy-1"
REALM = "realm-1"
REALMS = 4
STEP = timedelta(days=1) / ROWS_A_DAY
IN_WINDOW = sum(
    WINDOW[0] <= START + n * STEP <= WINDOW[1] for n in range(1, DAYS * ROWS_A_DAY, STRATEGIES)
)
PAGE = 50
MAX_UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

# Where a page begins: its switches, and its cursor.
CURSORS: dict[str, tuple[list[str], dict[str, object]]] = {
    "first": ([], {}),
    "middle": (
        ["undated_follow"],
        {"before_created_at": START + timedelta(days=6), "before_id": MAX_UUID},
    ),
    "undated": ([], {"before_undated_id": MAX_UUID}),
}

Node = dict[str, Any]


@pytest.fixture(scope="module")
async def pool(template: str) -> AsyncIterator[Pool]:
    # Vacuum marks no page as visible to all whose commit is not on disk yet, and the throwaway
    # server commits asynchronously.
    durable = {"synchronous_commit": "on"}
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=durable) as own,
    ):
        await seed(own)
        yield own


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


async def explain(pool: Pool, name: str, mode: str, *switches: str, **values: object) -> Node:
    """The executed plan of a statement, through a real prepared statement in that mode."""
    statement = statements()[name]
    query = statement.query(*switches, **values)
    types, literals = "", ""
    if query.values:
        given = {one for one in statement.filters if values.get(one) is not None}
        parameters = statement.shape(frozenset({*switches, *given})).parameters
        types = f"({', '.join(parameter.type for parameter in parameters)})"
        literals = f"({', '.join(map(literal, query.values))})"
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local plan_cache_mode = force_{mode}_plan")
        await connection.execute(f"prepare explained {types} as {query.sql}")
        try:
            text = await connection.fetchval(
                f"explain (analyze, buffers, format json) execute explained {literals}"
            )
        finally:
            await connection.execute("deallocate explained")
    plan: Node = json.loads(text)[0]["Plan"]
    return plan


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


MODES = ("custom", "generic")
WINDOWED: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    # Its switches, and what it is told beside a strategy and a window.
    "count_by_status": ((), {}),
    "count_by_error_code": ((), {"limit": 10}),
    "count_by_case_name": ((), {"limit": 10}),
    "duration_and_nodes_summary": ((), {}),
    "sample_durations": ((), {"limit": 5000, "realm_ids": None}),
    "sample_points": ((), {"limit": 5000}),
    "duration_percentiles": ((), {"fractions": "{0.5,0.95,0.99}"}),
    "metrics": ((), {"realm_ids": None}),
    "metrics, sampled": (("sampled",), {"realm_ids": None}),
}
# How often a statement reads what it is asked about: a card's edges of points are known only after
# its first pass.
PASSES = {"metrics": 2, "metrics, sampled": 2}


async def explain_windowed(
    pool: Pool, name: str, mode: str, window: tuple[object, object], **values: object
) -> Node:
    switches, rest = WINDOWED[name]
    since, until = window
    given = {"strategy_id": STRATEGY, "since": since, "until": until, **rest, **values}
    return await explain(pool, file_of(name), mode, *switches, **given)


def file_of(name: str) -> str:
    return name.partition(",")[0]


async def foreign_indexes(pool: Pool, name: str, plan: Node, *, default: bool = False) -> set[str]:
    """What reads a table beside the indexes that the header names.

    With `default`, the DEFAULT partition may be read from end to end: here it holds nothing but
    rows without a time, all of which are asked for.
    """
    allowed = await indexes_of(pool, statements()[file_of(name)].indexes)
    used = {node["Index Name"] for node in executed(plan, "Index Name")}
    return used - allowed | {
        node["Node Type"]
        for node in reading(plan)
        if node["Node Type"] == "Seq Scan"
        and not (default and node["Relation Name"] == "strategy_execution_log_default")
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WINDOWED)
async def test_a_window_reads_its_own_rows_from_its_own_partitions(
    pool: Pool, name: str, mode: str
) -> None:
    plan = await explain_windowed(pool, name, mode, WINDOW)
    read = reading(plan)
    assert await foreign_indexes(pool, name, plan) == set()
    assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
    assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    assert sum(node["Heap Fetches"] for node in read) == 0
    assert touched(plan) == IN_WINDOW * PASSES.get(name, 1)
    assert len(read) == 2 * PASSES.get(name, 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WINDOWED)
async def test_without_a_window_it_reads_the_strategy_and_no_other(
    pool: Pool, name: str, mode: str
) -> None:
    plan = await explain_windowed(pool, name, mode, (None, None))
    assert await foreign_indexes(pool, name, plan) == set()
    assert touched(plan) == (DAYS * ROWS_A_DAY + UNDATED) // STRATEGIES * PASSES.get(name, 1)


@pytest.mark.parametrize("mode", MODES)
async def test_a_comparison_reads_two_strategies_as_a_card_reads_one(pool: Pool, mode: str) -> None:
    plan = await explain(
        pool,
        "compare",
        mode,
        a=STRATEGY,
        b="strategy-2",
        since=WINDOW[0],
        until=WINDOW[1],
        realm_ids=None,
    )
    read = reading(plan)
    assert await foreign_indexes(pool, "compare", plan) == set()
    assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
    assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    assert touched(plan) == pytest.approx(2 * PASSES["metrics"] * IN_WINDOW)


@pytest.mark.parametrize("mode", MODES)
async def test_a_time_series_reads_each_row_once(pool: Pool, mode: str) -> None:
    width = int((WINDOW[1] - WINDOW[0]) / timedelta(microseconds=47))
    plan = await explain(
        pool,
        "timeseries",
        mode,
        **scope(WINDOW),
        realm_ids=None,
        width_us=width,
        buckets=47,
    )
    read = reading(plan)
    assert await foreign_indexes(pool, "timeseries", plan) == set()
    assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
    assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    # The server rounds the rows of a loop.
    assert touched(plan) == pytest.approx(IN_WINDOW, rel=0.1)
    assert sum(node["Index Searches"] for node in read if "Index Searches" in node) <= 2 * 47


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [[REALM], [REALM, "realm-2"], ["no such"], []])
@pytest.mark.parametrize("name", ["metrics", "metrics, sampled", "sample_durations", "timeseries"])
async def test_a_window_of_realms_reads_no_more_than_one_of_all(
    pool: Pool, name: str, realms: list[str], mode: str
) -> None:
    if name == "timeseries":
        cut = {"width_us": 7200 * 10**6, "buckets": 24}
        plan = await explain(pool, name, mode, **scope(WINDOW), realm_ids=realms, **cut)
    else:
        plan = await explain_windowed(pool, name, mode, WINDOW, realm_ids=realms)
    assert await foreign_indexes(pool, name, plan) == set()
    assert {node["Relation Name"] for node in reading(plan)} <= {"day_3", "day_4"}
    assert touched(plan) <= IN_WINDOW * PASSES.get(name, 1) * 1.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [None, [REALM]])
async def test_a_report_reads_what_its_parts_read(
    pool: Pool, realms: list[str] | None, mode: str
) -> None:
    length = (WINDOW[1] - WINDOW[0]) / timedelta(microseconds=1)
    plan = await explain(
        pool,
        "report",
        mode,
        **scope(WINDOW),
        realm_ids=realms,
        width_us=int(length / 24),
        buckets=24,
        since_before=WINDOW[0] - (WINDOW[1] - WINDOW[0]),
        until_before=WINDOW[0] - timedelta(microseconds=1),
        width_us_before=int(length),
        buckets_before=1,
    )
    read = reading(plan)
    assert await foreign_indexes(pool, "report", plan) == set()
    assert {node["Relation Name"] for node in read} == {"day_1", "day_2", "day_3", "day_4"}
    if realms is None:
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    # The card twice, the series once, the window before once.
    assert touched(plan) == pytest.approx(4 * IN_WINDOW, rel=0.1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strategies", [None, [STRATEGY], [STRATEGY, "strategy-2"]])
@pytest.mark.parametrize("realms", [None, [REALM]])
async def test_activity_reads_each_row_once(
    pool: Pool, realms: list[str] | None, strategies: list[str] | None, mode: str
) -> None:
    since, until = WINDOW
    before = since - (until - since)
    hours = {"first_us": 3600 * 10**6, "width_us": 3600 * 10**6, "buckets": 47}
    # Counts are from rollups where there are any, however few runs there are.
    await pool.execute("update execlog.rollup_state set complete_from = 'infinity'")
    try:
        plan = await explain(
            pool,
            "activity",
            mode,
            realm_ids=realms,
            strategy_ids=strategies,
            before=before,
            since=since,
            until=until,
            **hours,
        )
    finally:
        await pool.execute("update execlog.rollup_state set complete_from = '-infinity'")
    read = reading(plan)
    assert await foreign_indexes(pool, "activity", plan) == set()
    assert {node["Relation Name"] for node in read} == {"day_1", "day_2", "day_3", "day_4"}
    if strategies and realms is None:
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
    rows = 2 * IN_WINDOW * (len(strategies) if strategies else STRATEGIES)
    # The server rounds the rows of a loop.
    assert touched(plan) == pytest.approx(rows, rel=0.1)


EXECUTIONS: dict[str, tuple[tuple[str, ...], dict[str, object], float]] = {
    # What is asked for, and how many rows are passed over for each that is found.
    "all": ((), {}, 1),
    "ok": ((), {"status": "ok"}, 5 / 4),
    "failed": (("failed",), {}, 5),
    "error": (("failed",), {"status": "error"}, 5),
    "code": ((), {"error_code": "E1"}, 5),
    "case": ((), {"case_name": "case-3"}, 7),
    "duration": ((), {"min_duration_ms": 48.0}, 2),
    "points": ((), {"min_points": 10.0, "max_points": 40.0}, 2),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
@pytest.mark.parametrize("about", EXECUTIONS)
async def test_executions_are_found_in_the_index(
    pool: Pool, about: str, window: tuple[datetime | None, ...], mode: str
) -> None:
    switches, filters, passed = EXECUTIONS[about]
    plan = await explain(
        pool,
        "list_executions",
        mode,
        *switches,
        **scope(window),
        realm_ids=None,
        **filters,
        limit=PAGE,
    )
    assert await foreign_indexes(pool, "list_executions", plan) == set()
    read = reading(plan)
    heap = [node for node in read if node["Node Type"] != "Index Only Scan"]
    assert sum(map(rows_read, heap)) <= PAGE
    if window == WINDOW:
        assert {node["Relation Name"] for node in read} <= {"day_3", "day_4"}
    # The page in the index and in the table, with what is passed over, and one row ahead in each
    # partition.
    undated = UNDATED / STRATEGIES if window == (None, None) else 0
    assert touched(plan) <= PAGE * (passed + 1) * 1.2 + len(read) + 3 * undated


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [None, [REALM], [REALM, "realm-2"], ["no such"], []])
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
async def test_the_failures_of_a_realm_are_a_page_of_an_index(
    pool: Pool, realms: list[str] | None, window: tuple[datetime | None, ...], mode: str
) -> None:
    plan = await explain(
        pool,
        "list_failures",
        mode,
        *(["of_one_realm"] if realms is not None and len(realms) < 2 else []),
        realm_ids=realms,
        since=window[0],
        until=window[1],
        limit=PAGE,
    )
    read = reading(plan)
    assert await foreign_indexes(pool, "list_failures", plan, default=True) == set()
    if window == WINDOW:
        assert {node["Relation Name"] for node in read} <= {"day_3", "day_4"}
    # The page, and one row ahead in each partition; where too few are left, all that are left.
    if realms is None or len(realms) < 2:
        assert touched(plan) <= PAGE + len(read) + UNDATED
    else:
        # Two of four realms: every other failure is passed over.
        assert touched(plan) <= PAGE * 2 * 1.2 + 2 * len(read) + UNDATED


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [None, "ok", "error"])
@pytest.mark.parametrize("page", ["first", "middle", "undated"])
async def test_the_newest_of_all_are_a_page_of_an_index(
    pool: Pool, status: str | None, page: str, mode: str
) -> None:
    plan = await explain(
        pool,
        "list_newest",
        mode,
        *(["failed_of_all"] if status not in (None, "ok") else []),
        *CURSORS[page][0],
        status=status,
        limit=PAGE,
        **CURSORS[page][1],
    )
    read = reading(plan)
    assert await foreign_indexes(pool, "list_newest", plan, default=True) == set()
    # The page, a fifth of failures passed over among the ok, one row ahead in each partition; and
    # those without a time, which may be sorted all, or passed over once more.
    assert touched(plan) <= PAGE * 5 / 4 + len(read) + 2 * UNDATED


@pytest.mark.parametrize("strategy_id", [None, STRATEGY])
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
async def test_a_stream_walks_along_an_index(
    pool: Pool, strategy_id: str | None, window: tuple[datetime | None, ...]
) -> None:
    """Each row is read once, and nothing is sorted on disk before the first of them comes."""
    plan = await explain(pool, "stream", "custom", **scope(window, strategy_id))
    assert await foreign_indexes(pool, "stream", plan, default=True) == set()
    if window == WINDOW:
        assert {node["Relation Name"] for node in reading(plan)} == {"day_3", "day_4"}
    rows = {None: DAYS * ROWS_A_DAY, STRATEGY: DAYS * ROWS_A_DAY // STRATEGIES}[strategy_id]
    undated = UNDATED if strategy_id is None else UNDATED // STRATEGIES
    if window == WINDOW:
        rows, undated = IN_WINDOW * (1 if strategy_id else STRATEGIES), 0
    assert touched(plan) == pytest.approx(rows + undated, abs=STRATEGIES)
    assert {node["Sort Space Type"] for node in executed(plan, "Sort Space Type")} <= {"Memory"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("only_count", [False, True])
async def test_a_part_of_an_erasure_reads_its_rows(pool: Pool, only_count: bool, mode: str) -> None:
    begin, part = START + timedelta(days=6), 1000
    plan = await explain(
        pool,
        "erase",
        mode,
        external_user_id="nobody",
        before=begin,
        rows=part,
        only_count=only_count,
    )
    assert await foreign_indexes(pool, "erase", plan) == set()
    # Once for where it ends, once for what is in it; and one row ahead in each partition.
    assert touched(plan) <= 2 * part + 2 * DAYS


async def test_health_reads_the_ends_of_an_index(pool: Pool) -> None:
    plan = await explain(pool, "health", "custom")
    log = [node for node in reading(plan) if node["Relation Name"].startswith(("day_", "strategy"))]
    assert {
        node["Node Type"]
        for node in log
        if node["Relation Name"] != "strategy_execution_log_default"
    } == {"Index Only Scan"}
    # The first and the last of each partition, and what lies in DEFAULT.
    assert sum(map(rows_read, log)) <= 2 * (DAYS + 5) + UNDATED


async def test_a_ranking_reads_the_pages_of_its_time(dsn: str) -> None:
    hour, rows = timedelta(hours=1), 72_000
    window = (START + 77 * hour, START + 78 * hour)
    durable = {"synchronous_commit": "on"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=durable) as own:
        await own.execute(
            "create table execlog.month partition of execlog.strategy_execution_log"
            f" for values from ('{START}') to ('{START + 720 * hour}')"
        )
        await StrategyExecutionLogRepository(own).insert_rows(
            row(
                strategy_id=f"strategy-{n % STRATEGIES}",
                created_at=START + n * 720 * hour / rows,
                realm_id=f"realm-{n % REALMS}",
            )
            for n in range(rows)
        )
        await own.execute("vacuum (analyze) execlog.strategy_execution_log")
        for mode, realm in itertools.product(MODES, (None, [REALM])):
            plan = await explain(
                own,
                "rank_strategies",
                mode,
                realm_ids=realm,
                since=window[0],
                until=window[1],
                by="p99",
                limit=10,
            )
            assert await foreign_indexes(own, "rank_strategies", plan) == set()
            [read] = reading(plan)
            assert read["Relation Name"] == "month"
            # An hour of it is 100 rows; or the server, from 18 on, looks for the hour in the index
            # of each strategy.
            assert rows_read(read) <= 101
            blocks = read["Shared Hit Blocks"] + read["Shared Read Blocks"]
            assert blocks <= 100 + 8 * STRATEGIES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [None, "ok", "error", "no such"])
@pytest.mark.parametrize("page", ["first", "middle", "undated"])
async def test_a_page_reads_hardly_more_than_a_page(
    pool: Pool, status: str | None, page: str, mode: str
) -> None:
    plan = await explain(
        pool,
        "list_for_strategy",
        mode,
        *(["failed"] if status not in (None, "ok") else []),
        *CURSORS[page][0],
        strategy_id=STRATEGY,
        status=status,
        limit=PAGE,
        **CURSORS[page][1],
    )
    assert await foreign_indexes(pool, "list_for_strategy", plan) == set()
    read = reading(plan)
    if page == "middle":
        assert not {node["Relation Name"] for node in read} & {f"day_{n}" for n in range(7, DAYS)}
    # The page, a fifth of failures skipped among the ok, and one row ahead in each partition. Where
    # the planner takes all that is left for less than a page, it may read that and sort it.
    assert touched(plan) <= max(PAGE * 5 / 4 + len(read), 6 * PAGE if status == "error" else 0) + (
        UNDATED / STRATEGIES
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strategy_id", [None, STRATEGY])
async def test_one_row_is_found_by_its_id(pool: Pool, strategy_id: str | None, mode: str) -> None:
    one = await pool.fetchval(
        "select id from execlog.day_7 where strategy_id = $1 limit 1", STRATEGY
    )
    plan = await explain(pool, "get", mode, id=str(one), strategy_id=strategy_id)
    assert await foreign_indexes(pool, "get", plan) == set()
    assert touched(plan) == 1


async def test_a_busy_strategy_whose_pages_are_in_no_range_yet(dsn: str) -> None:
    """Loaded and analyzed, and not vacuumed: the index by time would have all pages read."""
    day = timedelta(days=1)
    window = (START + 18 * day, START + 19 * day)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
        await own.execute(
            "create table execlog.load partition of execlog.strategy_execution_log"
            f" for values from ('{START}') to ('{START + 20 * day}')"
        )
        await StrategyExecutionLogRepository(own).insert_rows(
            row(strategy_id=f"strategy-{n % 3}", created_at=START + n * day / 2000)
            for n in range(20 * 2000)
        )
        await own.execute("analyze execlog.strategy_execution_log")
        names = ("metrics", "count_by_status", "duration_percentiles")
        for name, mode in itertools.product(names, MODES):
            plan = await explain_windowed(own, name, mode, window)
            assert await foreign_indexes(own, name, plan) == set()
            assert touched(plan) <= PASSES.get(name, 1) * 2000 / 3 + 2
