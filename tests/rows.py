"""Executions for tests: one with defaults, and hypothesis strategies for many odd ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from execlog import StrategyExecutionLog

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
STRATEGY = "loyalty"
# Few values, so that ties are the rule; the default partition and the calendar's ends among them.
TIMES: list[datetime | None] = [
    None,
    datetime.min.replace(tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC),
    *(T0 + timedelta(seconds=second) for second in range(4)),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]
_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("\t\\\n\r\1N."),
    max_size=12,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e15, 1e15) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_key = st.text("abcXYZ019_.-", min_size=1, max_size=8)
_scalar = st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e15, 1e15) | _text


def fields(**changes: Any) -> dict[str, Any]:
    """The required fields of an execution, and the changes."""
    return {
        "strategy_id": STRATEGY,
        "strategy_version": 3,
        "strategy_type": "DSL_FULL",
        "status": "ok",
        "duration_ms": 1.5,
        "nodes_executed": 4,
        **changes,
    }


def row(**changes: Any) -> StrategyExecutionLog:
    """An execution with these fields changed."""
    return StrategyExecutionLog(**fields(**changes))


def any_row(strategy_id: st.SearchStrategy[str]) -> st.SearchStrategy[StrategyExecutionLog]:
    """Executions with every odd value that is allowed."""
    finite = st.floats(-1e300, 1e300)
    return st.fixed_dictionaries(
        {
            "id": st.uuids(),
            "created_at": st.sampled_from(TIMES),
            "strategy_id": strategy_id,
            "strategy_version": st.integers(-(2**31), 2**31 - 1),
            "strategy_type": _text,
            "realm_id": st.none() | _text,
            "external_game_id": st.none() | _text,
            "external_task_id": st.none() | _text,
            "external_user_id": st.none() | _text,
            "status": st.sampled_from(["ok", "ok", "error", "timeout", "limit", "odd", ""]),
            "error_code": st.sampled_from([None, None, "E1", "E2", "é", ""]),
            "points": st.none() | st.sampled_from([-1.0, 0.0, 0.1, 0.3, 1.0]) | finite,
            "case_name": st.sampled_from([None, "a", "b", "B", "é", ""]) | _text,
            "duration_ms": st.sampled_from([0.0, 1.0, 5.0, 5.000001, 250.0, 5000.0])
            | st.floats(0, 1e300),
            "nodes_executed": st.integers(0, 2**31 - 1),
            "trace": st.none() | st.lists(_json, max_size=3),
            "sampled": st.booleans(),
            "sample_rate": st.sampled_from([1.0, 0.05]) | st.floats(0, 1, exclude_min=True),
            "parent_strategy_id": st.none() | _text,
            "notes": st.none() | _text,
            "trace_id": st.none() | st.uuids().filter(lambda one: one.int != 0),
            "error_message": st.none() | _text,
            "input": st.none() | _json,
            "attributes": st.none() | st.dictionaries(_key, _scalar, min_size=1, max_size=3),
        }
    ).map(lambda fields: row(**fields))
