"""Commands on the card of a strategy: the card itself, A beside B, and a check for alerts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from execlog import HistogramBucket, StrategyMetrics
from execlog.cli.completion import strategies
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Since,
    Strategy,
    Until,
    Utc,
    length,
    moment,
    share,
)
from execlog.cli.rendering import (
    STYLES,
    Column,
    bar,
    local,
    milliseconds,
    number,
    percent,
    print_models,
    print_table,
    shown,
    stdout,
)
from execlog.cli.server import ask
from execlog.models import Model

__all__ = ["check", "compare", "summary"]

_BREACHED = 3
_BAR = 30


def summary(
    strategy: Strategy,
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    utc: Utc = False,
    dsn: Dsn = None,
) -> None:
    """Show the card of a strategy: outcomes, percentiles, histograms, top errors and cases.

    Example: execlog summary loyalty --since 1d
    """
    card = ask(dsn, lambda log: log.metrics(strategy_id=strategy, since=since, until=until))
    _hint_where_empty(card)
    if as_json or output is not Output.table:
        _print_one(card, Output.json if as_json else output)
        return
    if card.status_breakdown.total:
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
    dsn: Dsn = None,
) -> None:
    """Show two strategies side by side, what differs, and which way is better.

    Example: execlog compare loyalty loyalty-2 --since 1d
    """
    both = ask(dsn, lambda log: log.compare(a=a, b=b, since=since, until=until))
    _hint_where_empty(both.a)
    _hint_where_empty(both.b)
    if as_json or output is not Output.table:
        _print_one(both, Output.json if as_json else output)
        return
    one, two, delta = both.a, both.b, both.delta
    runs = (one.status_breakdown.total, two.status_breakdown.total)
    rows: list[tuple[str | Text, ...]] = [
        ("runs", *map(number, runs), "", ""),
        (
            "success rate",
            *map(percent, (one.success_rate, two.success_rate)),
            *_difference(delta.success_rate, percent, better=1),
        ),
        (
            "error rate",
            *map(percent, (one.error_rate, two.error_rate)),
            *_difference(delta.error_rate, percent, better=-1),
        ),
        (
            "p95",
            *map(milliseconds, (one.duration.p95_ms, two.duration.p95_ms)),
            *_difference(delta.p95_ms, milliseconds, better=-1),
        ),
        (
            "average",
            *map(milliseconds, (one.duration.avg_ms, two.duration.avg_ms)),
            *_difference(delta.avg_ms, milliseconds, better=-1),
        ),
        ("points per run", "", "", *_difference(delta.points_avg, number, better=0)),
    ]
    numbers = (shown(a), shown(b), "B - A")
    columns = [Column(""), *(Column(name, right=True) for name in numbers), Column("B is")]
    print_table(columns, rows, stdout())
    methods = {one.duration.method, two.duration.method}
    if "sample" in methods:
        print("execlog: percentiles are of a sample of the newest runs", file=sys.stderr)


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
) -> None:
    """Exit 3 where a strategy fails too often or is too slow; for cron and alerts.

    Looks at the last 15 minutes where no window is given.

    Example: execlog check loyalty --max-error-rate 1% --max-p99 250ms --since 15m
    """
    if max_error_rate is None and max_p99 is None and not min_runs:
        raise typer.BadParameter("nothing to check: give --max-error-rate, --max-p99 or --min-runs")
    begin = moment("15m") if since is None and until is None else since
    card = ask(dsn, lambda log: log.metrics(strategy_id=strategy, since=begin, until=until))
    runs, p99 = card.status_breakdown.total, card.duration.p99_ms
    breaches = []
    if max_error_rate is not None and card.error_rate > max_error_rate:
        breaches.append(f"error rate {percent(card.error_rate)} above {percent(max_error_rate)}")
    if max_p99 is not None and p99 > max_p99 / timedelta(milliseconds=1):
        limit = milliseconds(max_p99 / timedelta(milliseconds=1))
        breaches.append(f"p99 {milliseconds(p99)} above {limit} ({card.duration.method})")
    if runs < min_runs:
        breaches.append(f"fewer than {number(min_runs)} runs")
    said = ", ".join(breaches) or f"ok: {percent(card.error_rate)} failed, p99 {milliseconds(p99)}"
    print(f"{shown(strategy)}: {said}; {number(runs)} runs")
    if breaches:
        raise typer.Exit(_BREACHED)


def _print_one(model: Model, output: Output) -> None:
    """One object, not a list of one."""
    if output is Output.json:
        dump = model.model_dump(by_alias=True, mode="json")
        print(json.dumps(dump, ensure_ascii=False, indent=2))
    else:
        print_models([model], output)


def _hint_where_empty(card: StrategyMetrics) -> None:
    if not card.status_breakdown.total:
        print(
            f"execlog: no execution of {shown(card.strategy_id)} in this time;"
            " `execlog top --by runs` shows which strategies ran",
            file=sys.stderr,
        )


def _card(card: StrategyMetrics, utc: bool, console: Console) -> Iterator[Text]:
    width = min(_BAR, max(console.width - 36, 5)) if console.is_terminal else _BAR
    ends = [local(end, utc) for end in (card.window_from, card.window_until) if end]
    window = " to ".join(ends) or "all time"
    yield Text.assemble((shown(card.strategy_id), "bold"), (f"  {window}", "dim"))
    counts = card.status_breakdown
    yield Text(
        f"{number(counts.total)} runs stored, of {number(round(card.estimated_total))};"
        f" {percent(card.success_rate)} ok, {percent(card.error_rate)} failed"
    )
    yield from _section("outcome")
    for status, style in STYLES.items():
        count = getattr(counts, status)
        yield _bar_line(status, count, counts.total, width, style)
    took = card.duration
    of = f"{took.method}, {number(took.sample_size)} runs"
    yield from _section(f"duration ({of})")
    facts = {"avg": took.avg_ms, "p50": took.p50_ms, "p95": took.p95_ms}
    facts |= {"p99": took.p99_ms, "max": took.max_ms}
    yield Text("  " + "   ".join(f"{name} {milliseconds(ms)}" for name, ms in facts.items()))
    yield from _histogram(card.duration_histogram, width, "blue")
    yield from _section(f"points (sum {number(card.points_sum)})")
    yield from _histogram(card.points_histogram, width, "magenta")
    yield Text(f"  nodes: {card.nodes_avg:.1f} on average, {number(card.nodes_max)} at most")
    if card.top_errors:
        yield from _section("top errors")
        most = card.top_errors[0].count
        for error in card.top_errors:
            yield _bar_line(error.code, error.count, most, width, "red")
    if card.top_cases:
        yield from _section("top cases")
        most = card.top_cases[0].count
        for case in card.top_cases:
            name = "(no rule matched)" if case.case_name is None else case.case_name
            yield _bar_line(name, case.count, most, width, "green")


def _section(title: str) -> Iterator[Text]:
    yield Text()
    yield Text(title, style="bold")


def _histogram(bars: Sequence[HistogramBucket], width: int, style: str) -> Iterator[Text]:
    """The bars from the first to the last that is not empty."""
    filled = [place for place, one in enumerate(bars) if one.count] or [0]
    most = max(one.count for one in bars)
    for one in bars[filled[0] : filled[-1] + 1]:
        yield _bar_line(one.label, one.count, most, width, style)


def _bar_line(label: str, count: int, most: int, width: int, style: str) -> Text:
    line = Text(f"  {shown(label):<18} {number(count):>12}")
    return line.append(f"  {bar(count, most, width)}" if count else "", style=style)


def _difference(value: float, form: Callable[[float], str], *, better: int) -> tuple[str, Text]:
    """A difference with its sign, and whether it is for the better."""
    sign = "+" if value > 0 else "-" if value < 0 else ""
    text = f"{sign}{form(abs(value))}"
    if not value:
        return text, Text("the same", style="dim")
    if not better:
        return text, Text("more" if value > 0 else "less")
    good = (value > 0) == (better > 0)
    return text, Text("better" if good else "worse", style="green" if good else "red")
