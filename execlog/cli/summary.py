"""The command that shows the card of a strategy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from execlog import HistogramBucket, StrategyMetrics
from execlog.cli.forms import print_model
from execlog.cli.no_runs import hint_if_no_runs
from execlog.cli.options import (
    ArchiveToRead,
    Dsn,
    Json,
    Output,
    OutputOption,
    Realm,
    Schema,
    Since,
    Spreadsheet,
    Strategy,
    Until,
    Utc,
    Version,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, milliseconds, number, percent, shown
from execlog.display.tables import BAR, STYLES, bar, stdout

__all__ = ["summary"]

_LABEL = 18


def summary(
    strategy: Strategy,
    realm: Realm = None,
    version: Version = None,
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the card of a strategy: outcomes, percentiles, histograms, top errors and cases.

    Example: execlog summary loyalty --since 1d
    """
    output = form(output, as_json, spreadsheet)
    card = ask(
        dsn,
        schema,
        lambda log: log.metrics(
            strategy_id=strategy,
            realm_id=realm,
            strategy_version=version,
            since=since,
            until=until,
        ),
        archive=archive,
    )
    hint_if_no_runs(card)
    if output is not Output.table:
        print_model(card, output, spreadsheet=spreadsheet)
    elif card.status_breakdown.total:
        console = stdout()
        for line in _card(card, utc, console):
            console.print(line)


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
        yield Text(f"before {before} rows are gone: counted by minutes or hours", style="dim")
    if card.versions_from is not None:
        before = local(card.versions_from, utc)
        yield Text(f"before {before} versions are not known: none of it is counted", style="dim")
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
        yield from _others(card.other_errors, "codes")
    if card.top_cases:
        yield from _section("top cases")
        cases = [(one.case_name, one.count) for one in card.top_cases]
        named = [("(no rule matched)" if name is None else name, n) for name, n in cases]
        yield from _bars(named, width, "green")
        yield from _others(card.other_cases, "cases")


def _others(runs: int, what: str) -> Iterator[Text]:
    if runs:
        yield Text(f"  {number(runs)} more runs have rarer {what} that rollups don't name", "dim")


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
    # In a pipe, names are not cut.
    name.truncate(
        _LABEL if sys.stdout.isatty() else max(_LABEL, name.cell_len), overflow="ellipsis", pad=True
    )
    line = Text.assemble("  ", name, f" {number(count):>12}")
    return line.append(f"  {bar(count, most, width)}" if count else "", style=style)
