"""Rollups in tests: what they answer beside what the rows do, and rows for many hours."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog import (
    RollupDifference,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    StrategyMetrics,
    rebuild_rollups,
    verify_rollups,
)
from tests.oracle import close
from tests.rows import row
from tests.types import Connection, Pool

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 20, 7, 58, 30, tzinfo=UTC)
Log = StrategyExecutionLogRepository


async def rolled_up(by: Pool | Connection) -> None:
    """Sums up all that has closed or was marked."""
    while await by.fetchval("select execlog.roll_up()") == "more":
        pass


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
    errors: dict[str, tuple[float | None, ...]] = {"exact": (0.0,), "sketch": (0.01, None)}
    assert rolled.duration.relative_error in errors[rolled.duration.method]
    counts = [sum(bar.count for bar in card.points_histogram) for card in (rolled, rows)]
    assert counts[0] == counts[1]
    assert rolled.points_histogram[-1].upper_bound == rows.points_histogram[-1].upper_bound


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
            strategy_version=chance.choice([1, 2]),
            realm_id=chance.choice([None, "r"]),
            created_at=START + chance.random() * over,
            duration_ms=lognormal(chance),
            points=chance.choice([None, 0.0, 10.0, 12.5]),
            case_name=chance.choice([None, "gold"]),
            status=chance.choice(["ok", "ok", "error"]),
            error_code=chance.choice([None, "E1"]),
            sample_rate=chance.choice([1.0, 0.25]),
        )
        for _ in range(number)
    ]


def lognormal(chance: random.Random) -> float:
    return chance.lognormvariate(3, 1)
