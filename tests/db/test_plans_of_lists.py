"""What lists executions, or finds or erases them, walks along an index and stops at its page.

Each plan is shown for a statement that knows its parameters and for the generic one, which the
server may choose after five calls and which must be as good.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from execlog.db import validation
from tests.plans import (
    DAYS,
    IN_WINDOW,
    MODES,
    REALM,
    ROWS_A_DAY,
    START,
    STRATEGIES,
    STRATEGY,
    UNDATED,
    USERS,
    WINDOW,
    executed,
    explained,
    foreign_indexes,
    reading,
    rows_read,
    scope,
    touched,
)
from tests.types import Pool

pytestmark = pytest.mark.long

PAGE = 50
FAILURES = DAYS * ROWS_A_DAY / STRATEGIES / 5
MAX_UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

# Where a page begins: its switches, and its cursor.
CURSORS: dict[str, tuple[list[str], dict[str, object]]] = {
    "first": ([], {}),
    "middle": (
        ["undated_follow"],
        {
            "before_created_at": START + timedelta(days=6),
            "before_id": MAX_UUID,
            "before_strategy_id": "",
        },
    ),
    "undated": ([], {"before_undated_id": MAX_UUID, "before_undated_strategy_id": ""}),
}

EXECUTIONS: dict[str, tuple[tuple[str, ...], dict[str, object], float]] = {
    # What is asked for, and how many rows are passed over for each that is found.
    "all": ((), {}, 1),
    "ok": ((), {"status": "ok"}, 5 / 4),
    "failed": (("failed",), {}, 5),
    "error": (("failed",), {"status": "error"}, 5),
    "code": ((), {"error_codes": ["E1"]}, 5),
    "codes": ((), {"error_codes": ["E1", "E2"]}, 5),
    # These may be all looked at and sorted: they are in an index, in the order of their statuses.
    "statuses": (("failed",), {"statuses": ["error", "limit"]}, FAILURES / PAGE),
    "left out": (("failed",), {"statuses_left_out": ["ok", "timeout"]}, FAILURES / PAGE),
    "errors": (("errors",), {}, 5),
    "no case": (("no_case",), {}, DAYS * ROWS_A_DAY / STRATEGIES / PAGE),
    "nodes": ((), {"min_nodes": 1, "max_nodes": 4}, 1),
    "case": ((), {"case_names": ["case-3"]}, 7),
    "duration": ((), {"min_duration_ms": 48.0}, 2),
    "points": ((), {"min_points": 10.0, "max_points": 40.0}, 2),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
@pytest.mark.parametrize("about", EXECUTIONS)
async def test_executions_are_found_in_the_index(
    seeded: Pool, about: str, window: tuple[datetime | None, ...], mode: str
) -> None:
    switches, filters, passed = EXECUTIONS[about]
    async with explained(
        seeded,
        "list_executions",
        mode,
        *switches,
        **scope(window),
        realm_ids=None,
        **filters,
        limit=PAGE,
    ) as plan:
        assert await foreign_indexes(seeded, "list_executions", plan) == set()
        read = reading(plan)
        heap = [node for node in read if node["Node Type"] != "Index Only Scan"]
        assert sum(map(rows_read, heap)) <= PAGE
        if window == WINDOW:
            assert {node["Relation Name"] for node in read} <= {"day_3", "day_4"}
        # The page in the index and in the table, with what is passed over, and one row ahead in
        # each partition.
        undated = UNDATED / STRATEGIES if window == (None, None) else 0
        assert touched(plan) <= PAGE * (passed + 1) * 1.2 + len(read) + 3 * undated


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("realms", [None, [REALM], [REALM, "realm-2"], ["no such"], []])
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
async def test_the_failures_of_a_realm_are_a_page_of_an_index(
    seeded: Pool, realms: list[str] | None, window: tuple[datetime | None, ...], mode: str
) -> None:
    async with explained(
        seeded,
        "list_failures",
        mode,
        *(["of_one_realm"] if realms is not None and len(realms) < 2 else []),
        realm_ids=realms,
        since=window[0],
        until=window[1],
        limit=PAGE,
    ) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "list_failures", plan, default=True) == set()
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
    seeded: Pool, status: str | None, page: str, mode: str
) -> None:
    async with explained(
        seeded,
        "list_newest",
        mode,
        *(["failed_of_all"] if status not in (None, "ok") else []),
        *CURSORS[page][0],
        realm_ids=None,
        status=status,
        limit=PAGE,
        **CURSORS[page][1],
    ) as plan:
        read = reading(plan)
        assert await foreign_indexes(seeded, "list_newest", plan, default=True) == set()
        # The page, a fifth of failures passed over among the ok, one row ahead in each partition;
        # and those without a time, which may be sorted all, or passed over once more.
        assert touched(plan) <= PAGE * 5 / 4 + len(read) + 2 * UNDATED


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("users", [["user-7"], ["user-7", "user-8"], ["no such"], []])
@pytest.mark.parametrize("what", ["all", "failed", "of strategies", "of a realm"])
async def test_the_runs_of_a_user_are_found_by_an_index(
    seeded: Pool, what: str, users: list[str], mode: str
) -> None:
    """Whatever the planner expects of them: other rows are not passed over."""
    async with explained(
        seeded,
        "list_newest",
        mode,
        statuses_left_out=["ok"] if what == "failed" else None,
        external_user_ids=users,
        strategy_ids=[STRATEGY, "strategy-2"] if what == "of strategies" else None,
        realm_ids=[REALM] if what == "of a realm" else None,
        limit=PAGE,
    ) as plan:
        assert await foreign_indexes(seeded, "list_newest", plan, default=True) == set()
        assert touched(plan) <= 2 * (DAYS * ROWS_A_DAY // USERS + 1) + UNDATED


@pytest.mark.parametrize("strategy_id", [None, STRATEGY])
@pytest.mark.parametrize("window", [(None, None), WINDOW], ids=["unbounded", "window"])
async def test_a_stream_walks_along_an_index(
    seeded: Pool, strategy_id: str | None, window: tuple[datetime | None, ...]
) -> None:
    """Each row is read once, and nothing is sorted on disk before the first of them comes."""
    async with explained(
        seeded, "stream", "custom", **scope(window, strategy_id), realm_ids=None
    ) as plan:
        assert await foreign_indexes(seeded, "stream", plan, default=True) == set()
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
async def test_a_part_of_an_erasure_reads_its_rows(
    seeded: Pool, only_count: bool, mode: str
) -> None:
    begin, part = START + timedelta(days=6), 1000
    async with explained(
        seeded,
        "erase",
        mode,
        external_user_id="nobody",
        before=begin,
        rows=part,
        only_count=only_count,
    ) as plan:
        assert await foreign_indexes(seeded, "erase", plan) == set()
        # Once for where it ends, once for what is in it; and one row ahead in each partition.
        assert touched(plan) <= 2 * part + 2 * DAYS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [None, "ok", "error", "no such"])
@pytest.mark.parametrize("page", ["first", "middle", "undated"])
async def test_a_page_reads_hardly_more_than_a_page(
    seeded: Pool, status: str | None, page: str, mode: str
) -> None:
    async with explained(
        seeded,
        "list_for_strategy",
        mode,
        *(["failed"] if status not in (None, "ok") else []),
        *CURSORS[page][0],
        strategy_id=STRATEGY,
        realm_ids=None,
        status=status,
        limit=PAGE,
        **CURSORS[page][1],
    ) as plan:
        assert await foreign_indexes(seeded, "list_for_strategy", plan) == set()
        read = reading(plan)
        if page == "middle":
            later = {f"day_{n}" for n in range(7, DAYS)}
            assert not {node["Relation Name"] for node in read} & later
        # The page, a fifth of failures skipped among the ok, and one row ahead in each partition.
        # Where the planner takes all that is left for less than a page, it may read that and sort
        # it.
        sorted_rows = 6 * PAGE if status == "error" else 0
        assert touched(plan) <= max(PAGE * 5 / 4 + len(read), sorted_rows) + UNDATED / STRATEGIES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strategy_id", [None, STRATEGY])
async def test_one_row_is_found_by_its_id(seeded: Pool, strategy_id: str | None, mode: str) -> None:
    one = await seeded.fetchval(
        "select id from execlog.day_7 where strategy_id = $1 limit 1", STRATEGY
    )
    async with explained(seeded, "get", mode, id=str(one), strategy_id=strategy_id) as plan:
        assert await foreign_indexes(seeded, "get", plan) == set()
        assert touched(plan) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strategy_id", [None, STRATEGY])
@pytest.mark.parametrize("digits", [8, 13])
async def test_ids_that_begin_alike_are_a_page_of_an_index(
    seeded: Pool, digits: int, strategy_id: str | None, mode: str
) -> None:
    """All of the seeded ones were made within a minute or two."""
    one = await seeded.fetchval("select id from execlog.day_7 where strategy_id = $1", STRATEGY)
    lowest, highest = validation.id_range("prefix", str(one)[:digits])
    async with explained(
        seeded,
        "list_by_prefix",
        mode,
        lowest=str(lowest),
        highest=str(highest),
        strategy_id=strategy_id,
        limit=PAGE,
    ) as plan:
        assert await foreign_indexes(seeded, "list_by_prefix", plan) == set()
        # The page, and one row ahead in each partition.
        assert touched(plan) <= PAGE + len(reading(plan)) + 1


async def test_what_fails_over_a_plan_says_the_plan(seeded: Pool) -> None:
    with pytest.raises(AssertionError) as caught:
        async with explained(seeded, "get", "generic", id=MAX_UUID, strategy_id=STRATEGY) as plan:
            assert touched(plan) == 1
    [said] = caught.value.__notes__
    assert said.startswith("get, generic plan, shape: strategy_id\n")
    assert "Index Cond: ((id = $1) AND (strategy_id = $2))" in said


NEW = {
    # The snapshot that was seen, of the transaction that stored the rows without a time.
    "began since": "{xid}:{xid}:",
    "was unfinished": "{xid}:{next}:{xid}",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "about",
    [
        ((), {}),
        (("failed",), {"strategy_ids": [STRATEGY]}),
        ((), {"external_user_ids": ["u"], "error_codes": ["E1"]}),
    ],
    ids=["all", "failures", "a user"],
)
@pytest.mark.parametrize("when", NEW)
async def test_what_was_stored_last_is_all_that_is_read(
    seeded: Pool, when: str, about: tuple[tuple[str, ...], dict[str, object]], mode: str
) -> None:
    switches, filters = about
    xid = await seeded.fetchval(
        "select stored_xid::text::bigint from execlog.strategy_execution_log"
        " where created_at is null limit 1"
    )
    async with explained(
        seeded,
        "list_stored",
        mode,
        *switches,
        seen=NEW[when].format(xid=xid, next=xid + 1),
        upto=None,
        after_xid="0",
        after_id="00000000-0000-0000-0000-000000000000",
        limit=PAGE,
        realm_ids=None,
        **filters,
    ) as plan:
        foreign = await foreign_indexes(seeded, "list_stored", plan)
        assert foreign == {"pg_attribute_relid_attnam_index"}
        # Of one transaction all rows are read, since they are not in the order of their ids.
        assert touched(plan) == UNDATED + 1


@pytest.mark.parametrize("mode", MODES)
async def test_the_next_failure_is_near(seeded: Pool, mode: str) -> None:
    """It is the first of the index, or all later failures are read and sorted."""
    async with explained(
        seeded,
        "next_failure",
        mode,
        strategy_id=STRATEGY,
        realm_ids=None,
        after_created_at=START + timedelta(days=10),
        after_id=MAX_UUID,
    ) as plan:
        assert await foreign_indexes(seeded, "next_failure", plan) == set()
        assert touched(plan) <= 2 * FAILURES / DAYS + UNDATED / STRATEGIES + DAYS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("switches", "strategy", "count"),
    [
        ((), STRATEGY, IN_WINDOW),
        (("failed",), STRATEGY, IN_WINDOW),
        (("of_all",), None, 10_001),
        (("of_all", "failed_of_all"), None, IN_WINDOW * STRATEGIES / 5),
    ],
)
async def test_a_count_reads_what_it_counts(
    seeded: Pool, switches: tuple[str, ...], strategy: str | None, count: float, mode: str
) -> None:
    """From the partitions of its window, and no further than it counts."""
    window = scope((START, None) if count == 10_001 else WINDOW, strategy)
    async with explained(
        seeded, "count_executions", mode, *switches, **window, realm_ids=None
    ) as plan:
        if count == 10_001:
            assert touched(plan) <= 10_001
        else:
            assert {node["Relation Name"] for node in reading(plan)} <= {"day_3", "day_4"}
            assert await foreign_indexes(seeded, "count_executions", plan) == set()
            assert touched(plan) <= count * 1.05
