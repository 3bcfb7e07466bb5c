"""The models' names, defaults and JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from execlog import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErrorCodeCount,
    InvalidArgument,
    StrategyExecutionLog,
)
from tests.rows import T0, fields, row

CAMEL: dict[str, Any] = {
    "id": "01234567-89ab-7def-8123-456789abcdef",
    "createdAt": "2026-11-20T12:00:00Z",
    "strategyId": "loyalty",
    "strategyVersion": 3,
    "strategyType": "DSL_FULL",
    "realmId": "acme",
    "externalGameId": "g",
    "externalTaskId": "t",
    "externalUserId": "u",
    "status": "ok",
    "errorCode": None,
    "points": 1.5,
    "caseName": "gold",
    "durationMs": 2.5,
    "nodesExecuted": 4,
    "trace": [{"node": "a"}],
    "sampled": True,
    "sampleRate": 0.05,
    "parentStrategyId": "base",
    "notes": "n",
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "errorMessage": "no such account",
    "storedAt": "2026-11-20T12:00:01Z",
    "input": {"amount": 15},
    "attributes": {"channel": "web"},
}


def test_json_goes_out_and_comes_in_again() -> None:
    model = StrategyExecutionLog.model_validate(CAMEL)
    assert model.model_dump(by_alias=True, mode="json") == CAMEL
    assert StrategyExecutionLog(**model.model_dump()) == model
    assert StrategyExecutionLog(**CAMEL) == model
    assert StrategyExecutionLog.model_validate_json(model.model_dump_json(by_alias=True)) == model
    assert list(model.model_dump(by_alias=True)) == list(CAMEL)


def test_what_is_left_out() -> None:
    one, two = row(), row()
    assert one.id < two.id
    assert one.id.version == 7
    assert one.created_at is not None
    assert datetime.now(UTC) - one.created_at < timedelta(seconds=5)
    assert (one.sampled, one.sample_rate, one.trace) == (False, 1.0, None)
    assert row(created_at=None).created_at is None


def test_the_answers_in_camel_case() -> None:
    summary = DurationAndNodesSummary(
        count=1,
        duration_avg_ms=1,
        duration_min_ms=1,
        duration_max_ms=1,
        duration_sum_ms=1,
        nodes_avg=1,
        nodes_max=1,
        points_sum=1,
    )
    percentiles = DurationPercentiles(
        fractions=(0.5,), values_ms=(1.0,), method="exact", sample_size=1
    )
    assert list(summary.model_dump(by_alias=True)) == [
        "count",
        "durationAvgMs",
        "durationMinMs",
        "durationMaxMs",
        "durationSumMs",
        "nodesAvg",
        "nodesMax",
        "pointsSum",
    ]
    assert percentiles.model_dump(by_alias=True, mode="json") == {
        "fractions": [0.5],
        "valuesMs": [1.0],
        "method": "exact",
        "sampleSize": 1,
    }
    assert CaseNameCount(case_name=None, count=2).model_dump(by_alias=True) == {
        "caseName": None,
        "count": 2,
    }
    assert ErrorCodeCount(code="E1", count=2).model_dump(by_alias=True) == {
        "code": "E1",
        "count": 2,
    }


def test_an_error_names_the_field_and_keeps_the_value() -> None:
    with pytest.raises(InvalidArgument) as caught:
        StrategyExecutionLog(**fields(points="top-secret"))
    assert caught.value.argument == "points"
    assert "top-secret" not in str(caught.value)
    assert "top-secret" not in str(caught.value.__cause__)
    with pytest.raises(InvalidArgument, match=r"^strategy_type: is missing"):
        StrategyExecutionLog(strategy_id="s", strategy_version=1)  # type: ignore[call-arg]


def test_a_model_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        row().points = 2.0


def test_text_forms_of_id_and_time() -> None:
    model = StrategyExecutionLog(**fields(id=CAMEL["id"], created_at="2026-11-20T13:00:00+01:00"))
    assert (model.id, model.created_at) == (UUID(str(CAMEL["id"])), T0)
