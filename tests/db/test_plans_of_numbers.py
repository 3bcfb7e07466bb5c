"""What adds up reads the rows of its window or strategy once, from its own partitions' indexes.

Each plan is shown for a statement that knows its parameters and for the generic one, which the
server may choose after five calls and which must be as good.
"""

from __future__ import annotations

import itertools
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository
from tests.plans import (
    DAYS,
    IN_WINDOW,
    MODES,
    REALM,
    REALMS,
    ROWS_A_DAY,
    START,
    STRATEGIES,
    STRATEGY,
    UNDATED,
    WINDOW,
    Node,
    explained,
    file_of,
    foreign_indexes,
    reading,
    rows_read,
    scope,
    touched,
)
from tests.rows import row
from tests.types import Pool

pytestmark = pytest.mark.long

WINDOWED: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    # Its switches, and what it is told beside a strategy and a window.
    "count_by_status": ((), {}),
    "count_by_error_code": ((), {"limit": 10}),
    "count_by_case_name": ((), {"limit": 10}),
    "count_by_points": ((), {"realm_ids": None}),
    "duration_and_nodes_summary": ((), {}),
    "sample_durations": ((), {"limit": 5000, "realm_ids": None}),
    "sample_points": ((), {"limit": 5000}),
    "duration_percentiles": ((), {"fractions": "{0.5,0.95,0.99}"}),
    "metrics": ((), {"realm_ids": None}),
    "metrics, sampled": (("sampled",), {"realm_ids": None}),
}
# How often a statement reads what it is asked about: edges of points are known only after a first
# pass.
PASSES = {"count_by_points": 2, "metrics": 2, "metrics, sampled": 2}


def explained_windowed(
    pool: Pool, name: str, mode: str, window: tuple[object, object], **values: object
) -> AbstractAsyncContextManager[Node]:
    switches, rest = WINDOWED[name]
    since, until = window
    given = {"strategy_id": STRATEGY, "since": since, "until": until, **rest, **values}
    return explained(pool, file_of(name), mode, *switches, **given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WINDOWED)
async def test_a_window_reads_its_own_rows_from_its_own_partitions(
    seeded: Pool, name: str, mode: str
) -> None:
    async with explained_windowed(seeded, name, mode, WINDOW) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, name, plan) == set()
        assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        assert sum(node["Heap Fetches"] for node in read) == 0
        assert touched(plan) == IN_WINDOW * PASSES.get(name, 1)
        assert len(read) == 2 * PASSES.get(name, 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WINDOWED)
async def test_without_a_window_it_reads_the_strategy_and_no_other(
    seeded: Pool, name: str, mode: str
) -> None:
    async with explained_windowed(seeded, name, mode, (None, None)) as plan:
        assert await foreign_indexes(seeded, name, plan) == set()
        assert touched(plan) == (DAYS * ROWS_A_DAY + UNDATED) // STRATEGIES * PASSES.get(name, 1)


@pytest.mark.parametrize("mode", MODES)
async def test_a_comparison_reads_two_strategies_as_a_card_reads_one(
    seeded: Pool, mode: str
) -> None:
    async with explained(
        seeded,
        "compare",
        mode,
        a=STRATEGY,
        b="strategy-2",
        since=WINDOW[0],
        until=WINDOW[1],
        realm_ids=None,
        since_b=WINDOW[0],
        until_b=WINDOW[1],
        realm_ids_b=None,
    ) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "compare", plan) == set()
        assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        # The cards, and each once more by whole blocks of time.
        assert touched(plan) == pytest.approx(2 * (PASSES["metrics"] + 1) * IN_WINDOW, rel=0.1)


