"""The command that prints a packaged statement, or its plan on the live server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from execlog.cli.forms import print_text
from execlog.cli.options import Dsn, Schema, Wide, moment
from execlog.cli.server import SECONDS, connected
from execlog.db import validation
from execlog.db.executor import Store
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Parameter, Query, Shape, Statement
from execlog.display.format import shown
from execlog.display.tables import Column, print_table
from execlog.repository import statements

__all__ = ["sql"]

_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "uuid": UUID,
    "timestamptz": moment,
    "integer": int,
    "bigint": int,
    "double precision": float,
    "text[]": lambda text: text.split(","),
    "integer[]": lambda text: [int(one) for one in text.split(",")],
    "boolean": lambda text: {"true": True, "false": False}[text],
}


def sql(
    name: Annotated[str | None, typer.Argument(help="The method; without it, all names.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PARAMETER=VALUE|SWITCH",
            help="Values: prints the statement for them, not the whole file.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Its plan on the live server, for these values.")
    ] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Run it too: the plan with what was read.")
    ] = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Print a packaged statement, its plan on the live server, or the list of them.

    A line of a file that ends in a mark (`-- if since`) is sent only if that is given.

    Example: execlog sql count_by_status --explain --analyze strategy_id=loyalty since=1d
    """
    known = statements(validation.schema(schema))
    if name is None:
        rows = [(found.name, found.question) for found in known.values()]
        print_table([Column("name"), Column("question", rank=1, least=20)], rows, wide=wide)
        return
    if name not in known:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="NAME")
    statement = known[name]
    if not explain and not analyze:
        if not parameters:
            print_text(statement.text)
        else:
            print_text(_shape(statement, *_given(statement, parameters)).sql)
        return
    if statement.is_copy:
        raise typer.BadParameter(f"{name} is a COPY, which has no plan", param_hint="NAME")
    if analyze and statement.writes:
        raise typer.BadParameter(f"{name} would store rows, or change them", param_hint="--analyze")
    query = _query(statement, *_given(statement, parameters or []))
    for line in asyncio.run(_plan(dsn, query, analyze)):
        print(shown(line))


async def _plan(dsn: str | None, query: Query, analyze: bool) -> list[str]:
    async with connected(dsn) as pool:
        return await Store(pool, SECONDS).explain(query, analyze=analyze)


def _given(statement: Statement, given: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """The switches and the values. Raises typer.BadParameter, which lists what is allowed."""
    texts = dict(text.partition("=")[::2] for text in given if "=" in text)
    switches = [text for text in given if "=" not in text]
    parameters = {one.name: one for one in statement.parameters}
    if unknown := {*(texts.keys() - parameters), *(set(switches) - statement.switches)}:
        raise _wrong(statement, f"no parameter {', '.join(sorted(unknown))}")
    return switches, {name: _value(parameters[name], text) for name, text in texts.items()}


def _shape(statement: Statement, switches: Sequence[str], values: Mapping[str, object]) -> Shape:
    try:
        return statement.shape(frozenset(switches) | (statement.filters & values.keys()))
    except TypeError as error:
        raise typer.BadParameter(str(error), param_hint="PARAMETER") from None


def _query(statement: Statement, switches: Sequence[str], values: Mapping[str, object]) -> Query:
    """The query. Raises typer.BadParameter, which lists what is missing."""
    nothing = {one.name: None for one in statement.parameters if one.nullable}
    if any(one.name not in values and not one.nullable for one in statement.parameters):
        raise _wrong(statement, "parameters are missing")
    try:
        return statement.query(*switches, **{**nothing, **values})
    except TypeError as error:
        raise typer.BadParameter(str(error), param_hint="PARAMETER") from None


def _wrong(statement: Statement, problem: str) -> typer.BadParameter:
    takes = [
        f"{one.name} ({one.type}{', may be left out' if one.nullable else ''})"
        for one in statement.parameters
    ]
    known = ", ".join([*takes, *sorted(statement.switches)]) or "none"
    return typer.BadParameter(f"{problem}: {statement.name} takes {known}", param_hint="PARAMETER")


def _value(parameter: Parameter, text: str) -> object:
    try:
        return _PARSERS.get(parameter.type, str)(text)
    except (ValueError, KeyError):
        problem = f"{text!r} is no {parameter.type}"
    except typer.BadParameter as error:
        problem = error.message
    raise typer.BadParameter(problem, param_hint=parameter.name)
