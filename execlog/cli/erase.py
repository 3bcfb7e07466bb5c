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

_SPOOLING = (
    "had executions in files when seen last, which may be the user's: run it again once they have"
    " closed with nothing left, or others have stored what they left"
)


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

    It reads all of the log, part by part; if it is interrupted, run it again. What waits in files
    of recorders is not in the log yet: it says how many recorders had such.

    Example: execlog erase --user u-48211 --plan
    """

    async def run(log: StrategyExecutionLogRepository) -> tuple[int, int]:
        count = spooling = 0
        with progress("parts of the log", None) as advance:
            async for part in log.erase(external_user_id=user, only_count=plan):
                count, spooling = part.executions, part.spooling_recorders
                advance(1)
        return count, spooling

    found, spooling = ask(dsn, schema, run, writes=not plan)
    print(found)
    said = "would be erased; nothing was changed" if plan else "erased"
    print(f"execlog: {number(found)} executions {said}", file=sys.stderr)
    if spooling:
        recorders = "recorder" if spooling == 1 else "recorders"
        print(f"execlog: {number(spooling)} {recorders} {_SPOOLING}", file=sys.stderr)
