"""The dashboard's methods against a plain-Python oracle, and the meanings of what they answer."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.ids import uuid7
from execlog.metrics import HistogramBucket, StrategyMetrics
from execlog.percentiles import percentile_cont
from tests import databases
from tests.oracle import Window, clamp, close, many, newest_first, top, windows, within
from tests.rows import STRATEGY, T0, TIMES, any_row, row
from tests.types import Pool

EDGES = [5, 10, 25, 50, 100, 150, 200, 250, 500, 1000, 2500, 5000]
SECOND = timedelta(seconds=1)
_examples = itertools.count()
_rows = st.lists(any_row(st.sampled_from(["A", "B"])), max_size=25)


@pytest.fixture(scope="module")
async def repository(template: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    """One database for all examples: each has strategies and realms of its own."""
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        yield StrategyExecutionLogRepository(pool)


async def stored(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> tuple[str, list[StrategyExecutionLog]]:
    """Stores the rows as this example's own; the prefix of its strategies and realms, its rows."""
    prefix = f"{next(_examples)}-"
    own = [
        one.model_copy(
            update={
                "id": uuid7(),
                "strategy_id": prefix + one.strategy_id,
                "realm_id": None if one.realm_id is None else prefix + "AB"[len(one.realm_id) % 2],
            }
        )
        for one in rows
    ]
    await repository.insert_rows(own)
    return prefix, own


def weight(one: StrategyExecutionLog) -> float:
    return 1 / max(one.sample_rate, 1e-9)


def points_bars(points: list[float]) -> list[tuple[float, int]]:
    """Each bar's upper bound and count, by comparison with each edge."""
    if not points:
        return [(0.0, 0)]
    low, high = min(points), max(points)
    if high - low <= 1e-290:
        return [(high, len(points))]
    step = (high - low) / 10
    edges = [low + step * n for n in range(1, 10)]
    bars = Counter(sum(edge <= value for edge in edges) for value in points)
    return [(upper, bars[n]) for n, upper in enumerate([*edges, high])]


def bounds(bars: Sequence[HistogramBucket]) -> list[tuple[float | None, int]]:
    return [(bar.upper_bound, bar.count) for bar in bars]


def assert_card(
    card: StrategyMetrics, strategy_id: str, rows: list[StrategyExecutionLog], window: Window
) -> None:
    """Every number of a card is that of the rows."""
    statuses = Counter(one.status for one in rows)
    known = {name: statuses.pop(name, 0) for name in ("ok", "error", "timeout", "limit")}
    breakdown = {**known, "other": statuses.total(), "total": len(rows)}
    durations = [one.duration_ms for one in rows]
    points = [one.points for one in rows if one.points is not None]
    total = math.fsum(map(weight, rows))
    failed = math.fsum(weight(one) for one in rows if one.status in ("error", "timeout", "limit"))
    ok = math.fsum(weight(one) for one in rows if one.status == "ok")
    assert (card.strategy_id, card.window_from, card.window_until) == (strategy_id, *window)
    assert card.status_breakdown.model_dump() == breakdown
    assert close(card.estimated_total, total)
    assert close(card.success_rate, ok / total if rows else 0)
    assert close(card.error_rate, failed / total if rows else 0)
    assert 0 <= card.success_rate <= 1
    assert 0 <= card.error_rate <= 1
    duration = card.duration
    assert (duration.method, duration.sample_size) == ("exact", len(rows))
    assert all(
        map(
            close,
            (duration.p50_ms, duration.p95_ms, duration.p99_ms),
            percentile_cont(durations, (0.5, 0.95, 0.99)),
        )
    )
    assert close(duration.avg_ms, math.fsum(durations) / max(len(rows), 1))
    assert duration.max_ms == max(durations, default=0)
    bars = Counter(next((e for e in EDGES if value <= e), None) for value in durations)
    assert bounds(card.duration_histogram) == [(edge, bars[edge]) for edge in [*EDGES, None]]
    assert bounds(card.points_histogram) == points_bars(points)
    assert abs(card.points_sum - math.fsum(points)) <= 1e-9 * max(map(abs, [*points, 1.0]))
    assert close(card.nodes_avg, sum(one.nodes_executed for one in rows) / max(len(rows), 1))
    assert card.nodes_max == max((one.nodes_executed for one in rows), default=0)
    errors = [(found.code, found.count) for found in card.top_errors]
    assert errors == top((one.error_code for one in rows if one.error_code is not None), 10)
    cases = [(found.case_name, found.count) for found in card.top_cases]
    assert cases == top((one.case_name for one in rows), 10)


