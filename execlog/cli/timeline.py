"""The command that shows a strategy over time: volume, failures and p95."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.text import Text

from execlog import TimeseriesBucket
from execlog.cli.forms import print_models
from execlog.cli.options import (
    Bucket,
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Since,
    Spreadsheet,
    Strategy,
    Until,
    Utc,
    Wide,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, shown
from execlog.display.tables import Column, bar, print_table

__all__ = ["timeline"]


def timeline(
    strategy: Strategy,
    since: Since = None,
    until: Until = None,
    bucket: Bucket = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show volume, failures and p95 over time; without a window, the last day.

    Example: execlog timeline loyalty --since 2h --bucket 5m
    """
    output = form(output, as_json, spreadsheet)
    found = ask(
        dsn,
        schema,
        lambda log: log.timeseries(strategy_id=strategy, since=since, until=until, bucket=bucket),
    )
    if not any(one.total for one in found):
        print(f"execlog: {shown(strategy)} did not run in this time", file=sys.stderr)
    if output is not Output.table:
        print_models(TimeseriesBucket, found, output, spreadsheet=spreadsheet)
    else:
        _print(found, utc, wide)


def _print(found: Sequence[TimeseriesBucket], utc: bool, wide: bool) -> None:
    most = max(one.total for one in found)
    columns = [
        Column("from", is_time=True),
        Column("runs", right=True, rank=1),
        Column("not ok", right=True, rank=2),
        Column("p95", right=True, rank=3),
        Column("", rank=4),
    ]
    rows = []
    for one in found:
        failed = one.total - one.ok
        volume = bar(one.total, most)
        drawn = Text(volume, style="green")
        if failed:
            # The failures' share of the bar, one character at least.
            red = max(round(len(volume) * failed / one.total), 1)
            drawn.stylize("red", len(volume) - red)
        rows.append(
            (
                one.start,
                number(one.total),
                number(failed),
                milliseconds(one.duration_p95_ms) if one.total else "",
                drawn,
            )
        )
    print_table(columns, rows, utc=utc, wide=wide)
