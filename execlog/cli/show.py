"""The command that shows one execution whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli.away import say_away
from execlog.cli.executions import COLUMNS, cells
from execlog.cli.forms import print_model
from execlog.cli.options import (
    ArchiveToRead,
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Spreadsheet,
    Utc,
    Wide,
    form,
)
from execlog.cli.server import ask
from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.display.columns import others
from execlog.display.format import local, milliseconds, number, shown
from execlog.display.json_head import head
from execlog.display.tables import print_table, status_text, stdout
from execlog.display.trace_tree import Node, compact, nodes

__all__ = ["show"]

_NOT_FOUND = 4
_MOST = 50  # candidates of a short id
_WIDEST = 2**31 - 1
_LONGEST_INPUT = 20_000  # characters that are shown


def show(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="The execution's id, or its first 8 digits or more.")
    ],
    strategy: Annotated[str | None, typer.Option("--strategy", help="Its strategy.")] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show one execution whole: the event, the outcome, the trace as a tree.

    If several ids begin like this, they are listed, and the exit code is 1.

    Example: execlog show 0192f0c1-7d3e-7bbb-9a4e-8d1f2c3b4a5e
    """
    output = form(output, as_json, spreadsheet)
    found = ask(dsn, schema, lambda log: _find(log, id, strategy, archive), archive=archive)
    if not found:
        print("execlog: no execution has this id", file=sys.stderr)
        raise typer.Exit(_NOT_FOUND)
    if len(found) > 1:
        if output is Output.table:
            print_table(COLUMNS, [cells(one) for one in found], utc=utc, wide=wide)
        several = (
            f"{_MOST} executions or more" if len(found) == _MOST else f"{len(found)} executions"
        )
        print(f"execlog: {several} have an id that begins like this", file=sys.stderr)
        raise typer.Exit(1)
    if output is Output.table:
        _print(found[0], utc)
    else:
        print_model(found[0], output, spreadsheet=spreadsheet)


async def _find(
    log: StrategyExecutionLogRepository, id: str, strategy: str | None, archive: Path | None
) -> list[StrategyExecutionLog]:
    """The execution whole, or those whose ids begin like this, without their traces."""
    found = await _named(log, id, strategy)
    if not found:
        await say_away(log, archive)
    return found


async def _named(
    log: StrategyExecutionLogRepository, id: str, strategy: str | None
) -> list[StrategyExecutionLog]:
    lowest, highest = validation.id_range("id", id)
    if lowest != highest:
        several = await log.list_by_prefix(
            prefix=id, strategy_id=strategy, limit=_MOST, payloads=False
        )
        ids = {one.id for one in several}
        if len(ids) != 1:
            return several
        [lowest] = ids
    one = await log.get(id=lowest, strategy_id=strategy)
    return [] if one is None else [one]


def _print(one: StrategyExecutionLog, utc: bool) -> None:
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
        ("message", shown(one.error_message)),
        ("points", number(one.points)),
        ("case", shown(one.case_name)),
        ("took", f"{milliseconds(one.duration_ms)}, {number(one.nodes_executed)} nodes"),
        ("sampled", f"at a rate of {one.sample_rate:g}" if one.sample_rate < 1 else ""),
        ("extends", shown(one.parent_strategy_id)),
        ("trace id", one.trace_id.hex if one.trace_id else ""),
        ("stored", _arrived(one, utc)),
        *((name, "" if value is None else shown(str(value))) for name, value in others(one)),
        ("notes", shown(one.notes)),
    ]
    for name, fact in facts:
        if str(fact):
            console.print(Text.assemble((f"{name:<9} ", "bold"), fact))
    # As wide as it is: a terminal's width would cut the values.
    wide = stdout(_WIDEST)
    if one.attributes:
        tree = Tree(Text("attributes", style="bold"))
        for name, value in one.attributes.items():
            tree.add(Text.assemble((f"{shown(name)}: ", "dim"), shown(compact(value))))
        wide.print(tree)
    if one.input is not None:
        _print_input(one.input, wide)
    if one.trace is not None:
        tree = Tree(Text("trace", style="bold"))
        for node in nodes(one.trace):
            _grow(tree, node)
        wide.print(tree)


def _arrived(one: StrategyExecutionLog, utc: bool) -> str:
    """When the store took it; empty for rows that are older than the column."""
    if one.stored_at is None or one.stored_at.year == 1:
        return ""
    return local(one.stored_at, utc)


def _print_input(given: object, wide: Console) -> None:
    text, more = head(json.dumps(given, ensure_ascii=False), _LONGEST_INPUT)
    wide.print(Text("input", style="bold"))
    for line in text.split("\n"):
        wide.print(Text(f"  {shown(line)}"))
    if more:
        wide.print(Text(f"  and {number(more)} more characters: --json has them all", "dim"))


def _grow(tree: Tree, node: Node) -> None:
    """One entry of a trace: its node and its time, and below them everything else in it."""
    if node.name is None:
        tree.add(Text(shown(node.facts[0][1])))
        return
    took = "" if node.took_ms is None else f"  {milliseconds(node.took_ms)}"
    branch = tree.add(Text.assemble((shown(node.name), "bold"), (took, "cyan")))
    for name, value in node.facts:
        branch.add(Text.assemble((f"{shown(name)}: ", "dim"), shown(value)))
    for one in node.below:
        _grow(branch, one)
