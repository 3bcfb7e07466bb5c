"""Commands for the one who begins with it: the migrations, the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from execlog.admin.migrations import check_migrations, dump_migrations
from execlog.admin.migrations import migrate as apply_migrations
from execlog.cli.forms import print_text
from execlog.cli.options import Dsn, Schema
from execlog.cli.progress import progress
from execlog.cli.serve import PORT, Port, serve_pages
from execlog.cli.server import dsn_of
from execlog.cli.summary import summary
from execlog.cli.timeline import timeline
from execlog.db.sqltext import SCHEMA
from execlog.display.timeparse import compact

__all__ = ["demo", "migrate"]


def migrate(
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, touch no server.")] = False,
    after: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="With --sql: the last one that is there."),
    ] = None,
    rollups: Annotated[
        bool | None,
        typer.Option("--rollups/--no-rollups", help="Keep rollups or not; else as it is."),
    ] = None,
) -> None:
    """Bring a database up to date; with --check, exit 1 where it is not.

    Example: execlog migrate --check
    """
    if sql:
        _print_script(dump_migrations(after=after, schema=schema), after)
        return
    if after is not None:
        raise typer.BadParameter("goes with --sql", param_hint="--from")
    missing_or_applied = asyncio.run(
        check_migrations(dsn_of(dsn), schema=schema)
        if check
        else apply_migrations(dsn_of(dsn), rollups=rollups, schema=schema)
    )
    for name in missing_or_applied:
        print(name)
    if check and missing_or_applied:
        print("execlog: not up to date; run `execlog migrate`", file=sys.stderr)
        raise typer.Exit(1)
    if not missing_or_applied:
        print("execlog: up to date", file=sys.stderr)


def _print_script(statements: list[str], after: str | None) -> None:
    print_text("".join(f"{statement};\n\n" for statement in statements))
    if not statements:
        print(f"execlog: nothing comes after {after}", file=sys.stderr)


def demo(
    dsn: Annotated[
        str | None,
        typer.Option("--dsn", help="Your own server; else a throwaway one is started."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Score so many modules only.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve the dashboard of it, until Ctrl-C.")
    ] = False,
    port: Port = PORT,
) -> None:
    """Score the standard library with a real rules engine, and show its log.

    Ends with the summary and the time line of what ran, or with the dashboard.

    Example: execlog demo -n 200
    """
    try:
        from execlog.demo import report, run
        from execlog.demo.engine import STRATEGY, modules
    except ImportError:
        sys.exit("execlog: the demo needs its extra: pip install 'execlog[demo]'")
    try:
        os.getcwd()
    except FileNotFoundError:  # somebody removed it, and worker processes want one
        os.chdir("/")
    paths = modules(limit)
    with _server(dsn) as server:
        with progress("scoring modules", len(paths)) as advance:
            recorded, answers = asyncio.run(run.run(server, paths, advance))
        report.print_report(recorded, answers)
        for command in (summary, timeline):
            print(f"\n$ execlog {command.__name__} {STRATEGY}\n")
            command(STRATEGY, since=recorded.since, dsn=server)
        if serve:
            began = recorded.since.replace(microsecond=0)
            ended = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
            window = f"since={compact(began)}&until={compact(ended)}"
            serve_pages(server, port=port, first=f"strategy?id={STRATEGY}&{window}")


@contextlib.contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn_of(dsn)
        return
    from execlog.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server.dsn
