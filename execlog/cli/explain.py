"""The command that explains a change: since when, and which values of runs explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import typer

from execlog import Cause, Explanation
from execlog.cli.filters import filtered
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
    Wide,
    form,
    moment,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number, percent, shown
from execlog.display.tables import Column, print_table
from execlog.repository.explain import MEASURES
from execlog.repository.filters import Filters

__all__ = ["explain"]

_BREACHED = 3
_WORSE = ("error_rate", "duration")  # of which more is worse
_TICK = timedelta(microseconds=1)
_ONE_READING = timedelta(seconds=1)  # of the command line
_NAMES = {"error_rate": "error rate", "duration": "slower than the baseline's p95"}
# The words of the filters; what is written for "--by" too.
_WORDS = {
    "version": "strategy_version",
    "type": "strategy_type",
    "realm": "realm_id",
    "game": "external_game_id",
    "task": "external_task_id",
    "user": "external_user_id",
    "parent": "parent_strategy_id",
    "case": "case_name",
}
_OF_FILTERS = {name: word for word, name in _WORDS.items()} | {
    "error_code": "code",
    "min_nodes": "at least nodes",
    "max_nodes": "at most nodes",
}
_HEADERS = ("before", "after", "runs before", "runs after", "of the change", "p")


def _by(text: str) -> str:
    prefix, _, key = text.partition(".")
    if prefix in ("attr", "attributes") and key:
        return f"attributes.{key}"
    if text not in _WORDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_WORDS)}, attr.KEY")
    return _WORDS[text]


class Baseline(NamedTuple):
    """A window; None: until just before the other."""

    since: datetime
    until: datetime | None


def _baseline(text: str) -> Baseline:
    begin, dots, end = text.partition("..")
    if not begin or not dots:
        raise typer.BadParameter(f"{text!r} is no window such as 2h..1h")
    return Baseline(moment(begin), moment(end) if end else None)


@filtered
def explain(
    strategy: Strategy,
    filters: Filters,
    since: Since = None,
    until: Until = None,
    baseline: Annotated[
        Baseline | None,
        typer.Option(
            "--baseline",
            parser=_baseline,
            metavar="FROM..TO",
            help="What it is compared with, such as 2h..1h; else as long a time just before.",
        ),
    ] = None,
    measure: Annotated[
        str,
        typer.Option("--measure", help="error_rate, duration, points or case:NAME."),
    ] = "error_rate",
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            parser=_by,
            metavar="WHAT",
            help=f"Only these causes: {', '.join(_WORDS)} or attr.KEY; users only if asked.",
        ),
    ] = None,
    fail_on_worse: Annotated[
        bool,
        typer.Option("--fail-on-worse", help="Exit 3 if it is worse, and not by chance."),
    ] = False,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Explain what changed since the time before, since when, and which values explain it.

    Without a window, the last hour is compared with the hour before.

    Example: execlog explain loyalty --since 1h
    """
    output = form(output, as_json, spreadsheet)
    if measure not in MEASURES and not measure.startswith("case:"):
        raise typer.BadParameter(
            f"is none of {', '.join(MEASURES)}, case:NAME", param_hint="--measure"
        )
    if fail_on_worse and measure not in _WORSE:
        raise typer.BadParameter(
            f"is for --measure {' and '.join(_WORSE)}", param_hint="--fail-on-worse"
        )
    begin = moment("1h") if since is None and until is None else since
    first, last = baseline or (None, None)
    if begin and last and begin <= last < begin + _ONE_READING:
        last = begin - _TICK  # both were said as the same time ago
    arguments: dict[str, Any] = {
        "strategy_id": strategy,
        "since": begin,
        "until": until,
        "baseline_since": first,
        "baseline_until": last,
        "measure": measure,
        "by": by,
    }
    found = ask(dsn, schema, lambda log: log.explain(**arguments, **filters))
    if output is Output.table:
        _print(found, utc, wide)
    else:
        print_model(found, output, spreadsheet=spreadsheet)
    if fail_on_worse and _is_worse(found):
        raise typer.Exit(_BREACHED)


