"""Executions as a table, which several commands print."""

from __future__ import annotations

from execlog import StrategyExecutionLog
from execlog.display.format import milliseconds, number, shown
from execlog.display.tables import Cell, Column, status_text

__all__ = ["COLUMNS", "cells"]

# The first five, up to the case, have their places in scripts that cut columns out of a pipe.
COLUMNS = (
    Column("time", is_time=True, rank=1, usual=14),
    Column("strategy", rank=2, least=14, usual=14),
    Column("status", rank=3, least=7, usual=7),
    Column("code", rank=4, least=10, usual=12),
    Column("case", rank=8, least=10, usual=12),
    Column("version", rank=6, usual=3),
    Column("realm", rank=5, least=8, usual=12),
    Column("user", rank=9, least=8, usual=12),
    Column("points", right=True, rank=10, usual=8),
    Column("took", right=True, rank=7, usual=9),
    Column("id", rank=0, usual=13),
)


def cells(one: StrategyExecutionLog) -> tuple[Cell, ...]:
    """The row of an execution. Never raises."""
    return (
        one.created_at,
        shown(one.strategy_id),
        status_text(one.status),
        shown(one.error_code),
        shown(one.case_name),
        f"v{one.strategy_version}",
        shown(one.realm_id),
        shown(one.external_user_id),
        number(one.points),
        milliseconds(one.duration_ms),
        one.id,
    )
