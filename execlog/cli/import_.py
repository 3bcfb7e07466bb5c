"""The command that stores exported executions, each of them once."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import IO, Annotated

import typer

from execlog import (
    InvalidArgument,
    QueryRejected,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.cli.lines import Reader, lines
from execlog.cli.moving_in import (
    Default,
    FromDsn,
    FromTable,
    Map,
    Moving,
    PlanOnly,
    TimeZone,
    move_in,
)
from execlog.cli.options import ArchiveToAsk, Dsn, Schema, share
from execlog.cli.progress import progress
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number, shown
from execlog.errors import CONFLICTS
from execlog.recorder.poison_rows import blames_a_row

__all__ = ["Importer", "import_"]

_BATCH_ROWS, _BATCH_BYTES = 5000, 8 * 1024 * 1024
_DUPLICATE = "23505"
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

Batch = list[tuple[int, StrategyExecutionLog]]
"""Executions with their line numbers."""


class OnError(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """What happens at a bad line."""

    stop = "stop"
    skip = "skip"


def import_(
    file: Annotated[
        typer.FileBinaryRead | None,
        typer.Argument(
            metavar="FILE",
            help="JSON lines, as exported; - is standard input.",
            show_default=False,
        ),
    ] = None,
    from_table: FromTable = None,
    from_dsn: FromDsn = None,
    maps: Map = None,
    defaults: Default = None,
    time_zone: TimeZone = None,
    plan: PlanOnly = False,
    on_error: Annotated[
        OnError,
        typer.Option("--on-error", help="What to do at a line or row that can't be stored."),
    ] = OnError.stop,
    sample_rate: Annotated[
        float | None,
        typer.Option(
            "--sample-rate",
            parser=share,
            metavar="SHARE",
            help="The share that was kept, such as 5%, for executions that are marked as sampled"
            " and have no rate; for ok runs of a table that marks none.",
        ),
    ] = None,
    ignore_unknown: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown", help="Leave out fields, or columns, that no execution has."
        ),
    ] = False,
    archive: ArchiveToAsk = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Store the executions of a file or of another program's table, each once.

    It may be called again, after an interruption too: what is stored is not stored again.

    An execution with the id, strategy and time of a stored one is not stored again, even if
    other fields differ; nor is one that a file of the log's archive holds, which needs its folder
    if there may be any. A line without createdAt is stored without a time. A line without an id
    gets one made of its number and text, so that the same file gives the same. Each gets a storedAt
    of its own, which is now.

    Columns of a table are matched by name, without case and underscores. Its ids stay if they are
    UUIDs; else each execution gets one made of the table's name and the id.

    Exit 1 if a line or row stopped it, or if it skips bad ones and could store none.

    Example: execlog import loyalty.jsonl --on-error skip

    Example: execlog import --from-table public.runs --time-zone Europe/Berlin --plan
    """
    if sample_rate == 0:
        raise typer.BadParameter("must be above 0", param_hint="--sample-rate")
    if from_table is not None:
        if file is not None:
            raise typer.BadParameter("FILE and --from-table exclude each other")
        stops = on_error is OnError.stop
        zone = "UTC" if time_zone is None else time_zone
        lists = maps or [], defaults or []
        asked = Moving(from_table, from_dsn, *lists, ignore_unknown, zone, sample_rate, stops, plan)
        move_in(asked, dsn, schema, archive)
        return
    if file is None:
        raise typer.BadParameter("give FILE or --from-table")
    if plan or any(one is not None for one in (from_dsn, time_zone)) or maps or defaults:
        raise typer.BadParameter(
            "--from-dsn, --map, --default, --time-zone and --plan are for --from-table"
        )
    _import_file(file, on_error, sample_rate, ignore_unknown, dsn, schema, archive)