@many
@given(rows=_rows, window=windows)
@example(rows=[], window=(None, None))
@example(rows=[row(strategy_id="A", points=None)], window=(None, None))
@example(rows=[row(strategy_id="A", points=p) for p in (5e-324, 0.0)], window=(None, None))
@example(
    rows=[row(strategy_id="A", points=p) for p in (-1e300, 1e-300, 1e300)], window=(None, None)
)
@example(rows=[row(strategy_id="A", points=n / 10) for n in range(11)], window=(None, None))
@example(rows=[row(strategy_id="A", points=-2.0)] * 3, window=(None, None))
@example(rows=[row(strategy_id="A", duration_ms=float(e)) for e in EDGES], window=(None, None))
@example(rows=[row(strategy_id="A", sample_rate=5e-324, points=1e300)] * 2, window=(None, None))
async def test_metrics_and_compare(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog], window: Window
) -> None:
    prefix, own = await stored(repository, rows)
    scope: dict[str, Any] = {"since": window[0], "until": window[1]}
    both = await repository.compare(a=prefix + "A", b=prefix + "B", **scope)
    inside = within(own, window)
    for card, name in ((both.a, prefix + "A"), (both.b, prefix + "B")):
        assert_card(card, name, [one for one in inside if one.strategy_id == name], window)
        assert await repository.metrics(strategy_id=name, **scope) == card
    assert both.delta.success_rate == both.b.success_rate - both.a.success_rate
    assert both.delta.error_rate == both.b.error_rate - both.a.error_rate
    assert both.delta.p95_ms == both.b.duration.p95_ms - both.a.duration.p95_ms
    assert both.delta.avg_ms == both.b.duration.avg_ms - both.a.duration.avg_ms
    if all(abs(one.points or 0) < 1e280 for one in inside):
        averages, scale = [], 1.0
        for card in (both.a, both.b):
            runs = [one for one in inside if one.strategy_id == card.strategy_id]
            weighed = [(one.points or 0) * weight(one) for one in runs]
            averages.append(math.fsum(weighed) / (math.fsum(map(weight, runs)) or 1))
            scale = max([scale, *map(abs, weighed)])
        assert abs(both.delta.points_avg - (averages[1] - averages[0])) <= 1e-9 * scale


_times = st.integers(-2, 12).map(lambda n: T0 + n * SECOND / 2) | st.sampled_from(TIMES)
_timed = st.lists(
    st.builds(
        lambda one, time: one.model_copy(update={"created_at": time}),
        any_row(st.sampled_from(["A", "B"])),
        _times,
    ),
    max_size=25,
)


@many
@given(
    rows=_timed,
    begin=st.integers(-1, 8),
    length=st.integers(0, 9),
    width=st.sampled_from([0.25, 0.5, 0.7, 1, 3, 60]),
)
async def test_timeseries(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    width: float,
) -> None:
    prefix, own = await stored(repository, rows)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    bucket = width * SECOND
    found = await repository.timeseries(
        strategy_id=prefix + "A", since=since, until=until, bucket=bucket
    )
    mine = [one for one in within(own, (since, until)) if one.strategy_id == prefix + "A"]
    assert len(found) == max(math.ceil((until - since) / bucket), 1)
    for number, got in enumerate(found):
        end = since + (number + 1) * bucket
        assert got.start == end - bucket
        runs = [
            one
            for one in mine
            if one.created_at
            and got.start <= one.created_at
            and (one.created_at < end or number == len(found) - 1)
        ]
        statuses = Counter(one.status for one in runs)
        known = [statuses.pop(name, 0) for name in ("ok", "error", "timeout", "limit")]
        assert [got.ok, got.error, got.timeout, got.limit] == known
        assert (got.total, got.other) == (len(runs), statuses.total())
        durations = [one.duration_ms for one in runs]
        assert close(got.duration_avg_ms, math.fsum(durations) / max(len(runs), 1))
        assert close(got.duration_p95_ms, percentile_cont(durations, [0.95])[0])
        assert got.duration_max_ms == max(durations, default=0)
        points = [one.points or 0.0 for one in runs]
        assert abs(got.points_sum - math.fsum(points)) <= 1e-9 * max(map(abs, [*points, 1.0]))
    assert sum(got.total for got in found) == len(mine)