def _is_worse(found: Explanation) -> bool:
    """Whether chance does not explain that it is worse, or that a cause is."""
    if found.low is not None and found.low > 0:
        return True
    return any(
        cause.after is not None
        and cause.after > (found.before if cause.before is None else cause.before)
        for cause in found.causes
    )


def _print(found: Explanation, utc: bool, wide: bool) -> None:
    said = _value(found.measure)
    for sentence in _sentences(found, utc, said):
        print(sentence)
    for title, rows in (("cause", found.causes), ("symptom", found.symptoms)):
        if rows:
            print()
            columns = [Column(title), *(Column(name, right=True) for name in _HEADERS)]
            print_table(columns, [_row(one, said) for one in rows], utc=utc, wide=wide)


def _sentences(found: Explanation, utc: bool, said: Callable[[float], str]) -> list[str]:
    name = _NAMES.get(found.measure, shown(found.measure).replace("case:", "case "))
    change = f"{name} {said(found.before)} -> {said(found.after)}"
    counts = f"({number(found.runs_after)} runs, {number(found.runs_before)} before)"
    sentences = [f"{change} {counts}{_since(found, utc)}."]
    if found.needs is not None:
        sentences.append(f"Too few runs to tell: it takes {found.needs}.")
    elif not found.changed:
        sentences.append("Chance explains this change.")
    elif not found.causes:
        sentences.append("None of the values that were tried explains it.")
    sentences += [_cause(one, said) for one in found.causes]
    if found.tested:
        sentences.append(
            f"{number(found.tested)} values of {found.tested_attributes} attributes tried;"
            " false alarms held at 5 %."
        )
    return [*sentences, f"Read: {found.method}."]


def _since(found: Explanation, utc: bool) -> str:
    if found.since is None or found.since_low is None or found.since_high is None:
        return ""
    times = (found.since, found.since_low, found.since_high)
    is_one_day = len({_zoned(time, utc).date() for time in times}) == 1
    at, low, high = (_clock(time, utc, is_one_day) for time in times)
    return f", since {at} ({low} to {high})"


def _zoned(time: datetime, utc: bool) -> datetime:
    return time if utc else time.astimezone()


def _clock(time: datetime, utc: bool, is_one_day: bool) -> str:
    return f"{_zoned(time, utc):{'%H:%M' if is_one_day else '%Y-%m-%d %H:%M'}}"


def _cause(cause: Cause, said: Callable[[float], str]) -> str:
    what = _named(cause.attributes)
    share = _share(cause)
    explains = f"explains {share} of it" if share else "changed beyond all others"
    before = "new" if cause.before is None else said(cause.before)
    after = "gone" if cause.after is None else said(cause.after)
    return f"{what} {explains}: {before} -> {after}, {number(cause.runs_after)} runs."


def _share(cause: Cause) -> str:
    if cause.share is None or cause.share_low is None or cause.share_high is None:
        return ""
    return f"{cause.share * 100:.0f} % [{cause.share_low * 100:.0f}, {cause.share_high * 100:.0f}]"


def _named(attributes: Mapping[str, Any]) -> str:
    parts = []
    for name, value in attributes.items():
        if name == "attributes":
            parts += [f"{shown(key)} {shown(held)}" for key, held in value.items()]
        elif name == "no_case":
            parts.append("no case")
        else:
            parts.append(f"{_OF_FILTERS.get(name, name)} {shown(value)}")
    return " in ".join(parts)


def _row(cause: Cause, said: Callable[[float], str]) -> Sequence[str]:
    return (
        _named(cause.attributes),
        "" if cause.before is None else said(cause.before),
        "" if cause.after is None else said(cause.after),
        number(cause.runs_before),
        number(cause.runs_after),
        _share(cause),
        f"{cause.p_value:.1g}",
    )


def _value(measure: str) -> Callable[[float], str]:
    if measure == "points":
        return lambda value: f"{value:,.4g}"
    return percent
