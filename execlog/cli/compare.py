"""The command that shows two strategies, versions, tenants or windows side by side."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from execlog import Interval, Slice, StrategyComparison, StrategyMetrics
from execlog.cli.completion import strategies
from execlog.cli.forms import print_model
from execlog.cli.no_runs import hint_if_no_runs
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
    Wide,
    form,
    moment,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, percent, shown
from execlog.display.tables import Column, print_table

__all__ = ["compare"]


class _Window(NamedTuple):
    """A window, as it was given and as it is."""

    text: str
    since: datetime | None
    until: datetime | None


def _window(text: str) -> _Window:
    """Two times with dots between; each may be left out. Raises typer.BadParameter."""
    since, dots, until = text.partition("..")
    if not dots:
        raise typer.BadParameter(f"{text!r} is no window such as 7d..1d or 1d..now")
    ends = (_moment(one) if one else None for one in (since, until))
    return _Window(text, *ends)


def _moment(text: str) -> datetime:
    return datetime.now(UTC) if text == "now" else moment(text)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", autocompletion=strategies)],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]", help="None: A too.", show_default=False, autocompletion=strategies
        ),
    ] = None,
    versions: Annotated[
        tuple[int, int] | None,
        typer.Option("--versions", metavar="A B", help="Compare these versions."),
    ] = None,
    realms: Annotated[
        tuple[str, str] | None,
        typer.Option("--realms", metavar="A B", help="Compare these tenants."),
    ] = None,
    window: Annotated[
        list[_Window] | None,
        typer.Option(
            "--window",
            parser=_window,
            metavar="TIME..TIME",
            help="Compare two windows, such as 7d..1d and 1d..now; give both.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show two strategies side by side, or two versions, tenants or windows, and what differs.

    A difference is better or worse only if it is more than chance, false alarms held at 5 %.

    Example: execlog compare loyalty --versions 3 4 --since 1d
    """
    output = form(output, as_json, spreadsheet)
    windows = _windows(window, is_timed=since is not None or until is not None)
    if b is None and not (versions or realms or windows):
        raise typer.BadParameter("or --versions, --realms or --window is needed", param_hint="B")
    slices = [
        Slice(
            strategy,
            strategy_version=versions[side] if versions else None,
            realm_id=realms[side] if realms else None,
            since=windows[side].since if windows else since,
            until=windows[side].until if windows else until,
        )
        for side, strategy in enumerate((a, a if b is None else b))
    ]
    both = ask(dsn, schema, lambda log: log.compare(*slices), archive=archive)
    hint_if_no_runs(both.a)
    hint_if_no_runs(both.b)
    if output is not Output.table:
        print_model(both, output, spreadsheet=spreadsheet)
    else:
        names = [
            _name(one, windows[side].text if windows else "", with_strategy=b is not None)
            for side, one in enumerate(slices)
        ]
        _print(both, names, wide, before="before" if windows else None)


def _windows(given: list[_Window] | None, *, is_timed: bool) -> list[_Window]:
    """Two windows or none. Raises typer.BadParameter: there is one, or --since is given too."""
    windows = given or []
    if len(windows) not in (0, 2):
        raise typer.BadParameter("is given twice or not at all", param_hint="--window")
    if windows and is_timed:
        raise typer.BadParameter("is not for --since or --until", param_hint="--window")
    return windows


def _name(one: Slice, window: str, *, with_strategy: bool) -> str:
    """What tells a slice from the other."""
    parts = [one.strategy_id] if with_strategy else []
    if one.strategy_version is not None:
        parts.append(f"version {one.strategy_version}")
    parts += [str(part) for part in (one.realm_id, window) if part]
    return shown(" ".join(parts))


def _print(both: StrategyComparison, names: Sequence[str], wide: bool, before: str | None) -> None:
    runs = (both.a.status_breakdown.total, both.b.status_breakdown.total)
    rows = _rows(both, _Verdicts(runs, before))
    if not all(runs):
        # If one did not run, nothing is better or worse.
        rows = [rows[0], *((*row[:3], "", "") for row in rows[1:-1])]
    columns = [
        Column(""),
        Column(names[0], right=True, rank=1, least=14),
        Column(names[1], right=True, rank=1, least=14),
        Column("B - A", right=True, rank=3),
        Column("Verdict", rank=2),
    ]
    print_table(columns, rows, wide=wide)
    _hint(both)


