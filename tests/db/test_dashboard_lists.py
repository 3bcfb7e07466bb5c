"""Every list of executions is what Python would choose and order, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests.examples import rows_of_two, stored
from tests.oracle import (
    Realms,
    Window,
    clamp,
    many,
    newest_first,
    of_realms,
    own_realms,
    realm_choices,
    windows,
    within,
)
from tests.rows import STRATEGY, T0, row
from tests.types import Pool

SECOND = timedelta(seconds=1)


@many
@given(
    rows=rows_of_two,
    window=windows,
    limit=st.sampled_from([-1, 1, 3, 50, 10**9]),
    realms=realm_choices.filter(lambda realms: realms is not None),
    some=st.booleans(),
)
async def test_list_failures(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    limit: int,
    realms: Realms,
    some: bool,
) -> None:
    prefix, own = await stored(shared_repository, rows)
    asked = own_realms(realms, prefix)
    only = prefix + "A"
    scope: dict[str, Any] = {"realm_id": asked, "strategy_id": only if some else None}
    scope |= {"since": window[0], "until": window[1]}
    failed = newest_first(
        one
        for one in of_realms(within(own, window), asked)
        if one.status != "ok" and (not some or one.strategy_id == only)
    )
    assert (
        await shared_repository.list_failures(**scope, limit=limit) == failed[: clamp(limit, 200)]
    )
    assert await paged(shared_repository.list_failures, **scope) == failed


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


async def test_executions_of_several_strategies_may_have_one_time_and_id(
    repository: StrategyExecutionLogRepository,
) -> None:
    alike = [
        row(
            id=UUID(int=1),
            created_at=at,
            strategy_id=name,
            realm_id="r",
            status="error",
            external_user_id="u",
        )
        for at in (T0, None)
        for name in ("c", "b", "a")
    ]
    await repository.insert_rows(alike)
    for ask, scope in (
        (repository.list_newest, {}),
        (repository.list_executions, {"strategy_id": ["a", "b", "c"]}),
        (repository.list_executions, {"status": "failed", "realm_id": "r"}),
        (repository.list_executions, {"external_user_id": "u"}),
        (repository.list_failures, {}),
        (repository.list_failures, {"realm_id": "r"}),
    ):
        assert await paged(ask, **scope) == alike
    for name in "abc":
        found = await paged(repository.list_for_strategy, strategy_id=name)
        assert found == [one for one in alike if one.strategy_id == name]


async def paged(
    ask: Callable[..., Awaitable[list[StrategyExecutionLog]]], **scope: Any
) -> list[StrategyExecutionLog]:
    """All of a list, in pages so small that ties are cut through."""
    found: list[StrategyExecutionLog] = []
    while page := await ask(**scope, limit=2, before=found[-1] if found else None):
        found += page
    return found


_bounds = st.none() | st.sampled_from([-1.0, 0.0, 0.3, 1.0, 5.0, 250.0, 1e300])


def in_order(bounds: dict[str, float | None]) -> dict[str, float | None]:
    """The same, a minimum that is above its maximum exchanged with it: that is refused."""
    for what in ("duration_ms", "points"):
        least, most = bounds.get(f"min_{what}"), bounds.get(f"max_{what}")
        if least is not None and most is not None and least > most:
            bounds |= {f"min_{what}": most, f"max_{what}": least}
    return bounds


@many
@given(
    rows=rows_of_two,
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
    ).map(in_order),
    limit=st.sampled_from([-1, 1, 3, 10**9]),
)
async def test_list_executions(
    shared_repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    window: Window,
    realms: Realms,
    status: str | None,
    error_code: str | None,
    case_name: str | None,
    bounds: dict[str, float | None],
    limit: int,
) -> None:
    prefix, own = await stored(shared_repository, rows)
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
        and case_name in (None, one.case_name)
        and all(is_bounded(one, name, bound) for name, bound in bounds.items())
    )
    assert (
        await shared_repository.list_executions(**scope, limit=limit)
        == expected[: clamp(limit, 200)]
    )
    assert await paged(shared_repository.list_executions, **scope) == expected


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
