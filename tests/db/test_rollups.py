"""What rollups answer is what the rows answer, and percentiles are within their bound."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import math
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    RollupDifference,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    StrategyMetrics,
    TimeseriesBucket,
    maintain,
    migrate,
    rebuild_rollups,
    verify_rollups,
)
from execlog.db.statements import Query
from execlog.ids import uuid7
from execlog.repository import statements
from tests import databases
from tests.command import run
from tests.db.test_faults import CALLS
from tests.oracle import Realms, Window, close, many, own_realms
from tests.outage import Outage
from tests.rows import T0, row
from tests.types import Pool

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
START = datetime(2026, 11, 20, 7, 58, 30, tzinfo=UTC)
_examples = itertools.count()
Log = StrategyExecutionLogRepository


@pytest.fixture(scope="module")
async def shared(template: str) -> AsyncIterator[Pool]:
    """One database for all examples: each has strategies and realms of its own."""
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        yield pool


async def both(pool: Pool, ask: Callable[[Log], Awaitable[Any]]) -> tuple[Any, Any]:
    """What rollups answer, and what the rows do."""
    answers = []
    for at_most in (-1, 10**12):
        await pool.execute("update execlog.rollup_state set exact_runs = $1", at_most)
        answers.append(await ask(Log(pool)))
    return answers[0], answers[1]


def assert_bounded(found: float, exact: float) -> None:
    assert abs(found - exact) <= 0.01 * exact + 0.001  # below a microsecond all is taken as 0


def assert_same(rolled: StrategyMetrics, rows: StrategyMetrics) -> None:
    """Everything is the same, but for the percentiles and the bounds of the bars of points."""
    assert rolled.status_breakdown == rows.status_breakdown
    assert rolled.duration_histogram == rows.duration_histogram
    assert (rolled.top_errors, rolled.top_cases) == (rows.top_errors, rows.top_cases)
    assert (rolled.nodes_avg, rolled.nodes_max) == (rows.nodes_avg, rows.nodes_max)
    for name in ("success_rate", "error_rate", "estimated_total", "points_sum"):
        assert close(getattr(rolled, name), getattr(rows, name)), name
    assert close(rolled.duration.avg_ms, rows.duration.avg_ms)
    assert rolled.duration.max_ms == rows.duration.max_ms
    assert rolled.duration.sample_size == rows.duration.sample_size
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        assert_bounded(getattr(rolled.duration, name), getattr(rows.duration, name))
    assert rows.duration.method == "exact"
    error = {"exact": 0.0, "sketch": 0.01}
    assert rolled.duration.relative_error == error[rolled.duration.method]
    counts = [sum(bar.count for bar in card.points_histogram) for card in (rolled, rows)]
    assert counts[0] == counts[1]
    assert rolled.points_histogram[-1].upper_bound == rows.points_histogram[-1].upper_bound


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
    by=st.sampled_from(["p99", "failures", "error_rate", "runs"]),
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
        assert close(one.error_rate, other.error_rate)
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
    for complete_from in ("-infinity", "infinity"):
        await shared.execute(f"update execlog.rollup_state set complete_from = '{complete_from}'")
        answers.append(await Log(shared).activity(**scope))
    await shared.execute("update execlog.rollup_state set complete_from = '-infinity'")
    for one, other in zip(*answers, strict=True):
        assert one.model_dump(exclude={"error_rate_before"}) == other.model_dump(
            exclude={"error_rate_before"}
        )
        assert close(one.error_rate_before, other.error_rate_before)


def lognormal(chance: random.Random) -> float:
    return chance.lognormvariate(3, 1)


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
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    found = [(bar.upper_bound, bar.count) for bar in rolled.points_histogram]
    edges = [min(awarded), *(upper for upper, _ in found)]
    assert [count for _, count in found] == bars(awarded, edges)
    if len(exact.points_histogram) == 1:
        assert rolled.points_histogram == exact.points_histogram


async def test_what_is_rolled_back_is_in_no_rollup(pool: Pool) -> None:
    log = Log(pool)
    await log.insert_rows([row(created_at=START)])
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "insert into execlog.strategy_execution_log (id, created_at, strategy_id,"
            " strategy_version, strategy_type, status, duration_ms, nodes_executed)"
            " values (gen_random_uuid(), $1, 'loyalty', 1, 'x', 'ok', 1, 1)",
            START,
        )
        await transaction.rollback()
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert rolled.status_breakdown.total == exact.status_breakdown.total == 1


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_writers_at_once(dsn: str, isolation: str) -> None:
    """Nobody waits for ever or fails, and nothing is lost, whatever order strategies come in."""
    settings = {"default_transaction_isolation": isolation}
    async with asyncpg.create_pool(dsn, min_size=8, max_size=8, server_settings=settings) as pool:

        async def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(10):
                async with pool.acquire() as connection, connection.transaction():
                    for strategy in chance.sample("abcdef", 4):
                        await connection.execute(
                            "insert into execlog.strategy_execution_log (id, created_at,"
                            " strategy_id, strategy_version, strategy_type, status, duration_ms,"
                            " nodes_executed) select gen_random_uuid(), $1, $2, 1, 'x', 'ok', 1, 1"
                            " from generate_series(1, 5)",
                            START + chance.random() * HOUR,
                            strategy,
                        )

        writers = [asyncio.ensure_future(write(number)) for number in range(8)]
        await asyncio.wait_for(asyncio.gather(*writers), 60)
        rolled, exact = await both(pool, lambda log: log.rank_strategies(by="runs"))
        assert sum(one.runs for one in rolled) == 8 * 10 * 4 * 5
        assert [one.runs for one in rolled] == [one.runs for one in exact]


async def test_few_runs_are_read_from_rows(pool: Pool) -> None:
    log = Log(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = 100")
    await log.insert_rows(row(created_at=START) for _ in range(100))
    assert (await log.metrics(strategy_id="loyalty")).duration.method == "exact"
    await log.insert_row(row(created_at=START))
    assert (await log.metrics(strategy_id="loyalty")).duration.method == "sketch"
    assert (await log.metrics(strategy_id="loyalty", since=START)).duration.method == "exact"


async def whole(differences: AsyncIterator[RollupDifference]) -> list[RollupDifference]:
    return [one async for one in differences]


async def verified(pool: Pool) -> None:
    assert await whole(verify_rollups(pool)) == []


async def rebuilt(pool: Pool, **window: Any) -> int:
    return len([part async for part in rebuild_rollups(pool, **window)])


def many_rows(number: int, seed: int = 1, over: timedelta = 5 * HOUR) -> list[StrategyExecutionLog]:
    chance = random.Random(seed)
    return [
        row(
            strategy_id=chance.choice("abc"),
            realm_id=chance.choice([None, "r"]),
            created_at=START + chance.random() * over,
            duration_ms=lognormal(chance),
            points=chance.choice([None, 0.0, 10.0, 12.5]),
            case_name=chance.choice([None, "gold"]),
            status=chance.choice(["ok", "ok", "error"]),
            error_code=chance.choice([None, "E1"]),
        )
        for _ in range(number)
    ]


ODD_TIMES = [None, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]


@pytest.mark.long
async def test_a_log_that_has_rows_already(pool: Pool) -> None:
    """Read from its rows until its rollups are built, newest first."""
    log = Log(pool)
    await migrate(pool, rollups=False)
    await log.insert_rows([*many_rows(500), *(row(created_at=time) for time in ODD_TIMES)])
    assert await pool.fetchval("select count(*) from execlog.rollup") == 0
    assert (await log.metrics(strategy_id="a")).duration.method == "exact"
    with pytest.raises(InvalidArgument, match=r"^target: keeps no rollups"):
        await rebuilt(pool)
    await migrate(pool, rollups=True)
    await log.insert_rows(many_rows(100, 2))
    async for part in rebuild_rollups(pool):
        if part.reached is not None:
            state = await log.rollup_state()
            assert (state.enabled, state.complete_from) == (True, part.reached)
        ask = functools.partial(Log.metrics, strategy_id="a", since=part.reached)
        rolled, exact = await both(pool, ask)
        assert_same(rolled, exact)
        assert rolled.duration.method == "sketch"
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert rolled.status_breakdown.total == exact.status_breakdown.total == len(ODD_TIMES)
    await verified(pool)
    assert await rebuilt(pool) > 5
    await verified(pool)


async def test_each_rollup_that_differs_is_named(pool: Pool) -> None:
    log = Log(pool)
    await log.insert_rows(many_rows(200))
    await verified(pool)
    hour = await pool.fetchval("select max(begins) from execlog.rollup where grain = 3600")
    await pool.execute(
        "update execlog.rollup set ok = ok + 1 where grain = 3600 and begins = $1"
        " and strategy_id = 'a' and realm_id = 'r'",
        hour,
    )
    await pool.execute(
        "delete from execlog.rollup where grain = 60 and strategy_id = 'b' and begins in"
        " (select min(begins) from execlog.rollup where grain = 60 and strategy_id = 'b')"
    )
    await pool.execute(
        "update execlog.rollup_name set name = 'E2' where kind = 'e' and ctid in"
        " (select min(ctid) from execlog.rollup_name where kind = 'e' and strategy_id = 'c')"
    )
    found = await whole(verify_rollups(pool))
    assert {(one.strategy_id, one.kept - one.counted) for one in found} >= {("a", 1), ("c", 0)}
    assert [one.kept for one in found if one.strategy_id == "b"][-1] == 0
    [one] = [one for one in found if one.strategy_id == "a"]
    assert (one.realm_id, one.grain, one.begins) == ("r", 3600, hour)
    assert await whole(verify_rollups(pool, since=hour)) == [one]
    await rebuilt(pool, since=hour)
    assert one not in await whole(verify_rollups(pool))
    await rebuilt(pool)
    await verified(pool)


@pytest.mark.session
@pytest.mark.parametrize("column", ["duration_min_ms", "duration_max_ms", "points_min"])
async def test_a_difference_in_the_last_digit(pool: Pool, column: str) -> None:
    """A session that writes numbers with one digit sees it too."""
    await Log(pool).insert_rows([row(created_at=T0, duration_ms=1 / 3, points=1 / 3)])
    async with pool.acquire() as connection:
        await connection.execute("set extra_float_digits = -15")
        assert await whole(verify_rollups(connection)) == []
        await connection.execute(
            f"update execlog.rollup set {column} = $1 where grain = 60", math.nextafter(1 / 3, 1)
        )
        assert len(await whole(verify_rollups(connection))) == 1


@pytest.mark.long
async def test_a_rebuilding_while_others_store(pool: Pool) -> None:
    log = Log(pool)
    # Each writer is at each of these hours, always: each of them takes all its tries.
    await log.insert_rows(many_rows(2000, over=2 * HOUR))
    done = asyncio.Event()

    async def write(seed: int) -> None:
        while not done.is_set():
            await log.insert_rows(many_rows(50, seed, over=2 * HOUR))

    writers = [asyncio.ensure_future(write(seed)) for seed in range(2)]
    for _ in range(3):
        await rebuilt(pool)
    await verified(pool)
    done.set()
    await asyncio.gather(*writers)
    await verified(pool)


async def test_rows_go_and_rollups_stay(pool: Pool) -> None:
    """History is readable when its rows are gone, in whole minutes, and says where rows begin."""
    now = datetime.now(UTC)
    log = Log(pool)
    old = now - 40 * DAY
    await log.insert_rows(
        row(created_at=old + n * MINUTE, status="error" if n % 5 == 0 else "ok", points=1.0)
        for n in range(600)
    )
    await log.insert_rows(row(created_at=now - n * MINUTE) for n in range(60))
    await maintain(pool, interval="day")
    before, _ = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    await maintain(pool, interval="day", retain=30 * DAY, retain_failures=35 * DAY)
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 60
    after = await log.metrics(strategy_id="loyalty")
    assert after.rows_from is not None
    assert old < after.rows_from < old + 2 * DAY
    assert after.model_copy(update={"rows_from": None}) == before
    # A window that cuts its first minute in two.
    part = await log.metrics(strategy_id="loyalty", since=old + 300 * MINUTE + SECOND)
    assert part.status_breakdown.total == 299 + 60 + (1 if old.second < 59 else 0)
    recent = await log.metrics(strategy_id="loyalty", since=now - DAY)
    assert (recent.rows_from, recent.duration.method) == (None, "exact")
    ranked = await log.rank_strategies(since=old - DAY, until=old + DAY)
    assert [one.runs for one in ranked] == [600]
    series = await log.timeseries(strategy_id="loyalty", since=old - DAY, until=old + DAY)
    assert sum(one.total for one in series) == 600
    await verified(pool)
    await rebuilt(pool)
    assert await log.metrics(strategy_id="loyalty") == after


async def test_rollups_have_a_retention_of_their_own(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    for days in (1, 40, 400):
        await log.insert_rows(row(created_at=now - days * DAY + n * SECOND) for n in range(100))
    steps = await maintain(pool, retain_minutes=30 * DAY, retain_rollups=365 * DAY)
    assert [step.outcome for step in steps if step.action == "forget"] == ["done"]
    kept = await pool.fetch(
        "select grain, now() - begins > interval '30 days' as old, count(*) from execlog.rollup"
        " group by 1, 2 order by 1, 2"
    )
    assert {(one["grain"], one["old"]) for one in kept} == {
        (60, False),
        (3600, False),
        (3600, True),
    }
    assert not [
        step
        for step in await maintain(pool, retain_minutes=30 * DAY, retain_rollups=365 * DAY)
        if step.action == "forget"
    ]
    # Without minutes the rows at the ragged ends are more, and the answer is the same.
    scope: dict[str, Any] = {"since": now - 41 * DAY, "until": now - 40 * DAY + 50 * SECOND}
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty", **scope))
    assert_same(rolled, exact)
    assert exact.status_breakdown.total == 51


async def test_rows_that_are_in_no_rollup_are_not_removed(pool: Pool) -> None:
    now = datetime.now(UTC)
    await migrate(pool, rollups=False)
    await Log(pool).insert_rows(row(created_at=now - 40 * DAY) for _ in range(10))
    await migrate(pool, rollups=True)
    await maintain(pool, interval="day")
    for wanted in ("postponed", "done"):
        steps = await maintain(pool, interval="day", retain=30 * DAY)
        found = [step for step in steps if step.action in ("drop", "purge")]
        assert {step.outcome for step in found} == {wanted}
        if wanted == "postponed":
            assert "execlog rollup rebuild" in (found[0].problem or "")
            await rebuilt(pool)
    assert (await Log(pool).metrics(strategy_id="loyalty")).status_breakdown.total == 10


async def test_switched_off(pool: Pool) -> None:
    log = Log(pool)
    await log.insert_rows(many_rows(100))
    await migrate(pool, rollups=False)
    await log.insert_rows(many_rows(100, 2))
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    card = await log.metrics(strategy_id="a")
    assert card.duration.method == "exact"
    assert len(await log.timeseries(strategy_id="a", since=START, until=START + HOUR)) > 1
    assert sum(one.runs for one in await log.rank_strategies()) == 200
    assert await migrate(pool) == []
    assert (await log.metrics(strategy_id="a")) == card
    await migrate(pool, rollups=True)
    await rebuilt(pool)
    assert (await log.metrics(strategy_id="a")).duration.method == "sketch"
    await verified(pool)


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_under_load() -> None:
    """What is there after it has started again is in the rollups, and nothing else is."""
    with Outage() as outage:
        await migrate(outage.dsn)
        async with ExecutionRecorder(outage.dsn, linger=0.01) as recorder:
            for _ in range(3):
                for n in range(3000):
                    recorder.record(
                        strategy_id="abc"[n % 3],
                        strategy_version=1,
                        strategy_type="DSL_FULL",
                        status="ok" if n % 7 else "error",
                        duration_ms=float(n),
                        nodes_executed=1,
                    )
                    if n % 100 == 0:
                        await asyncio.sleep(0.005)
                outage.kill()
                outage.start()
            assert await recorder.flush(timeout=60)
        assert await whole(verify_rollups(outage.dsn)) == []
        async with asyncpg.create_pool(outage.dsn, min_size=1, max_size=1) as pool:
            rolled, exact = await both(pool, lambda log: log.rank_strategies(by="runs"))
        assert sum(one.runs for one in rolled) == sum(one.runs for one in exact) == 9000


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


async def test_only_rollups_and_ragged_ends_are_read(pool: Pool) -> None:
    log = Log(pool)
    begin = START.replace(minute=0, second=0)
    await log.insert_rows(
        row(strategy_id="ab"[n % 2], created_at=begin + n * SECOND) for n in range(6 * 3600)
    )
    await maintain(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = 1000")
    await pool.execute("vacuum (analyze) execlog.strategy_execution_log")
    await pool.execute("vacuum (analyze) execlog.rollup")
    since, until = begin + 1830 * SECOND, begin + 5 * HOUR + 90 * SECOND
    one = {"strategy_id": "a"}
    hours = {"width_us": 3600 * 10**6, "buckets": 5}
    # The window before is the hour before these runs, and a bucket begins with each hour.
    first = {"before": since - HOUR, "first_us": 1770 * 10**6}
    given: dict[str, tuple[dict[str, Any], int, int]] = {
        # Half a minute at each end, once for each of the card's two passes over rows.
        "metrics": (one, 2 * 31, 1),
        "timeseries": (one | hours, 5 * 31, 1),
        "rank_strategies": ({"by": "p99", "limit": 10}, 2 * 2 * 31, 2),
        "activity": (first | hours, 2 * 2 * 31, 2),
    }
    for name, (values, ends, strategies) in given.items():
        window = {"since": since, "until": until, "realm_ids": None}
        query = statements()[name].query(**values, **window)
        read = await plan_of(pool, query)
        rows = sum(number for table, number in read if table.startswith("strategy_"))
        rolled = sum(number for table, number in read if table == "rollup")
        assert 0 < rows <= ends + 20, name
        # Four hours, and minutes beside them.
        assert 0 < rolled <= strategies * (5 * 60 + 5), name
    assert (
        await log.metrics(strategy_id="a", since=since, until=until)
    ).duration.method == "sketch"


@pytest.mark.long
async def test_the_commands(dsn: str, pool: Pool) -> None:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("execlog")), *arguments, "--dsn", dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    await Log(pool).insert_rows(many_rows(300))
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    commands = functools.partial(asyncio.to_thread, run)
    assert (await commands("rollup", "verify")).stderr.endswith("0 rollups differ from the rows\n")
    assert "duration (sketch ±1.00 %, " in (await commands("summary", "a")).stdout
    assert "within 1.00 %" in (await commands("compare", "a", "b")).stderr
    await pool.execute("update execlog.rollup set ok = ok + 5 where grain = 3600")
    found = json.loads((await commands("rollup", "verify", "--json", code=3)).stdout)
    assert {one["kept"] - one["counted"] for one in found} == {5}
    shown = (await commands("rollup", "verify", code=3)).stdout
    assert shown.splitlines()[0].split() == ["strategy", "realm", "of", "begins", "rollup", "rows"]
    assert (await commands("rollup", "rebuild")).stderr.endswith(" parts rebuilt\n")
    await verified(pool)
    await commands("migrate", "--no-rollups")
    await commands("rollup", "rebuild", code=2)
    assert "duration (exact, " in (await commands("summary", "a")).stdout
    await commands("migrate", "--rollups")


async def test_nobody_else_makes_a_trigger_of_it(dsn: str) -> None:
    """What runs with its owner's rights takes no other table for the log."""
    connection = await asyncpg.connect(dsn)
    role = f"tenant_{uuid7().hex}"
    await connection.execute(f"create role {role}; grant usage on schema execlog to {role}")
    try:
        made = (
            "create temporary table stored (strategy_id text, realm_id text);"
            "create trigger roll_up after insert on stored referencing new table as stored"
            " for each statement execute function execlog.roll_up()"
        )
        # Whoever it was that took the role.
        for become in (f"set role {role}", f"set session authorization {role}"):
            await connection.execute(become)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="roll_up"):
                await connection.execute(made)
            await connection.execute("reset session authorization; reset role")
            await connection.execute(f"grant execute on function execlog.roll_up() to {role}")
            await connection.execute(f"{become}; {made}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only the owner of"):
                await connection.execute("insert into stored values ('a', 'b')")
            await connection.execute("drop table stored; reset session authorization; reset role")
            await connection.execute(f"revoke execute on function execlog.roll_up() from {role}")
    finally:
        await connection.execute("reset session authorization; reset role")
        await connection.execute(f"drop owned by {role}; drop role {role}")
        await connection.close()


