"""The command that shows the newest failures."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from execlog import StrategyExecutionLog
from execlog.cli.executions import COLUMNS, cells
from execlog.cli.forms import print_models
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Realm,
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

__all__ = ["failures"]


def failures(
    realm: Realm = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 25,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the newest failed runs across strategies.

    Example: execlog failures --realm acme --since 1h
    """
    output = form(output, as_json, spreadsheet)
    found = ask(
        dsn,
        schema,
        lambda log: log.list_failures(realm_id=realm, since=since, until=until, limit=limit),
    )
    if not found:
        print("execlog: nothing failed", file=sys.stderr)
    if output is not Output.table:
        print_models(StrategyExecutionLog, found, output, spreadsheet=spreadsheet)
    elif found:
        print_table(COLUMNS, [cells(one) for one in found], utc=utc, wide=wide)
