"""The command that prints a dashboard for Grafana."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from execlog.cli.forms import print_text
from execlog.cli.grafana_board import TITLE, board
from execlog.cli.options import Schema
from execlog.db.sqltext import SCHEMA

__all__ = ["grafana"]


def grafana(
    title: Annotated[str, typer.Option("--title", help="The title of the dashboard.")] = TITLE,
    schema: Schema = SCHEMA,
) -> None:
    """Print a dashboard for Grafana 11 or later, to import or to provision.

    Its data source is a variable: any Postgres whose role is the reader, or the reader of one
    realm. It asks no server.

    Example: execlog grafana > board.json
    """
    made = board(title=title, schema=schema)
    print_text(json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
