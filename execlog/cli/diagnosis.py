"""The command that looks at the log itself: what is not well, and what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TextIO

import typer
from rich.filesize import decimal
from rich.text import Text

from execlog import (
    ExeclogError,
    Health,
    InvalidArgument,
    SchemaOutdated,
    StoreUnavailable,
    check_migrations,
)
from execlog.cli.forms import print_model
from execlog.cli.options import Dsn, Json, Output, OutputOption, Schema, Utc, form, length
from execlog.cli.rendering import local, number, plain
from execlog.cli.server import ask, dsn_of
from execlog.template import SCHEMA, filled

__all__ = ["doctor"]

_MAY_NOT = "42501"


_MAINTAIN = "run `execlog maintain`, and let cron run it every hour"
_ATTACH = (
    "alter table execlog.strategy_execution_log"
    " attach partition execlog.strategy_execution_log_default default"
)
_GRANT = "grant usage on schema execlog, and select on all its tables, to this role"
_END = (
    "VACUUM waits for it: find it in pg_stat_activity by its xact_start,"
    " end it by pg_terminate_backend"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; where it is not well, what to do."""

    about: str
    said: str
    remedy: str | None = None


def doctor(
    ahead: Annotated[
        timedelta | None,
        typer.Option(
            "--ahead",
            parser=length,
            metavar="LENGTH",
            help="For how long partitions must be there already; else 7d.",
        ),
    ] = None,
    skew: Annotated[
        timedelta | None,
        typer.Option(
            "--skew",
            parser=length,
            metavar="LENGTH",
            help="By how much the clocks may differ; else 2s.",
        ),
    ] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    utc: Utc = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Look whether the log is well; exit 1 where it is not, with a remedy for each finding.

    Example: execlog doctor --ahead 14d
    """
    ahead = timedelta(days=7) if ahead is None else ahead
    skew = timedelta(seconds=2) if skew is None else skew
    output = form(output, as_json)
    try:
        found = ask(dsn, schema, lambda log: log.health())
    except InvalidArgument:
        raise
    except ExeclogError as error:
        finding = _why_not(error, dsn, schema)
        _print([finding], sys.stdout if output is Output.table else sys.stderr)
        raise typer.Exit(1) from None
    findings = list(_examined(found, ahead, skew, utc, schema))
    if output is Output.table:
        _print(findings, sys.stdout)
    else:
        print_model(found, output)
    if any(finding.remedy for finding in findings):
        raise typer.Exit(1)


def _why_not(error: ExeclogError, dsn: str | None, schema: str) -> Finding:
    """Why nothing could be looked at."""
    if isinstance(error, SchemaOutdated):
        missing = asyncio.run(check_migrations(dsn_of(dsn), schema=schema))
        if missing:
            return Finding("migrations", f"missing: {', '.join(missing)}", "run `execlog migrate`")
        remedy = "restore it from a backup; `execlog migrate --sql` shows how it is made"
        return Finding("tables", "one is missing, though all migrations were applied", remedy)
    if error.sqlstate == _MAY_NOT:
        remedy = filled(_GRANT, schema)
        return Finding("rights", str(error), remedy)
    if isinstance(error, StoreUnavailable):
        where = "--dsn, EXECLOG_DSN or PGHOST say where it is"
        return Finding("server", str(error), f"is it up? `pg_isready` knows; {where}")
    return Finding("server", str(error), "say who you are: --dsn, EXECLOG_DSN, PGUSER, ~/.pgpass")


def _examined(
    health: Health, ahead: timedelta, skew: timedelta, utc: bool, schema: str
) -> Iterator[Finding]:
    """Each fact, from the server inwards."""
    rights = "" if health.writable else "; here we may only read"
    yield Finding("server", f"Postgres {health.server_version}{rights}")

    behind = health.missing_migrations
    yield Finding(
        "migrations",
        f"missing: {', '.join(behind)}" if behind else "all are applied",
        "run `execlog migrate`" if behind else None,
    )

    yield Finding(
        "size",
        f"about {number(health.estimated_rows)} rows, {decimal(health.table_bytes)}"
        f" and {decimal(health.index_bytes)} of indexes",
    )
    yield Finding("oldest run", local(health.oldest, utc))
    yield Finding("newest run", local(health.newest, utc))
    yield Finding("last stored", local(health.last_stored, utc))

    days = f"{number(health.partitions)}, for the next {health.days_ahead:,.1f} days"
    short = timedelta(days=min(health.days_ahead, 1e6)) < ahead
    yield Finding("partitions", days, _MAINTAIN if short else None)

    if health.has_default:
        stray = f"rows that no partition covers: {_at_most(health.stray_rows)}"
        stray += f"; without a time: {_at_most(health.undated_rows)}"
        yield Finding("DEFAULT", stray, _MAINTAIN if health.stray_rows else None)
    else:
        missing = "is not there: what no partition covers is refused"
        yield Finding("DEFAULT", missing, filled(_ATTACH, schema))

    seconds = health.clock_skew_seconds
    which = "ahead of" if seconds > 0 else "behind"
    apart = abs(seconds) > skew.total_seconds()
    yield Finding(
        "clock",
        f"the server's is {abs(seconds):.3f} s {which} this machine's" if seconds else "as here",
        "keep both by NTP (chrony, systemd-timesyncd)" if apart else None,
    )

    if health.oldest_write is not None:
        begun = health.oldest_write
        old_write = health.server_time - begun > timedelta(hours=1)
        yield Finding("oldest write", f"began {local(begun, utc)}", _END if old_write else None)


def _print(findings: list[Finding], file: TextIO) -> None:
    console = plain(file)
    for finding in findings:
        mark = Text("!!", style="red") if finding.remedy else Text("ok", style="green")
        about = (f"  {finding.about:<13}", "bold")
        console.print(Text.assemble(mark, about, finding.said))
        if finding.remedy:
            console.print(Text(f"{'':17}{finding.remedy}", style="yellow"))


def _at_most(rows: int) -> str:
    """The statement stops counting at a million."""
    return f"{number(rows)} or more" if rows >= 1_000_000 else number(rows)
