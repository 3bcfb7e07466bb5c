"""Commands on the card of a strategy: the card itself, A beside B, and a check for alerts."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from execlog import HistogramBucket, StrategyMetrics
from execlog.cli.completion import strategies
from execlog.cli.forms import print_model
from execlog.cli.options import (
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
    form,
    length,
    moment,
    share,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, milliseconds, number, percent, shown
from execlog.display.tables import BAR, STYLES, Column, bar, print_table, stdout

__all__ = ["check", "compare", "summary"]

_BREACHED = 3
_LABEL = 18


def summary(
    strategy: Strategy,
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the card of a strategy: outcomes, percentiles, histograms, top errors and cases.

    Example: execlog summary loyalty --since 1d
    """
    output = form(output, as_json, spreadsheet)
    card = ask(dsn, schema, lambda log: log.metrics(strategy_id=strategy, since=since, until=until))
    _hint_where_empty(card)
    if output is not Output.table:
        print_model(card, output, spreadsheet=spreadsheet)
    elif card.status_breakdown.total:
        console = stdout()
        for line in _card(card, utc, console):
            console.print(line)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", autocompletion=strategies)],
    b: Annotated[str, typer.Argument(metavar="B", autocompletion=strategies)],
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show two strategies side by side, what differs, and which way is better.

    Example: execlog compare loyalty loyalty-2 --since 1d
    """
    output = form(output, as_json, spreadsheet)
    both = ask(dsn, schema, lambda log: log.compare(a=a, b=b, since=since, until=until))
    _hint_where_empty(both.a)
    _hint_where_empty(both.b)
    if output is not Output.table:
        print_model(both, output, spreadsheet=spreadsheet)
        return
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
        # What did not run is neither better nor worse.
        rows = [rows[0], *((*row[:3], "", "") for row in rows[1:])]
    else:
        rows.append(_points(both.delta.points_avg))
    numbers = (shown(a), shown(b), "B - A")
    columns = [Column(""), *(Column(name, right=True) for name in numbers), Column("B is")]
    print_table(columns, rows)
    methods = {one.duration.method, two.duration.method}
    if "sample" in methods:
        print("execlog: percentiles are of a sample of the newest runs", file=sys.stderr)
    elif "sketch" in methods:
        within = percent(max(took.relative_error or 0.0 for took in durations))
        print(f"execlog: percentiles are within {within}", file=sys.stderr)


def check(
    strategy: Strategy,
    max_error_rate: Annotated[
        float | None,
        typer.Option("--max-error-rate", parser=share, metavar="SHARE", help="Such as 1%."),
    ] = None,
    max_p99: Annotated[
        timedelta | None,
        typer.Option("--max-p99", parser=length, metavar="LENGTH", help="Such as 250ms."),
    ] = None,
    min_runs: Annotated[int, typer.Option("--min-runs", min=0, help="Fewer are a breach too.")] = 0,
    since: Since = None,
    until: Until = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Exit 3 where a strategy fails too often or is too slow; for cron and alerts.

    Looks at the last 15 minutes where no window is given.

    Example: execlog check loyalty --max-error-rate 1% --max-p99 250ms --since 15m
    """
    if max_error_rate is None and max_p99 is None and not min_runs:
        raise typer.BadParameter("nothing to check: give --max-error-rate, --max-p99 or --min-runs")
    begin = moment("15m") if since is None and until is None else since
    card = ask(dsn, schema, lambda log: log.metrics(strategy_id=strategy, since=begin, until=until))
    runs, p99 = card.status_breakdown.total, card.duration.p99_ms
    _hint_where_empty(card)
    failed = 1 - card.success_rate if runs else 0.0  # whatever is not ok
    breaches = []
    if max_error_rate is not None and _above(failed, max_error_rate):
        most = percent(max_error_rate, ".6g")
        breaches.append(f"{percent(failed, '.6g')} failed, more than {most}")
    limit = max_p99 / timedelta(milliseconds=1) if max_p99 is not None else math.inf
    if _above(p99, limit):
        breaches.append(f"p99 {p99:.6g} ms above {limit:.6g} ms ({card.duration.method})")
    if runs < min_runs:
        breaches.append(f"fewer than {number(min_runs)} runs")
    fine = f"ok: {percent(failed)} failed, p99 {milliseconds(p99)}" if runs else "no runs"
    said = ", ".join(breaches) or fine
    print(f"{shown(strategy)}: {said}; {number(runs)} runs")
    if breaches:
        raise typer.Exit(_BREACHED)