@pytest.mark.parametrize("mode", MODES)
async def test_a_time_series_reads_each_row_once(seeded: Pool, mode: str) -> None:
    width = int((WINDOW[1] - WINDOW[0]) / timedelta(microseconds=47))
    async with explained(
        seeded,
        "timeseries",
        mode,
        **scope(WINDOW),
        realm_ids=None,
        width_us=width,
        buckets=47,
    ) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "timeseries", plan) == set()
        assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        # The server rounds the rows of a loop.
        assert touched(plan) == pytest.approx(IN_WINDOW, rel=0.1)
        assert sum(node["Index Searches"] for node in read if "Index Searches" in node) <= 2 * 47


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [[REALM], [REALM, "realm-2"], ["no such"], []])
@pytest.mark.parametrize("name", ["metrics", "metrics, sampled", "sample_durations", "timeseries"])
async def test_a_window_of_realms_reads_no_more_than_one_of_all(
    seeded: Pool, name: str, realms: list[str], mode: str
) -> None:
    asked: AbstractAsyncContextManager[Node]
    if name == "timeseries":
        cut = {"width_us": 7200 * 10**6, "buckets": 24}
        asked = explained(seeded, name, mode, **scope(WINDOW), realm_ids=realms, **cut)
    else:
        asked = explained_windowed(seeded, name, mode, WINDOW, realm_ids=realms)
    async with asked as plan:
        assert await foreign_indexes(seeded, name, plan) == set()
        assert {node["Relation Name"] for node in reading(plan)} <= {"day_3", "day_4"}
        assert touched(plan) <= IN_WINDOW * PASSES.get(name, 1) * 1.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [None, [REALM]])
async def test_a_report_reads_what_its_parts_read(
    seeded: Pool, realms: list[str] | None, mode: str
) -> None:
    length = (WINDOW[1] - WINDOW[0]) / timedelta(microseconds=1)
    async with explained(
        seeded,
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
    ) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "report", plan) == set()
        assert {node["Relation Name"] for node in read} == {"day_1", "day_2", "day_3", "day_4"}
        if realms is None:
            assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        # The card twice, the series once, the window before once, both once by blocks of time.
        assert touched(plan) == pytest.approx(6 * IN_WINDOW, rel=0.1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strategies", [None, [STRATEGY], [STRATEGY, "strategy-2"]])
@pytest.mark.parametrize("realms", [None, [REALM]])
async def test_activity_reads_each_row_once(
    seeded: Pool, realms: list[str] | None, strategies: list[str] | None, mode: str
) -> None:
    since, until = WINDOW
    before = since - (until - since)
    hours = {"first_us": 3600 * 10**6, "width_us": 3600 * 10**6}
    hours |= {"buckets": 47, "buckets_before": 48}
    # Nothing is summed up, so that nothing need be marked.
    await seeded.execute("delete from execlog.rollup_mark")
    await seeded.execute("delete from execlog.rollup_mark_of_all")
    async with explained(
        seeded,
        "activity",
        mode,
        realm_ids=realms,
        strategy_ids=strategies,
        before=before,
        since=since,
        until=until,
        **hours,
    ) as plan:
        read = [node for node in reading(plan) if node["Relation Name"].startswith("day_")]
        assert await foreign_indexes(seeded, "activity", plan, default=True) == set()
        assert {node["Relation Name"] for node in read} == {"day_1", "day_2", "day_3", "day_4"}
        if strategies and realms is None:
            assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        rows = 2 * IN_WINDOW * (len(strategies) if strategies else STRATEGIES)
        # The server rounds the rows of a loop.
        assert sum(map(rows_read, read)) == pytest.approx(rows, rel=0.1)


async def test_health_reads_the_ends_of_an_index(seeded: Pool) -> None:
    async with explained(seeded, "health", "custom") as plan:
        own = ("day_", "strategy")
        log = [node for node in reading(plan) if node["Relation Name"].startswith(own)]
        assert {
            node["Node Type"]
            for node in log
            if node["Relation Name"] != "strategy_execution_log_default"
        } == {"Index Only Scan"}
        # The first and the last of each partition, and what lies in DEFAULT.
        assert sum(map(rows_read, log)) <= 2 * (DAYS + 5) + UNDATED


BROKEN_DOWN: dict[str, object] = {
    "realm_ids": None,
    "attribute": None,
    "order": "failures",
    "limit": 50,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("switches", [("by_status",), ("by_case_name",)])
async def test_a_breakdown_without_details_reads_the_index_alone(
    seeded: Pool, switches: tuple[str, ...], mode: str
) -> None:
    asked = explained(seeded, "breakdown", mode, *switches, **scope(WINDOW), **BROKEN_DOWN)
    async with asked as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "breakdown", plan) == set()
        assert {node["Node Type"] for node in read} == {"Index Only Scan"}
        assert {node["Relation Name"] for node in read} == {"day_3", "day_4"}
        assert touched(plan) == IN_WINDOW


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [(), ("slowest_first",)])
@pytest.mark.parametrize("by", [(), ("by_realm_id",), ("by_external_user_id",)])
async def test_a_breakdown_reads_the_rows_of_its_window_once(
    seeded: Pool, by: tuple[str, ...], order: tuple[str, ...], mode: str
) -> None:
    switches = (*by, *order, "details")
    asked = explained(seeded, "breakdown", mode, *switches, **scope(WINDOW), **BROKEN_DOWN)
    async with asked as plan:
        assert await foreign_indexes(seeded, "breakdown", plan) == set()
        assert {node["Relation Name"] for node in reading(plan)} == {"day_3", "day_4"}
        assert touched(plan) == IN_WINDOW


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("of_one", [True, False])
async def test_a_breakdown_of_failures_reads_failures(
    seeded: Pool, of_one: bool, mode: str
) -> None:
    failed = ("failed",) if of_one else ("of_all", "failed_of_all")
    asked = explained(
        seeded,
        "breakdown",
        mode,
        *failed,
        "by_strategy_version",
        "details",
        **scope(WINDOW, STRATEGY if of_one else None),
        **BROKEN_DOWN,
    )
    async with asked as plan:
        assert await foreign_indexes(seeded, "breakdown", plan) == set()
        assert {node["Relation Name"] for node in reading(plan)} == {"day_3", "day_4"}
        failures = IN_WINDOW / 5 * (1 if of_one else STRATEGIES)
        if of_one and mode == "generic":
            # It can't know that a day holds more than one run, of which either index has as many.
            assert touched(plan) <= IN_WINDOW
        else:
            assert touched(plan) == pytest.approx(failures, rel=0.05)


