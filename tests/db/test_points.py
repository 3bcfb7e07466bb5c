"""Bars of whole points: round edges, and as many runs in each as Python counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from execlog import StrategyExecutionLogRepository
from tests.rows import STRATEGY, T0, row

HOUR = timedelta(hours=1)


async def store(
    repository: StrategyExecutionLogRepository, points: Sequence[float | None], **fields: object
) -> None:
    rows = (
        row(created_at=T0 + n * timedelta(seconds=1), points=value, **fields)
        for n, value in enumerate(points)
    )
    await repository.insert_rows(rows)


@pytest.mark.parametrize(
    ("points", "ends"),
    [
        ([7.0], [(7, 7)]),
        ([0.0, 0.0, None], [(0, 0)]),
        ([0.0, 1.0, 3.0], [(0, 0), (1, 1), (3, 3)]),
        (range(12), [(n, n) for n in range(12)]),
        (range(13), [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 12)]),
        (range(49), [*((n, n + 4) for n in range(0, 45, 5)), (45, 48)]),
        ([-7.0, 12.0], [(-7, -7), (12, 12)]),
        ([1.0, 1e15], [(1, 1e14 - 1), (1e15, 1e15)]),
    ],
)
async def test_edges_are_round(
    repository: StrategyExecutionLogRepository,
    points: Sequence[float | None],
    ends: list[tuple[float, float]],
) -> None:
    await store(repository, [None if one is None else float(one) for one in points])
    found = await repository.count_by_points(strategy_id=STRATEGY)
    assert [(one.low, one.high) for one in found] == ends
    assert sum(one.count for one in found) == len([one for one in points if one is not None])


@pytest.mark.parametrize("points", [[], [None], [1.0, 2.5], [1.0, 1e16], [0.1]])
async def test_other_points_have_no_bars(
    repository: StrategyExecutionLogRepository, points: list[float | None]
) -> None:
    await store(repository, points)
    assert await repository.count_by_points(strategy_id=STRATEGY) == []


async def test_each_bar_counts_its_runs(repository: StrategyExecutionLogRepository) -> None:
    dice = random.Random(4)
    points: list[float | None] = [float(dice.randrange(-300, 900)) for _ in range(500)]
    await store(repository, points)
    await store(repository, [1.5] * 3, realm_id="other", strategy_version=9)
    await store(repository, [0.5], strategy_id="another")
    found = await repository.count_by_points(
        strategy_id=STRATEGY,
        strategy_version=row().strategy_version,
        since=T0 + timedelta(seconds=100),
        until=T0 + timedelta(seconds=399),
    )
    inside = points[100:400]
    for one in found:
        expected = [value for value in inside if value is not None and one.low <= value <= one.high]
        assert one.count == len(expected)
    assert sum(one.count for one in found) == 300
    assert len(found) <= 12
    assert await repository.count_by_points(strategy_id=STRATEGY) == []
    assert await repository.count_by_points(strategy_id=STRATEGY, realm_id=["none"]) == []
