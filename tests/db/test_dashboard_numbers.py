"""Every number of a card, a series, a ranking or a report is that of a naive count in Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execlog import StrategyActivity, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.repository.metrics import FRACTIONS, HistogramBucket, StrategyMetrics
from tests.examples import rows_of_two, stored
from tests.oracle import (
    Realms,
    Window,
    clamp,
    close,
    error_rate,
    many,
    of_realms,
    own_realms,
    realm_choices,
    top,
    weighed_average,
    weighed_percentiles,
    weight,
    windows,
    within,
)
from tests.rows import STRATEGY, T0, TIMES, any_row, row
from tests.types import Pool

EDGES = [5, 10, 25, 50, 100, 150, 200, 250, 500, 1000, 2500, 5000]
SECOND = timedelta(seconds=1)


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
            weighed_percentiles(rows, FRACTIONS),
        )
    )
    assert close(duration.avg_ms, weighed_average(rows, durations))
    assert duration.max_ms == max(durations, default=0)
    bars = Counter(next((e for e in EDGES if value <= e), None) for value in durations)
    assert bounds(card.duration_histogram) == [(edge, bars[edge]) for edge in [*EDGES, None]]
    assert bounds(card.points_histogram) == points_bars(points)
    assert abs(card.points_sum - math.fsum(points)) <= 1e-9 * max(map(abs, [*points, 1.0]))
    assert close(card.nodes_avg, weighed_average(rows, (one.nodes_executed for one in rows)))
    assert card.nodes_max == max((one.nodes_executed for one in rows), default=0)
    errors = [(found.code, found.count) for found in card.top_errors]
    assert errors == top((one.error_code for one in rows if one.error_code is not None), 10)
    cases = [(found.case_name, found.count) for found in card.top_cases]
    assert cases == top((one.case_name for one in rows), 10)


@many
@given(rows=rows_of_two, window=windows, realms=realm_choices)
@example(rows=[], window=(None, None), realms=None)
@example(rows=[row(strategy_id="A", points=None)], window=(None, None), realms=None)
@example(
    rows=[row(strategy_id="A", points=p) for p in (5e-324, 0.0)], window=(None, None), realms=None
)
@example(
    rows=[row(strategy_id="A", points=p) for p in (-1e300, 1e-300, 1e300)],
    window=(None, None),
    realms=None,
)
@example(
    rows=[row(strategy_id="A", points=n / 10) for n in range(11)], window=(None, None), realms=None
)
@example(rows=[row(strategy_id="A", points=-2.0)] * 3, window=(None, None), realms=None)
@example(
    rows=[row(strategy_id="A", duration_ms=float(e)) for e in EDGES],
    window=(None, None),
    realms=None,
)
@example(
    rows=[row(strategy_id="A", sample_rate=5e-324, points=1e300)] * 2,
    window=(None, None),
    realms=None,
)
async def test_metrics_and_compare(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    realms: Realms,
) -> None:
    prefix, own = await stored(shared_repository, rows)
    asked = own_realms(realms, prefix)
    scope: dict[str, Any] = {"since": window[0], "until": window[1], "realm_id": asked}
    both = await shared_repository.compare(a=prefix + "A", b=prefix + "B", **scope)
    inside = of_realms(within(own, window), asked)
    for card, name in ((both.a, prefix + "A"), (both.b, prefix + "B")):
        assert_card(card, name, [one for one in inside if one.strategy_id == name], window)
        assert await shared_repository.metrics(strategy_id=name, **scope) == card
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
    realms=realm_choices,
)
async def test_timeseries(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    width: float,
    realms: Realms,
) -> None:
    prefix, own = await stored(shared_repository, rows)
    asked = own_realms(realms, prefix)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    bucket = width * SECOND
    found = await shared_repository.timeseries(
        strategy_id=prefix + "A", realm_id=asked, since=since, until=until, bucket=bucket
    )
    inside = of_realms(within(own, (since, until)), asked)
    mine = [one for one in inside if one.strategy_id == prefix + "A"]
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
        assert close(got.duration_avg_ms, weighed_average(runs, durations))
        values = (got.duration_p50_ms, got.duration_p95_ms, got.duration_p99_ms)
        assert all(map(close, values, weighed_percentiles(runs, FRACTIONS)))
        assert close(got.error_rate, error_rate(runs))
        assert got.duration_max_ms == max(durations, default=0)
        points = [one.points or 0.0 for one in runs]
        assert abs(got.points_sum - math.fsum(points)) <= 1e-9 * max(map(abs, [*points, 1.0]))
    assert sum(got.total for got in found) == len(mine)


@many
@given(
    rows=rows_of_two,
    window=windows,
    by=st.sampled_from(["p99", "failures", "error_rate", "runs"]),
    limit=st.sampled_from([-1, 1, 2, 10]),
    realms=realm_choices.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_rank_strategies(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    by: Any,
    limit: int,
    realms: Realms,
    some: bool,
) -> None:
    prefix, own = await stored(shared_repository, rows)
    asked = own_realms(realms, prefix)
    only = [prefix + "A", prefix + "none"] if some else None
    scope: dict[str, Any] = {"realm_id": asked, "strategy_id": only, "by": by}
    scope |= {"since": window[0], "until": window[1]}
    found = await shared_repository.rank_strategies(**scope, limit=limit)
    inside = of_realms(within(own, window), asked)
    if only is not None:
        inside = [one for one in inside if one.strategy_id in only]
    names = {one.strategy_id for one in inside}
    everyone = await shared_repository.rank_strategies(**scope)
    assert {one.strategy_id for one in everyone} == names
    key = {"p99": "p99_ms"}.get(by, by)
    best = sorted(everyone, key=lambda one: (-getattr(one, key), one.strategy_id))
    assert found == best[: clamp(limit, 50)]
    for got in everyone:
        runs = [one for one in inside if one.strategy_id == got.strategy_id]
        durations = [one.duration_ms for one in runs]
        assert got.runs == len(runs)
        assert got.failures == sum(one.status != "ok" for one in runs)
        assert close(got.error_rate, error_rate(runs))
        assert close(got.avg_ms, weighed_average(runs, durations))
        values = weighed_percentiles(runs, FRACTIONS)
        assert all(map(close, (got.p50_ms, got.p95_ms, got.p99_ms), values))
        times = [one.created_at for one in runs if one.created_at is not None]
        assert got.last_run == max(times, default=None)


@many
@given(
    rows=_timed,
    begin=st.integers(-1, 8),
    length=st.integers(0, 9),
    buckets=st.sampled_from([1, 2, 3, 30]),
    realms=realm_choices.filter(lambda realms: realms is not None),
    some=st.sampled_from([None, "A", ["A", "B"], []]),
)
async def test_activity(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    buckets: int,
    realms: Realms,
    some: Realms,
) -> None:
    prefix, own = await stored(shared_repository, rows)
    asked, only = own_realms(realms, prefix), own_realms(some, prefix)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    found = await shared_repository.activity(
        realm_id=asked, strategy_id=only, since=since, until=until, buckets=buckets
    )
    names = [only] if isinstance(only, str) else only
    mine = [one for one in of_realms(own, asked) if names is None or one.strategy_id in names]
    assert_activity(found, mine, since, until)
    assert all(len(one.starts) <= buckets + 1 for one in found)


def assert_activity(
    found: list[StrategyActivity],
    rows: list[StrategyExecutionLog],
    since: datetime,
    until: datetime,
) -> None:
    """Every number is that of the rows."""
    tick = timedelta(microseconds=1)
    earlier = within(rows, (since - (until - since) - tick, since - tick))
    inside = within(rows, (since, until))
    assert [one.strategy_id for one in found] == sorted(
        {one.strategy_id for one in [*earlier, *inside]}
    )
    for one in found:
        before = [run for run in earlier if run.strategy_id == one.strategy_id]
        assert one.runs_before == len(before)
        assert close(one.error_rate_before, error_rate(before))
        assert one.starts[0] == since
        assert len(one.starts) == len(one.runs) == len(one.failures)
        ends = [*(start - tick for start in one.starts[1:]), until]
        for start, end, runs, failures in zip(
            one.starts, ends, one.runs, one.failures, strict=True
        ):
            here = [
                run for run in within(inside, (start, end)) if run.strategy_id == one.strategy_id
            ]
            assert (runs, failures) == (len(here), sum(run.status != "ok" for run in here))


@many
@given(
    rows=_timed,
    begin=st.integers(-1, 8),
    length=st.integers(0, 9),
    width=st.sampled_from([0.25, 0.7, 60]),
    realms=realm_choices,
)
async def test_a_report_is_what_the_methods_say_one_by_one(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    width: float,
    realms: Realms,
) -> None:
    prefix, _ = await stored(shared_repository, rows)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    one: dict[str, Any] = {"strategy_id": prefix + "A", "realm_id": own_realms(realms, prefix)}
    await assert_report(shared_repository, one, since, until, width)


async def assert_report(
    repository: StrategyExecutionLogRepository,
    one: dict[str, Any],
    since: datetime,
    until: datetime,
    width: float,
) -> None:
    scope: dict[str, Any] = {**one, "since": since, "until": until}
    found = await repository.report(**scope, bucket=width)
    assert found.metrics == await repository.metrics(**scope)
    assert found.timeseries == await repository.timeseries(**scope, bucket=width)
    tick = timedelta(microseconds=1)
    window: dict[str, Any] = {"since": since - (until - since) - tick, "until": since - tick}
    whole = until - since + timedelta(days=1)
    assert [found.before] == await repository.timeseries(**one, **window, bucket=whole)


@pytest.mark.session
@pytest.mark.parametrize("rollups", [True, False])
async def test_no_digit_is_lost_however_a_session_writes_numbers(
    dsn: str, pool: Pool, rollups: bool
) -> None:
    await pool.execute("update execlog.rollup_state set exact_runs = $1", -1 if rollups else 50_000)
    await StrategyExecutionLogRepository(pool).insert_rows(
        row(
            created_at=T0 + n * timedelta(minutes=7),
            status="error" if n % 3 == 0 else "ok",
            duration_ms=1000 / 3 + n / 7,
            points=n / 7 - 1e5 / 3,
            sample_rate=1 / 3 + n / 100,
        )
        for n in range(40)
    )
    one = {"strategy_id": STRATEGY}
    window = T0 + timedelta(hours=2), T0 + timedelta(hours=4)
    for digits in ("0", "-15", "3"):
        settings = {"extra_float_digits": digits}
        async with asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as own:
            await assert_report(StrategyExecutionLogRepository(own), one, *window, 600)
