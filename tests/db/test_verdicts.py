"""A comparison, a report and the activity say better or worse only of what is more than chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from execlog import (
    InvalidArgument,
    Slice,
    StrategyComparison,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.ids import uuid7
from tests.command import run
from tests.explaining import BASE, WINDOW, runs
from tests.oracle import close
from tests.rolling import both, rolled_up
from tests.rows import STRATEGY, T0, row
from tests.samples import one_of
from tests.types import Pool

TICK = timedelta(microseconds=1)
THEN = Slice(STRATEGY, since=T0 - WINDOW, until=T0 - TICK)
NOW = Slice(STRATEGY, since=T0, until=T0 + WINDOW)
MEASURES = ["success_rate", "error_rate", "p95_ms", "avg_ms", "points_avg"]


def healthy(fields: Any, after: bool) -> float:
    return BASE


def broken(fields: Any, after: bool) -> float:
    return BASE + 0.1 * after


def timed(rate: Any, *, slower: float = 1.0, **options: Any) -> Iterator[StrategyExecutionLog]:
    """Runs that take their time, longer from T0 on."""
    dice = random.Random(3)
    for one in runs(rate, **options):
        factor = slower if one.created_at is not None and one.created_at >= T0 else 1.0
        took = factor * dice.lognormvariate(2, 0.5)
        yield one.model_copy(update={"duration_ms": took})


def said(found: StrategyComparison) -> list[bool | None]:
    return [getattr(found.intervals, name).significant for name in MEASURES]


async def test_a_healthy_strategy_gets_no_verdict(
    repository: StrategyExecutionLogRepository,
) -> None:
    await repository.insert_rows(timed(healthy))
    found = await repository.compare(THEN, NOW)
    assert said(found) == [False] * 5
    for name in MEASURES:
        interval, moved = getattr(found.intervals, name), getattr(found.delta, name)
        assert interval.low < 0 < interval.high
        assert interval.low < moved < interval.high
    report = await repository.report(strategy_id=STRATEGY, since=T0, until=T0 + WINDOW - TICK)
    changes = report.intervals.model_dump().values()
    assert [one["significant"] for one in changes] == [False] * 4
    [one] = await repository.activity(since=T0, until=T0 + WINDOW - TICK)
    assert one.error_rate_change.significant is False


def _windows() -> list[str]:
    times = [(T0 - WINDOW, T0 - TICK), (T0, T0 + WINDOW)]
    return [
        word
        for since, until in times
        for word in ("--window", f"{since.isoformat()}..{until.isoformat()}")
    ]


@pytest.mark.parametrize("kept", one_of([0.05, 1.0]))
async def test_a_broken_strategy_is_worse(
    repository: StrategyExecutionLogRepository, dsn: str, kept: float
) -> None:
    """Of all runs, and of those that a log keeps of each twentieth: the true change is covered."""
    await repository.insert_rows(timed(broken, kept=kept, slower=1.5))
    found = await repository.compare(THEN, NOW)
    assert found.intervals.error_rate.significant
    assert found.intervals.error_rate.low is not None
    assert found.intervals.error_rate.high is not None
    assert 0 < found.intervals.error_rate.low < 0.1 < found.intervals.error_rate.high
    if kept == 1:
        assert found.intervals.p95_ms.significant
    report = await repository.report(strategy_id=STRATEGY, since=T0, until=T0 + WINDOW - TICK)
    assert report.intervals.error_rate.significant
    [one] = await repository.activity(since=T0, until=T0 + WINDOW - TICK)
    assert one.error_rate_change.significant
    back = await repository.compare(NOW, THEN)
    assert close(back.intervals.error_rate.low or 0, -found.intervals.error_rate.high)
    table = run("compare", STRATEGY, *_windows(), EXECLOG_DSN=dsn).stdout
    words = {line.split("\t")[0]: line.split("\t")[-1] for line in table.splitlines()}
    assert words["error rate"] == words["ok"] == "worse"
    assert words["other"] == "the same"


async def test_slices_of_one_strategy(repository: StrategyExecutionLogRepository, dsn: str) -> None:
    """Version 4 fails, and only in one realm: versions and tenants are compared."""

    def rate(fields: Any, after: bool) -> float:
        is_hit = fields["strategy_version"] == 4 and fields["realm_id"] == "acme"
        return BASE + (0.3 if is_hit else 0.0)

    await repository.insert_rows(runs(rate))
    window: dict[str, Any] = {"since": T0 - WINDOW, "until": T0 + WINDOW}
    three, four = (Slice(STRATEGY, strategy_version=version) for version in (3, 4))
    found = await repository.compare(three, four, **window)
    assert found.intervals.error_rate.significant
    assert found.a.status_breakdown.total > found.b.status_breakdown.total
    others = await repository.compare(a=three, b=four, realm_id=["bolt", "core"], **window)
    assert others.intervals.error_rate.significant is False
    open_ended = await repository.compare(three, four)
    assert open_ended.intervals.error_rate.significant
    realms = run("compare", STRATEGY, "--realms", "bolt", "acme", EXECLOG_DSN=dsn).stdout
    assert "\nerror rate\t" in realms
    assert "\tworse\n" in realms
    assert (
        "not significant ("
        in run("compare", STRATEGY, "--realms", "bolt", "core", EXECLOG_DSN=dsn).stdout
    )
    versions = run("compare", STRATEGY, "--versions", "3", "4", "--json", EXECLOG_DSN=dsn)
    assert '"significant":true' in versions.stdout.replace(" ", "")


async def test_few_runs_get_no_verdict(
    repository: StrategyExecutionLogRepository, dsn: str
) -> None:
    """The one that broke beside few runs of the day before: how few is said."""
    minute = timedelta(minutes=1)
    await repository.insert_rows(
        [
            *(row(created_at=T0 - n * minute, status="error") for n in range(1, 41)),
            *(row(created_at=T0 + n * minute / 10) for n in range(500)),
        ]
    )
    found = await repository.compare(THEN, NOW)
    assert said(found) == [None] * 5
    assert found.intervals.error_rate.low is None
    [one] = await repository.activity(since=T0, until=T0 + WINDOW - TICK)
    assert (one.runs_before, one.error_rate_change.significant) == (40, None)
    table = run("compare", STRATEGY, *_windows(), EXECLOG_DSN=dsn).stdout
    assert "\ttoo few runs (40 runs before)\n" in table
    assert "better" not in table


async def test_rollups_say_what_rows_say(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows(timed(broken, slower=1.2, kept=0.5))
    await rolled_up(pool)
    window: dict[str, Any] = {"since": T0, "until": T0 + WINDOW - TICK}
    rolled, exact = await both(pool, lambda log: log.compare(THEN, NOW))
    assert rolled.b.duration.method == "sketch"
    assert said(rolled) == said(exact)
    for name in ("success_rate", "error_rate", "avg_ms", "points_avg"):
        one, other = getattr(rolled.intervals, name), getattr(exact.intervals, name)
        assert close(one.low, other.low)
        assert close(one.high, other.high)
    # Blocks of an open window begin with the runs, and not with the day.
    rolled, exact = await both(
        pool, lambda log: log.compare(Slice(STRATEGY, until=THEN.until), NOW)
    )
    assert said(rolled) == said(exact) != [None] * 5
    reports = await both(pool, lambda log: log.report(strategy_id=STRATEGY, **window))
    changes = [one.intervals.error_rate for one in reports]
    assert changes[0].low == pytest.approx(changes[1].low)
    assert changes[0].significant


async def test_a_strategy_that_gives_no_points(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """A whole block of rollups has none then, which is no zero."""
    hours = [T0 + timedelta(hours=n / 10) for n in range(-600, 600)]
    await repository.insert_rows(row(created_at=at, points=None) for at in hours)
    await rolled_up(pool)
    sides = (Slice(STRATEGY, until=T0 - TICK), Slice(STRATEGY, since=T0))
    rolled, exact = await both(pool, lambda log: log.compare(*sides))
    assert rolled.b.duration.method == "sketch"
    for found in (rolled, exact):
        assert (found.delta.points_avg, found.intervals.points_avg.significant) == (0, False)


async def test_a_tenant_gets_verdicts_of_its_own_rows(
    repository: StrategyExecutionLogRepository,
) -> None:
    """Blocks and p-values are the same whether or not another tenant is there."""
    window = {"since": T0, "until": T0 + WINDOW - TICK, "realm_id": "acme"}

    def only(one: StrategyExecutionLog) -> bool:
        return one.realm_id == "acme"

    await repository.insert_rows(one for one in timed(healthy) if only(one))
    alone = await answers(repository, window)
    await repository.insert_rows(one for one in timed(broken) if not only(one))
    await repository.insert_rows(
        one.model_copy(update={"strategy_id": "other", "id": uuid7()})
        for one in timed(broken)
        if not only(one)
    )
    assert await answers(repository, window) == alone


async def answers(
    repository: StrategyExecutionLogRepository, window: dict[str, Any]
) -> tuple[object, ...]:
    report = await repository.report(strategy_id=STRATEGY, **window)
    activity = await repository.activity(**window)
    found = await repository.compare(THEN, NOW, realm_id="acme")
    return report.intervals, activity, found.intervals


async def test_equal_points_differ_by_no_rounding(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = [
        row(created_at=T0 + timedelta(seconds=n * 1.3), strategy_id=name, points=0.1)
        for name, count in (("a", 2000), ("b", 1700))
        for n in range(count)
    ]
    await repository.insert_rows(rows)
    found = await repository.compare("a", "b")
    assert found.delta.points_avg == 0
    assert found.intervals.points_avg.significant is False


async def test_odd_slices(repository: StrategyExecutionLogRepository) -> None:
    wrong: list[tuple[str, Any, dict[str, Any]]] = [
        ("since", THEN, {"since": T0}),
        ("until", Slice("s", since=T0), {"until": T0}),
        ("realm_id", Slice("s", realm_id="acme"), {"realm_id": "acme"}),
        ("a", Slice(""), {}),
        ("a", 7, {}),
        ("since", Slice("s", since=datetime(2026, 1, 1)), {}),
        ("strategy_version", Slice("s", strategy_version="3"), {}),  # type: ignore[arg-type]
    ]
    for name, given, call in wrong:
        with pytest.raises(InvalidArgument) as raised:
            await repository.compare(given, "b", **call)
        assert raised.value.args[0] == name
    for window in ((None, None), (datetime.min.replace(tzinfo=THEN.since.tzinfo), None)):  # type: ignore[union-attr]
        found = await repository.compare("a", Slice("b", since=window[0], until=window[1]))
        assert said(found) == [None] * 5
