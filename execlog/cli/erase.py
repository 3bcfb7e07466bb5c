"""The command that erases a user."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from execlog import StrategyExecutionLogRepository, erase_archived
from execlog.cli.options import Dsn, Schema
from execlog.cli.progress import progress
from execlog.cli.server import ask, dsn_of
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
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            envvar="EXECLOG_ARCHIVE",
            metavar="FOLDER",
            help="The folder of the log's archive, if it has one.",
        ),
    ] = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Erase a user from all executions: id, traces and notes. No count changes.

    With --archive, files that hold the user are written once more without the user.

    It reads all of the log, part by part; if it is interrupted, run it again. What waits in files
    of recorders is not in the log yet: it says how many recorders had such.

    Example: execlog erase --user u-48211 --plan
    """

    async def run(log: StrategyExecutionLogRepository) -> tuple[int, int]:
        count = spooling = 0
        with progress("parts of the log", None) as advance:
            parts = log.erase(
                external_user_id=user, only_count=plan, with_files=archive is not None
            )
            async for part in parts:
                count, spooling = part.executions, part.spooling_recorders
                advance(1)
        return count, spooling

    found, spooling = ask(dsn, schema, run, writes=not plan)
    in_files = 0
    if archive is not None:
        in_files = asyncio.run(_erased_in_files(dsn, schema, archive, user, plan))
        found += in_files
    print(found)
    said = "would be erased; nothing was changed" if plan else "erased"
    of_files = f", {number(in_files)} of them in files," if in_files else ""
    print(f"execlog: {number(found)} executions{of_files} {said}", file=sys.stderr)
    if spooling:
        recorders = "recorder" if spooling == 1 else "recorders"
        print(f"execlog: {number(spooling)} {recorders} {_SPOOLING}", file=sys.stderr)


async def _erased_in_files(
    dsn: str | None, schema: str, archive: Path, user: str, plan: bool
) -> int:
    found = 0
    with progress("files", None) as advance:
        files = erase_archived(
            dsn_of(dsn), archive=archive, external_user_id=user, only_count=plan, schema=schema
        )
        async for one in files:
            found += one.executions
            advance(1)
    return found
