"""A breakdown by each column says of each group what Python counts, in each order."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from execlog import (
    Breakdown,
    InvalidArgument,
    NodeTime,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.repository import breakdown as module
from execlog.repository import node_times
from execlog.repository.breakdown import BY
from execlog.repository.metrics import FRACTIONS
from tests.oracle import error_rate, weighed_average, weighed_percentiles
from tests.rows import T0, row

SECOND = timedelta(seconds=1)
WINDOW: dict[str, Any] = {"since": T0, "until": T0 + timedelta(hours=1)}
ATTRIBUTES = ("attributes.plan", "attributes.size", "attributes.flag", "attributes.none")
ORDERS = ("failures", "runs", "error_rate", "p99")


def _row(dice: random.Random, n: int) -> StrategyExecutionLog:
    status = dice.choice(["ok", "ok", "ok", "error", "timeout", "limit", "odd"])
    # Of one version all are kept, of another none is, and of the third some are.
    version = dice.choice([-2, 3, 10])
    rate = {-2: 1.0, 3: 0.05, 10: dice.choice([1.0, 0.5, 0.25])}[version]
    return row(
        created_at=None if n % 40 == 39 else T0 + n * SECOND,
        strategy_id=dice.choice(["a", "b", "é"]),
        strategy_version=version,
        strategy_type=dice.choice(["DSL_FULL", ""]),
        realm_id=dice.choice([None, "A", "B", "b", ""]),
        external_user_id=dice.choice([None, *(f"u{number}" for number in range(20))]),
        external_game_id=dice.choice([None, "g1"]),
        external_task_id=dice.choice(["t1", "t2", "T"]),
        parent_strategy_id=dice.choice([None, None, "p"]),
        status=status,
        error_code=None if status == "ok" else dice.choice([None, "E1", "E2", "é"]),
        case_name=dice.choice([None, "", "a", "B", "b", "é"]),
        points=dice.choice([None, -1.5, 0.0, 7.0]),
        duration_ms=dice.lognormvariate(2, 1),
        sample_rate=rate,
        trace_id=dice.choice([None, UUID(int=1), UUID(int=2**127)]),
        attributes=dice.choice(
            [
                None,
                {"plan": "gold", "size": 10},
                {"plan": "", "flag": True, "size": 2.5},
                {"plan": "Gold", "size": "10"},
            ]
        ),
    )


_DICE = random.Random(5)
ROWS = [_row(_DICE, n) for n in range(300)]


@pytest.fixture(scope="module")
async def log(shared_dsn: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    async with asyncpg.create_pool(shared_dsn, min_size=1, max_size=2) as pool:
        repository = StrategyExecutionLogRepository(pool)
        await repository.insert_rows(ROWS)
        yield repository


def value_of(one: StrategyExecutionLog, by: str) -> str | int | None:
    if by.startswith("attributes."):
        held = (one.attributes or {}).get(by.removeprefix("attributes."))
        return held if held is None else str(held).lower() if isinstance(held, bool) else str(held)
    held = getattr(one, by)
    return held.hex if isinstance(held, UUID) else held


def wilson(rows: list[StrategyExecutionLog]) -> tuple[float, float]:
    """Where the share's distance from the truth is 1.96 deviations of the truth."""
    weights = [1 / one.sample_rate for one in rows]
    n = sum(weights) ** 2 / sum(one * one for one in weights)
    p, z = error_rate(rows), 1.959963984540054
    root = z * math.sqrt(z * z + 4 * n * p * (1 - p))
    low, high = ((2 * n * p + z * z + sign * root) / (2 * (n + z * z)) for sign in (-1, 1))
    return low, high


