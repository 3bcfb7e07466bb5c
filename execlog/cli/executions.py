"""Commands that show executions: the newest failures, and one of them whole."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from execlog import StrategyExecutionLog
from execlog.cli.forms import print_model, print_models
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Realm,
    Schema,
    Since,
    Spreadsheet,
    Until,
    Utc,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, milliseconds, number, shown
from execlog.display.tables import Column, print_table, status_text, stdout
from execlog.display.trace_tree import Node, nodes

__all__ = ["failures", "show"]

_NOT_FOUND = 4
_WIDEST = 2**31 - 1


def failures(
    realm: Realm = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200)] = 25,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the newest failed runs across strategies.

    Example: execlog failures --realm acme --since 1h
    """
    output = form(output, as_json, spreadsheet)
    found = ask(
        dsn,
        schema,
        lambda log: log.list_failures(realm_id=realm, since=since, until=until, limit=limit),
    )
    if not found:
        print("execlog: nothing failed", file=sys.stderr)
    if output is Output.table:
        _print_executions(found, utc)
    else:
        print_models(StrategyExecutionLog, found, output, spreadsheet=spreadsheet)


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The execution's id.")],
    strategy: Annotated[str | None, typer.Option("--strategy", help="Its strategy.")] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show one execution whole: the event, the outcome, the trace as a tree.

    Example: execlog show 0192f0c1-7d3e-7bbb-9a4e-8d1f2c3b4a5e
    """
    output = form(output, as_json, spreadsheet)
    found = ask(dsn, schema, lambda log: log.get(id=id, strategy_id=strategy))
    if found is None:
        print("execlog: no execution has this id", file=sys.stderr)
        raise typer.Exit(_NOT_FOUND)
    if output is Output.table:
        _print_whole(found, utc)
    else:
        print_model(found, output, spreadsheet=spreadsheet)


def _print_executions(found: Sequence[StrategyExecutionLog], utc: bool) -> None:
    columns = [
        Column("time"),
        Column("strategy"),
        Column("status"),
        Column("code"),
        Column("case"),
        Column("points", right=True),
        Column("took", right=True),
        Column("id"),
    ]
    rows = [
        (
            local(one.created_at, utc),
            shown(one.strategy_id),
            status_text(one.status),
            shown(one.error_code),
            shown(one.case_name),
            number(one.points),
            milliseconds(one.duration_ms),
            str(one.id),
        )
        for one in found
    ]
    if found:
        print_table(columns, rows)


def _print_whole(one: StrategyExecutionLog, utc: bool) -> None:
    console = stdout()
    facts: list[tuple[str, str | Text]] = [
        ("id", str(one.id)),
        ("finished", local(one.created_at, utc)),
        ("strategy", shown(f"{one.strategy_id} version {one.strategy_version}")),
        ("type", shown(one.strategy_type)),
        ("realm", shown(one.realm_id)),
        ("game", shown(one.external_game_id)),
        ("task", shown(one.external_task_id)),
        ("user", shown(one.external_user_id)),
        ("status", status_text(one.status)),
        ("error", shown(one.error_code)),
        ("points", number(one.points)),
        ("case", shown(one.case_name)),
        ("took", f"{milliseconds(one.duration_ms)}, {number(one.nodes_executed)} nodes"),
        ("sampled", f"at a rate of {one.sample_rate:g}" if one.sample_rate < 1 else ""),
        ("extends", shown(one.parent_strategy_id)),
        ("notes", shown(one.notes)),
    ]
    for name, fact in facts:
        if str(fact):
            console.print(Text.assemble((f"{name:<10}", "bold"), fact))
    if one.trace is not None:
        tree = Tree(Text("trace", style="bold"))
        for node in nodes(one.trace):
            _grow(tree, node)
        # As wide as it is: what a terminal would cut is what one came for.
        stdout(_WIDEST).print(tree)


def _grow(tree: Tree, node: Node) -> None:
    """One entry of a trace: its node and its time, and below them whatever else it holds."""
    if node.name is None:
        tree.add(Text(shown(node.facts[0][1])))
        return
    took = "" if node.took_ms is None else f"  {milliseconds(node.took_ms)}"
    branch = tree.add(Text.assemble((shown(node.name), "bold"), (took, "cyan")))
    for name, value in node.facts:
        branch.add(Text.assemble((f"{shown(name)}: ", "dim"), shown(value)))
    for one in node.below:
        _grow(branch, one)