async def kept(pool: Pool) -> list[tuple[int, int]]:
    """How many rollups there are of each grain, and whether slots of one transaction alone."""
    found = await pool.fetch("select slot, count(*) from execlog.rollup group by 1 order by 1")
    return [tuple(record) for record in found]


async def test_slots_are_held_by_who_may_store_alone(dsn: str, pool: Pool) -> None:
    """Advisory locks, which any role can hold, don't make a rollup of each transaction."""
    holder = await asyncpg.connect(dsn)
    await holder.execute(
        "select pg_advisory_lock('execlog.rollup'::regclass::oid::bigint::bit(32)::integer, slot)"
        " from generate_series(0, 63) as slot"
    )
    for _ in range(20):
        await Log(pool).insert_row(row(created_at=START))
    assert await kept(pool) == [(0, 2)]  # a minute and an hour
    await holder.close()


async def test_a_slot_is_taken_by_one_transaction_at_a_time(dsn: str, pool: Pool) -> None:
    insert = (
        "insert into execlog.strategy_execution_log (id, created_at, strategy_id, strategy_version,"
        " strategy_type, status, duration_ms, nodes_executed)"
        " values (gen_random_uuid(), $1, 'loyalty', 1, 'x', 'ok', 1, 1)"
    )
    first, second = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    one, two = first.transaction(), second.transaction()
    await one.start()
    for _ in range(2):
        await first.execute(insert, START)
    await two.start()
    await second.execute(insert, START)
    await one.commit()
    await two.commit()
    assert await kept(pool) == [(0, 2), (1, 2)]
    await first.close()
    await second.close()


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "taken"])
async def test_without_a_slot_a_transaction_has_its_own(
    dsn: str, pool: Pool, missing: bool
) -> None:
    holder = await asyncpg.connect(dsn)
    if missing:
        await holder.execute("delete from execlog.rollup_slot")
    else:
        await holder.execute("begin; select from execlog.rollup_slot for update")
    for _ in range(3):
        await Log(pool).insert_rows([row(created_at=START)])
    await holder.close()
    assert [(slot >= 64, number) for slot, number in await kept(pool)] == [(True, 2)] * 3
    await migrate(pool, rollups=True)
    await Log(pool).insert_rows([row(created_at=START)])
    assert (await kept(pool))[0] == (0, 2)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert_same(rolled, exact)
    await verified(pool)


