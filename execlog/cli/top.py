"""The command that ranks strategies: the slowest, the most failing, the busiest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer

from execlog import StrategyRank
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
    Version,
    Wide,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, percent, shown
from execlog.display.tables import Column, print_table

__all__ = ["top"]


class By(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The order of a ranking."""

    p99 = "p99"
    failures = "failures"
    error_rate = "error_rate"
    runs = "runs"


def top(
    realm: Realm = None,
    version: Version = None,
    since: Since = None,
    until: Until = None,
    by: Annotated[By, typer.Option("--by", help="What to rank by, largest first.")] = By.p99,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=50)] = 10,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Rank the strategies of a realm: the slowest, the most failing, the busiest.

    Example: execlog top --realm acme --by error_rate --since 1h
    """
    output = form(output, as_json, spreadsheet)
    found = ask(
        dsn,
        schema,
        lambda log: log.rank_strategies(
            realm_id=realm,
            strategy_version=version,
            since=since,
            until=until,
            by=by.value,
            limit=limit,
        ),
    )
    if not found:
        print("execlog: nothing ran", file=sys.stderr)
    if output is not Output.table:
        print_models(StrategyRank, found, output, spreadsheet=spreadsheet)
    elif found:
        _print(found, utc, wide)


def _print(found: Sequence[StrategyRank], utc: bool, wide: bool) -> None:
    columns = [
        Column("strategy", least=14),
        Column("runs", right=True, rank=1),
        Column("not ok", right=True, rank=5),
        Column("error rate", right=True, rank=2),
        Column("avg", right=True, rank=8),
        Column("p50", right=True, rank=7),
        Column("p95", right=True, rank=4),
        Column("p99", right=True, rank=3),
        Column("last", is_time=True, rank=6),
    ]
    rows = [
        (
            shown(one.strategy_id),
            number(one.runs),
            number(one.failures),
            percent(one.error_rate),
            *map(milliseconds, (one.avg_ms, one.p50_ms, one.p95_ms, one.p99_ms)),
            one.last_run,
        )
        for one in found
    ]
    print_table(columns, rows, utc=utc, wide=wide)
