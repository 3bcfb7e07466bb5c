"""A row that stands for several executions counts as these in every average and percentile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.ids import uuid7
from execlog.repository.metrics import FRACTIONS
from tests.db.test_faults import out_of_time
from tests.examples import stored
from tests.oracle import close, many, weighed_average, weighed_percentiles
from tests.rows import T0, row
from tests.samples import one_of
from tests.types import Pool

SECOND = timedelta(seconds=1)
WINDOW: dict[str, Any] = {"since": T0, "until": T0 + 9 * SECOND}

_durations = (
    st.sampled_from([0.0, 1.0, 5.0, 5.000001, 5000.0, 1e-280, 1e280])
    | st.floats(0, 1e280)
    | st.floats(0, 20)
)


def _rows(rates: list[float]) -> st.SearchStrategy[list[StrategyExecutionLog]]:
    one = st.builds(
        lambda duration, rate: row(
            strategy_id="A",
            realm_id="r",
            created_at=T0 + SECOND,
            duration_ms=duration,
            sample_rate=rate,
        ),
        _durations,
        st.sampled_from(rates),
    )
    return st.lists(one, min_size=1, max_size=40)


def repeated(rows: list[StrategyExecutionLog]) -> list[StrategyExecutionLog]:
    """Each as often as it says that it ran."""
    return [
        one.model_copy(update={"id": uuid7(), "sample_rate": 1.0, "strategy_id": "B"})
        for one in rows
        for _ in range(round(1 / one.sample_rate))
    ]


async def percentiles_of(
    repository: StrategyExecutionLogRepository, strategy_id: str
) -> dict[str, tuple[float, ...]]:
    """The three percentiles as each method gives them."""
    one: dict[str, Any] = {"strategy_id": strategy_id, **WINDOW}
    card = await repository.metrics(**one)
    both = await repository.compare(a=strategy_id, b=strategy_id, **WINDOW)
    [bucket] = await repository.timeseries(**one, bucket=9)
    report = await repository.report(**one, bucket=9)
    [rank] = await repository.rank_strategies(**one)
    asked = await repository.duration_percentiles(**one)
    assert {card.duration.method, bucket.method, rank.method, asked.method} == {"exact"}
    cards = {"metrics": card, "compare": both.b, "report": report.metrics}
    durations = {name: one.duration for name, one in cards.items()}
    return {
        "timeseries": (bucket.duration_p50_ms, bucket.duration_p95_ms, bucket.duration_p99_ms),
        "rank_strategies": (rank.p50_ms, rank.p95_ms, rank.p99_ms),
        "duration_percentiles": asked.values_ms,
        **{name: (took.p50_ms, took.p95_ms, took.p99_ms) for name, took in durations.items()},
    }


async def store_some_of_many(repository: StrategyExecutionLogRepository) -> None:
    """A thousandth of the fast runs and all slow ones: the rows alone would say p50 2505 ms."""
    fast = {"duration_ms": 10.0, "nodes_executed": 1, "sample_rate": 0.001, "sampled": True}
    slow = {"duration_ms": 5000.0, "nodes_executed": 5, "status": "timeout"}
    await repository.insert_rows(
        row(strategy_id="kept", created_at=T0 + SECOND, **kind)
        for kind in (fast, slow)
        for _ in range(100)
    )


async def roll_up(pool: Pool) -> None:
    """From now on answers are from rollups, of however few runs."""
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    while await pool.fetchval("select execlog.roll_up()") == "more":
        pass


async def test_what_is_kept_of_many_runs_counts_as_many(
    repository: StrategyExecutionLogRepository,
) -> None:
    await store_some_of_many(repository)
    found = await percentiles_of(repository, "kept")
    assert set(found.values()) == {(10.0, 10.0, 10.0)}
    one: dict[str, Any] = {"strategy_id": "kept", **WINDOW}
    card = await repository.metrics(**one)
    assert card.duration.avg_ms == pytest.approx((100_000 * 10 + 100 * 5000) / 100_100)
    assert card.nodes_avg == pytest.approx((100_000 + 500) / 100_100)
    assert (card.duration.sample_size, card.duration.max_ms) == (200, 5000.0)
    assert [bar.count for bar in card.duration_histogram if bar.count] == [100, 100]
    [bucket] = await repository.timeseries(**one, bucket=9)
    [rank] = await repository.rank_strategies(**one)
    for took in (bucket.duration_avg_ms, rank.avg_ms):
        assert took == pytest.approx(card.duration.avg_ms)
    nearly_all = await repository.duration_percentiles(**one, fractions=[1, 0.999, 0, 0.999])
    assert nearly_all.values_ms == pytest.approx((5000.0, 10.0, 10.0, 10.0))
    assert nearly_all.sample_size == 200


async def test_rollups_weigh_as_rows_do(pool: Pool) -> None:
    repository = StrategyExecutionLogRepository(pool)
    await store_some_of_many(repository)
    one: dict[str, Any] = {"strategy_id": "kept", "since": T0, "until": T0 + timedelta(hours=2)}
    rows = await repository.metrics(**one)
    await roll_up(pool)
    card = await repository.metrics(**one)
    assert (rows.duration.method, card.duration.method) == ("exact", "sketch")
    both = await repository.compare(a="kept", b="kept", since=one["since"], until=one["until"])
    report = await repository.report(**one, bucket=7200)
    [bucket] = await repository.timeseries(**one, bucket=7200)
    [rank] = await repository.rank_strategies(**one)
    average = (100_000 * 10 + 100 * 5000) / 100_100
    assert average == pytest.approx(14.985, abs=1e-3)
    for took in (rows.duration, card.duration, both.b.duration, report.metrics.duration, rank):
        assert (took.p50_ms, took.p95_ms, took.p99_ms) == pytest.approx((10,) * 3, rel=0.01)
        assert took.avg_ms == pytest.approx(average)
        assert took.relative_error == (0.0 if took is rows.duration else 0.01)
    assert bucket.duration_p50_ms == pytest.approx(10, rel=0.01)
    assert bucket.duration_p99_ms == pytest.approx(10, rel=0.01)
    assert bucket.duration_avg_ms == pytest.approx(average)
    assert card.nodes_avg == rows.nodes_avg
    assert card.duration_histogram == rows.duration_histogram
    assert (card.duration.sample_size, card.duration.max_ms) == (200, 5000.0)


async def test_rollups_say_if_a_percentile_has_no_bound(pool: Pool) -> None:
    """Below a microsecond all is in one bar."""
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(
        row(strategy_id="tiny", created_at=T0, duration_ms=n / 1e6) for n in range(200)
    )
    await roll_up(pool)
    one: dict[str, Any] = {"strategy_id": "tiny", "since": T0, "until": T0 + timedelta(hours=2)}
    card = await repository.metrics(**one)
    [bucket] = await repository.timeseries(**one, bucket=7200)
    [rank] = await repository.rank_strategies(**one)
    for took in (card.duration, bucket, rank):
        assert (took.method, took.relative_error) == ("sketch", None)


async def test_durations_too_small_to_be_weighed(
    repository: StrategyExecutionLogRepository,
) -> None:
    """The server raises if a product is too small; found by chance below."""
    await repository.insert_rows(
        row(strategy_id="small", created_at=T0, duration_ms=duration, sample_rate=0.7)
        for duration in (0.0, 5e-324)
    )
    for found in (await percentiles_of(repository, "small")).values():
        assert max(found) <= 5e-324
    asked = await repository.duration_percentiles(strategy_id="small", fractions=[5e-324, 1])
    assert asked.values_ms == (0.0, 5e-324)


def normal(values: Iterable[float]) -> list[float]:
    return [value if value > 1e-15 else 0.0 for value in values]


@pytest.mark.session
async def test_a_sample_is_weighed_too(dsn: str) -> None:
    async with out_of_time(dsn, "client") as (ask, pool):
        repository = StrategyExecutionLogRepository(pool)
        await store_some_of_many(repository)
        one: dict[str, Any] = {"strategy_id": "kept", **WINDOW}
        card = await ask(lambda timeout: repository.metrics(**one, timeout=timeout))
        asked = await ask(lambda timeout: repository.duration_percentiles(**one, timeout=timeout))
    assert (card.duration.method, asked.method) == ("sample", "sample")
    assert (card.duration.p50_ms, card.duration.p99_ms) == (10.0, 10.0)
    assert asked.values_ms == (10.0, 10.0, 10.0)
    assert card.duration.avg_ms == pytest.approx(14.985, abs=1e-3)


@many
@given(
    rows=_rows([1.0, 0.5, 0.25, 0.2, 0.1, 0.05]),
    fractions=st.lists(st.just(0.0) | st.floats(1e-9, 1), min_size=1),
)
async def test_whole_weights_are_rows_that_are_there_so_often(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    fractions: list[float],
) -> None:
    """To the last digit: both are the same sums of whole numbers. Of the least ones 0 is said."""
    prefix, _ = await stored(shared_repository, [*rows, *repeated(rows)])
    weighed, plain = prefix + "A", prefix + "B"
    one = await percentiles_of(shared_repository, weighed)
    two = await percentiles_of(shared_repository, plain)
    assert one.keys() == two.keys()
    for name, values in one.items():
        assert normal(values) == normal(two[name]), name
    asked = [
        await shared_repository.duration_percentiles(strategy_id=name, fractions=fractions)
        for name in (weighed, plain)
    ]
    assert normal(asked[0].values_ms) == normal(asked[1].values_ms)
    both = await shared_repository.compare(a=weighed, b=plain)
    assert close(both.a.duration.avg_ms, both.b.duration.avg_ms)
    assert close(both.a.nodes_avg, both.b.nodes_avg)


@many
@given(rows=_rows([1.0]))
async def test_weights_of_one_are_percentile_cont(
    shared_repository: StrategyExecutionLogRepository,
    shared_dsn: str,
    rows: list[StrategyExecutionLog],
) -> None:
    prefix, _ = await stored(shared_repository, rows)
    connection = await asyncpg.connect(shared_dsn)
    server = await connection.fetchval(
        "select percentile_cont($2::float8[]) within group (order by duration_ms)"
        " from execlog.strategy_execution_log where strategy_id = $1",
        prefix + "A",
        FRACTIONS,
    )
    await connection.close()
    found = await percentiles_of(shared_repository, prefix + "A")
    assert set(found.values()) == {tuple(server)}


def _drifting(dice: random.Random) -> Iterator[float]:
    """Ten times as slow from the middle on: what the first rows are like says little."""
    return (dice.lognormvariate(1 if n < 1500 else 3.3, 0.3) for n in range(3000))


SHAPES: dict[str, Callable[[random.Random], Iterator[float]]] = {
    "spread": lambda dice: (dice.lognormvariate(2, 1) for _ in range(3000)),
    "narrow": lambda dice: (250 + dice.random() / 100 for _ in range(3000)),
    "few values": lambda dice: (float(dice.choice([0, 1, 2, 5, 250])) for _ in range(3000)),
    "all the same": lambda dice: (7.5 for _ in range(3000)),
    "two, far apart": lambda dice: (dice.choice([1e-9, 1e13]) for _ in range(3000)),
    "below all bars": lambda dice: (dice.random() / 1e4 for _ in range(3000)),
    "above all bars": lambda dice: (1e9 * (1 + dice.random()) for _ in range(3000)),
    "drifting": _drifting,
}


@pytest.mark.parametrize("rates", one_of([(1.0, 0.05), (1.0,), (0.3,), (1.0, 0.3, 0.07, 1e-3)]))
@pytest.mark.parametrize(
    "shape", [pytest.param(name, marks=[pytest.mark.long][: name != "spread"]) for name in SHAPES]
)
async def test_many_rows(
    shared_repository: StrategyExecutionLogRepository, shape: str, rates: tuple[float, ...]
) -> None:
    """Percentiles are looked for in a few bars of durations; here these are full, or one is all."""
    dice = random.Random(7)
    rows = [
        row(
            strategy_id="A",
            created_at=T0 + n * SECOND / 1000,
            duration_ms=duration,
            sample_rate=dice.choice(rates),
            nodes_executed=n % 7,
            error_code=dice.choice([None, "E1"]),
            points=dice.choice([None, 1.0, 2.5]),
        )
        for n, duration in enumerate(SHAPES[shape](dice))
    ]
    prefix, own = await stored(shared_repository, rows)
    expected = weighed_percentiles(own, FRACTIONS)
    for name, found in (await percentiles_of(shared_repository, prefix + "A")).items():
        assert found == pytest.approx(expected, rel=1e-9), name
    card = await shared_repository.metrics(strategy_id=prefix + "A")
    assert close(card.duration.avg_ms, weighed_average(own, (one.duration_ms for one in own)))
    assert close(card.nodes_avg, weighed_average(own, (one.nodes_executed for one in own)))
    assert sum(bar.count for bar in card.duration_histogram) == len(own)
    assert sum(bar.count for bar in card.points_histogram) == sum(
        one.points is not None for one in own
    )


async def test_series_and_ranking_of_some_that_are_sampled(
    repository: StrategyExecutionLogRepository,
) -> None:
    """Buckets and strategies with whole rows and with others, side by side."""
    dice = random.Random(3)
    rows = [
        row(
            strategy_id=f"s{n % 4}",
            created_at=T0 + n * SECOND / 100,
            duration_ms=dice.lognormvariate(2, 1),
            sample_rate=0.05 if n % 4 > 1 and 300 <= n < 600 and n % 3 else 1.0,
        )
        for n in range(900)
    ]
    await repository.insert_rows(rows)
    for rank in await repository.rank_strategies(**WINDOW):
        own = [one for one in rows if one.strategy_id == rank.strategy_id]
        expected = weighed_percentiles(own, FRACTIONS)
        assert (rank.p50_ms, rank.p95_ms, rank.p99_ms) == pytest.approx(expected)
        series = await repository.timeseries(strategy_id=rank.strategy_id, **WINDOW, bucket=1)
        for bucket in series[:9]:
            inside = [
                one
                for one in own
                if one.created_at and bucket.start <= one.created_at < bucket.start + SECOND
            ]
            assert bucket.total == len(inside)
            took = (bucket.duration_p50_ms, bucket.duration_p95_ms, bucket.duration_p99_ms)
            assert took == pytest.approx(weighed_percentiles(inside, FRACTIONS))
