"""The command that shows what recorders left in files, and stores it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from execlog.cli.draining import Drained, drain, is_left
from execlog.cli.forms import print_models
from execlog.cli.options import (
    ArchiveToAsk,
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
from execlog.display.format import number, shown, size
from execlog.display.tables import Column, print_table, stdout
from execlog.recorder.spool.listing import SpooledRecorder, list_spool

__all__ = ["spool"]

_PATIENCE = timedelta(seconds=60)
_SHORT = 8  # digits of a name: of two random ones they are the same once in 4 billion


def spool(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="What the recorders were given as `spool`.",
            show_default=False,
            exists=True,
            file_okay=False,
        ),
    ],
    store: Annotated[
        bool, typer.Option("--drain", help="Store what dead processes left, then list the rest.")
    ] = False,
    timeout: Annotated[
        timedelta | None,
        length_option("--timeout", "Give up if nothing was stored for so long; else 60s."),
    ] = None,
    archive: ArchiveToAsk = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """List the executions that wait in a spool, by recorder; or store those of dead processes.

    To list needs no server. A recorder is dead if no process has its folder locked: the next one
    with this spool stores what it left. Use --drain if there will be none; any number of processes
    may record and drain at once, and each execution is stored once. What can't be stored stays in
    its files: then it exits with 1. Ctrl-C leaves the rest there too. What may have been stored so
    long ago that it went to the archive since stays too, unless --archive says where to look.

    Example: execlog spool /var/lib/scores/spool
    """
    output = form(output, as_json, spreadsheet)
    found = list_spool(folder)
    if not store:
        _show(found, output, spreadsheet=spreadsheet, utc=utc, wide=wide)
        if not found:
            print("execlog: no recorder has files in this spool", file=sys.stderr)
        return
    patience = _PATIENCE if timeout is None else timeout
    done = drain(folder, dsn_of(dsn), schema, patience.total_seconds(), archive)
    print(done, file=sys.stdout if output is Output.table else sys.stderr)
    left = [one for one in done.found if is_left(one)]
    if left or output is not Output.table:
        _show(left, output, spreadsheet=spreadsheet, utc=utc, wide=wide)
    _explain(done, left)
    if left or done.rejected or done.damaged:
        raise typer.Exit(1)


def _explain(done: Drained, left: Sequence[SpooledRecorder]) -> None:
    """Says why something is left."""
    if rows := sum(one.rows or 0 for one in left):
        why = shown(done.problem) if done.problem else done.left_why
        print(f"execlog: {number(rows)} wait in their files: {why}", file=sys.stderr)
    if files := sum(one.newer_files for one in left):
        said = "files are of a later version of execlog, which can store them"
        print(f"execlog: {number(files)} {said}", file=sys.stderr)
    if files := sum(one.damaged_files for one in left):
        said = "files can't be read: remove *.bad when you have looked at them"
        print(f"execlog: {number(files)} {said}", file=sys.stderr)


def _show(
    found: Sequence[SpooledRecorder], output: Output, *, spreadsheet: bool, utc: bool, wide: bool
) -> None:
    if output is Output.table:
        _print(found, utc=utc, wide=wide)
    else:
        print_models(SpooledRecorder, found, output, spreadsheet=spreadsheet)


def _print(found: Sequence[SpooledRecorder], *, utc: bool, wide: bool) -> None:
    is_short = stdout().is_terminal and not wide
    columns = [
        Column("recorder"),
        Column("host", least=8, rank=3),
        Column("process", right=True, rank=2),
        Column("application", least=8, rank=4),
        Column("rows", right=True),
        Column("bytes", right=True, rank=1),
        Column("oldest", is_time=True, rank=1),
        Column("state", least=14),
        *([] if is_short else [Column("log", rank=5)]),
    ]
    rows = [
        (
            one.recorder[:_SHORT] if is_short else one.recorder,
            shown(one.host),
            "" if one.pid is None else str(one.pid),
            shown(one.application),
            "?" if one.rows is None else number(one.rows),
            size(one.bytes),
            one.oldest,
            _state(one),
            *([] if is_short else [str(one.log or "")]),
        )
        for one in found
    ]
    print_table(columns, rows, utc=utc, wide=wide)


def _state(one: SpooledRecorder) -> str:
    if one.damaged_files and one.state != "damaged":
        return f"{one.state}, {one.damaged_files} damaged"
    return one.state
