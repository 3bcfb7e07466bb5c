"""Measures what rollups cost and what they save, against their targets.

    python -m tests.bench.rollups [--rounds 9] [--scale 1] [--only NAME[,NAME]]

`--scale` is the share of the rows of each shape that are stored; targets are for all of them. Of
storing, only the server's part is measured: the lines are ready. Rows of the past stand for rows of
now that have closed since: they are stored without the trigger that would take them for late ones,
and summed up afterwards.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import execlog
from tests.bench.common import PATIENCE, Bench, Sections, Work, run_sections
from tests.bench.rollup_shapes import (
    BATCH,
    BUSY,
    DAY,
    HOUR,
    MINUTE,
    Log,
    at_most,
    batches,
    beside_rows,
    drop,
    in_turn,
    longest_stop,
    mixed,
    month,
    rate,
    store,
    timed,
)
from tests.rows import row

ODD = timedelta(minutes=17, seconds=23, microseconds=4567)


async def bench_ten(bench: Bench) -> None:
    await bench_mixed(bench, "ten", 10, 0.8)


async def bench_hundred(bench: Bench) -> None:
    await bench_mixed(bench, "hundred", 100, 0.7)


async def bench_mixed(bench: Bench, shape: str, strategies: int, least: float) -> None:
    """Shapes ten and hundred: storing, and summing up behind it; of ten its sizes too.

    Each round stores its share of the rows on a day of its own in the last month, so that its
    rollups can be made by themselves.
    """
    this = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = (this - DAY).replace(day=2, hour=10)
    ours, bare = Log(bench.pool, shape), Log(bench.pool, f"{shape}_bare")
    for log in (ours, bare):
        await log.make(first)
    await bare.without_triggers()
    dice = random.Random(3)
    rows = max(bench.scaled(2_000_000) // bench.rounds // BATCH, 1) * BATCH
    taken: dict[Log, list[float]] = {ours: [], bare: []}
    for turn in range(bench.rounds):
        begin = first + turn * DAY
        async with ours.nothing_late():
            seconds = await store(batches(mixed(dice, begin, strategies), rows), [ours, bare])
        await bench.pool.execute(f"update {shape}.rollup_state set complete_until = $1", begin)
        seconds[ours] += await timed(partial(ours.roll_up, datetime.now(UTC) - HOUR))
        for log in taken:
            taken[log].append(seconds[log])
    paid = {log: statistics.median(found) for log, found in taken.items()}
    rate(bench, f"{shape}: stored and rolled up", rows, paid[ours], paid[bare], least)
    if shape == "ten":
        await bench_sizes(bench, ours, shape, 0.02)
        await bench_rebuilding(bench, ours, first)
    await bench_copy(bench, shape, strategies, [ours, bare])
    await drop(ours, bare)


async def bench_copy(bench: Bench, shape: str, strategies: int, logs: list[Log]) -> None:
    """A batch of 2,000 rows of the last two seconds, and one of rows that are all late."""
    dice = random.Random(4)
    targets = {"rows of now": (timedelta(seconds=2), 0.95), "all late": (10 * MINUTE, 0.7)}
    taken: dict[tuple[str, Log], list[float]] = {(age, log): [] for age in targets for log in logs}
    for turn in range(-10, 10 * bench.rounds):
        for age, (ago, _) in targets.items():
            begin = datetime.now(UTC) - ago
            seconds = await store(batches(mixed(dice, begin, strategies), BATCH), logs)
            for log in logs if turn >= 0 else []:
                taken[age, log].append(seconds[log])
        logs = logs[::-1]
    ours, bare = sorted(logs, key=lambda log: log.schema != shape)
    for age, (_, least) in targets.items():
        seconds = {log: statistics.median(taken[age, log]) for log in logs}
        what = f"{shape}: COPY of 2,000, {age}"
        rate(bench, what, BATCH, seconds[ours], seconds[bare], least)


async def bench_sizes(bench: Bench, log: Log, shape: str, most: float) -> None:
    await log.vacuum()
    runs, rows, rollups = await log.sizes()
    bench.report.row(
        f"{shape}: bytes of rollups",
        f"{rollups / 1e6:,.1f} MB",
        f"{runs:,} rows, indexes {rows / 1e6:,.1f} MB",
        rollups / rows,
        f"<= {most:.0%}",
        rollups <= most * rows,
    )


async def bench_rebuilding(bench: Bench, log: Log, at: datetime) -> None:
    """Bytes of a row in a closed partition, before and after maintenance rebuilt its indexes."""
    partition = f"{log.table}_{at:%Y%m}"
    size = f"select pg_total_relation_size('{partition}') / count(*)::float8 from {partition}"
    grown = await bench.pool.fetchval(size, timeout=PATIENCE)
    steps = await execlog.maintain(bench.pool, schema=log.schema)
    assert ("rebuild", "done") in {(step.action, step.outcome) for step in steps}
    rebuilt = await bench.pool.fetchval(size, timeout=PATIENCE)
    bench.report.row(
        "ten: bytes a row, rebuilt",
        f"{rebuilt:,.1f} B",
        f"as grown {grown:,.1f} B",
        rebuilt / grown,
        "<= 450 B",
        rebuilt <= 450,
    )


async def bench_month(bench: Bench) -> None:
    """Shape month: storing it in the order of time, its rollups' size, and its card."""
    days = bench.scaled(30)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begin = end - days * DAY
    ours, bare = Log(bench.pool, "month"), Log(bench.pool, "month_bare")
    for log in (ours, bare):
        await log.make(begin)
    await bare.without_triggers()
    await bench_backfill(bench, f"month, {days} days: backfill", [ours, bare], begin, days)
    await bench_sizes(bench, ours, "month", 0.08)
    await bench_cards(bench, ours, begin, end)
    await bench_series(bench, ours, begin, end)
    await drop(ours, bare)


