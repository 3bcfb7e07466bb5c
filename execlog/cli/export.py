"""The command that writes executions out, however many there are."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from enum import Enum
from typing import Annotated

import typer

from execlog import (
    ExeclogError,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.cli.away import say_away
from execlog.cli.filters import filtered
from execlog.cli.forms import csv_writer, jsonl_writer
from execlog.cli.options import (
    AnyStrategy,
    ArchiveToRead,
    Dsn,
    Output,
    Schema,
    Since,
    Spreadsheet,
    Until,
    form,
)
from execlog.cli.progress import is_seen, progress
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number, shown
from execlog.repository.filters import Filters

__all__ = ["export"]


class Form(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The forms that can be written row by row."""

    jsonl = "jsonl"
    csv = "csv"


@filtered
def export(
    filters: Filters,
    strategy: AnyStrategy = None,
    since: Since = None,
    until: Until = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="The form.")] = Form.jsonl,
    spreadsheet: Spreadsheet = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    r"""Write all executions that pass the filters to standard output, newest first.

    It writes those that exist when it begins. `execlog import` reads jsonl back, which keeps
    every value. In csv, characters that control a terminal are written as \uXXXX.

    Example: execlog export loyalty --since 7d > loyalty.jsonl
    """
    form(Output(output.value), False, spreadsheet)

    async def written(log: StrategyExecutionLogRepository) -> int:
        total = None
        if is_seen() and not filters:
            with contextlib.suppress(ExeclogError):  # then the bar has no end
                total = await _expected(log, strategy, since, until)
        stream = log.stream(strategy_id=strategy, since=since, until=until, **filters)
        async with contextlib.aclosing(stream) as rows:
            count = await _write(rows, output, spreadsheet, total)
        await say_away(log, archive, since, until)
        return count

    count = ask(dsn, schema, written, archive=archive)
    of = "" if strategy is None else f" of {shown(strategy)}"
    print(f"execlog: {number(count)} executions{of} exported", file=sys.stderr)


async def _write(
    rows: AsyncGenerator[StrategyExecutionLog], output: Form, spreadsheet: bool, total: int | None
) -> int:
    # An error in the question shows before anything is written, a header included.
    first = await anext(rows, None)
    if output is Form.jsonl:
        write = jsonl_writer()
    else:
        write = csv_writer(StrategyExecutionLog, spreadsheet=spreadsheet)
    if first is None:
        return 0
    write(first)
    count = 1
    with progress("exporting", total, shown=is_seen()) as advance:
        async for row in rows:
            write(row)
            count += 1
            advance(1)
    return count


async def _expected(
    log: StrategyExecutionLogRepository,
    strategy: str | None,
    since: datetime | None,
    until: datetime | None,
) -> int | None:
    """The number of rows: counted by an index, or the server's estimate; else None."""
    if strategy is not None:
        counts = await log.count_by_status(strategy_id=strategy, since=since, until=until)
        return sum(counts.values())
    return (await log.health()).estimated_rows if since is None and until is None else None