@pytest.mark.parametrize("mode", MODES)
async def test_nodes_are_those_of_few_rows(seeded: Pool, mode: str) -> None:
    """The durations of the window are read, then its failures, then what is slow in it."""
    bounds = {"newest": 2000, "most_bytes": 10**7, "trace_bytes": 10**5, "slower_than_ms": None}
    asked = explained(seeded, "node_times", mode, **scope(WINDOW), realm_ids=None, **bounds)
    async with asked as plan:
        assert await foreign_indexes(seeded, "node_times", plan) == set()
        assert {node["Relation Name"] for node in reading(plan)} == {"day_3", "day_4"}
        assert touched(plan) <= IN_WINDOW * (1 + 1 + 1)


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
        await own.execute("delete from execlog.rollup_mark")
        await own.execute("delete from execlog.rollup_mark_of_all")
        for mode, realm in itertools.product(MODES, (None, [REALM])):
            async with explained(
                own,
                "rank_strategies",
                mode,
                realm_ids=realm,
                since=window[0],
                until=window[1],
                by="p99",
                limit=10,
            ) as plan:
                assert await foreign_indexes(own, "rank_strategies", plan, default=True) == set()
                [read] = [node for node in reading(plan) if node["Relation Name"] == "month"]
                # An hour of it is 100 rows; or the server, from 18 on, looks for the hour in the
                # index of each strategy.
                assert rows_read(read) <= 101
                blocks = read["Shared Hit Blocks"] + read["Shared Read Blocks"]
                assert blocks <= 100 + 8 * STRATEGIES


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
            async with explained_windowed(own, name, mode, window) as plan:
                assert await foreign_indexes(own, name, plan) == set()
                assert touched(plan) <= PASSES.get(name, 1) * 2000 / 3 + 2
