"""The command that erases a user."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from execlog import StrategyExecutionLogRepository
from execlog.cli.options import Dsn, Schema
from execlog.cli.progress import progress
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number

__all__ = ["erase"]


def erase(
    user: Annotated[
        str, typer.Option("--user", help="The external user's id, as recorded.", show_default=False)
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="Only count the executions; change nothing.")
    ] = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Erase a user from all executions: id, traces and notes. No count changes.

    It reads all of the log, part by part; if it is interrupted, run it again.

    Example: execlog erase --user u-48211 --plan
    """

    async def run(log: StrategyExecutionLogRepository) -> int:
        count = 0
        with progress("parts of the log", None) as advance:
            async for part in log.erase(external_user_id=user, only_count=plan):
                count = part.executions
                advance(1)
        return count

    found = ask(dsn, schema, run, writes=not plan)
    print(found)
    said = "would be erased; nothing was changed" if plan else "erased"
    print(f"execlog: {number(found)} executions {said}", file=sys.stderr)