@many
@given(
    rows=_rows,
    window=windows,
    by=st.sampled_from(["p99", "failures", "error_rate", "runs"]),
    limit=st.sampled_from([-1, 1, 2, 10]),
    realm=st.sampled_from(["A", "B"]),
)
async def test_rank_strategies(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    by: Any,
    limit: int,
    realm: str,
) -> None:
    prefix, own = await stored(repository, rows)
    found = await repository.rank_strategies(
        realm_id=prefix + realm, since=window[0], until=window[1], by=by, limit=limit
    )
    inside = [one for one in within(own, window) if one.realm_id == prefix + realm]
    names = {one.strategy_id for one in inside}
    everyone = await repository.rank_strategies(
        realm_id=prefix + realm, since=window[0], until=window[1], by=by
    )
    assert {one.strategy_id for one in everyone} == names
    key = {"p99": "p99_ms"}.get(by, by)
    best = sorted(everyone, key=lambda one: (-getattr(one, key), one.strategy_id))
    assert found == best[: clamp(limit, 50)]
    for got in everyone:
        runs = [one for one in inside if one.strategy_id == got.strategy_id]
        durations = [one.duration_ms for one in runs]
        failed = [one for one in runs if one.status in ("error", "timeout", "limit")]
        assert got.runs == len(runs)
        assert got.failures == sum(one.status != "ok" for one in runs)
        rate = math.fsum(map(weight, failed)) / math.fsum(map(weight, runs))
        assert close(got.error_rate, rate)
        assert close(got.avg_ms, math.fsum(durations) / len(runs))
        values = percentile_cont(durations, (0.5, 0.95, 0.99))
        assert all(map(close, (got.p50_ms, got.p95_ms, got.p99_ms), values))
        times = [one.created_at for one in runs if one.created_at is not None]
        assert got.last_run == max(times, default=None)


@many
@given(
    rows=_rows,
    window=windows,
    limit=st.sampled_from([-1, 1, 3, 50, 10**9]),
    realm=st.sampled_from(["A", "B"]),
)
async def test_list_failures(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    limit: int,
    realm: str,
) -> None:
    prefix, own = await stored(repository, rows)
    found = await repository.list_failures(
        realm_id=prefix + realm, since=window[0], until=window[1], limit=limit
    )
    failed = [
        one for one in within(own, window) if one.realm_id == prefix + realm and one.status != "ok"
    ]
    assert found == newest_first(failed)[: clamp(limit, 200)]


async def test_all_realms_and_none(pool: Pool) -> None:
    repository = StrategyExecutionLogRepository(pool)
    realms = ["acme", "other", None]
    rows = [
        row(
            strategy_id=f"s{n % 4}",
            realm_id=realms[n % 3],
            status="error" if n % 2 else "ok",
            duration_ms=float(n % 4),
            created_at=None if n % 5 == 0 else T0 + n * SECOND,
        )
        for n in range(60)
    ]
    await repository.insert_rows(rows)
    failed = newest_first(one for one in rows if one.status != "ok")
    assert await repository.list_failures() == failed
    assert await repository.list_failures(realm_id="acme") == [
        one for one in failed if one.realm_id == "acme"
    ]
    since = T0 + 30 * SECOND
    assert await repository.list_failures(since=since) == [
        one for one in failed if one.created_at and one.created_at >= since
    ]
    ranked = await repository.rank_strategies(by="p99")
    assert [(one.strategy_id, one.runs) for one in ranked] == [(f"s{n}", 15) for n in (3, 2, 1, 0)]
    ranked = await repository.rank_strategies(by="failures", since=since)
    assert [one.strategy_id for one in ranked] == ["s1", "s3", "s0", "s2"]
    assert {one.error_rate for one in ranked} == {0.0, 1.0}


