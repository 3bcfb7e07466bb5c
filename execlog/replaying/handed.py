"""The execution that a candidate is given, made of the JSON that is handed to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from execlog.models import StrategyExecutionLog

__all__ = ["execution_of"]

_FIELDS = set(StrategyExecutionLog.model_fields)
_ABSENT: Mapping[str, Any] = {"trace": None, "stored_at": None}
_INFINITE = {
    "infinity": datetime.max.replace(tzinfo=UTC),
    "-infinity": datetime.min.replace(tzinfo=UTC),
}
_NUMBERS = ("points", "duration_ms", "sample_rate")
_set = object.__setattr__  # pydantic's own way around a frozen model


def execution_of(text: str | bytes) -> StrategyExecutionLog:
    """The execution that a candidate is given: without its trace, and nothing of it shared.

    It is not validated: the table has the same checks.

    Args:
        text: What next_runs.sql makes.

    Raises:
        ValueError: It is nested too deeply for the parsers.
    """
    try:
        fields: dict[str, Any] = from_json(text)
    except ValueError:
        fields = json.loads(text)
    fields["id"] = UUID(fields["id"])
    if fields["trace_id"] is not None:
        fields["trace_id"] = UUID(fields["trace_id"])
    if (written := fields["created_at"]) is not None:
        fields["created_at"] = _INFINITE.get(written) or datetime.fromisoformat(written)
    for name in _NUMBERS:  # JSON has no form for 1.0
        if fields[name] is not None:
            fields[name] = float(fields[name])
    fields |= _ABSENT
    model = StrategyExecutionLog.__new__(StrategyExecutionLog)
    _set(model, "__dict__", fields)
    _set(model, "__pydantic_fields_set__", _FIELDS)
    _set(model, "__pydantic_extra__", None)
    _set(model, "__pydantic_private__", None)
    return model
