"""Completes the name of a strategy in a shell: those that ran in the last day."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime, timedelta

from execlog import StrategyExecutionLogRepository
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA

__all__ = ["strategies"]

_SECONDS = 2.0
# The shell inserts it into the command line unquoted, and any engine may name a strategy.
_HARMLESS = re.compile(r"[\w.:@%+,/=][\w.:@%+,/=-]*")
_OFFERED = 50


def strategies(incomplete: str) -> list[str]:
    """The busiest strategies that begin with this; none if there is no server. Never raises."""
    try:
        schema = os.environ.get("EXECLOG_SCHEMA") or SCHEMA
        return ask(None, schema, lambda log: _named(log, incomplete))
    except Exception:  # a completion can't show an error
        return []


async def _named(log: StrategyExecutionLogRepository, beginning: str) -> list[str]:
    since = datetime.now(UTC) - timedelta(days=1)
    async with asyncio.timeout(_SECONDS):
        found = await log.rank_strategies(since=since, by="runs", limit=_OFFERED)
    names = (one.strategy_id for one in found if one.strategy_id.startswith(beginning))
    return [name for name in names if _HARMLESS.fullmatch(name)]