async def test_rates_of_a_sample_are_those_of_the_truth_it_was_drawn_from(
    repository: StrategyExecutionLogRepository,
) -> None:
    """5 % of the ok runs are kept and all failures: the stored rows alone say 17 % failures."""
    dice = random.Random(5)
    shares = {"sampled": 0.01, "other-sampled": 0.02}
    truth = [
        (name, "error" if dice.random() < share else "ok")
        for name, share in shares.items()
        for _ in range(100_000)
    ]
    await repository.insert_rows(
        row(
            strategy_id=name,
            realm_id="sampled",
            status=status,
            points=10.0 if status == "ok" else None,
            sampled=status == "ok",
            sample_rate=0.05 if status == "ok" else 1.0,
        )
        for name, status in truth
        if status != "ok" or dice.random() < 0.05
    )
    both = await repository.compare(a="sampled", b="other-sampled")
    for card, name in ((both.a, "sampled"), (both.b, "other-sampled")):
        failed = truth.count((name, "error")) / 100_000
        # The standard deviation of what 5 % say of 100,000 runs is 1.4 %; five of them are allowed.
        assert card.estimated_total == pytest.approx(100_000, rel=0.07)
        assert card.error_rate == pytest.approx(failed, rel=0.07)
        assert card.success_rate == pytest.approx(1 - failed, rel=0.002)
        stored_rate = card.status_breakdown.error / card.status_breakdown.total
        assert stored_rate > 10 * card.error_rate
    assert both.delta.error_rate == pytest.approx(0.01, rel=0.15)
    # Nine and a half points a run or more, not the eight and seven of the stored rows.
    assert both.delta.points_avg == pytest.approx(-0.1, rel=0.15)
    ranked = await repository.rank_strategies(realm_id="sampled", by="error_rate")
    assert [one.strategy_id for one in ranked] == ["other-sampled", "sampled"]
    assert close(ranked[1].error_rate, both.a.error_rate)


async def test_a_comparison_of_a_strategy_with_itself(
    repository: StrategyExecutionLogRepository,
) -> None:
    await repository.insert_rows([row(strategy_id="twin", points=3.0)] * 1)
    both = await repository.compare(a="twin", b="twin")
    assert both.a == both.b
    assert set(both.delta.model_dump().values()) == {0.0}


@pytest.mark.parametrize(
    ("length", "width", "count"),
    [
        (timedelta(), 1, 1),
        (SECOND, 1, 1),
        (timedelta(minutes=2), 1, 120),
        (timedelta(minutes=2, microseconds=1), 5, 25),
        (timedelta(minutes=10), 5, 120),
        (timedelta(hours=1), 30, 120),
        (timedelta(hours=2), 60, 120),
        (timedelta(hours=10), 300, 120),
        (timedelta(days=1), 900, 96),
        (timedelta(days=2), 1800, 96),
        (timedelta(days=5), 3600, 120),
        (timedelta(days=30), 21600, 120),
        (timedelta(days=120), 86400, 120),
        (timedelta(days=1000), 86400, 1000),
    ],
)
async def test_the_width_of_a_bucket(
    repository: StrategyExecutionLogRepository, length: timedelta, width: int, count: int
) -> None:
    found = await repository.timeseries(strategy_id="none", since=T0, until=T0 + length)
    starts = [one.start for one in found]
    assert starts == [T0 + n * timedelta(seconds=width) for n in range(count)]
    assert sum(one.total for one in found) == 0


async def test_a_time_series_of_the_last_day(repository: StrategyExecutionLogRepository) -> None:
    now = datetime.now(UTC)
    await repository.insert_rows(
        [
            row(strategy_id="recent", created_at=now - timedelta(seconds=1)),
            row(strategy_id="recent", created_at=now - timedelta(hours=25)),
            row(strategy_id="recent", created_at=now + timedelta(hours=1)),
            row(strategy_id="recent", created_at=None),
        ]
    )
    found = await repository.timeseries(strategy_id="recent")
    assert len(found) == 96
    assert timedelta() <= found[0].start - (now - timedelta(days=1)) < timedelta(seconds=30)
    assert [one.total for one in found] == [0] * 95 + [1]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "UTC"])
