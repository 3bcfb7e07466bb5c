"""What a breakdown takes, beside one GROUP BY by hand, and from rollups beside from rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from execlog import StrategyExecutionLogRepository
from tests.bench.common import PATIENCE, Bench, medians
from tests.bench.rollup_shapes import BUSY, DAY, Log, at_most, drop, in_turn

ODD = timedelta(minutes=17, seconds=23, microseconds=4567)
_BARE = "count(*) as runs, count(*) filter (where status <> 'ok') as failures"
_WHOLE = (
    f"{_BARE}, sum(1 / sample_rate) filter (where status in ('error', 'timeout', 'limit')),"
    " sum(1 / sample_rate), sum((1 / sample_rate) ^ 2), sum(duration_ms / sample_rate),"
    " sum(points / sample_rate), min(created_at), max(created_at)"
)
_DETAILS = (
    f"{_WHOLE}, count(distinct external_user_id),"
    " percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms)"
)


async def bench_breakdown(bench: Bench) -> None:
    """By a column of the rows of a day, and by version, realm and strategy of a month."""
    await _of_rows(bench)
    await _of_rollups(bench)


async def _of_rows(bench: Bench) -> None:
    """A day of a strategy, by cases; rollups do not tell them apart."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    log = Log(bench.pool, "grouped")
    await log.make(end - DAY)
    runs = bench.scaled(200_000)
    await log.fill(2 * runs, end - DAY, DAY, strategy="'strategy-' || n % 2")
    await log.vacuum()
    scope: dict[str, Any] = {"strategy_id": BUSY, "since": end - DAY, "until": end}
    for what, kept, details, most in (
        ("all", _DETAILS, True, 1.3),
        ("no details", _BARE, False, 3.0),
    ):
        by_hand = (
            f"select case_name, {kept} from {log.table} where strategy_id = $1"
            " and created_at >= $2 and created_at <= $3 group by case_name order by 3 desc"
        )
        seconds = await in_turn(
            bench.rounds,
            {
                "ours": partial(log.repository.breakdown, by="case_name", details=details, **scope),
                "bare": partial(bench.pool.fetch, by_hand, *scope.values(), timeout=PATIENCE),
            },
        )
        bench.report.row(
            f"breakdown of {runs:,}, {what}",
            f"{seconds['ours'] * 1000:,.0f} ms",
            f"one GROUP BY {seconds['bare'] * 1000:,.0f} ms",
            seconds["ours"] / seconds["bare"],
            f"<= {most:g} x",
            seconds["ours"] <= most * seconds["bare"],
        )
    by_hand = (
        f"select error_code, {_DETAILS} from {log.table} where strategy_id = $1"
        " and created_at >= $2 and created_at <= $3 and status <> 'ok' group by error_code"
    )
    seconds = await medians(
        bench.rounds,
        {
            "ours": partial(log.repository.breakdown, by="error_code", status="failed", **scope),
            "bare": partial(bench.pool.fetch, by_hand, *scope.values()),
        },
    )
    what = f"breakdown of {runs:,}, failures only"
    at_most(bench, what, seconds["ours"], "one GROUP BY", seconds["bare"], 0.03)
    await drop(log)


async def _of_rollups(bench: Bench) -> None:
    """A month of a strategy in three realms, the second half of it of another version."""
    runs = bench.scaled(2_000_000)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begin = end - 30 * DAY
    log = Log(bench.pool, "months")
    await log.make(begin)
    version = f"case when n < {runs // 2} then 3 else 4 end"
    await log.fill(runs, begin, 30 * DAY, strategy=f"'{BUSY}'", version=version)
    await log.fill(runs // 10, begin, 30 * DAY, strategy="'other-' || n % 9")
    await log.roll_up(end)
    await log.vacuum()
    windows: dict[str, dict[str, Any]] = {
        "30 days": {"since": begin, "until": end - timedelta(microseconds=1)},
        "odd ends": {"since": begin + ODD, "until": end - ODD},
    }
    for by in ("strategy_version", "realm_id"):
        for what, window in windows.items():
            scope: dict[str, Any] = {"by": by, "strategy_id": BUSY, **window}
            await _beside_rows(bench, log, f"{by}, {what}", scope, 0.03)
    scope = {"by": "strategy_version", "strategy_id": BUSY, **windows["30 days"]}
    await _beside_rows(
        bench, log, "strategy_version, no details", {**scope, "details": False}, None
    )
    scope = {"by": "strategy_id", **windows["30 days"]}
    await _beside_rows(bench, log, "strategy_id, 30 days", scope, None)
    await drop(log)


async def _beside_rows(
    bench: Bench, log: Log, what: str, scope: dict[str, Any], most: float | None
) -> None:
    """From rollups with a generic plan and with one that is made each time, beside from rows."""
    modes = {
        "generic": partial(
            asyncpg.create_pool, server_settings={"plan_cache_mode": "force_generic_plan"}
        ),
        "planned": partial(asyncpg.create_pool, statement_cache_size=0),
    }
    seconds: dict[str, float] = {}
    for mode, connected in modes.items():
        async with connected(bench.dsn, min_size=1, max_size=1) as pool:
            own = StrategyExecutionLogRepository(pool, schema=log.schema)
            seconds |= await medians(bench.rounds, {mode: partial(own.breakdown, **scope)})
    await log.set_rollups(False)
    rows = await in_turn(1, {"rows": partial(log.repository.breakdown, **scope)})
    await log.set_rollups(True)
    for mode in modes:
        at_most(bench, f"by {what}, {mode}", seconds[mode], "from rows", rows["rows"], most)
