"""Windows and buckets keep to the calendar: in every time zone, and at its ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository
from tests.oracle import within
from tests.rows import STRATEGY, T0, TIMES, row
from tests.types import Pool

SECOND = timedelta(seconds=1)


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
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    repository = StrategyExecutionLogRepository(pool)
    rows = [row(created_at=time, status="error") for time in TIMES]
    await repository.insert_rows(rows)
    while rollups and await pool.fetchval("select execlog.roll_up()") == "more":
        pass
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


@pytest.mark.parametrize("times", [TIMES[1:2], TIMES[-1:], [TIMES[1], TIMES[-1]], TIMES])
@pytest.mark.parametrize("exact_runs", [-1, 1000])
async def test_verdicts_on_runs_at_the_ends_of_the_calendar(
    pool: Pool, times: list[datetime | None], exact_runs: int
) -> None:
    """The first and the last time are infinite to Postgres, which has no length up to there."""
    await pool.execute("update execlog.rollup_state set exact_runs = $1", exact_runs)
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(row(created_at=time, status="error") for time in times)
    first, last = (time.replace(tzinfo=UTC) for time in (datetime.min, datetime.max))
    for since in (None, first, first + SECOND, T0):
        for until in (None, last, last - SECOND):
            scope: dict[str, Any] = {"since": since, "until": until}
            both = await repository.compare(a=STRATEGY, b=STRATEGY, **scope)
            assert both.delta.error_rate == 0
            assert both.intervals.error_rate.significant in (None, False)


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