@pytest.mark.parametrize("edge", [(2026, 3, 29), (2026, 10, 25), (2026, 3, 8), (2026, 11, 1)])
async def test_days_and_months_have_equal_buckets_in_every_time_zone(
    dsn: str, zone: str, edge: tuple[int, int, int]
) -> None:
    """An hour is an hour, also where the clocks of the session or of the caller are changed."""
    local = datetime(*edge, tzinfo=ZoneInfo(zone))
    since = local.astimezone(UTC) - timedelta(days=2)
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=1, server_settings={"timezone": zone}
    ) as pool:
        repository = StrategyExecutionLogRepository(pool)
        hours = [since + n * timedelta(hours=1) for n in range(5 * 24)]
        await repository.insert_rows(row(created_at=hour) for hour in hours)
        by_hour = await repository.timeseries(
            strategy_id=STRATEGY,
            since=since.astimezone(ZoneInfo(zone)),
            until=hours[-1],
            bucket=timedelta(hours=1),
        )
        by_day = await repository.timeseries(
            strategy_id=STRATEGY, since=since, until=hours[-1], bucket=timedelta(days=1)
        )
    # The last hour begins where the window ends, so the bucket before holds it too.
    assert [one.start for one in by_hour] == hours[:-1]
    assert [one.total for one in by_hour] == [1] * 118 + [2]
    assert [one.total for one in by_day] == [24] * 5


async def test_json_has_the_keys_of_the_contract(
    repository: StrategyExecutionLogRepository,
) -> None:
    at = T0.replace(microsecond=0)
    await repository.insert_rows(
        [
            row(
                strategy_id="json",
                realm_id="json",
                created_at=at,
                points=p,
                duration_ms=d,
                case_name=c,
                **more,
            )
            for p, d, c, more in (
                (0.0, 4.0, "gold", {}),
                (10.0, 6.0, None, {"sample_rate": 0.5, "sampled": True}),
                (None, 7000.0, None, {"status": "error", "error_code": "E1"}),
                (None, 5.0, "gold", {"status": "odd"}),
            )
        ]
    )
    both = await repository.compare(a="json", b="json", since=at, until=at)
    card = both.model_dump(by_alias=True, mode="json")["a"]
    durations = [2, 1, *[0] * 10, 1]
    labels = [*(f"≤{edge}ms" for edge in EDGES), ">5000ms"]
    assert card == {
        "strategyId": "json",
        "windowFrom": "2026-11-20T12:00:00Z",
        "windowUntil": "2026-11-20T12:00:00Z",
        "statusBreakdown": {"ok": 2, "error": 1, "timeout": 0, "limit": 0, "other": 1, "total": 4},
        "successRate": 0.6,
        "errorRate": 0.2,
        "duration": {
            "avgMs": 1753.75,
            "p50Ms": 5.5,
            "p95Ms": pytest.approx(5950.9),
            "p99Ms": pytest.approx(6790.18),
            "maxMs": 7000.0,
            "sampleSize": 4,
            "method": "exact",
            "relativeError": 0.0,
        },
        "durationHistogram": [
            {"label": label, "upperBound": edge, "count": count}
            for label, edge, count in zip(labels, [*EDGES, None], durations, strict=True)
        ],
        "topErrors": [{"code": "E1", "count": 1}],
        "topCases": [{"caseName": "gold", "count": 2}, {"caseName": None, "count": 2}],
        "pointsHistogram": [
            {"label": f"{n}\u2013{n + 1}", "upperBound": n + 1.0, "count": int(n in (0, 9))}
            for n in range(10)
        ],
        "pointsSum": 10.0,
        "nodesAvg": 4.0,
        "nodesMax": 4,
        "estimatedTotal": 5.0,
        "rowsFrom": None,
    }
    assert StrategyMetrics.model_validate(card) == both.a
    assert list(both.model_dump(by_alias=True)) == ["a", "b", "delta"]
    assert both.delta.model_dump(by_alias=True) == dict.fromkeys(
        ["successRate", "errorRate", "p95Ms", "avgMs", "pointsAvg"], 0.0
    )
    [bucket] = await repository.timeseries(strategy_id="json", since=at, until=at, bucket=0.5)
    assert bucket.model_dump(by_alias=True, mode="json") == {
        "start": "2026-11-20T12:00:00Z",
        "total": 4,
        "ok": 2,
        "error": 1,
        "timeout": 0,
        "limit": 0,
        "other": 1,
        "durationAvgMs": 1753.75,
        "durationP95Ms": pytest.approx(5950.9),
        "durationMaxMs": 7000.0,
        "pointsSum": 10.0,
        "method": "exact",
        "relativeError": 0.0,
    }
    [rank] = await repository.rank_strategies(realm_id="json")
    assert rank.model_dump(by_alias=True, mode="json") == {
        "strategyId": "json",
        "runs": 4,
        "failures": 2,
        "errorRate": 0.2,
        "avgMs": 1753.75,
        "p50Ms": 5.5,
        "p95Ms": pytest.approx(5950.9),
        "p99Ms": pytest.approx(6790.18),
        "lastRun": "2026-11-20T12:00:00Z",
        "method": "exact",
        "relativeError": 0.0,
    }


