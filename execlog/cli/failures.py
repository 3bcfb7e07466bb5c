"""The command that shows the newest failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli.filters import filtered, nothing_found
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
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, milliseconds, number, shown
from execlog.display.tables import Column, print_table, status_text
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
        if not rows:
            await nothing_found(log, "nothing failed", filters, None, since, until)
        return rows

    found = ask(dsn, schema, newest)
    if output is not Output.table:
        print_models(StrategyExecutionLog, found, output, spreadsheet=spreadsheet)
    elif found:
        _print(found, utc)


def _print(found: Sequence[StrategyExecutionLog], utc: bool) -> None:
    columns = [
        Column("time"),
        Column("strategy"),
        Column("status"),
        Column("code"),
        Column("case"),
        Column("points", right=True),
        Column("took", right=True),
        Column("id"),
    ]
    rows = [
        (
            local(one.created_at, utc),
            shown(one.strategy_id),
            status_text(one.status),
            shown(one.error_code),
            shown(one.case_name),
            number(one.points),
            milliseconds(one.duration_ms),
            str(one.id),
        )
        for one in found
    ]
    print_table(columns, rows)
