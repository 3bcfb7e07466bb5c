"""What two rule engines do is stored: of a run that fails its input, trace and reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests.extras import needs
from tests.running import started

OK = {"amount": 120, "user": {"plan": "gold"}}


async def runs(
    dsn: str, repository: StrategyExecutionLogRepository, program: str, *events: dict[str, Any]
) -> list[StrategyExecutionLog]:
    """What is stored of these events, in their order."""
    with started([program], dsn) as process:
        assert process.process.stdin is not None
        process.process.stdin.write(b"".join(json.dumps(one).encode() + b"\n" for one in events))
        process.finish_input()
        assert (process.end(), process.err) == (0, b"")
    stored = [row async for row in repository.stream(strategy_id="loyalty")]
    return sorted(stored, key=lambda row: row.id)


async def test_zen(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    failing: list[dict[str, Any]] = [{"amount": "many"}, {"amount": -5}]
    ok, *failed = await runs(dsn, repository, "zen_rules.py", OK, *failing)
    assert (ok.status, ok.points, ok.input, ok.nodes_executed) == ("ok", 12.0, OK, 4)
    assert ok.trace is not None
    assert [step["node"] for step in ok.trace] == ["event", "points", "check", "answer"]
    for row, event, node, why in zip(
        failed, failing, ["points", "check"], ['"amount / 10"', "negative"], strict=True
    ):
        assert (row.status, row.error_code, row.points) == ("error", "NodeError", None)
        assert row.input == event
        assert row.trace is not None and [step["node"] for step in row.trace] == [node]
        assert row.error_message is not None and why in row.error_message
        assert "backtrace" not in row.error_message


@pytest.mark.long
@needs("rule_engine")
async def test_rule_engine(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    failing: list[dict[str, Any]] = [{"amount": 5}, {"amount": "many"}]
    ok, *failed = await runs(dsn, repository, "rule_engine_rules.py", OK, *failing)
    assert (ok.status, ok.points, ok.case_name, ok.nodes_executed) == ("ok", 10.0, "gold", 2)
    assert [(row.input, row.error_code, row.error_message) for row in failed] == [
        ({"amount": 5}, "SymbolResolutionError", "user"),
        ({"amount": "many"}, "EvaluationError", "data type mismatch"),
    ]
    large = {"node": "large", "condition": "amount >= 1000"}
    gold = {"node": "gold", "condition": "user.plan == 'gold' and amount > 0"}
    assert [row.trace for row in failed] == [[large | {"matched": False}, gold], [large]]
    assert {(row.points, row.case_name) for row in failed} == {(None, None)}
