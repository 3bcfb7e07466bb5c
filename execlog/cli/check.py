"""The command that fails if a strategy fails too often or is too slow; for cron and alerts."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated

import typer

from execlog.cli.no_runs import hint_if_no_runs
from execlog.cli.options import Dsn, Schema, Since, Strategy, Until, length_option, moment, share
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, percent, shown

__all__ = ["check"]

_BREACHED = 3


def check(
    strategy: Strategy,
    max_error_rate: Annotated[
        float | None,
        typer.Option("--max-error-rate", parser=share, metavar="SHARE", help="Such as 1%."),
    ] = None,
    max_p99: Annotated[timedelta | None, length_option("--max-p99", "Such as 250ms.")] = None,
    min_runs: Annotated[int, typer.Option("--min-runs", min=0, help="Fewer are a breach too.")] = 0,
    since: Since = None,
    until: Until = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Exit 3 if a strategy fails too often or is too slow; for cron and alerts.

    Without a window, the last 15 minutes are checked.

    Example: execlog check loyalty --max-error-rate 1% --max-p99 250ms --since 15m
    """
    if max_error_rate is None and max_p99 is None and not min_runs:
        raise typer.BadParameter("nothing to check: give --max-error-rate, --max-p99 or --min-runs")
    begin = moment("15m") if since is None and until is None else since
    card = ask(dsn, schema, lambda log: log.metrics(strategy_id=strategy, since=begin, until=until))
    runs, p99 = card.status_breakdown.total, card.duration.p99_ms
    hint_if_no_runs(card)
    failed = 1 - card.success_rate if runs else 0.0  # every status but ok
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
    """Whether the value is above the limit by more than the noise of a division."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9)
