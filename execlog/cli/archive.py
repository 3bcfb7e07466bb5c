"""The commands about the archive: its files, whether they are whole, and back into the log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from execlog import (
    ArchivedFile,
    ArchiveProblem,
    archived_files,
    restore_archive,
    verify_archive,
)
from execlog.cli.forms import print_models
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Since,
    Spreadsheet,
    Until,
    Utc,
    Wide,
    form,
)
from execlog.cli.progress import progress
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number, shown, size
from execlog.display.tables import Column, print_table

__all__ = ["Archive", "archive"]

Archive = Annotated[
    Path,
    typer.Option(
        "--archive",
        envvar="EXECLOG_ARCHIVE",
        metavar="FOLDER",
        help="The folder of the archive.",
        show_default=False,
    ),
]

archive = typer.Typer(
    help="List the files that old rows went to, verify them, or restore their rows.",
    no_args_is_help=True,
)


@archive.command("list")
def list_files(
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """List the files of the archive, as the log's table has them; the folder is not looked at.

    Example: execlog archive list --since 400d --until 365d
    """
    output = form(output, as_json, spreadsheet)
    files = asyncio.run(archived_files(dsn_of(dsn), since=since, until=until, schema=schema))
    if output is not Output.table:
        print_models(ArchivedFile, files, output, spreadsheet=spreadsheet)
    elif files:
        _print(files, utc, wide)
    rows, room = sum(one.rows for one in files), sum(one.bytes for one in files)
    said = f"{number(len(files))} files, {number(rows)} rows, {size(room)}"
    print(f"execlog: {said}", file=sys.stderr)


@archive.command()
def verify(
    archive: Archive,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Read all files of the archive, compare them with the log's table; exit 3 if any differs.

    Example: execlog archive verify --archive /srv/scores
    """

    async def run() -> list[ArchiveProblem]:
        found = verify_archive(dsn_of(dsn), archive=archive, schema=schema)
        return [problem async for problem in found]

    output = form(output, as_json, spreadsheet)
    problems = asyncio.run(run())
    if output is not Output.table:
        print_models(ArchiveProblem, problems, output, spreadsheet=spreadsheet)
    elif problems:
        _print_problems(problems, utc, wide)
    print(f"execlog: {number(len(problems))} files are not as they were entered", file=sys.stderr)
    if problems:
        raise typer.Exit(3)


@archive.command()
def restore(
    archive: Archive,
    since: Since = None,
    until: Until = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Store the rows of files again, unless the log has them; the files stay.

    Whole files: those with a run of the window. What `execlog maintain --retain` would remove, its
    next run removes again. If it is interrupted, run it again.

    Example: execlog archive restore --archive /srv/scores --since 2026-03-01 --until 2026-03-07
    """

    async def run() -> tuple[int, int]:
        files = rows = 0
        with progress("files", None) as advance:
            found = restore_archive(
                dsn_of(dsn), archive=archive, since=since, until=until, schema=schema
            )
            async for one in found:
                files, rows = files + 1, rows + one.restored
                advance(1)
        return files, rows

    files, rows = asyncio.run(run())
    print(rows)
    print(f"execlog: {number(rows)} rows of {number(files)} files restored", file=sys.stderr)


def _print(files: list[ArchivedFile], utc: bool, wide: bool) -> None:
    columns = [
        Column("file", least=20),
        Column("rows", right=True, rank=1),
        Column("size", right=True, rank=2),
        Column("from", is_time=True, rank=4),
        Column("to", is_time=True, rank=5),
        Column("in the log too", rank=3),
    ]
    rows = [
        (
            shown(one.path),
            number(one.rows),
            size(one.bytes),
            one.first_at,
            one.last_at,
            "all" if one.rows_in_log else "failures" if one.failures_in_log else "",
        )
        for one in files
    ]
    print_table(columns, rows, utc=utc, wide=wide)


def _print_problems(problems: list[ArchiveProblem], utc: bool, wide: bool) -> None:
    columns = [
        Column("file", least=20),
        Column("problem", rank=1),
        Column("rows", right=True, rank=2),
        Column("in the log too", rank=3),
    ]
    rows = [
        (
            shown(one.path),
            Text(one.problem, style="red"),
            "" if one.rows is None else number(one.rows),
            "" if one.rows is None else "no" if one.is_only_copy else "yes",
        )
        for one in problems
    ]
    print_table(columns, rows, utc=utc, wide=wide)
