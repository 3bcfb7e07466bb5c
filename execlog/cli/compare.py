"""The command that shows the card of a strategy beside another's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.text import Text

from execlog import StrategyComparison, StrategyMetrics
from execlog.cli.completion import strategies
from execlog.cli.forms import print_model
from execlog.cli.no_runs import hint_if_no_runs
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Since,
    Spreadsheet,
    Until,
    Wide,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, percent, shown
from execlog.display.tables import Column, print_table

__all__ = ["compare"]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", autocompletion=strategies)],
    b: Annotated[str, typer.Argument(metavar="B", autocompletion=strategies)],
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show two strategies side by side, their differences, and which way is better.

    Example: execlog compare loyalty loyalty-2 --since 1d
    """
    output = form(output, as_json, spreadsheet)
    both = ask(dsn, schema, lambda log: log.compare(a=a, b=b, since=since, until=until))
    hint_if_no_runs(both.a)
    hint_if_no_runs(both.b)
    if output is not Output.table:
        print_model(both, output, spreadsheet=spreadsheet)
    else:
        _print(both, wide)


def _print(both: StrategyComparison, wide: bool) -> None:
    one, two = both.a, both.b
    runs = (one.status_breakdown.total, two.status_breakdown.total)
    durations = (one.duration, two.duration)
    rows: list[tuple[str | Text, ...]] = [
        ("runs", *map(number, runs), "", ""),
        _compared("ok", (one.success_rate, two.success_rate), percent, better=1),
        _compared("error rate", (one.error_rate, two.error_rate), percent, better=-1),
        _compared("other", (_other(one), _other(two)), percent, better=-1),
        _compared("p95", [took.p95_ms for took in durations], milliseconds, better=-1),
        _compared("average", [took.avg_ms for took in durations], milliseconds, better=-1),
    ]
    if not all(runs):
        # If one did not run, nothing is better or worse.
        rows = [rows[0], *((*row[:3], "", "") for row in rows[1:])]
    else:
        rows.append(_points(both.delta.points_avg))
    columns = [
        Column(""),
        Column(shown(one.strategy_id), right=True, rank=1, least=14),
        Column(shown(two.strategy_id), right=True, rank=1, least=14),
        Column("B - A", right=True, rank=3),
        Column("Verdict", rank=2),
    ]
    print_table(columns, rows, wide=wide)
    methods = {one.duration.method, two.duration.method}
    if "sample" in methods:
        print("execlog: percentiles are of a sample of the newest runs", file=sys.stderr)
    elif "sketch" in methods:
        errors = [took.relative_error for took in durations]
        within = max((error for error in errors if error is not None), default=0.0)
        off = "may be more than 1 % off" if None in errors else f"are within {percent(within)}"
        print(f"execlog: percentiles {off}", file=sys.stderr)


def _compared(
    name: str, values: Sequence[float], form: Callable[[float], str], *, better: int
) -> tuple[str | Text, ...]:
    """A row of the comparison: both values, the difference, and whether that is an improvement."""
    one, two = values
    shown_values = (name, form(one), form(two))
    if math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12):
        return (*shown_values, "", Text("the same", style="dim"))
    sign = "+" if two > one else "-"
    good = (two > one) == (better > 0)
    verdict = Text("better" if good else "worse", style="green" if good else "red")
    return (*shown_values, sign + form(abs(two - one)), verdict)


def _points(delta: float) -> tuple[str | Text, ...]:
    """Points per run; the log can't know whether more are better."""
    if not delta:
        return ("points per run", "", "", "", Text("the same", style="dim"))
    sign = "+" if delta > 0 else "-"
    return ("points per run", "", "", sign + number(abs(delta)), "more" if delta > 0 else "less")


def _other(card: StrategyMetrics) -> float:
    """The share of runs that are neither ok nor one of the three failures, without noise."""
    share = 1 - card.success_rate - card.error_rate
    return share if card.status_breakdown.other else 0.0
