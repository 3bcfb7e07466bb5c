"""Executions that differ in all that a filter or a breakdown may be by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from execlog import StrategyExecutionLog
from tests.rows import row

__all__ = ["NOW", "TRACE", "executions"]

NOW = datetime.now(UTC)
TRACE = UUID(int=2**100 + 7)
_STATUSES = ["ok", "ok", "error", "timeout", "limit", "unheard of"]


def executions() -> Iterator[StrategyExecutionLog]:
    """150 of the last hours, and one of three days ago, whose code no other has."""
    for n in range(150):
        status = _STATUSES[n % 6]
        yield row(
            created_at=NOW - n * timedelta(minutes=1),
            strategy_id=["loyalty", "a/b c?", "old"][n % 7 % 3],
            strategy_version=3 + n % 4,
            strategy_type=["DSL_FULL", "DSL_LITE"][n % 2],
            realm_id=["acme", "globex", None][n // 3 % 3],
            status=status,
            error_code="E&1" if status == "error" else None,
            case_name=["gold", None, ""][n % 5 % 3],
            external_user_id=[None, "u 1", "u2"][n // 2 % 3],
            external_game_id=f"g{n % 11}",
            external_task_id=f"t{n}" if n else "=t0",
            parent_strategy_id=["base", None][n % 2],
            trace_id=TRACE if n % 9 == 0 else None,
            attributes={"plan": ["gold", "free"][n % 2], "size": n % 3, "vip": n % 4 == 0},
            duration_ms=float(n % 40),
            nodes_executed=n % 13,
            points=[None, -1.0, 5.0][n % 3],
        )
    yield row(created_at=NOW - timedelta(days=3), error_code="E0")
