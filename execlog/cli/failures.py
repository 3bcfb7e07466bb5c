"""The command that shows the newest failures."""

from __future__ import annotations

from typing import Annotated

import typer

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli.away import say_away
from execlog.cli.executions import COLUMNS, cells
from execlog.cli.filters import filtered, nothing_found
from execlog.cli.forms import print_models
from execlog.cli.options import (
    ArchiveToRead,
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
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.tables import print_table
from execlog.repository.filters import Filters

__all__ = ["failures"]


@filtered
def failures(
    filters: Filters,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 25,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the newest failed runs across strategies.

    Example: execlog failures --realm acme --since 1h
    """
    output = form(output, as_json, spreadsheet)

    async def newest(log: StrategyExecutionLogRepository) -> list[StrategyExecutionLog]:
        rows = await log.list_failures(
            since=since, until=until, limit=limit, payloads=output is not Output.table, **filters
        )
        if len(rows) < limit:
            await say_away(log, archive, since, until)
        if not rows:
            await nothing_found(log, "nothing failed", filters, None, since, until)
        return rows

    found = ask(dsn, schema, newest, archive=archive)
    if output is not Output.table:
        print_models(StrategyExecutionLog, found, output, spreadsheet=spreadsheet)
    elif found:
        print_table(COLUMNS, [cells(one) for one in found], utc=utc, wide=wide)