def _hint(both: StrategyComparison) -> None:
    """How exact the percentiles are, on stderr."""
    durations = (both.a.duration, both.b.duration)
    methods = {took.method for took in durations}
    if "sample" in methods:
        print("execlog: percentiles are of a sample of the newest runs", file=sys.stderr)
    elif "sketch" in methods:
        errors = [took.relative_error for took in durations]
        within = max((error for error in errors if error is not None), default=0.0)
        off = "may be more than 1 % off" if None in errors else f"are within {percent(within)}"
        print(f"execlog: percentiles {off}", file=sys.stderr)


class _Verdicts(NamedTuple):
    """How a verdict is said.

    Attributes:
        runs: The stored runs of both slices.
        before: What the first slice is called if it is the window before.
    """

    runs: tuple[int, int]
    before: str | None

    def say(self, interval: Interval | None, words: tuple[str, str], moved: float) -> Text:
        """One of the words if the difference is significant, else that it is not."""
        if interval is None:
            return Text("")
        if interval.significant:
            word = words[moved > 0]
            style = {"better": "green", "worse": "red"}.get(word, "")
            return Text(word, style=style)
        fewer = 0 if self.before or self.runs[0] <= self.runs[1] else 1
        place = self.before or ("in A", "in B")[fewer]
        said = "too few runs" if interval.significant is None else "not significant"
        count = self.runs[fewer]
        return Text(f"{said} ({number(count)} {'run' if count == 1 else 'runs'} {place})", "dim")


_MORE_IS_BETTER, _LESS_IS_BETTER = ("worse", "better"), ("better", "worse")


def _rows(both: StrategyComparison, verdicts: _Verdicts) -> list[tuple[str | Text, ...]]:
    one, two, sure = both.a, both.b, both.intervals
    took = (one.duration, two.duration)
    rows: list[tuple[str, Sequence[float], Callable[[float], str], Interval | None, Any]] = [
        ("ok", (one.success_rate, two.success_rate), percent, sure.success_rate, _MORE_IS_BETTER),
        ("error rate", (one.error_rate, two.error_rate), percent, sure.error_rate, None),
        ("other", (_other(one), _other(two)), percent, None, None),
        ("p50", [card.p50_ms for card in took], milliseconds, None, None),
        ("p95", [card.p95_ms for card in took], milliseconds, sure.p95_ms, None),
        ("p99", [card.p99_ms for card in took], milliseconds, None, None),
        ("average", [card.avg_ms for card in took], milliseconds, sure.avg_ms, None),
    ]
    shown_rows: list[tuple[str | Text, ...]] = [("runs", *map(number, verdicts.runs), "", "")]
    for name, values, shape, interval, words in rows:
        moved, said = _moved(values, shape), Text("the same", style="dim")
        if moved:
            said = verdicts.say(interval, words or _LESS_IS_BETTER, values[1] - values[0])
        shown_rows.append((name, *map(shape, values), moved, said))
    return [*shown_rows, _points(both, verdicts)]


def _moved(values: Sequence[float], shape: Callable[[float], str]) -> str:
    """The difference; empty if there is none but noise."""
    one, two = values
    if math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12):
        return ""
    return ("+" if two > one else "-") + shape(abs(two - one))


def _points(both: StrategyComparison, verdicts: _Verdicts) -> tuple[str | Text, ...]:
    """Points per run; the log can't know whether more are better."""
    delta = both.delta.points_avg
    if not delta:
        return ("points per run", "", "", "", Text("the same", style="dim"))
    said = verdicts.say(both.intervals.points_avg, ("less", "more"), delta)
    return ("points per run", "", "", ("+" if delta > 0 else "-") + number(abs(delta)), said)


def _other(card: StrategyMetrics) -> float:
    """The share of runs that are neither ok nor one of the three failures, without noise."""
    share = 1 - card.success_rate - card.error_rate
    return share if card.status_breakdown.other else 0.0