def _import_file(
    file: typer.FileBinaryRead,
    on_error: OnError,
    sample_rate: float | None,
    ignore_unknown: bool,
    dsn: str | None,
    schema: str,
    archive: Path | None,
) -> None:
    """Stores the executions of a file. Raises typer.Exit: a line stopped it, or all were bad."""

    def report(line: int, problem: str) -> None:
        print(f"execlog: line {line}: {shown(problem)}", file=sys.stderr)
        if on_error is OnError.stop:
            raise _Stopped

    reader = Reader(sample_rate=sample_rate, ignore_unknown=ignore_unknown)
    importer = Importer(report, reader)

    async def run(log: StrategyExecutionLogRepository) -> None:
        status = os.fstat(file.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        with progress("importing, bytes", size) as advance:
            try:
                await importer.run(log, file, advance)
            finally:
                for said in (importer, *_notes(reader)):
                    print(f"execlog: {said}", file=sys.stderr)

    try:
        ask(dsn, schema, run, writes=True, archive=archive)
    except _Stopped:
        raise typer.Exit(1) from None
    if importer.bad and not importer.stored + importer.known:
        print("execlog: nothing was stored", file=sys.stderr)
        raise typer.Exit(1)


def _notes(reader: Reader) -> Iterator[str]:
    """Notes on lines that were changed or may be misread."""
    if reader.cut:
        yield f"{number(reader.cut)} executions had other fields, which were left out"
    if reader.unrated:
        yield (
            f"warning: {number(reader.unrated)} sampled executions have no rate, and count as one"
            " run each; --sample-rate says which share was kept"
        )


class _Stopped(Exception):
    """A bad line, at which the import was to stop."""


class Importer:
    """Stores lines in batches, by COPY as long as none of them is stored already.

    Args:
        report: Called with the number and the problem of each line that can't be stored. If it
            raises, the import ends after all lines before that one are stored.
        reader: Makes executions of lines.
    """

    def __init__(self, report: Callable[[int, str], None], reader: Reader) -> None:
        """Takes the parts. Never raises."""
        self._report = report
        self._reader = reader
        self._overlap = False  # whether rows of the last batch were stored already
        self._has_files = False  # whether the log has files in an archive
        self.stored = self.known = self.bad = 0

    def __str__(self) -> str:
        """The account. Never raises."""
        said = f"{number(self.stored)} executions stored"
        if self.known:
            said += f", {number(self.known)} were there already"
        return said + (f", {number(self.bad)} lines could not be stored" if self.bad else "")

    async def run(
        self,
        log: StrategyExecutionLogRepository,
        file: IO[bytes],
        advance: Callable[[float], None],
    ) -> None:
        """Stores the lines of the file; `advance` is called with the number of bytes read.

        Raises:
            ExeclogError: The server is away, or refuses for a reason other than the rows.
            OSError: The file can't be read.
        """
        batch: Batch = []
        size = 0
        for line, text in lines(file):
            try:
                batch.append((line, self._reader.execution(line, text)))
            except InvalidArgument as error:
                try:
                    self._complain(line, error)
                except Exception:  # the input ends here, and the lines before it were fine
                    await self._store(log, batch)
                    raise
            size += len(text)
            advance(len(text))
            if len(batch) == _BATCH_ROWS or size >= _BATCH_BYTES:
                await self._store(log, batch)
                batch, size = [], 0
        await self._store(log, batch)

    async def _store(self, log: StrategyExecutionLogRepository, batch: Batch) -> None:
        """Stores a batch; if the server refuses it, its halves, the first one first."""
        waiting = [batch]
        while waiting:
            rows = waiting.pop()
            try:
                stored = await self._stored(log, [row for _, row in rows])
            except QueryRejected as error:
                if not blames_a_row(error):
                    raise
                if len(rows) == 1:
                    self._complain(rows[0][0], InvalidArgument("", f"is refused by {error}"))
                else:
                    half = len(rows) // 2
                    waiting += [rows[half:], rows[:half]]
            else:
                self.stored += stored
                self.known += len(rows) - stored
                self._overlap = stored < len(rows)

    async def _stored(
        self, log: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
    ) -> int:
        """How many were not stored yet. Another import of the same rows may cause a conflict."""
        for pause in _PAUSES:
            try:
                if self._overlap or await self._may_be_in_files(log):
                    return await log.insert_missing(rows)
                return await log.insert_rows(rows)
            except QueryRejected as error:
                if error.sqlstate != _DUPLICATE:
                    raise
                self._overlap = True
            except StoreUnavailable as error:
                if error.sqlstate not in CONFLICTS:
                    raise
                await asyncio.sleep(pause * random.random())  # noqa: S311 - so that one is first
        return await log.insert_missing(rows)

    async def _may_be_in_files(self, log: StrategyExecutionLogRepository) -> bool:
        """Whether files may hold rows, which COPY would store once more."""
        if not self._has_files:
            try:
                self._has_files = (await log.archive_state()).folder is not None
            except QueryRejected:  # the role may store, and not look
                self._has_files = True
        return self._has_files

    def _complain(self, line: int, error: InvalidArgument) -> None:
        self.bad += 1
        self._report(line, str(error))