async def bench_backlog(bench: Bench) -> None:
    """The same, a tenth of it, into a log whose rollups are complete: each hour is made anew."""
    days = bench.scaled(3)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begin = end - days * DAY
    ours, bare = Log(bench.pool, "backlog"), Log(bench.pool, "backlog_bare")
    for log in (ours, bare):
        await log.make(begin)
    await bare.without_triggers()
    await ours.roll_up(end)
    await bench_backfill(bench, f"{days} days into a complete log", [ours, bare], begin, days)
    await drop(ours, bare)


async def bench_backfill(
    bench: Bench, what: str, logs: list[Log], begin: datetime, days: int
) -> None:
    parts = batches(month(random.Random(5), begin, days * 24 * 60))
    seconds = await store(parts, logs)
    ours, bare = logs
    stored = seconds[ours]
    seconds[ours] += await timed(partial(ours.roll_up, begin + days * DAY))
    rows = days * 24 * 60 * 59
    bench.report.row(
        what,
        f"{rows / seconds[ours]:,.0f} /s, COPY {rows / stored:,.0f}",
        f"no triggers {rows / seconds[bare]:,.0f} /s",
        seconds[bare] / seconds[ours],
        ">= 40,000 /s",
        rows >= 40_000 * seconds[ours],
    )


async def bench_cards(bench: Bench, log: Log, begin: datetime, end: datetime) -> None:
    window = {"since": begin + ODD, "until": end - ODD}
    runs = sum((await log.repository.count_by_status(strategy_id=BUSY, **window)).values())
    for what, versions in ((f"{runs:,} runs", None), ("one version, half of them", 4)):
        await beside_rows(
            bench,
            f"month: card, {what}",
            log,
            partial(card, log, strategy_version=versions, **window),
            0.015,
        )


def card(log: Log, **scope: Any) -> Awaitable[object]:
    """The card of one strategy, of all realms."""
    return log.repository.metrics(strategy_id=BUSY, timeout=PATIENCE / 4, **scope)


async def bench_series(bench: Bench, log: Log, begin: datetime, end: datetime) -> None:
    for length in (end - begin, min(DAY, end - begin)):
        width = length / 120
        await beside_rows(
            bench,
            f"month: series, 120 buckets of {width / MINUTE:g} min",
            log,
            partial(
                log.repository.timeseries,
                strategy_id=BUSY,
                since=end - length,
                until=end - timedelta(microseconds=1),
                bucket=width,
            ),
            0.015,
        )


async def bench_year(bench: Bench) -> None:
    """A year of a strategy in ten realms, each with ten runs an hour for four hours a day."""
    days = bench.scaled(365)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - DAY
    begin = end - days * DAY
    log = Log(bench.pool, "year")
    await log.make(begin)
    for n in range(days):
        at = begin + n * DAY
        await log.fill(400, at, 4 * HOUR, strategy=f"'{BUSY}'", realm="'realm-' || n % 10")
    await log.roll_up(end)
    await log.vacuum()
    ask = partial(card, log, since=begin + ODD, until=end - ODD)
    await beside_rows(bench, f"year of ten realms: card, {days} days", log, ask, 0.06)
    await drop(log)


async def bench_rows(bench: Bench) -> None:
    """The card of runs that are in no rollup, beside bare percentiles of the same rows."""
    runs = bench.scaled(200_000)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for shape, ok_rate in (("whole", 1.0), ("sampled", 0.05)):
        log = Log(bench.pool, shape)
        await log.make(end - DAY)
        await log.fill(2 * runs, end - DAY, DAY, strategy="'strategy-' || n % 2", ok_rate=ok_rate)
        await log.vacuum()
        sides: dict[str, Work] = {
            "ours": partial(card, log, since=end - DAY, until=end),
            "bare": partial(
                bench.pool.fetch,
                "select percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms)"
                f" from {log.table} where strategy_id = $1 and created_at between $2 and $3",
                BUSY,
                end - DAY,
                end,
            ),
        }
        for state, enabled in (("rollups off", False), ("not made yet", True)):
            await log.set_rollups(enabled)
            seconds = await in_turn(bench.rounds, sides)
            bench.report.row(
                f"{shape}: card of {runs:,}, {state}",
                f"{seconds['ours'] * 1000:,.0f} ms",
                f"bare percentiles {seconds['bare'] * 1000:,.0f} ms",
                seconds["ours"] / seconds["bare"],
                "<= 3 x",
                seconds["ours"] <= 3 * seconds["bare"],
            )
        await drop(log)


