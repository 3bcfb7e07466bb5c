"""The dashboard's methods against a plain-Python oracle, and the meanings of what they answer."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execlog import (
    StrategyActivity,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.db.executor import Store
from execlog.ids import uuid7
from execlog.repository.metrics import HistogramBucket, StrategyMetrics
from execlog.repository.percentiles import percentile_cont
from execlog.repository.repository import Reads, statements
from tests import databases
from tests.oracle import (
    Realms,
    Window,
    clamp,
    close,
    error_rate,
    many,
    newest_first,
    of_realms,
    own_realms,
    realm_choices,
    top,
    weight,
    windows,
    within,
)
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
@given(rows=_rows, window=windows, realms=realm_choices)
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
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    realms: Realms,
) -> None:
    prefix, own = await stored(repository, rows)
    asked = own_realms(realms, prefix)
    scope: dict[str, Any] = {"since": window[0], "until": window[1], "realm_id": asked}
    both = await repository.compare(a=prefix + "A", b=prefix + "B", **scope)
    inside = of_realms(within(own, window), asked)
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
    realms=realm_choices,
)
async def test_timeseries(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    width: float,
    realms: Realms,
) -> None:
    prefix, own = await stored(repository, rows)
    asked = own_realms(realms, prefix)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    bucket = width * SECOND
    found = await repository.timeseries(
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
        assert close(got.duration_avg_ms, math.fsum(durations) / max(len(runs), 1))
        values = (got.duration_p50_ms, got.duration_p95_ms, got.duration_p99_ms)
        assert all(map(close, values, percentile_cont(durations, (0.5, 0.95, 0.99))))
        assert close(got.error_rate, error_rate(runs))
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
    realms=realm_choices.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_rank_strategies(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    by: Any,
    limit: int,
    realms: Realms,
    some: bool,
) -> None:
    prefix, own = await stored(repository, rows)
    asked = own_realms(realms, prefix)
    only = [prefix + "A", prefix + "none"] if some else None
    scope: dict[str, Any] = {"realm_id": asked, "strategy_id": only, "by": by}
    scope |= {"since": window[0], "until": window[1]}
    found = await repository.rank_strategies(**scope, limit=limit)
    inside = of_realms(within(own, window), asked)
    if only is not None:
        inside = [one for one in inside if one.strategy_id in only]
    names = {one.strategy_id for one in inside}
    everyone = await repository.rank_strategies(**scope)
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
    realms=realm_choices.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_list_failures(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    limit: int,
    realms: Realms,
    some: bool,
) -> None:
    prefix, own = await stored(repository, rows)
    asked = own_realms(realms, prefix)
    only = prefix + "A"
    scope: dict[str, Any] = {"realm_id": asked, "strategy_id": only if some else None}
    scope |= {"since": window[0], "until": window[1]}
    failed = newest_first(
        one
        for one in of_realms(within(own, window), asked)
        if one.status != "ok" and (not some or one.strategy_id == only)
    )
    assert await repository.list_failures(**scope, limit=limit) == failed[: clamp(limit, 200)]
    assert await paged(repository.list_failures, **scope) == failed


async def test_the_failures_of_everybody_a_page_at_a_time(pool: Pool) -> None:
    """Ties, and rows without a time, are cut through."""
    repository = StrategyExecutionLogRepository(pool)
    rows = [
        row(
            strategy_id=f"s{n % 3}",
            realm_id="ab"[n % 2],
            status="error" if n % 4 else "ok",
            created_at=None if n % 5 == 0 else T0 + n // 6 * SECOND,
        )
        for n in range(60)
    ]
    await repository.insert_rows(rows)
    failed = newest_first(one for one in rows if one.status != "ok")
    assert await paged(repository.list_failures) == failed
    some = ["s1", "s2"]
    found = await paged(repository.list_failures, strategy_id=some)
    assert found == [one for one in failed if one.strategy_id in some]
    timed = await paged(repository.list_failures, since=T0)
    assert timed == [one for one in failed if one.created_at]


async def paged(
    ask: Callable[..., Awaitable[list[StrategyExecutionLog]]], **scope: Any
) -> list[StrategyExecutionLog]:
    """All of a list, in pages so small that ties are cut through."""
    found: list[StrategyExecutionLog] = []
    while page := await ask(**scope, limit=2, before=found[-1] if found else None):
        found += page
    return found


_bounds = st.none() | st.sampled_from([-1.0, 0.0, 0.3, 1.0, 5.0, 250.0, 1e300])


@many
@given(
    rows=_rows,
    window=windows,
    realms=realm_choices,
    status=st.sampled_from([None, None, "ok", "error", "odd", "failed", "errors", "other", ""]),
    error_code=st.sampled_from([None, None, "E1", ""]),
    case_name=st.sampled_from([None, None, "a", ""]),
    bounds=st.fixed_dictionaries(
        {},
        optional={
            f"{name}_{what}": _bounds
            for name, what in (
                ("min", "duration_ms"),
                ("max", "duration_ms"),
                ("above", "duration_ms"),
                ("min", "points"),
                ("max", "points"),
                ("below", "points"),
            )
        },
    ),
    limit=st.sampled_from([-1, 1, 3, 10**9]),
)
async def test_list_executions(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    realms: Realms,
    status: str | None,
    error_code: str | None,
    case_name: str | None,
    bounds: dict[str, float | None],
    limit: int,
) -> None:
    prefix, own = await stored(repository, rows)
    asked = own_realms(realms, prefix)
    scope: dict[str, Any] = {"strategy_id": prefix + "A", "realm_id": asked, **bounds}
    scope |= {"status": status, "error_code": error_code, "case_name": case_name}
    scope |= {"since": window[0], "until": window[1]}
    expected = newest_first(
        one
        for one in of_realms(within(own, window), asked)
        if one.strategy_id == prefix + "A"
        and has_status(one, status)
        and error_code in (None, one.error_code)
        and (case_name is None or one.case_name == (case_name or None))
        and all(is_bounded(one, name, bound) for name, bound in bounds.items())
    )
    assert await repository.list_executions(**scope, limit=limit) == expected[: clamp(limit, 200)]
    assert await paged(repository.list_executions, **scope) == expected


def has_status(one: StrategyExecutionLog, status: str | None) -> bool:
    if status == "errors":
        return one.status in ("error", "timeout", "limit")
    if status == "failed":
        return one.status != "ok"
    if status == "other":
        return one.status not in ("ok", "error", "timeout", "limit")
    return status in (None, one.status)


def is_bounded(one: StrategyExecutionLog, name: str, bound: float | None) -> bool:
    """Whether a row keeps to `min_duration_ms=bound` and the like."""
    if bound is None:
        return True
    side, what = name.split("_", 1)
    value: float | None = getattr(one, what)
    if value is None:
        return False
    return {
        "min": value >= bound,
        "max": value <= bound,
        "above": value > bound,
        "below": value < bound,
    }[side]


async def test_each_bar_of_a_card_leads_to_its_rows(pool: Pool) -> None:
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(
        row(created_at=T0 + n * SECOND, duration_ms=float(n % 120 * 10), points=float(n % 37))
        for n in range(150)
    )
    card = await repository.metrics(strategy_id=STRATEGY)
    above: float | None = None
    for bar in card.duration_histogram:
        found = await repository.list_executions(
            strategy_id=STRATEGY,
            above_duration_ms=above,
            max_duration_ms=bar.upper_bound,
            limit=200,
        )
        assert len(found) == bar.count
        above = bar.upper_bound
    least: float | None = min(n % 37 for n in range(150))
    *bars, last = card.points_histogram
    for bar in bars:
        found = await repository.list_executions(
            strategy_id=STRATEGY, min_points=least, below_points=bar.upper_bound, limit=200
        )
        assert len(found) == bar.count
        least = bar.upper_bound
    found = await repository.list_executions(
        strategy_id=STRATEGY, min_points=least, max_points=last.upper_bound, limit=200
    )
    assert len(found) == last.count


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
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    buckets: int,
    realms: Realms,
    some: Realms,
) -> None:
    prefix, own = await stored(repository, rows)
    asked, only = own_realms(realms, prefix), own_realms(some, prefix)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    found = await repository.activity(
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
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    begin: int,
    length: int,
    width: float,
    realms: Realms,
) -> None:
    prefix, _ = await stored(repository, rows)
    since = T0 + begin * SECOND / 2
    until = since + length * SECOND / 2
    one: dict[str, Any] = {"strategy_id": prefix + "A", "realm_id": own_realms(realms, prefix)}
    await assert_report(repository, one, since, until, width)


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


async def test_a_report_and_what_it_is_as_json(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """It defaults to the last day, and is read in a session with its own ways as in any other."""
    now = datetime.now(UTC)
    await repository.insert_rows(
        row(strategy_id="page", created_at=now - n * timedelta(hours=1), status=status)
        for n, status in ((1, "ok"), (2, "error"), (25, "ok"), (47, "error"), (50, "error"))
    )
    found = await repository.report(strategy_id="page")
    assert (found.metrics.status_breakdown.ok, found.metrics.status_breakdown.total) == (1, 2)
    assert (found.before.total, found.before.error_rate) == (2, 0.5)
    assert sum(bucket.total for bucket in found.timeseries) == 2
    assert found.metrics.window_until is not None
    assert found.metrics.window_from == found.timeseries[0].start
    assert list(found.model_dump(by_alias=True)) == ["metrics", "before", "timeseries"]
    assert type(found).model_validate(found.model_dump(by_alias=True, mode="json")) == found
    [one] = await repository.activity(strategy_id="page")
    assert (sum(one.runs), sum(one.failures)) == (2, 1)
    assert (one.runs_before, one.error_rate_before) == (2, 0.5)
    assert len(one.runs) in (24, 25)
    assert {start.minute for start in one.starts[1:]} == {0}
    assert list(one.model_dump(by_alias=True)) == [
        "strategyId",
        "starts",
        "runs",
        "failures",
        "runsBefore",
        "errorRateBefore",
    ]


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


@pytest.mark.parametrize("rollups", [True, False])
@pytest.mark.parametrize(
    ("since", "until"),
    [
        (datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(3, 1, 1, tzinfo=UTC)),
        (datetime(9999, 12, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
async def test_the_window_before_at_the_ends_of_the_calendar(
    pool: Pool, since: datetime, until: datetime, rollups: bool
) -> None:
    """It is shorter where the calendar begins, and no time there is infinite."""
    await pool.execute(
        "update execlog.rollup_state set exact_runs = -1, complete_from = $1",
        datetime.min if rollups else datetime.max,
    )
    repository = StrategyExecutionLogRepository(pool)
    rows = [row(created_at=time, status="error") for time in TIMES]
    await repository.insert_rows(rows)
    width = max((until - since) / 900, SECOND)
    one = {"strategy_id": STRATEGY, "since": since, "until": until}
    report = await repository.report(**one, bucket=width)  # type: ignore[arg-type]
    first = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
    length = until - since + timedelta(microseconds=1)
    begin = since - length if since - first > length else first
    earlier = within(rows, (begin, since - timedelta(microseconds=1)))
    inside = within(rows, (since, until))
    assert (report.before.start, report.before.total) == (begin, len(earlier))
    assert report.metrics.status_breakdown.total == len(inside)
    found = await repository.activity(**one)  # type: ignore[arg-type]
    assert [(sum(got.runs), got.runs_before) for got in found] == (
        [(len(inside), len(earlier))] if inside or earlier else []
    )


async def test_what_a_reader_alone_has(pool: Pool) -> None:
    """All that reads, and nothing that writes."""
    reader = Reads(Store(pool, 5.0), statements())
    assert (await reader.health()).missing_migrations == []
    assert not [name for name in dir(Reads) if name.startswith("insert") or name == "erase"]
    writing = {name for name, statement in statements().items() if statement.writes}
    assert {name for name in statements() if not hasattr(reader, name)} == writing


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
        "errorRate": pytest.approx(0.2),
        "durationAvgMs": 1753.75,
        "durationP50Ms": 5.5,
        "durationP95Ms": pytest.approx(5950.9),
        "durationP99Ms": pytest.approx(6790.18),
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
