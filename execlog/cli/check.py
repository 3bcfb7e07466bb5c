"""The command that fails if strategies fail too often, are too slow or are silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from execlog.cli.alert_state import in_file
from execlog.cli.alert_state_in_log import in_log
from execlog.cli.alerting import verdicts_told
from execlog.cli.filters import filtered
from execlog.cli.forms import print_models
from execlog.cli.no_runs import hint_no_runs
from execlog.cli.options import (
    AnyStrategy,
    ArchiveToRead,
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    SinceGiven,
    Spreadsheet,
    UntilGiven,
    before,
    form,
    length_option,
    share,
)
from execlog.cli.server import ask
from execlog.cli.verdict import Limits, Verdict, line
from execlog.cli.verdicts import OF_CARDS, Scope, verdicts
from execlog.cli.webhook import VARIABLE, webhook_url
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number, shown
from execlog.repository.filters import Filters

__all__ = ["check"]

_BREACHED = 3
_WINDOW = timedelta(minutes=15)


@filtered
def check(
    filters: Filters,
    strategy: AnyStrategy = None,
    each: Annotated[bool, typer.Option("--each", help="Each strategy by itself.")] = False,
    max_error_rate: Annotated[
        float | None,
        typer.Option(
            "--max-error-rate",
            parser=share,
            metavar="SHARE",
            help="The most errors, timeouts and limits, such as 1%.",
        ),
    ] = None,
    max_failed: Annotated[
        float | None,
        typer.Option(
            "--max-failed",
            parser=share,
            metavar="SHARE",
            help="The most that may have a status other than ok, such as 2%.",
        ),
    ] = None,
    max_p99: Annotated[timedelta | None, length_option("--max-p99", "Such as 250ms.")] = None,
    max_silence: Annotated[
        timedelta | None,
        length_option("--max-silence", "The longest time without a run, such as 5m."),
    ] = None,
    min_runs: Annotated[
        int,
        typer.Option("--min-runs", min=1, help="Of fewer runs, only silence is judged."),
    ] = 1,
    webhook: Annotated[
        bool,
        typer.Option("--webhook", help=f"Tell the URL in {VARIABLE} what fires, and what is over."),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            dir_okay=False,
            help="Where it is kept what fires; else in the log.",
        ),
    ] = None,
    since: SinceGiven = None,
    until: UntilGiven = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Exit 3 if a strategy fails too often, is too slow or is silent; for cron and alerts.

    Without --since, the last 15 minutes are checked. Without a strategy, all are checked as if they
    were one; with --each, a line each, the worst first: then those that ran in the window before,
    and not in this one, are silent.

    Example: execlog check loyalty --max-error-rate 1% --max-p99 250ms --since 15m
    """
    output = form(output, as_json, spreadsheet)
    if state is not None and not webhook:
        raise typer.BadParameter("is for --webhook", param_hint="--state")
    limits = Limits(max_error_rate, max_failed, max_p99, max_silence, min_runs)
    if limits.are_none:
        raise typer.BadParameter(
            "nothing to check: give --max-error-rate, --max-failed, --max-p99 or --max-silence"
        )
    if each and strategy is not None:
        raise typer.BadParameter("is for all strategies", param_hint="--each")
    if not filters.keys() <= OF_CARDS and strategy is None and not each:
        raise typer.BadParameter(
            "with filters other than --realm and --version, name one or give --each",
            param_hint="STRATEGY",
        )
    end = datetime.now(UTC) if until is None else until.time
    begin = before(end, _WINDOW) if since is None else since.time
    scope = Scope(strategy, filters, begin, None if until is None else until.time, end)
    if scope.since >= end:
        raise typer.BadParameter("is not before the end", param_hint="--since")
    if webhook:
        url, kept = webhook_url(), in_file(state) if state else in_log(dsn, schema)
        # Not the times themselves, nor their difference: they differ from one check to the next.
        window = [_WINDOW if since is None else since.ago, None if until is None else until.ago]
        found = ask(
            dsn,
            schema,
            lambda log: verdicts_told(
                log, scope, limits, each=each, window=window, state=kept, url=url
            ),
            archive=archive,
        )
    else:
        found = ask(
            dsn, schema, lambda log: verdicts(log, scope, limits, each=each), archive=archive
        )
    if strategy is not None and scope.is_of_cards and not any(one.runs for one in found.verdicts):
        hint_no_runs(strategy)
    if output is Output.table:
        _print(found.verdicts, found.others, limits)
    else:
        print_models(Verdict, found.verdicts, output, spreadsheet=spreadsheet)
    if any(one.breaches for one in found.verdicts):
        raise typer.Exit(_BREACHED)


def _print(found: list[Verdict], others: int, limits: Limits) -> None:
    names = [shown(one.name) for one in found]
    width = min(max(map(len, names), default=0), 40)
    for name, one in zip(names, found, strict=True):
        print(f"{name:<{width}}  {line(one, limits)}")
    if others:
        print(f"{number(others)} more are within the limits, or have fewer runs")
    if not found:
        print("nothing ran")
