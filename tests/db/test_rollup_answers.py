"""What rollups answer is what the rows answer, and percentiles are within their bound."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyRank, TimeseriesBucket
from execlog.db.statements import Query
from execlog.ids import uuid7
from execlog.repository import statements
from tests import databases
from tests.oracle import Realms, Window, close, many, own_realms
from tests.rolling import (
    HOUR,
    START,
    Log,
    assert_bounded,
    assert_same,
    both,
    lognormal,
    rolled_up,
    verified,
)
from tests.rows import row
from tests.types import Pool

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
_examples = itertools.count()


@pytest.fixture(scope="module")
async def shared(template: str) -> AsyncIterator[Pool]:
    """One database for all examples: each has strategies and realms of its own."""
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        await pool.execute("update execlog.rollup_state set minute_runs = 5")
        yield pool


durations = st.one_of(
    st.sampled_from([0.0, 0.0005, 0.001, 5.0, 10.0, 25.0, 5000.0, 1e12]),
    st.floats(0, 3, allow_nan=False).map(lambda x: math.exp(x * 5) / 100),
    st.floats(1e-3, 1e11),
)
points = st.one_of(st.none(), st.sampled_from([0.0, 5.0, 10.0, -5.0, 0.0001]), st.floats(-1e6, 1e6))
times = st.one_of(
    st.sampled_from(
        [
            None,
            datetime.min.replace(tzinfo=UTC),
            datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
        ]
    ),
    st.integers(0, 4 * 3600 * 1000).map(lambda n: START + n * timedelta(milliseconds=1)),
    st.integers(0, 16).map(lambda n: START.replace(second=0) + n * 15 * MINUTE),
)
_rows = st.lists(
    st.builds(
        row,
        id=st.builds(uuid7),
        strategy_id=st.sampled_from("AB"),
        strategy_version=st.sampled_from([1, 2]),
        created_at=times,
        realm_id=st.sampled_from([None, "r", "s"]),
        status=st.sampled_from(["ok", "ok", "error", "timeout", "limit", "odd"]),
        error_code=st.sampled_from([None, None, "E1", "E2", ""]),
        case_name=st.sampled_from([None, "gold", "silver"]),
        duration_ms=durations,
        points=points,
        nodes_executed=st.integers(0, 100),
        sample_rate=st.sampled_from([1.0, 0.5, 0.1]),
    ),
    max_size=60,
)
_ends = st.one_of(st.none(), times.filter(lambda t: t is not None))


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    since, until = draw(_ends), draw(_ends)
    if since and until and since > until:
        since, until = until, since
    return since, until


async def stored(pool: Pool, rows: list[StrategyExecutionLog]) -> str:
    """Stores the rows in a few statements of each kind; the prefix of their strategies."""
    prefix = f"{next(_examples)}-"
    own = [
        one.model_copy(
            update={
                "strategy_id": prefix + one.strategy_id,
                "realm_id": one.realm_id and prefix + one.realm_id,
            }
        )
        for one in rows
    ]
    log = Log(pool)
    third = len(own) // 3
    await log.insert_rows(own[:third])
    assert await log.insert_missing(own[: 2 * third]) == third
    for one in own[2 * third : 2 * third + 3]:
        await log.insert_row(one)
    await log.insert_rows(own[2 * third + 3 :])
    await rolled_up(pool)
    return prefix


_realms = st.sampled_from([None, "r", ["r"], ["r", "s"], []])


@many
@given(rows=_rows, window=_windows(), realms=_realms)
async def test_a_card(
    shared: Pool, rows: list[StrategyExecutionLog], window: Window, realms: Realms
) -> None:
    prefix = await stored(shared, rows)
    scope: dict[str, Any] = {"since": window[0], "until": window[1]}
    scope["realm_id"] = own_realms(realms, prefix)
    rolled, exact = await both(shared, lambda log: log.metrics(strategy_id=prefix + "A", **scope))
    assert_same(rolled, exact)
    pair, exact_pair = await both(
        shared, lambda log: log.compare(a=prefix + "B", b=prefix + "A", **scope)
    )
    assert_same(pair.a, exact_pair.a)
    assert pair.b == rolled
    assert close(pair.delta.points_avg, exact_pair.delta.points_avg)


@many
@given(
    rows=_rows,
    window=_windows(),
    by=st.sampled_from(["p99", "failures", "error_rate", "failed_rate", "runs"]),
    realms=_realms.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_a_ranking(
    shared: Pool,
    rows: list[StrategyExecutionLog],
    window: Window,
    by: Any,
    realms: Realms,
    some: bool,
) -> None:
    prefix = await stored(shared, rows)
    scope: dict[str, Any] = {"since": window[0], "until": window[1], "by": by, "limit": 50}
    scope |= {"realm_id": own_realms(realms, prefix), "strategy_id": prefix + "A" if some else None}
    rolled, exact = await both(shared, lambda log: log.rank_strategies(**scope))
    assert {one.strategy_id for one in rolled} <= {prefix + "A", *([] if some else [prefix + "B"])}
    assert {one.strategy_id for one in rolled} == {one.strategy_id for one in exact}
    key = "p99_ms" if by == "p99" else by
    assert [getattr(one, key) for one in rolled] == sorted(
        (getattr(one, key) for one in rolled), reverse=True
    )
    for one in rolled:
        [other] = [found for found in exact if found.strategy_id == one.strategy_id]
        same = ("runs", "failures", "last_run")
        assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
        assert_ranked(one, other)
    least = max((one.runs for one in exact), default=1)
    rolled = await Log(shared).rank_strategies(**scope, min_runs=least)
    assert {one.strategy_id for one in rolled} == {
        one.strategy_id for one in exact if one.runs >= least
    }


@many
@given(
    rows=_rows,
    window=_windows(),
    realms=_realms.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_all_strategies_as_one(
    shared: Pool, rows: list[StrategyExecutionLog], window: Window, realms: Realms, some: bool
) -> None:
    prefix = await stored(shared, rows)
    scope: dict[str, Any] = {"since": window[0], "until": window[1]}
    scope |= {"realm_id": own_realms(realms, prefix), "strategy_id": prefix + "A" if some else None}
    rolled, exact = await both(shared, lambda log: log.rank_together(**scope))
    if rolled is None:
        assert exact is None
        assert await Log(shared).rank_strategies(**scope) == []
        return
    assert (rolled.strategy_id, rolled.runs, rolled.last_run) == ("", exact.runs, exact.last_run)
    assert_ranked(rolled, exact)
    each = await Log(shared).rank_strategies(**scope)
    assert (rolled.runs, rolled.failures) == (
        sum(one.runs for one in each),
        sum(one.failures for one in each),
    )
    if some:  # one that is alone has its own numbers
        card = await Log(shared).metrics(
            strategy_id=prefix + "A", **{one: scope[one] for one in ("since", "until", "realm_id")}
        )
        assert close(rolled.failed_rate, 1 - card.success_rate)
        assert close(rolled.error_rate, card.error_rate)
        assert close(exact.p99_ms, each[0].p99_ms) or each[0].method == "sketch"


def assert_ranked(one: StrategyRank, other: StrategyRank) -> None:
    assert close(one.error_rate, other.error_rate)
    assert close(one.failed_rate, other.failed_rate)
    assert close(one.avg_ms, other.avg_ms)
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        assert_bounded(getattr(one, name), getattr(other, name))


@many
@given(
    rows=_rows,
    begin=st.integers(-100, 4 * 3600),
    width=st.sampled_from([0.5, 1, 7.3, 59, 60, 61, 900, 3600, 7201]),
    buckets=st.integers(1, 40),
    realms=_realms,
)
async def test_a_time_series(
    shared: Pool,
    rows: list[StrategyExecutionLog],
    begin: int,
    width: float,
    buckets: int,
    realms: Realms,
) -> None:
    prefix = await stored(shared, rows)
    since = START.replace(second=0) + begin * SECOND
    until = since + buckets * width * SECOND
    scope: dict[str, Any] = {"strategy_id": prefix + "A", "realm_id": own_realms(realms, prefix)}
    scope |= {"since": since, "until": until, "bucket": width}
    rolled, exact = await both(shared, lambda log: log.timeseries(**scope))
    for one, other in zip(rolled, exact, strict=True):
        assert_same_bucket(one, other)


def assert_same_bucket(rolled: TimeseriesBucket, rows: TimeseriesBucket) -> None:
    for name in ("duration_p50_ms", "duration_p95_ms", "duration_p99_ms"):
        assert_bounded(getattr(rolled, name), getattr(rows, name))
    for name in ("duration_avg_ms", "points_sum", "error_rate"):
        assert close(getattr(rolled, name), getattr(rows, name)), name
    same = ("start", "total", "ok", "error", "timeout", "limit", "other", "duration_max_ms")
    assert [getattr(rolled, name) for name in same] == [getattr(rows, name) for name in same]


_versions = st.sampled_from([1, [1], [1, 2], [3], []])


@many
@given(rows=_rows, begin=st.integers(-100, 4 * 3600), versions=_versions, realms=_realms)
async def test_some_versions(
    shared: Pool,
    rows: list[StrategyExecutionLog],
    begin: int,
    versions: int | list[int],
    realms: Realms,
) -> None:
    """Every answer is that of a log which has these versions only."""
    wanted = [versions] if isinstance(versions, int) else versions
    some = [
        one.model_copy(update={"id": uuid7()}) for one in rows if one.strategy_version in wanted
    ]
    answers = []
    for stock, asked in ((rows, versions), (some, None)):
        prefix = await stored(shared, stock)
        since = START.replace(second=0) + begin * SECOND
        window: dict[str, Any] = {"since": since, "until": since + 7201 * SECOND}
        window |= {"realm_id": own_realms(realms, prefix), "strategy_version": asked}
        one: dict[str, Any] = {"strategy_id": prefix + "A", **window}
        two: dict[str, Any] = {"strategy_id": [prefix + "A", prefix + "B"], **window}
        calls: list[Callable[[Log], Any]] = [
            lambda log: log.metrics(**one),  # noqa: B023 - awaited below
            lambda log: log.timeseries(**one),  # noqa: B023
            lambda log: log.report(**one),  # noqa: B023
            lambda log: log.rank_strategies(**two),  # noqa: B023
            lambda log: log.activity(**two),  # noqa: B023
            lambda log: log.compare(a=prefix + "A", b=prefix + "B", **window),  # noqa: B023
        ]
        found = [repr(await both(shared, call)).replace(prefix, "") for call in calls]
        answers.append(re.split(r"(-?\d+\.\d[\de.+-]*)", "".join(found)))
    # Every second one is a double.
    assert answers[0][::2] == answers[1][::2]
    for left, right in zip(*(map(float, answer[1::2]) for answer in answers), strict=True):
        assert math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-3)


@many
@given(
    rows=_rows,
    begin=st.integers(-100, 4 * 3600),
    length=st.sampled_from([0, 1, 59, 60, 900, 3600, 7201, 10800, 86400]),
    realms=_realms,
)
async def test_a_report(
    shared: Pool, rows: list[StrategyExecutionLog], begin: int, length: int, realms: Realms
) -> None:
    """What it says is what the methods say one by one, from rollups and from rows."""
    prefix = await stored(shared, rows)
    since = START.replace(second=0) + begin * SECOND
    until = since + length * SECOND
    one: dict[str, Any] = {"strategy_id": prefix + "A", "realm_id": own_realms(realms, prefix)}
    scope: dict[str, Any] = {**one, "since": since, "until": until}
    tick = timedelta(microseconds=1)
    before: dict[str, Any] = {"since": since - (until - since) - tick, "until": since - tick}
    rolled, exact = await both(shared, lambda log: log.report(**scope))
    rolled_card, card = await both(shared, lambda log: log.metrics(**scope))
    rolled_series, series = await both(shared, lambda log: log.timeseries(**scope))
    rolled_before, [bucket] = await both(
        shared, lambda log: log.timeseries(**one, **before, bucket=2 * DAY)
    )
    assert (exact.metrics, exact.timeseries, exact.before) == (card, series, bucket)
    assert (rolled.metrics, rolled.timeseries) == (rolled_card, rolled_series)
    assert [rolled.before] == rolled_before
    assert_same_bucket(rolled.before, bucket)


@many
@given(
    rows=_rows,
    begin=st.integers(-100, 4 * 3600),
    length=st.sampled_from([0, 1, 59, 60, 900, 3600, 7201, 10800, 86400, 30 * 86400]),
    buckets=st.sampled_from([1, 7, 30]),
    realms=_realms,
    some=st.booleans(),
)
async def test_activity(
    shared: Pool,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    buckets: int,
    realms: Realms,
    some: bool,
) -> None:
    """From rollups, and from the rows where there are none, the same."""
    prefix = await stored(shared, rows)
    since = START.replace(second=0) + begin * SECOND
    scope: dict[str, Any] = {"since": since, "until": since + length * SECOND, "buckets": buckets}
    scope["realm_id"] = own_realms(realms, prefix)
    scope["strategy_id"] = [prefix + "A", prefix + "B"] if some or realms is None else None
    answers = []
    for enabled in (True, False):
        await shared.execute("update execlog.rollup_state set enabled = $1", enabled)
        answers.append(await Log(shared).activity(**scope))
    await shared.execute("update execlog.rollup_state set enabled = true")
    for one, other in zip(*answers, strict=True):
        assert one.model_dump(exclude={"error_rate_before"}) == other.model_dump(
            exclude={"error_rate_before"}
        )
        assert close(one.error_rate_before, other.error_rate_before)


def bimodal(chance: random.Random) -> float:
    return chance.gauss(2, 0.1) if chance.random() < 0.6 else chance.gauss(900, 30)


def constant(_: random.Random) -> float:
    return 12.5


def zero(_: random.Random) -> float:
    return 0.0


def heavy(chance: random.Random) -> float:
    return chance.paretovariate(0.7)


@pytest.mark.long
@pytest.mark.parametrize("shape", [lognormal, bimodal, heavy, constant, zero])
async def test_percentiles_of_many_runs(
    pool: Pool, shape: Callable[[random.Random], float]
) -> None:
    chance = random.Random(7)
    log = Log(pool)
    await log.insert_rows(
        row(created_at=START + n * SECOND, duration_ms=abs(shape(chance))) for n in range(20_000)
    )
    await rolled_up(pool)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty", since=START))
    assert rolled.duration.method == "sketch"
    assert_same(rolled, exact)


def bars(points: list[float], edges: list[float]) -> list[int]:
    last = len(edges) - 2
    counts = [0] * (last + 1)
    for value in points:
        counts[min(max(sum(edge <= value for edge in edges) - 1, 0), last)] += 1
    return counts


@pytest.mark.parametrize(
    "awarded",
    [
        [0.0, 5.0, 10.0, 10.0, 20.0],
        [-100.0, -3.5, 0.0, 0.2, 77.7, 100.0],
        [1000.0, 1001.0, 1002.0],
        [-5.0, -5.0],
        [0.0],
        [n * 1.37 for n in range(500)],
    ],
    ids=["few", "signs", "narrow", "one", "zero", "many"],
)
async def test_bars_of_points_count_what_their_bounds_say(pool: Pool, awarded: list[float]) -> None:
    await Log(pool).insert_rows(row(created_at=START, points=value) for value in awarded)
    await rolled_up(pool)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    found = [(bar.upper_bound, bar.count) for bar in rolled.points_histogram]
    edges = [min(awarded), *(upper for upper, _ in found)]
    assert [count for _, count in found] == bars(awarded, edges)
    if len(exact.points_histogram) == 1:
        assert rolled.points_histogram == exact.points_histogram


async def test_few_runs_are_read_from_rows(pool: Pool) -> None:
    log = Log(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = 100")
    await log.insert_rows(row(created_at=START) for _ in range(100))
    assert (await log.metrics(strategy_id="loyalty")).duration.method == "exact"
    await log.insert_row(row(created_at=START))
    await rolled_up(pool)
    assert (await log.metrics(strategy_id="loyalty")).duration.method == "sketch"


async def plan_of(pool: Pool, query: Query) -> list[tuple[str, float]]:
    """Each table that a statement reads, and how many rows of it."""
    async with pool.acquire() as connection, connection.transaction():
        # These tables are so small that an index is no gain.
        await connection.execute("set local enable_seqscan = off")
        text = await connection.fetchval(
            f"explain (analyze, format json) {query.sql}", *query.values
        )
    plans, found = [json.loads(text)[0]["Plan"]], []
    while plans:
        node = plans.pop()
        plans += node.get("Plans", [])
        if "Relation Name" in node and node["Actual Loops"]:
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            found.append((node["Relation Name"], read * node["Actual Loops"]))
    return found


GROUPED: dict[str, Any] = {"strategy_id": "a", "order": "runs", "limit": 9}


async def test_only_rollups_and_ragged_ends_are_read(pool: Pool) -> None:
    log = Log(pool)
    begin = START.replace(minute=0, second=0)
    await log.insert_rows(
        row(strategy_id="ab"[n % 2], created_at=begin + n * SECOND) for n in range(6 * 3600)
    )
    await rolled_up(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = 1000")
    await pool.execute("vacuum (analyze) execlog.strategy_execution_log")
    await pool.execute("vacuum (analyze) execlog.rollup")
    since, until = begin + 1830 * SECOND, begin + 5 * HOUR + 90 * SECOND
    one = {"strategy_id": "a"}
    hours = {"width_us": 3600 * 10**6, "buckets": 5}
    # The window before is the hour before these runs, and a bucket begins with each hour.
    first = {"before": since - HOUR, "buckets_before": 2, "first_us": 1770 * 10**6}
    given: dict[str, tuple[dict[str, Any], int, int]] = {
        # Half a minute at each end, once for each of the card's four passes over rows.
        "metrics": (one, 4 * 31, 1),
        # Of the few strategies that there are it may look at each, by time.
        "timeseries": (one | hours, 5 * 31, 2),
        "rank_strategies": ({"by": "p99", "limit": 10}, 2 * 2 * 31, 2),
        "activity": (first | hours, 2 * 2 * 31, 2),
        "breakdown_of_rollups": (GROUPED | {"strategy_ids": ["a"]}, 2 * 31, 1),
        "breakdown_of_rollups, all": (GROUPED | {"strategy_id": None}, 2 * 2 * 31, 2),
    }
    for name, (values, ends, strategies) in given.items():
        window = {"since": since, "until": until, "realm_ids": None}
        file, *_ = name.split(",")
        switches = ["of_one"] if "strategy_ids" in values else []
        query = statements()[file].query(*switches, **values, **window)
        read = await plan_of(pool, query)
        rows = sum(number for table, number in read if table.startswith("strategy_"))
        rolled = sum(number for table, number in read if table == "rollup")
        assert 0 < rows <= ends + 20, name
        # Four hours, and minutes beside them, and for each piece whether its minutes are kept.
        assert 0 < rolled <= strategies * (5 * 60 + 20), name
    assert (
        await log.metrics(strategy_id="a", since=since, until=until)
    ).duration.method == "sketch"


async def test_numbers_at_the_ends_of_their_range(pool: Pool) -> None:
    await Log(pool).insert_rows(
        row(created_at=START, duration_ms=duration, points=points, sample_rate=rate)
        for duration, points, rate in (
            (1e-320, 1e300, 1e-300),
            (1e300, -1e300, 1e-9),
            (0.0, 1e13, 1.0),
            (2e12, 1e14, 1.0),
        )
    )
    await rolled_up(pool)
    await verified(pool)
    await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    await Log(pool).insert_rows(
        row(strategy_id="vast", created_at=START, points=n * 1e13) for n in range(1, 11)
    )
    await rolled_up(pool)
    rolled, _ = await both(pool, lambda log: log.metrics(strategy_id="vast"))
    assert [(bar.upper_bound, bar.count) for bar in rolled.points_histogram] == [(1e14, 10)]
