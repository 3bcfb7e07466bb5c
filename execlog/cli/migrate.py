"""The command that brings a database up to date."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from execlog.admin.migrations import check_migrations, dump_migrations
from execlog.admin.migrations import migrate as apply_migrations
from execlog.cli.forms import print_text
from execlog.cli.options import Dsn, Schema
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA

__all__ = ["migrate"]


def migrate(
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
    check: Annotated[bool, typer.Option("--check", help="Only name missing ones.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, touch no server.")] = False,
    after: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="With --sql: the last one applied."),
    ] = None,
    rollups: Annotated[
        bool | None,
        typer.Option("--rollups/--no-rollups", help="Keep rollups or not; else unchanged."),
    ] = None,
) -> None:
    """Bring a database up to date; with --check, exit 1 if it is not.

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