async def test_buckets_of_centuries(repository: StrategyExecutionLogRepository) -> None:
    """Where microseconds are too many for a double the edges are exact all the same."""
    since, until = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
    width = (until - since) / 997 + timedelta(microseconds=1)
    await repository.insert_rows(
        row(strategy_id="old", created_at=since + n * width - early)
        for n in range(1, 996)
        for early in (timedelta(), timedelta(microseconds=1))
    )
    found = await repository.timeseries(strategy_id="old", since=since, until=until, bucket=width)
    assert [one.total for one in found] == [1, *[2] * 994, 1, 0]
    for bucket in (timedelta.max, timedelta(days=106_751_992), 1e13):
        [whole] = await repository.timeseries(
            strategy_id="old", since=since, until=until, bucket=bucket
        )
        assert whole.total == 2 * 995


@pytest.mark.parametrize(
    ("points", "first", "last"),
    [
        ((0.0, 10.0), "0\u20131", "9\u201310"),
        ((-0.0, 10.0), "0\u20131", "9\u201310"),
        ((1234567.0, 1234568.0), "1234567\u20131234567.1", "1234567.9\u20131234568"),
        ((-1e300, 1e300), "-1e+300\u2013-8e+299", "8e+299\u20131e+300"),
        ((-0.0, -0.0), "0", "0"),
    ],
)
async def test_labels_of_points_tell_the_bars_apart(
    repository: StrategyExecutionLogRepository,
    points: tuple[float, float],
    first: str,
    last: str,
) -> None:
    name = f"labels {points}"
    await repository.insert_rows(row(strategy_id=name, points=value) for value in points)
    labels = [bar.label for bar in (await repository.metrics(strategy_id=name)).points_histogram]
    assert (labels[0], labels[-1]) == (first, last)
    assert len(set(labels)) == len(labels)


async def test_the_ten_most_frequent_of_more(repository: StrategyExecutionLogRepository) -> None:
    """Ties at the end go by code or name, and those of no case are last among them."""
    names = [f"c{n:02}" for n in range(14)]
    rows = [
        row(strategy_id="top", error_code=name, case_name=None if name == "c00" else name)
        for n, name in enumerate(names)
        for _ in range(9 if n in (12, 13) else 3)
    ]
    await repository.insert_rows(rows)
    card = await repository.metrics(strategy_id="top")
    errors = [(found.code, found.count) for found in card.top_errors]
    assert errors == [("c12", 9), ("c13", 9), *((name, 3) for name in names[:8])]
    cases = [(found.case_name, found.count) for found in card.top_cases]
    assert cases == [("c12", 9), ("c13", 9), *((name, 3) for name in names[1:9])]


async def test_an_empty_card(repository: StrategyExecutionLogRepository) -> None:
    card = await repository.metrics(strategy_id="nobody")
    dump = card.model_dump(by_alias=True, mode="json")
    assert dump["pointsHistogram"] == [{"label": "0", "upperBound": 0.0, "count": 0}]
    assert (dump["topErrors"], dump["topCases"]) == ([], [])
    assert (dump["successRate"], dump["errorRate"], dump["estimatedTotal"]) == (0, 0, 0)
    assert (dump["windowFrom"], dump["windowUntil"]) == (None, None)
    assert dump["duration"] == {
        "avgMs": 0.0,
        "p50Ms": 0.0,
        "p95Ms": 0.0,
        "p99Ms": 0.0,
        "maxMs": 0.0,
        "sampleSize": 0,
        "method": "exact",
        "relativeError": 0.0,
    }
