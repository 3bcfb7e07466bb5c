"""The command that looks at the log itself: what is not well, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.text import Text

from execlog import ExeclogError, Health, InvalidArgument, SchemaOutdated
from execlog.cli.forms import print_model
from execlog.cli.options import Dsn, Json, Output, OutputOption, Utc, form, length
from execlog.cli.rendering import local, number, stdout
from execlog.cli.server import ask

__all__ = ["doctor"]

_OLDEST_SERVER = 15


_MAINTAIN = "run `execlog maintain`, and let cron run it every hour"
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
) -> None:
    """Look whether the log is well; exit 1 where it is not, with a remedy for each finding.

    Example: execlog doctor --ahead 14d
    """
    ahead = timedelta(days=7) if ahead is None else ahead
    skew = timedelta(seconds=2) if skew is None else skew
    found: Health | None = None
    try:
        found = ask(dsn, lambda log: log.health())
        findings = list(_examined(found, ahead, skew, utc))
    except InvalidArgument:
        raise
    except SchemaOutdated:
        findings = [Finding("migrations", "none of ours is here", "run `execlog migrate`")]
    except ExeclogError as error:
        remedy = "say where it is and who you are: --dsn, EXECLOG_DSN, or PGHOST, PGUSER, ..."
        findings = [Finding("server", str(error), f"is it up? `pg_isready` says; {remedy}")]
    output = form(output, as_json)
    if output is Output.table or found is None:
        _print(findings)
    else:
        print_model(found, output)
    if any(finding.remedy for finding in findings):
        raise typer.Exit(1)


def _examined(health: Health, ahead: timedelta, skew: timedelta, utc: bool) -> Iterator[Finding]:
    """Each fact, from the server inwards."""
    version = f"Postgres {health.server_version}"
    if not health.writable:
        version += "; here we may only read"
    old = int(health.server_version.split(".")[0].split()[0]) < _OLDEST_SERVER
    yield Finding("server", version, "upgrade it: 15 is the oldest that works" if old else None)

    missing = health.missing_migrations
    yield Finding(
        "migrations",
        f"missing: {', '.join(missing)}" if missing else "all are applied",
        "run `execlog migrate`" if missing else None,
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

    stray = f"{_at_most(health.stray_rows)} rows that no partition covers"
    stray += f", {_at_most(health.undated_rows)} without a time"
    yield Finding("DEFAULT", stray, _MAINTAIN if health.stray_rows else None)

    seconds = health.clock_skew_seconds
    which = "ahead of" if seconds >= 0 else "behind"
    apart = abs(seconds) > skew.total_seconds()
    yield Finding(
        "clock",
        f"the server's is {abs(seconds):.3f} s {which} this machine's",
        "keep both by NTP (chrony, systemd-timesyncd)" if apart else None,
    )

    if health.oldest_write is not None:
        begun = health.oldest_write
        old_write = health.server_time - begun > timedelta(hours=1)
        yield Finding("oldest write", f"began {local(begun, utc)}", _END if old_write else None)


def _print(findings: list[Finding]) -> None:
    console = stdout()
    for finding in findings:
        mark = Text("!!", style="red") if finding.remedy else Text("ok", style="green")
        about = (f"  {finding.about:<13}", "bold")
        console.print(Text.assemble(mark, about, finding.said))
        if finding.remedy:
            console.print(Text(f"{'':17}{finding.remedy}", style="yellow"))


def _at_most(rows: int) -> str:
    """The statement stops counting at a million."""
    return f"{number(rows)} or more" if rows >= 1_000_000 else number(rows)
