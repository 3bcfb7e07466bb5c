"""`execlog.replay`: which runs another version would have decided otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests.replaying import amount, decide, logged
from tests.rows import STRATEGY, T0


def graph(threshold: float) -> Any:
    """The decision with another threshold: a closure."""
    return lambda execution: decide(execution, threshold)


async def test_the_same_version_changes_nothing(repository: StrategyExecutionLogRepository) -> None:
    await repository.insert_rows([logged(number) for number in range(100)])
    found = await execlog.replay(repository, graph(50), strategy_id=STRATEGY)
    assert (found.replayed, found.same, found.total) == (100, 100, 100)
    assert (found.changed, found.newly_failing, found.newly_passing, found.noise) == (0, 0, 0, None)
    assert found.fail_share is not None and found.fail_share.high == 0
    assert found.notes == ["noise is unknown", "no time limit: a lambda"]


async def test_a_moved_threshold_changes_what_lies_between(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = [logged(number) for number in range(100)]
    await repository.insert_rows([*rows, logged(200, input=None, notes="erased")])
    found = await execlog.replay(
        repository, graph(60), baseline=graph(50), strategy_id=STRATEGY, since=T0
    )
    assert (found.replayed, found.changed, found.noise) == (100, 10, 0)
    assert found.not_replayable == {"erased": 1}
    assert found.cases == {("gold", None): 10, ("gold", "gold"): 40, (None, None): 50}
    assert found.points_delta is not None
    assert found.points_delta.delta == found.points_delta.low == -0.9
    assert found.losing and not found.gaining
    dumped = found.model_dump(by_alias=True, mode="json")
    assert {"old": "gold", "new": None, "runs": 10} in dumped["cases"]


async def test_an_async_function_has_a_time_limit(
    repository: StrategyExecutionLogRepository,
) -> None:
    await repository.insert_rows([logged(number) for number in range(3)])

    async def evaluate(execution: StrategyExecutionLog) -> dict[str, Any]:
        if amount(execution) == 1:
            await asyncio.sleep(60)
        return {"status": "ok", "points": 1}

    found = await execlog.replay(repository, evaluate, strategy_id=STRATEGY, time_limit=0.05)
    assert (found.same, found.newly_failing) == (2, 1)
    [example] = found.examples
    assert (example.new.status, example.new.error_code) == ("timeout", "TimeoutError")
