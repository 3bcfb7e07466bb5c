"""The command that examines the log itself: what is wrong, and the remedy."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.text import Text

from execlog import (
    ArchiveError,
    ArchiveState,
    ExeclogError,
    Health,
    InvalidArgument,
    MaintenanceState,
    MigrationError,
    RecorderAccount,
    RollupState,
    SchemaOutdated,
    StoreUnavailable,
    StrategyExecutionLogRepository,
    check_migrations,
)
from execlog.admin.doctor import Finding, examined
from execlog.archive.verifying import amiss
from execlog.cli.forms import print_model
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Spreadsheet,
    Utc,
    form,
    length_option,
)
from execlog.cli.server import ask, dsn_of
from execlog.db.sqltext import SCHEMA, filled
from execlog.display.tables import plain
from execlog.errors import NO_RIGHT

__all__ = ["doctor"]

_GRANT = "grant usage on schema execlog, and select on all its tables, to this role"


def doctor(
    ahead: Annotated[
        timedelta | None,
        length_option("--ahead", "For how long partitions must exist already; else 7d."),
    ] = None,
    skew: Annotated[
        timedelta | None, length_option("--skew", "By how much the clocks may differ; else 2s.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            envvar="EXECLOG_ARCHIVE",
            metavar="FOLDER",
            help="Compare the folder of the archive with the log's table too.",
        ),
    ] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Examine the log; exit 1 if something is wrong, with a remedy for each finding.

    Example: execlog doctor --ahead 14d
    """
    ahead = timedelta(days=7) if ahead is None else ahead
    skew = timedelta(seconds=2) if skew is None else skew
    output = form(output, as_json, spreadsheet)
    try:
        found = ask(dsn, schema, _looked)
    except InvalidArgument:
        raise
    except ExeclogError as error:
        finding = _why_not(error, dsn, schema)
        _print([finding], sys.stdout if output is Output.table else sys.stderr)
        raise typer.Exit(1) from None
    findings = list(
        examined(
            found,
            found.rollups,
            found.maintenance,
            found.recorders,
            found.archive,
            amiss=_amiss(found.archive, archive, dsn, schema),
            ahead=ahead,
            skew=skew,
            utc=utc,
            schema=schema,
        )
    )
    if output is Output.table:
        _print(findings, sys.stdout)
    else:
        print_model(found, output, spreadsheet=spreadsheet)
    if any(finding.remedy for finding in findings):
        raise typer.Exit(1)


class _Looked(Health):
    """The log, its rollups, its maintenance, its archive and the recorders of the last day.

    None while their migration is missing.
    """

    rollups: RollupState | None
    maintenance: MaintenanceState | None
    recorders: list[RecorderAccount] | None
    archive: ArchiveState | None


async def _looked(log: StrategyExecutionLogRepository) -> _Looked:
    health = await log.health()
    if health.missing_migrations:
        return _Looked(**dict(health), rollups=None, maintenance=None, recorders=None, archive=None)
    return _Looked(
        **dict(health),
        rollups=await log.rollup_state(),
        maintenance=await log.maintenance_state(),
        recorders=await log.recorder_account(since=datetime.now(UTC) - timedelta(days=1)),
        archive=await log.archive_state(),
    )


def _amiss(
    state: ArchiveState | None, folder: Path | None, dsn: str | None, schema: str
) -> list[str] | None:
    """What the folder has or lacks; None: it was not given, or the log has no archive."""
    if folder is None or state is None or state.folder is None:
        return None
    try:
        return asyncio.run(amiss(dsn_of(dsn), folder, schema))
    except ArchiveError as error:
        return [str(error)]


def _why_not(error: ExeclogError, dsn: str | None, schema: str) -> Finding:
    """Why the log could not be examined."""
    if isinstance(error, SchemaOutdated):
        try:
            missing = asyncio.run(check_migrations(dsn_of(dsn), schema=schema))
        except MigrationError as problem:
            return Finding("migrations", str(problem), "`execlog migrate --sql` prints all of them")
        if missing:
            return Finding("migrations", f"missing: {', '.join(missing)}", "run `execlog migrate`")
        remedy = "restore it from a backup; `execlog migrate --sql` prints how it is made"
        return Finding("tables", "one is missing, though all migrations were applied", remedy)
    if error.sqlstate == NO_RIGHT:
        remedy = filled(_GRANT, schema)
        return Finding("rights", str(error), remedy)
    if isinstance(error, StoreUnavailable):
        where = "--dsn, EXECLOG_DSN or PGHOST name it"
        return Finding("server", str(error), f"is it up? `pg_isready` tells; {where}")
    return Finding("server", str(error), "say who you are: --dsn, EXECLOG_DSN, PGUSER, ~/.pgpass")


def _print(findings: list[Finding], file: TextIO) -> None:
    console = plain(file)
    for finding in findings:
        mark = Text("!!", style="red") if finding.remedy else Text("ok", style="green")
        about = (f"  {finding.about:<13}", "bold")
        console.print(Text.assemble(mark, about, finding.said))
        if finding.remedy:
            console.print(Text(f"{'':17}{finding.remedy}", style="yellow"))