async def test_the_row_of_the_state_is_missing(dsn: str, pool: Pool) -> None:
    """As after a restore of the schema alone: all is read from rows, until it is put back."""
    log = Log(pool)
    await log.insert_rows(many_rows(200))
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    card = await log.metrics(strategy_id="a")
    assert card.duration.method == "sketch"
    await pool.execute("delete from execlog.rollup_state")
    assert (await log.metrics(strategy_id="a")).status_breakdown == card.status_breakdown
    for call in CALLS.values():
        await call(log)
    assert (await log.metrics(strategy_id="a")).duration.method == "exact"
    state = await log.rollup_state()
    assert (state.missing, state.enabled) == (True, False)
    with pytest.raises(InvalidArgument, match="migrate --rollups"):
        await rebuilt(pool)
    await verified(pool)
    doctor = await asyncio.to_thread(run, "doctor", "--dsn", dsn)
    assert doctor.returncode == 1
    assert "the row of rollup_state is missing" in doctor.stdout
    assert "run `execlog migrate --rollups`, then `execlog rollup rebuild`" in doctor.stdout
    assert await migrate(pool, rollups=True) == []
    state = await log.rollup_state()
    assert (state.missing, state.enabled) == (False, True)
    assert state.complete_from == datetime.max.replace(tzinfo=UTC)
    await rebuilt(pool)
    await verified(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    assert (await log.metrics(strategy_id="a")).duration.method == "sketch"
    await pool.execute("delete from execlog.rollup_state")
    await migrate(pool, rollups=False)
    assert not (await log.rollup_state()).missing


async def test_rows_that_go_while_rollups_are_rebuilt(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    await log.insert_rows(row(created_at=now - days * DAY) for days in (0, 1, 40, 41, 42))
    await maintain(pool, interval="day")
    parts = rebuild_rollups(pool)
    await anext(parts)
    await maintain(pool, interval="day", retain=30 * DAY)
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 2
    assert [part async for part in parts]
    assert (await log.metrics(strategy_id="loyalty")).status_breakdown.total == 5
    await verified(pool)


@pytest.mark.long
async def test_rows_that_outlive_their_rollups(pool: Pool) -> None:
    now = datetime.now(UTC)
    log = Log(pool)
    await log.insert_rows(row(created_at=now - days * DAY / 10) for days in range(300))
    await maintain(pool, retain_rollups=10 * DAY)
    rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    assert rolled.status_breakdown.total == 300
    assert_same(rolled, exact)
    await verified(pool)


@pytest.mark.parametrize("minutes", [None, 20 * DAY])
async def test_a_time_series_where_only_failures_are_left(
    pool: Pool, minutes: timedelta | None
) -> None:
    """No row there is read, and no run is counted by two buckets."""
    begin = (datetime.now(UTC) - 40 * DAY).replace(minute=0, second=0, microsecond=0)
    await Log(pool).insert_rows(
        row(created_at=begin + n * 5 * SECOND, status="ok" if n % 5 else "error")
        for n in range(720)
    )
    await maintain(pool, interval="day")
    kept = {"retain": 30 * DAY, "retain_failures": 60 * DAY, "retain_minutes": minutes}
    await maintain(pool, interval="day", **kept)  # type: ignore[arg-type]
    assert await pool.fetchval("select count(*) from execlog.strategy_execution_log") == 144
    for width in (10, 90, 600, 5000):
        count = 3600 // width + 1
        series = await Log(pool).timeseries(
            strategy_id="loyalty", since=begin, until=begin + count * width * SECOND, bucket=width
        )
        assert sum(one.total for one in series) == 720
        assert sum(one.error for one in series) == 144
    late = row(created_at=begin + 1801 * SECOND, status="error")
    await Log(pool).insert_row(late)
    card = await Log(pool).metrics(strategy_id="loyalty", since=begin, until=begin + HOUR)
    assert card.status_breakdown.error == 145


async def test_an_hour_whose_rows_are_gone_in_part(pool: Pool) -> None:
    """What DEFAULT holds is removed to the second."""
    begin = (datetime.now(UTC) - 40 * DAY).replace(minute=0, second=0, microsecond=0)
    await Log(pool).insert_rows(row(created_at=begin + n * SECOND) for n in range(3600))
    await pool.execute(
        "delete from execlog.strategy_execution_log where created_at < $1",
        begin + 1000.5 * SECOND,
    )
    await pool.execute("update execlog.rollup_state set rows_from = $1", begin + 1000.5 * SECOND)
    scope: dict[str, Any] = {"since": begin + 960 * SECOND, "until": begin + 1019 * SECOND}
    card = await Log(pool).metrics(strategy_id="loyalty", **scope)
    assert card.status_breakdown.total == 60
    await verified(pool)


@pytest.mark.long
async def test_more_writers_than_slots(dsn: str) -> None:
    connections = [await asyncpg.connect(dsn) for _ in range(70)]
    for number, connection in enumerate(connections):
        await connection.execute("set lock_timeout = '5s'; begin")
        await connection.execute(
            "insert into execlog.strategy_execution_log (id, created_at, strategy_id,"
            " strategy_version, strategy_type, status, duration_ms, nodes_executed)"
            " values (gen_random_uuid(), $1, 'loyalty', 1, 'x', 'ok', $2, 1)",
            START,
            float(number),
        )
    for connection in connections:
        await connection.execute("commit")
        await connection.close()
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        rolled, exact = await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
        assert_same(rolled, exact)
        assert rolled.status_breakdown.total == 70
        await verified(pool)


async def test_a_writer_that_rebuilding_meets_on_its_way(dsn: str, pool: Pool) -> None:
    """It holds one rollup of the hour and comes for another: who rebuilds gives way."""
    log = Log(pool)
    for strategy in "ab":
        await log.insert_row(row(strategy_id=strategy, created_at=START))
    writer = await asyncpg.connect(dsn)
    insert = (
        "insert into execlog.strategy_execution_log (id, created_at, strategy_id,"
        " strategy_version, strategy_type, status, duration_ms, nodes_executed)"
        " values (gen_random_uuid(), $1, $2, 1, 'x', 'ok', 1, 1)"
    )
    await writer.execute("begin")
    await writer.execute(insert, START, "b")
    rebuilding = asyncio.ensure_future(rebuilt(pool))
    await asyncio.sleep(0.4)
    await writer.execute(insert, START, "a")
    await writer.execute("commit")
    await writer.close()
    await rebuilding
    assert sum(one.runs for one in await log.rank_strategies()) == 4
    await verified(pool)


@pytest.mark.long
async def test_two_that_rebuild_at_once(dsn: str, pool: Pool) -> None:
    await migrate(pool, rollups=False)
    await Log(pool).insert_rows(many_rows(5000))
    await migrate(pool, rollups=True)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=2) as two:
        await asyncio.gather(*(rebuilt(two, since=START + n * HOUR) for n in (0, 1)))
    await rebuilt(pool)
    await verified(pool)


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
    await verified(pool)
    await both(pool, lambda log: log.metrics(strategy_id="loyalty"))
    await Log(pool).insert_rows(
        row(strategy_id="vast", created_at=START, points=n * 1e13) for n in range(1, 11)
    )
    rolled, _ = await both(pool, lambda log: log.metrics(strategy_id="vast"))
    assert [(bar.upper_bound, bar.count) for bar in rolled.points_histogram] == [(1e14, 10)]


async def test_a_log_that_is_emptied_while_they_are_off(pool: Pool) -> None:
    await Log(pool).insert_rows(many_rows(50))
    await migrate(pool, rollups=False)
    await pool.execute("truncate execlog.strategy_execution_log")
    await migrate(pool, rollups=True)
    rolled, exact = await both(pool, lambda log: log.rank_strategies())
    assert rolled == exact == []