def _above(value: float, limit: float) -> bool:
    """Whether it is above by more than the noise of a division."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9)


def _hint_where_empty(card: StrategyMetrics) -> None:
    if not card.status_breakdown.total:
        print(
            f"execlog: no execution of {shown(card.strategy_id)} in this time;"
            " `execlog top --by runs` shows which strategies ran",
            file=sys.stderr,
        )


def _card(card: StrategyMetrics, utc: bool, console: Console) -> Iterator[Text]:
    width = min(BAR, max(console.width - 36, 5)) if console.is_terminal else BAR
    ends = {"from": card.window_from, "until": card.window_until}
    window = " ".join(f"{word} {local(end, utc)}" for word, end in ends.items() if end)
    yield Text.assemble((shown(card.strategy_id), "bold"), (f"  {window or 'of all time'}", "dim"))
    counts = card.status_breakdown
    yield Text(
        f"{number(counts.total)} runs stored, of {number(round(card.estimated_total))};"
        f" {percent(card.success_rate)} ok, {percent(1 - card.success_rate)} failed"
    )
    if card.rows_from is not None:
        before = local(card.rows_from, utc)
        yield Text(f"before {before} rows are gone: in whole minutes or hours there", style="dim")
    yield from _section("outcome")
    for status, style in STYLES.items():
        count = getattr(counts, status)
        yield _bar_line(status, count, counts.total, width, style)
    took = card.duration
    within = f" ±{percent(took.relative_error)}" if took.relative_error else ""
    of = f"{took.method}{within}, {number(took.sample_size)} runs"
    yield from _section(f"duration ({of})")
    facts = {"avg": took.avg_ms, "p50": took.p50_ms, "p95": took.p95_ms}
    facts |= {"p99": took.p99_ms, "max": took.max_ms}
    yield Text("  " + "   ".join(f"{name} {milliseconds(ms)}" for name, ms in facts.items()))
    yield from _bars(_filled(card.duration_histogram), width, "blue")
    yield from _section(f"points (sum {number(card.points_sum)})")
    yield from _bars(_filled(card.points_histogram), width, "magenta")
    yield Text(f"  nodes: {card.nodes_avg:.1f} on average, {number(card.nodes_max)} at most")
    if card.top_errors:
        yield from _section("top errors")
        yield from _bars([(one.code, one.count) for one in card.top_errors], width, "red")
    if card.top_cases:
        yield from _section("top cases")
        cases = [(one.case_name, one.count) for one in card.top_cases]
        named = [("(no rule matched)" if name is None else name, n) for name, n in cases]
        yield from _bars(named, width, "green")


def _section(title: str) -> Iterator[Text]:
    yield Text()
    yield Text(title, style="bold")


def _filled(bars: Sequence[HistogramBucket]) -> list[tuple[str, int]]:
    """The bars from the first to the last that is not empty."""
    filled = [place for place, one in enumerate(bars) if one.count] or [0]
    return [(one.label, one.count) for one in bars[filled[0] : filled[-1] + 1]]


def _bars(counts: Sequence[tuple[str, int]], width: int, style: str) -> Iterator[Text]:
    most = max(count for _, count in counts)
    for label, count in counts:
        yield _bar_line(label, count, most, width, style)


def _bar_line(label: str, count: int, most: int, width: int, style: str) -> Text:
    name = Text(shown(label))
    # Into a pipe, names go whole.
    name.truncate(
        _LABEL if sys.stdout.isatty() else max(_LABEL, name.cell_len), overflow="ellipsis", pad=True
    )
    line = Text.assemble("  ", name, f" {number(count):>12}")
    return line.append(f"  {bar(count, most, width)}" if count else "", style=style)


def _compared(
    name: str, values: Sequence[float], form: Callable[[float], str], *, better: int
) -> tuple[str | Text, ...]:
    """A row of the comparison: both values, the difference, and whether it is for the better."""
    one, two = values
    shown_values = (name, form(one), form(two))
    if math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12):
        return (*shown_values, "", Text("the same", style="dim"))
    sign = "+" if two > one else "-"
    good = (two > one) == (better > 0)
    verdict = Text("better" if good else "worse", style="green" if good else "red")
    return (*shown_values, sign + form(abs(two - one)), verdict)


def _points(delta: float) -> tuple[str | Text, ...]:
    """Points per run: whether more of them are better, nobody knows."""
    if not delta:
        return ("points per run", "", "", "", Text("the same", style="dim"))
    sign = "+" if delta > 0 else "-"
    return ("points per run", "", "", sign + number(abs(delta)), "more" if delta > 0 else "less")


def _other(card: StrategyMetrics) -> float:
    """The share of runs that are neither ok nor one of the three failures; without noise."""
    share = 1 - card.success_rate - card.error_rate
    return share if card.status_breakdown.other else 0.0
