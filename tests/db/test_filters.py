"""Each filter of executions means in SQL what it means in Python: alone, in pairs, page by page."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from execlog import InvalidArgument, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.repository.filters import Filters, needs_window
from tests.db.test_dashboard_lists import has_status, is_bounded, paged
from tests.oracle import newest_first
from tests.rows import T0, row
from tests.types import Pool

SECOND = timedelta(seconds=1)
TRACES = [UUID(int=n) for n in (1, 2**127)]
# Values of each filter: one, several, those that are not there, and none at all.
CASES: dict[str, list[Any]] = {
    "realm_id": ["A", ["A", "B"], ["A", "no such", "A"], "", []],
    "strategy_version": [1, [1, -(2**31)], 7, []],
    "strategy_type": ["DSL_FULL", ["DSL_EXTEND", "é"], ""],
    "status": [
        "ok",
        "error",
        "failed",
        "errors",
        "other",
        "odd",
        "",
        [],
        ["error", "ok"],
        ["error", "timeout"],
        ["failed"],
        ["errors", "other"],
        ["errors", "ok"],
        ["errors", "odd"],
        ["other", "ok"],
        ["other", "error"],
        ["failed", "ok"],
        ["failed", "other", "error"],
    ],
    "error_code": ["E1", ["E1", "é", "no such"], ""],
    "case_name": ["a", ["B", "b"], "", ["", "a"]],
    "no_case": [True, False],
    "external_user_id": ["u1", ["u1", "u2"], "", "no such"],
    "external_game_id": ["g1", ["g1", "g2"], ""],
    "external_task_id": ["t1", ["t1", "t2"], ""],
    "parent_strategy_id": ["p1", ["p1", ""], "no such"],
    "trace_id": [TRACES[0], TRACES[1].hex, [1, TRACES[1]], "f" * 32],
    "attributes": [
        {"text": "5"},
        {"number": 5},
        {"number": 5.0},
        {"flag": True},
        {"flag": True, "number": 5},
        {"number": "5"},
        {"no.such": 1},
        {},
    ],
    "attribute_texts": [
        {"text": "5"},
        {"number": "5"},
        {"number": "2.5"},
        {"flag": "true"},
        {"flag": "false", "text": "é"},
        {"flag": "True"},
        {},
    ],
    "min_duration_ms": [5, 250.0],
    "max_duration_ms": [5.0, 0],
    "above_duration_ms": [5.0, 1e300],
    "min_nodes": [0, 3, 2**31 - 1],
    "max_nodes": [3, 0],
    "min_points": [0.0, 0.3],
    "max_points": [0.3, -1],
    "below_points": [0.3, -1e300],
}
SINGLE = [(name, value) for name, values in CASES.items() for value in values]
EQUALITIES = {"strategy_version", "strategy_type", "error_code", "case_name"}
EQUALITIES |= {name for name in CASES if name.endswith("_id")}
COLUMNS = {"min_nodes": "min_nodes_executed", "max_nodes": "max_nodes_executed"}
MOST_PAIRS = 300


def rows() -> list[StrategyExecutionLog]:
    """600 rows of three strategies, with few values of each column, NULLs and ties."""
    dice = random.Random(7)
    one_of: Callable[..., Any] = lambda *values: dice.choice(values)  # noqa: E731 - short
    return [
        row(
            strategy_id=one_of("s1", "s1", "s2", "s3"),
            created_at=one_of(None, *(T0 + n * SECOND for n in range(9))),
            realm_id=one_of(None, "A", "B", "C", ""),
            strategy_version=one_of(1, 2, -(2**31)),
            strategy_type=one_of("DSL_FULL", "DSL_EXTEND", "é", ""),
            status=one_of("ok", "ok", "ok", "error", "timeout", "limit", "odd", ""),
            error_code=one_of(None, None, "E1", "é", ""),
            case_name=one_of(None, "a", "b", "B", ""),
            external_user_id=one_of(None, "u1", "u2", "u3", ""),
            external_game_id=one_of(None, "g1", "g2", ""),
            external_task_id=one_of(None, "t1", "t2", ""),
            parent_strategy_id=one_of(None, "p1", ""),
            trace_id=one_of(None, *TRACES),
            attributes=one_of(
                None,
                {},
                {"text": "5", "number": 5, "flag": True},
                {"text": "é", "number": 2.5, "flag": False},
                {"text": "true", "number": "5"},
            ),
            duration_ms=one_of(0.0, 5.0, 5.000001, 250.0),
            nodes_executed=one_of(0, 3, 4, 2**31 - 1),
            points=one_of(None, -1.0, 0.0, 0.3, 1.0),
            trace=[{"node": "n"}],
        )
        for _ in range(600)
    ]


ROWS = newest_first(rows())


@pytest.fixture(scope="module")
async def log(shared_dsn: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    async with asyncpg.create_pool(shared_dsn, min_size=1, max_size=2) as pool:
        found = StrategyExecutionLogRepository(pool)
        await found.insert_rows(ROWS)
        yield found


def passes(one: StrategyExecutionLog, name: str, value: Any) -> bool:
    """Whether a row passes a filter."""
    several = value if isinstance(value, list) else [value]
    if name == "status":
        return any(has_status(one, word) for word in several)
    if name == "no_case":
        return one.case_name is None or not value
    if name == "trace_id":
        ids = [
            each if isinstance(each, UUID) else UUID(f"{each:032x}") for each in map(_id, several)
        ]
        return one.trace_id in ids
    if name in ("attributes", "attribute_texts"):
        held = one.attributes or {}
        return all(key in held and same(name, held[key], wanted) for key, wanted in value.items())
    if name in EQUALITIES:
        return getattr(one, name) in several
    return is_bounded(one, COLUMNS.get(name, name), value)


def _id(value: UUID | str | int) -> UUID | int:
    return int(value, 16) if isinstance(value, str) else value


def same(name: str, held: object, wanted: object) -> bool:
    if name == "attributes":
        return held == wanted and isinstance(held, bool) == isinstance(wanted, bool)
    return (str(held).lower() if isinstance(held, bool) else str(held)) == wanted


def expected(
    filters: Mapping[str, Any], strategies: list[str] | None = None, *, failed: bool = False
) -> list[StrategyExecutionLog]:
    return [
        one
        for one in ROWS
        if (strategies is None or one.strategy_id in strategies)
        and (not failed or one.status != "ok")
        and all(passes(one, name, value) for name, value in filters.items())
    ]


async def check(log: StrategyExecutionLogRepository, filters: dict[str, Any]) -> None:
    """The filters through every method that takes them."""
    of_one = expected(filters, ["s1"])
    assert await log.list_executions(strategy_id="s1", limit=200, **filters) == of_one[:200]
    assert await log.list_executions(limit=200, **filters) == expected(filters)[:200]
    some = expected(filters, ["s2", "s3"])
    assert await log.list_executions(strategy_id=["s2", "s3"], limit=200, **filters) == some[:200]
    failed = expected(filters, failed=True)
    assert await log.list_failures(limit=200, **filters) == failed[:200]
    assert [one async for one in log.stream(**filters)] == expected(filters)
    assert [one async for one in log.stream(strategy_id="s1", **filters)] == of_one
    dated = [one for one in of_one if one.created_at and one.created_at >= T0 + SECOND]
    since = {"since": T0 + SECOND, **filters}
    assert await log.list_executions(strategy_id="s1", limit=200, **since) == dated[:200]
    assert await log.count_executions(strategy_id="s1", **since) == len(dated)
    assert await log.count_executions(strategy_id=["s2", "s3"], **filters) == len(some)
    assert await log.count_executions(**filters) == len(expected(filters))


@pytest.mark.parametrize(("name", "value"), SINGLE)
async def test_each_alone(log: StrategyExecutionLogRepository, name: str, value: Any) -> None:
    await check(log, {name: value})


def test_each_is_tried() -> None:
    assert CASES.keys() == Filters.__annotations__.keys()
    for name, values in CASES.items():
        found = [len(expected({name: value})) for value in values]
        assert any(0 < count < len(ROWS) for count in found), name


def pairs() -> list[tuple[str, Any, str, Any]]:
    dice = random.Random(11)
    chosen = [
        (one, dice.choice(CASES[one]), other, dice.choice(CASES[other]))
        for one, other in itertools.combinations(CASES, 2)
        if {one, other} != {"no_case", "case_name"}
        and not (one.startswith("min_") and other == one.replace("min_", "max_"))
    ]
    return dice.sample(chosen, min(len(chosen), MOST_PAIRS))


@pytest.mark.long
@pytest.mark.parametrize(("one", "first", "other", "second"), pairs())
async def test_each_pair(
    log: StrategyExecutionLogRepository, one: str, first: Any, other: str, second: Any
) -> None:
    await check(log, {one: first, other: second})


@pytest.mark.parametrize(
    "filters",
    [
        {"realm_id": "A", "status": "failed"},
        {"external_user_id": "u1"},
        {"external_user_id": ["u1", "u2"], "status": ["errors", "odd"]},
        {"case_name": "", "strategy_version": [1, 2]},
        {"attributes": {"flag": True}, "no_case": True},
        {"status": ["other", "ok"], "min_nodes": 3, "max_duration_ms": 5.0},
    ],
)
async def test_page_by_page(log: StrategyExecutionLogRepository, filters: dict[str, Any]) -> None:
    """Pages of two cut through ties, and through those without a time."""
    assert await paged(log.list_executions, **filters) == expected(filters)
    assert await paged(log.list_executions, strategy_id="s1", **filters) == expected(
        filters, ["s1"]
    )
    failed = expected(filters, failed=True)
    assert await paged(log.list_failures, **filters) == failed
    dated = [one for one in expected(filters) if one.created_at]
    assert await paged(log.list_executions, since=T0, **filters) == dated


async def test_without_payloads(log: StrategyExecutionLogRepository) -> None:
    whole = expected({"realm_id": "A"})[:50]
    for found in (
        await log.list_executions(realm_id="A", payloads=False),
        await log.list_executions(realm_id="A", strategy_id=["s1", "s2", "s3"], payloads=False),
    ):
        assert all(one.payloads_left_out and one.trace is None for one in found)
        bare = [one.model_copy(update={"trace": None, "input": None}) for one in whole]
        assert not any(one.payloads_left_out for one in bare)
        assert found == bare
        assert bare == found
        assert "payloads_left_out" not in found[0].model_dump()
        assert "payloadsLeftOut" not in found[0].model_dump(by_alias=True)
    assert not any(one.payloads_left_out for one in await log.list_executions())


async def test_more_than_can_be_counted(pool: Pool) -> None:
    """10,001 stands for more."""
    log = StrategyExecutionLogRepository(pool)
    for count, expected in ((10_000, 10_000), (1, 10_001), (1, 10_001)):
        await log.insert_rows(row(created_at=T0) for _ in range(count))
        assert await log.count_executions() == expected
        assert await log.count_executions(strategy_id="loyalty", since=T0) == expected
    with pytest.raises(InvalidArgument, match="timeout"):
        await log.count_executions(timeout=0)


@pytest.mark.parametrize("realms", [None, "A", ["B", "C"], []])
async def test_the_next_failure(
    log: StrategyExecutionLogRepository, realms: str | list[str] | None
) -> None:
    """From failure to failure it goes through all that have a time, the oldest first."""
    wanted = {} if realms is None else {"realm_id": realms}
    failures = expected(wanted, ["s1"], failed=True)
    left = [one for one in reversed(failures) if one.created_at]
    first = row(strategy_id="s1", created_at=T0 - SECOND)
    at = await log.next_failure(strategy_id="s1", after=first, realm_id=realms)
    while at is not None:
        assert at.id == left.pop(0).id
        assert (at.trace, at.payloads_left_out) == (None, True)
        at = await log.next_failure(strategy_id="s1", after=at, realm_id=realms)
    assert left == []
    undated = next(one for one in ROWS if one.created_at is None)
    assert await log.next_failure(strategy_id="s1", after=undated) is None
    for argument, asked in (
        ("strategy_id", {"strategy_id": "", "after": first}),
        ("after", {"strategy_id": "s1", "after": None}),
        ("realm_id", {"strategy_id": "s1", "after": first, "realm_id": 3}),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await log.next_failure(**asked)
        assert caught.value.argument == argument


async def test_what_is_absent(log: StrategyExecutionLogRepository) -> None:
    assert await log.list_absent() == {}
    there: dict[str, Any] = {
        "realm_id": "A",
        "strategy_version": 1,
        "error_code": "E1",
        "case_name": ["a", ""],
    }
    words = ["ok", "failed", "errors", "other", "odd", ""]
    assert await log.list_absent(strategy_id=["s1", "s2"], status=words, **there) == {}
    assert await log.list_absent(
        strategy_id=["s1", "s9"],
        realm_id=["A", "Z", "Y"],
        strategy_version=[1, 9],
        error_code="E9",
        case_name="z",
        status=["error", "skipped"],
        external_user_id="no such",
    ) == {
        "strategy_id": ["s9"],
        "realm_id": ["Y", "Z"],
        "strategy_version": ["9"],
        "error_code": ["E9"],
        "case_name": ["z"],
        "status": ["skipped"],
    }
    later: dict[str, Any] = {"since": T0 + timedelta(days=1)}
    assert await log.list_absent(status=["ok", "failed", "errors", "other"], **later) == {
        "status": ["errors", "failed", "ok", "other"]
    }
    assert await log.list_absent(strategy_id="s1", **later) == {"strategy_id": ["s1"]}


METHODS = ("list_executions", "list_failures", "list_absent", "count_executions")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("argument", "filters"),
    [
        *((name, {name: 7}) for name in CASES if name.endswith(("_type", "_code", "_name"))),
        ("external_user_id", {"external_user_id": b"u"}),
        ("external_game_id", {"external_game_id": ["g", None]}),
        ("status", {"status": ["ok", "\0"]}),
        ("status", {"status": {"ok": 1}}),
        ("strategy_version", {"strategy_version": "1"}),
        ("strategy_version", {"strategy_version": 2**31}),
        ("no_case", {"no_case": "yes"}),
        ("no_case", {"no_case": True, "case_name": "a"}),
        ("trace_id", {"trace_id": "12"}),
        ("trace_id", {"trace_id": 0}),
        ("trace_id", {"trace_id": [TRACES[0], None]}),
        ("trace_id", {"trace_id": 1.5}),
        ("attributes", {"attributes": "a=b"}),
        ("attributes", {"attributes": {"a": None}}),
        ("attributes", {"attributes": {"a": [1]}}),
        ("attributes", {"attributes": {"a": float("nan")}}),
        ("attributes", {"attributes": {1: "a"}}),
        ("attributes", {"attributes": {"a b": "a"}}),
        ("attribute_texts", {"attribute_texts": {"a": 1}}),
        ("attribute_texts", {"attribute_texts": {"a": "\0"}}),
        ("min_nodes", {"min_nodes": 1.5}),
        ("min_nodes", {"min_nodes": True}),
        ("max_nodes", {"max_nodes": -1}),
        ("max_nodes", {"max_nodes": 2**31}),
        ("min_duration_ms", {"min_duration_ms": 2, "max_duration_ms": 1}),
        ("min_nodes", {"min_nodes": 2, "max_nodes": 1}),
        ("min_points", {"min_points": 0.2, "max_points": 0.1}),
        ("max_points", {"max_points": float("inf")}),
    ],
)
async def test_what_is_refused(
    log: StrategyExecutionLogRepository, method: str, argument: str, filters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await getattr(log, method)(**filters)
    assert caught.value.argument == argument


@pytest.mark.parametrize("method", METHODS)
async def test_an_unknown_filter(log: StrategyExecutionLogRepository, method: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^{method}\(\) got an unexpected keyword argument 'user'"
    ):
        await getattr(log, method)(user="u1")
    with pytest.raises(TypeError, match=r"^stream\(\) got an unexpected"):
        await anext(log.stream(user="u1"))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("filters", "strategy_id", "needed"),
    [
        ({}, None, False),
        ({"realm_id": None, "no_case": False}, None, False),
        ({"status": "ok"}, None, False),
        ({"external_user_id": "u", "realm_id": "A"}, None, False),
        ({"realm_id": "A"}, None, True),
        ({"realm_id": "A"}, "s1", False),
        ({"realm_id": "A", "status": "failed"}, None, False),
        ({"realm_id": "A", "status": ["ok", "failed"]}, None, True),
        ({"trace_id": 1}, None, True),
        ({"min_nodes": 0}, None, True),
    ],
)
def test_which_need_a_window(
    filters: dict[str, Any], strategy_id: str | None, needed: bool
) -> None:
    assert needs_window(filters, strategy_id=strategy_id) is needed
