"""The columns of an execution that its views lay out themselves; others are listed by name."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["others"]

_PLACED = frozenset(
    """
    id created_at strategy_id strategy_version strategy_type realm_id external_game_id
    external_task_id external_user_id status error_code points case_name duration_ms
    nodes_executed trace sampled sample_rate parent_strategy_id notes trace_id error_message input
    attributes stored_at
    """.split()
)


def others(one: BaseModel) -> list[tuple[str, object]]:
    """The columns that the views do not lay out, by name. Never raises.

    Args:
        one: An execution.
    """
    return [
        (name.replace("_", " "), getattr(one, name))
        for name, field in type(one).model_fields.items()
        if name not in _PLACED and not field.exclude
    ]
