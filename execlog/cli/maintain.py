"""The command that keeps the partitions as they should be."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from execlog import Maintenance, MaintenanceRun, MaintenanceStep
from execlog import maintain as maintain_partitions
from execlog.cli.forms import print_models
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Spreadsheet,
    Utc,
    Wide,
    form,
    length_option,
)
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, milliseconds, shown
from execlog.display.tables import Column, print_table

__all__ = ["maintain"]

_OVERDUE = 5
_MOST_NAMED = 10
_STYLES = {"planned": "cyan", "done": "green", "postponed": "yellow", "failed": "red"}


class Width(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The width of a partition."""

    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


def maintain(
    interval: Annotated[
        Width, typer.Option("--interval", help="The width of new partitions.")
    ] = Width.month,
    ahead: Annotated[
        int, typer.Option("--ahead", min=0, max=1000, help="Partitions after the present one.")
    ] = 3,
    retain: Annotated[
        timedelta | None, length_option("--retain", "How long runs are kept; else for ever.")
    ] = None,
    retain_failures: Annotated[
        timedelta | None,
        length_option("--retain-failures", "How long failed runs are kept, if that is longer."),
    ] = None,
    retain_minutes: Annotated[
        timedelta | None,
        length_option(
            "--retain-minutes",
            "How long rollups of minutes are kept; else 30 days.",
        ),
    ] = None,
    retain_rollups: Annotated[
        timedelta | None,
        length_option("--retain-rollups", "How long rollups of hours are kept; else for ever."),
    ] = None,
    retain_inputs: Annotated[
        timedelta | None,
        length_option("--retain-inputs", "How long inputs are kept; else as long as their runs."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            envvar="EXECLOG_ARCHIVE",
            metavar="FOLDER",
            help="Have what is removed in files of this folder before.",
        ),
    ] = None,
    lock_timeout: Annotated[
        timedelta | None,
        length_option("--lock-timeout", "How long a step may hold up others; else 4s."),
    ] = None,
    stale: Annotated[
        timedelta | None,
        length_option(
            "--stale", "Fail if others hold it up and the last completed run is older; else 1d."
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print the steps.")] = False,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Make partitions ahead, move strays into theirs, remove what is old; for cron.

    Partitions that have closed are vacuumed, and their indexes rebuilt beside readers and writers.
    With --archive nothing is removed that is not in a verified Parquet file.

    Exit 1 if a step failed. A step that would block others is tried again by the next run; if
    others, or another process that maintains, hold it up for longer than --stale, exit 5.

    Example: execlog maintain --interval day --ahead 7 --retain 90d --retain-failures 365d --plan
    """
    output = form(output, as_json, spreadsheet)
    wait = 4.0 if lock_timeout is None else lock_timeout.total_seconds()
    run = asyncio.run(
        maintain_partitions(
            dsn_of(dsn),
            interval=interval.value,
            ahead=ahead,
            retain=retain,
            retain_failures=retain_failures,
            retain_minutes=Maintenance.retain_minutes if retain_minutes is None else retain_minutes,
            retain_rollups=retain_rollups,
            retain_inputs=retain_inputs,
            archive=archive,
            lock_timeout=wait,
            only_plan=plan,
            schema=schema,
        )
    )
    if output is not Output.table:
        print_models(MaintenanceStep, run, output, spreadsheet=spreadsheet)
    elif run:
        _print(run, utc, wide)
    overdue = not plan and run.is_overdue(timedelta(days=1) if stale is None else stale)
    for line in _messages(run, overdue, utc):
        print(f"execlog: {line}", file=sys.stderr)
    if any(step.outcome == "failed" for step in run):
        raise typer.Exit(1)
    if overdue:
        raise typer.Exit(_OVERDUE)


def _messages(run: MaintenanceRun, overdue: bool, utc: bool) -> Iterator[str]:
    """The messages for a cron job's log."""
    last = f"last completed: {local(run.maintained_at, utc) if run.maintained_at else 'never'}"
    late = f"overdue, {last}" if overdue else last
    if run.held_by is not None:
        yield f"{shown(run.held_by)} maintains this log since {local(run.held_since, utc)}; {late}"
    elif not run:
        yield "nothing to do"
    halted = [step for step in run if step.problem]
    for step in halted[:_MOST_NAMED]:
        yield str(step)
    if len(halted) > _MOST_NAMED:
        yield f"and {len(halted) - _MOST_NAMED} more"
    postponed = sum(step.outcome == "postponed" for step in run)
    if postponed:
        yield f"{postponed} steps were put off; the next run tries again; {late}"


def _print(steps: Sequence[MaintenanceStep], utc: bool, wide: bool) -> None:
    columns = [
        Column("step"),
        Column("partition", rank=1, least=20),
        Column("from", is_time=True, rank=4),
        Column("to", is_time=True, rank=5),
        Column("outcome", rank=2),
        Column("took", right=True, rank=6),
        Column("problem", rank=3, least=20),
    ]
    rows = [
        (
            step.action,
            step.partition,
            step.begins,
            step.ends,
            Text(step.outcome, style=_STYLES[step.outcome]),
            milliseconds(step.seconds * 1000) if step.seconds else "",
            step.problem or "",
        )
        for step in steps
    ]
    print_table(columns, rows, utc=utc, wide=wide)
