"""Every read method against a plain-Python oracle, over random rows, windows, limits and ties."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.ids import uuid7
from tests import databases
from tests.oracle import (
    Window,
    clamp,
    close,
    many,
    newest_first,
    top,
    weighed_percentiles,
    windows,
    within,
)
from tests.rows import any_row
from tests.rows import row as execution

_examples = itertools.count()
_limits = st.sampled_from([-1, 0, 1, 2, 3, 10, 10**9])
_rows = st.lists(any_row(st.sampled_from(["A", "B"])), max_size=25, unique_by=lambda row: row.id)


@pytest.fixture(scope="module")
async def repository(template: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        yield StrategyExecutionLogRepository(pool)


async def stored(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> tuple[str, list[StrategyExecutionLog]]:
    """Stores the rows under strategies of this example's own; strategy A's name and rows."""
    example = next(_examples)
    prefix = f"{example}-"
    own = [
        row.model_copy(
            update={
                "id": UUID(int=row.id.int ^ (example << 40)),
                "strategy_id": prefix + row.strategy_id,
            }
        )
        for row in rows
    ]
    assert await repository.insert_rows(own) == len(own)
    return f"{prefix}A", [row for row in own if row.strategy_id == f"{prefix}A"]


@many
@given(rows=_rows)
async def test_what_is_stored_comes_back(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> None:
    strategy_id, own = await stored(repository, rows)
    for row in own:
        assert await repository.get(id=row.id) == row
        assert await repository.get(id=str(row.id), strategy_id=strategy_id) == row
        assert await repository.get(id=row.id, strategy_id="another") is None


@many
@given(row=any_row(st.just("single")))
async def test_one_row_and_many_rows_store_the_same(
    repository: StrategyExecutionLogRepository, row: StrategyExecutionLog
) -> None:
    one = row.model_copy(update={"id": uuid7(), "strategy_id": f"{next(_examples)}-one"})
    await repository.insert_row(one)
    assert await repository.list_for_strategy(strategy_id=one.strategy_id) == [one]


@many
@given(rows=_rows, status=st.sampled_from([None, "ok", "error", "odd", ""]), limit=_limits)
async def test_list_for_strategy(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    status: str | None,
    limit: int,
) -> None:
    strategy_id, own = await stored(repository, rows)
    expected = newest_first(row for row in own if status is None or row.status == status)
    listed = await repository.list_for_strategy(strategy_id=strategy_id, status=status, limit=limit)
    assert listed == expected[: clamp(limit, 200)]
    if limit <= 3:
        return
    # Page by page, in pages so small that ties and the rows without a time are cut through.
    size = 2
    paged: list[StrategyExecutionLog] = []
    while page := await repository.list_for_strategy(
        strategy_id=strategy_id, status=status, limit=size, before=paged[-1] if paged else None
    ):
        paged += page
    assert paged == expected


@many
@given(rows=_rows, window=windows, limit=_limits)
async def test_counts(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    limit: int,
) -> None:
    strategy_id, own = await stored(repository, rows)
    inside = within(own, window)
    scope: dict[str, Any] = {"strategy_id": strategy_id, "since": window[0], "until": window[1]}
    assert await repository.count_by_status(**scope) == Counter(row.status for row in inside)
    codes = await repository.count_by_error_code(**scope, limit=limit)
    assert [(found.code, found.count) for found in codes] == top(
        (row.error_code for row in inside if row.error_code is not None), limit
    )
    cases = await repository.count_by_case_name(**scope, limit=limit)
    assert [(found.case_name, found.count) for found in cases] == top(
        (row.case_name for row in inside), limit
    )


@many
@given(rows=_rows, window=windows)
async def test_duration_and_nodes_summary(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog], window: Window
) -> None:
    strategy_id, own = await stored(repository, rows)
    inside = within(own, window)
    found = await repository.duration_and_nodes_summary(
        strategy_id=strategy_id, since=window[0], until=window[1]
    )
    durations = [row.duration_ms for row in inside] or [0.0]
    nodes = [row.nodes_executed for row in inside] or [0]
    points = [row.points for row in inside if row.points is not None]
    assert found.count == len(inside)
    assert (found.duration_min_ms, found.duration_max_ms) == (min(durations), max(durations))
    assert found.nodes_max == max(nodes)
    assert close(found.duration_sum_ms, math.fsum(durations))
    assert close(found.duration_avg_ms, math.fsum(durations) / len(durations))
    assert close(found.nodes_avg, sum(nodes) / len(nodes))
    # Large terms of both signs may cancel out: what is left is exact to the largest of them.
    largest = max(map(abs, points), default=0.0)
    assert abs(found.points_sum - math.fsum(points)) <= 1e-9 * max(largest, 1.0)


@many
@given(rows=_rows, window=windows, limit=_limits)
async def test_samples(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    limit: int,
) -> None:
    strategy_id, own = await stored(repository, rows)
    inside = newest_first(within(own, window))
    scope: dict[str, Any] = {"strategy_id": strategy_id, "since": window[0], "until": window[1]}
    size = clamp(limit, 5000)
    durations = await repository.sample_durations(**scope, limit=limit)
    assert durations == [row.duration_ms for row in inside][:size]
    points = await repository.sample_points(**scope, limit=limit)
    assert points == [row.points for row in inside if row.points is not None][:size]


@many
@given(
    rows=_rows,
    window=windows,
    fractions=st.lists(
        st.sampled_from([0, 0.5, 0.95, 1]) | st.integers(0, 10**6).map(lambda n: n / 10**6),
        min_size=1,
        max_size=5,
    ),
)
async def test_duration_percentiles(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    fractions: list[float],
) -> None:
    strategy_id, own = await stored(repository, rows)
    inside = within(own, window)
    found = await repository.duration_percentiles(
        strategy_id=strategy_id, since=window[0], until=window[1], fractions=fractions
    )
    assert found.fractions == tuple(fractions)
    assert (found.method, found.sample_size) == ("exact", len(inside))
    assert len(found.values_ms) == len(fractions)
    assert all(map(close, found.values_ms, weighed_percentiles(inside, fractions)))


async def test_durations_too_small_to_be_divided(
    repository: StrategyExecutionLogRepository,
) -> None:
    """The server raises where the quotient of two numbers is too small; found by chance above."""
    smallest = execution(strategy_id="small", duration_ms=5e-324)
    await repository.insert_rows([smallest, execution(strategy_id="small", duration_ms=0.0)])
    found = await repository.duration_and_nodes_summary(strategy_id="small")
    assert (found.duration_avg_ms, found.duration_max_ms) == (0.0, 5e-324)
