"""The command that explains a change: since when, and which values of runs explain it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import typer

from execlog import Cause, Explanation
from execlog.cli.filters import filtered
from execlog.cli.forms import print_model
from execlog.cli.options import (
    ArchiveToRead,
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
from execlog.display.explained import (
    WORDS,
    name_of,
    probability_of,
    sentences_of,
    share_of,
    value_of,
)
from execlog.display.format import number
from execlog.display.tables import Column, print_table
from execlog.repository.explain import MEASURES
from execlog.repository.filters import Filters

__all__ = ["explain"]

_BREACHED = 3
_WORSE = ("error_rate", "duration")  # of which more is worse
_TICK = timedelta(microseconds=1)
_ONE_READING = timedelta(seconds=1)  # of the command line
_HEADERS = ("before", "after", "runs before", "runs after", "of the change", "p")


def _by(text: str) -> str:
    prefix, _, key = text.partition(".")
    if prefix in ("attr", "attributes") and key:
        return f"attributes.{key}"
    if text not in WORDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(WORDS)}, attr.KEY")
    return WORDS[text]


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
            help=f"Only these causes: {', '.join(WORDS)} or attr.KEY; users only if asked.",
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
    archive: ArchiveToRead = None,
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
    found = ask(dsn, schema, lambda log: log.explain(**arguments, **filters), archive=archive)
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
    for sentence in sentences_of(found, utc):
        print(sentence)
    for title, rows in (("cause", found.causes), ("symptom", found.symptoms)):
        if rows:
            print()
            columns = [Column(title), *(Column(name, right=True) for name in _HEADERS)]
            print_table(columns, [_row(one, found.measure) for one in rows], utc=utc, wide=wide)


def _row(cause: Cause, measure: str) -> Sequence[str]:
    return (
        name_of(cause.attributes),
        "" if cause.before is None else value_of(measure, cause.before),
        "" if cause.after is None else value_of(measure, cause.after),
        number(cause.runs_before),
        number(cause.runs_after),
        share_of(cause),
        probability_of(cause),
    )