def group(value: str | int | None, rows: list[StrategyExecutionLog]) -> Breakdown:
    p50, p95, p99 = weighed_percentiles(rows, FRACTIONS)
    low, high = wilson(rows)
    seen = [one.created_at for one in rows if one.created_at]
    return Breakdown(
        value=value,
        runs=len(rows),
        failures=sum(one.status != "ok" for one in rows),
        error_rate=error_rate(rows),
        error_rate_low=low,
        error_rate_high=high,
        failed_rate=weighed_average(rows, (float(one.status != "ok") for one in rows)),
        avg_ms=weighed_average(rows, (one.duration_ms for one in rows)),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        points_avg=weighed_average(rows, (one.points or 0.0 for one in rows)),
        users=len({one.external_user_id for one in rows} - {None}),
        first_seen=min(seen, default=None),
        last_seen=max(seen, default=None),
    )


def expected(rows: list[StrategyExecutionLog], by: str, order: str = "failures") -> list[Breakdown]:
    groups: dict[str | int | None, list[StrategyExecutionLog]] = defaultdict(list)
    for one in rows:
        groups[value_of(one, by)].append(one)
    found = [group(value, own) for value, own in groups.items()]
    measure = "p99_ms" if order == "p99" else order

    def key(one: Breakdown) -> Any:
        value = one.value.encode() if isinstance(one.value, str) else one.value
        return -getattr(one, measure), value is None, value if value is not None else 0

    return sorted(found, key=key)