async def bench_ranking(bench: Bench) -> None:
    """A hundred strategies in three realms, 10,000 runs an hour in all."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    log = Log(bench.pool, "ranking")
    await log.make(end - 2 * DAY)
    hours = max(bench.scaled(30), 25)
    await log.fill(
        hours * 10_000, end - hours * HOUR, hours * HOUR, strategy="'strategy-' || n % 100"
    )
    await log.roll_up(end)
    await log.vacuum()
    for what, odd, most in (("24 h", timedelta(), 0.015), ("24 h, odd ends", ODD, None)):
        until = end - odd - timedelta(microseconds=1)
        ask = partial(log.repository.rank_strategies, since=end - odd - DAY, until=until)
        await beside_rows(bench, f"ranking of 100, {what}", log, ask, most)
    await bench_delay(bench, log, end)
    await drop(log)


async def bench_delay(bench: Bench, log: Log, end: datetime) -> None:
    """How many answers lack a row that was stored just before: of now, and of a summed-up hour."""
    scope: dict[str, Any] = {"since": end - DAY, "until": end + DAY}

    async def answers() -> list[int]:
        counts, metrics, series, ranks = await asyncio.gather(
            log.repository.count_by_status(strategy_id=BUSY, **scope),
            log.repository.metrics(strategy_id=BUSY, **scope),
            log.repository.timeseries(strategy_id=BUSY, bucket=HOUR, **scope),
            log.repository.rank_strategies(strategy_id=BUSY, by="runs", **scope),
        )
        return [
            sum(counts.values()),
            metrics.status_breakdown.total,
            sum(bucket.total for bucket in series),
            ranks[0].runs,
        ]

    # From rollups, though one strategy has few runs.
    await bench.pool.execute(f"update {log.schema}.rollup_state set exact_runs = -1")
    missing = asked = 0
    for turn in range(2 * bench.rounds):
        before = await answers()
        at = datetime.now(UTC) - (3 * HOUR if turn % 2 else timedelta())
        await log.repository.insert_row(row(strategy_id=BUSY, created_at=at, realm_id="a"))
        after = await answers()
        missing += sum(new != old + 1 for old, new in zip(before, after, strict=True))
        asked += len(after)
        if turn % 4 == 3:
            await log.roll_up(end)
    bench.report.row(
        "ranking of 100: answers without a row",
        f"{missing} of {asked}",
        "asked after it was stored, late or not",
        missing / asked,
        "0",
        missing == 0,
    )


async def bench_wide(bench: Bench) -> None:
    """Shape wide, and fewer strategies that run more often: a long run tells less of those.

    The order by p99 needs histograms, that by runs needs none.
    """
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAY
    begins = {"a day": day, "24 h": day - 7 * HOUR, "odd ends": day - 7 * HOUR - ODD}
    for count, runs in ((10_000, 20), (1_000, 500)):
        strategies = bench.scaled(count)
        log = Log(bench.pool, "wide")
        await log.make(day - DAY)
        names = f"'strategy-' || n % {strategies}"
        rows = 4 * runs * strategies // 3
        await log.fill(rows, day - 8 * HOUR, 32 * HOUR, strategy=names, realm="'a'")
        await log.roll_up(day + DAY)
        await log.vacuum()
        for what, begin in begins.items():
            await bench_order(bench, log, f"{strategies:,} of {runs} runs, {what}", begin)
        await drop(log)


async def bench_order(bench: Bench, log: Log, what: str, begin: datetime) -> None:
    sides = {
        by: partial(
            log.repository.rank_strategies,
            since=begin,
            until=begin + DAY - timedelta(microseconds=1),
            by=by,
            limit=10,
        )
        for by in ("p99", "runs")
    }
    seconds = await in_turn(bench.rounds, sides)
    bench.report.row(
        f"wide, {what}: p99",
        f"{seconds['p99'] * 1000:,.0f} ms",
        f"by runs {seconds['runs'] * 1000:,.0f} ms",
        seconds["p99"] / seconds["runs"],
        "<= 1.5 x",
        seconds["p99"] <= 1.5 * seconds["runs"],
    )
    idle = partial(bench.pool.execute, f"select pg_sleep({seconds['p99']})")
    stops = [
        (await longest_stop(sides["p99"]), await longest_stop(idle)) for _ in range(bench.rounds)
    ]
    ours, beside = (statistics.median(side) for side in zip(*stops, strict=True))
    at_most(bench, "  longest stop of the loop", ours, "while it waits only", beside, 0.02)


SECTIONS: Sections = {
    "rows": bench_rows,
    "ranking": bench_ranking,
    "wide": bench_wide,
    "year": bench_year,
    "ten": bench_ten,
    "hundred": bench_hundred,
    "month": bench_month,
    "backlog": bench_backlog,
}


if __name__ == "__main__":
    run_sections("tests.bench.rollups", __doc__, SECTIONS)