def same(found: list[Breakdown], wanted: list[Breakdown], *left_out: str) -> None:
    assert [one.value for one in found] == [one.value for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        for name, value in other:
            if name in left_out:
                continue
            if isinstance(value, float):
                value = pytest.approx(value, rel=1e-9, abs=1e-12)
            assert getattr(one, name) == value, (one.value, name)


@pytest.mark.parametrize("by", [*BY, *ATTRIBUTES])
async def test_each_column_in_each_order(log: StrategyExecutionLogRepository, by: str) -> None:
    for order in ORDERS:
        found = await log.breakdown(by=by, order=order)  # type: ignore[arg-type]
        same(found, expected(ROWS, by, order))
    # Ties by value are the rule here.
    ok = await log.breakdown(by=by, status="ok")
    same(ok, expected([one for one in ROWS if one.status == "ok"], by))


@pytest.mark.parametrize("by", ["realm_id", "strategy_version", "external_user_id", "status"])
async def test_the_first_groups_are_those_of_all(
    log: StrategyExecutionLogRepository, by: str
) -> None:
    for order in ORDERS:
        for limit in (0, 1, 2):
            found = await log.breakdown(by=by, order=order, limit=limit)  # type: ignore[arg-type]
            same(found, expected(ROWS, by, order)[: max(limit, 1)])


async def test_without_details_there_are_no_percentiles_and_users(
    log: StrategyExecutionLogRepository,
) -> None:
    details = ("p50_ms", "p95_ms", "p99_ms", "users")
    for by in ("strategy_version", "external_user_id", "attributes.plan"):
        for order in ORDERS:
            found = await log.breakdown(by=by, order=order, details=False)  # type: ignore[arg-type]
            same(found, expected(ROWS, by, order), *details)
            assert {getattr(one, name) for one in found for name in details} == {None}


async def test_what_a_card_says_is_said_of_a_group(log: StrategyExecutionLogRepository) -> None:
    """To the last digit: of whole weights, and of mixed ones."""
    for name in ("a", "b"):
        for version in (-2, 3, 10):
            one = {"strategy_id": name, "strategy_version": version, **WINDOW}
            card = await log.metrics(**one)
            [found] = await log.breakdown(by="strategy_version", **one)
            took = card.duration
            assert took.method == "exact"
            assert (found.p50_ms, found.p95_ms, found.p99_ms) == (
                took.p50_ms,
                took.p95_ms,
                took.p99_ms,
            )
            assert found.avg_ms == pytest.approx(took.avg_ms)
            assert found.error_rate == pytest.approx(card.error_rate)
            assert found.runs == card.status_breakdown.total


FILTERS: dict[str, tuple[dict[str, Any], Callable[[StrategyExecutionLog], bool]]] = {
    "one strategy": ({"strategy_id": "a"}, lambda one: one.strategy_id == "a"),
    "two": ({"strategy_id": ["a", "é"]}, lambda one: one.strategy_id != "b"),
    "none": ({"strategy_id": []}, lambda one: False),
    "a window": (
        {"since": T0 + 50 * SECOND, "until": T0 + 200 * SECOND},
        lambda one: one.created_at is not None and 50 <= (one.created_at - T0).seconds <= 200,
    ),
    "failed": ({"status": "failed"}, lambda one: one.status != "ok"),
    "failed of one": (
        {"strategy_id": "b", "status": "failed"},
        lambda one: one.strategy_id == "b" and one.status != "ok",
    ),
    "errors of realms": (
        {"status": "errors", "realm_id": ["A", "b"]},
        lambda one: one.status in ("error", "timeout", "limit") and one.realm_id in ("A", "b"),
    ),
    "a code": ({"error_code": "E1"}, lambda one: one.error_code == "E1"),
    "users": (
        {"external_user_id": ["u1", "u2"], "status": "failed"},
        lambda one: one.external_user_id in ("u1", "u2") and one.status != "ok",
    ),
    "no case": ({"no_case": True, "min_nodes": 1}, lambda one: one.case_name is None),
    "slow": (
        {"strategy_id": "a", "above_duration_ms": 10.0, "attributes": {"size": 10}},
        lambda one: (
            (
                one.strategy_id == "a"
                and one.duration_ms > 10
                and value_of(one, ATTRIBUTES[1]) == "10"
            )
            and (one.attributes or {}).get("plan") == "gold"
        ),
    ),
}


@pytest.mark.parametrize("about", FILTERS)
async def test_filters(log: StrategyExecutionLogRepository, about: str) -> None:
    filters, passes = FILTERS[about]
    rows = [one for one in ROWS if passes(one)]
    for by in ("realm_id", "external_user_id", "trace_id"):
        same(await log.breakdown(by=by, **filters), expected(rows, by))


async def test_odd_numbers(repository: StrategyExecutionLogRepository) -> None:
    """The largest and the smallest that can be stored, weighed as much as can be."""
    for n, duration in enumerate([0.0, 5e-324, 1e-300, 1e280, 1e300]):
        await repository.insert_rows(
            row(strategy_version=n, duration_ms=duration, points=points, sample_rate=rate)
            for points in (1e300, -1e300, 5e-324, None)
            for rate in (1.0, 1e-12, 0.7)
        )
    for order in ORDERS:
        found = await repository.breakdown(by="strategy_version", order=order)  # type: ignore[arg-type]
        assert {one.value for one in found} == set(range(5))
        assert all(math.isfinite(one.avg_ms or 0.0) for one in found)
    assert (await repository.breakdown(by="realm_id", strategy_id="none such")) == []


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("by", {"by": "notes"}),
        ("by", {"by": "attributes."}),
        ("by", {"by": "attributes.a b"}),
        ("by", {"by": "realm_id; --"}),
        ("by", {"by": None}),
        ("order", {"order": "p95"}),
        ("limit", {"limit": "1"}),
        ("details", {"details": 1}),
        ("strategy_id", {"strategy_id": ""}),
        ("status", {"status": 1}),
    ],
)
async def test_what_is_wrong_is_named(
    log: StrategyExecutionLogRepository, argument: str, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await log.breakdown(**{"by": "realm_id", **given})
    assert caught.value.argument == argument
    with pytest.raises(TypeError, match="odd"):
        await log.breakdown(by="realm_id", odd=1)  # type: ignore[call-arg]


def traced() -> Iterator[StrategyExecutionLog]:
    """Forty fast runs, four slow ones and three that failed, with traces of several engines."""
    fast = [{"node": "root", "ms": 2.0, "children": [{"node": "rule", "ms": 1.5}]}]
    slow = [{"name": "root", "durationMs": 100, "steps": [{"name": "scan", "durationMs": "90 ms"}]}]
    for n in range(40):
        yield row(created_at=T0 + n * SECOND, duration_ms=2.0, trace=fast)
    for n in range(40, 44):
        yield row(created_at=T0 + n * SECOND, duration_ms=100.0 + n, trace=slow, sample_rate=0.5)
    twice = [{"node": "rule", "ms": 1}, {"node": "rule", "ms": 3}, {"node": "end"}, "a text"]
    yield row(created_at=T0 + 50 * SECOND, status="error", duration_ms=4.0, trace=twice)
    yield row(created_at=T0 + 51 * SECOND, status="odd", duration_ms=4.0, trace=twice)
    yield row(created_at=T0 + 52 * SECOND, status="error", duration_ms=4.0)
    large = [{"node": "large", "note": "x" * 300_000}]
    yield row(created_at=None, status="timeout", duration_ms=4.0, trace=large)


async def test_nodes_of_failed_and_slow_runs(repository: StrategyExecutionLogRepository) -> None:
    rows = list(traced())
    await repository.insert_rows(rows)
    found = await repository.node_times()
    [border] = weighed_percentiles(rows, [0.95])
    slow = [one for one in rows if one.duration_ms > border]
    assert 1 <= len(slow) <= 4
    counts = (found.runs, found.failures, found.left_out, found.newest)
    assert counts == (len(slow) + 2, 2, 1, 2000)
    assert found.slower_than_ms == pytest.approx(border)
    nodes = {one.name: one for one in found.nodes}
    assert [one.name for one in found.nodes] == ["scan", "root", "rule", "end"]
    rule = nodes["rule"]
    assert (rule.runs, rule.failures, rule.visits, rule.total_ms) == (2, 2, 4, 8.0)
    assert (rule.avg_ms, rule.p50_ms, rule.p99_ms, rule.error_rate) == (4.0, 4.0, 4.0, 0.5)
    assert (rule.first_seen, rule.last_seen) == (T0 + 50 * SECOND, T0 + 51 * SECOND)
    assert nodes["root"].avg_ms == 10.0  # without what is below it
    assert (nodes["end"].avg_ms, nodes["end"].total_ms, nodes["end"].visits) == (None, None, 2)
    await check_groups(repository, nodes)
    only = await repository.node_times(strategy_id=[rows[0].strategy_id], status="failed")
    assert {one.name for one in only.nodes} == {"rule", "end"}
    assert await repository.breakdown(by="node", status="limit") == []


async def check_groups(
    repository: StrategyExecutionLogRepository, nodes: dict[str, NodeTime]
) -> None:
    groups = await repository.breakdown(by="node")
    assert [one.value for one in groups] == ["end", "rule", "root", "scan"]
    assert all(one.runs == nodes[str(one.value)].runs for one in groups)
    [slowest] = await repository.breakdown(by="node", order="p99", limit=1)
    assert (slowest.value, slowest.p99_ms, slowest.users) == ("scan", 90.0, None)
    [slowest] = await repository.breakdown(by="node", order="p99", limit=1, details=False)
    assert (slowest.value, slowest.avg_ms, slowest.p99_ms) == ("scan", 90.0, None)


async def test_only_so_many_traces_are_read(
    repository: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await repository.insert_rows(
        row(
            created_at=T0 + n * SECOND,
            status="ok" if n % 2 else "error",
            duration_ms=float(n),
            trace=[{"node": f"n{n}", "ms": 1}],
        )
        for n in range(200)
    )
    monkeypatch.setattr(module, "NEWEST", 3)
    monkeypatch.setattr(node_times, "NEWEST", 3)
    found = await repository.node_times()
    assert {one.name for one in found.nodes} == {"n198", "n196", "n194", "n199", "n197", "n195"}
    assert (found.newest, found.failures, found.runs) == (3, 3, 6)
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    found = await repository.node_times()
    assert found.runs + found.left_out == 6
    assert 1 <= found.runs < 6
    assert "n199" in {one.name for one in found.nodes}
