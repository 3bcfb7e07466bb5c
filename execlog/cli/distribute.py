"""The command that spreads a log over a cluster."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from execlog import distribute as distribute_log
from execlog import dump_distribution
from execlog.cli.forms import print_text
from execlog.cli.options import Dsn, Schema
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA

__all__ = ["distribute"]


def distribute(
    shards: Annotated[
        int | None,
        typer.Option("--shards", min=1, max=64_000, help="The number of shards; else Citus's."),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, touch no server.")] = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Spread a migrated log over a Citus cluster, by strategy; best while it is small.

    Example: execlog distribute --dsn postgresql://coordinator/scoring
    """
    if sql:
        print_text(dump_distribution(shard_count=shards, schema=schema))
        return
    asyncio.run(distribute_log(dsn_of(dsn), shard_count=shards, schema=schema))
    print("execlog: the log is distributed by strategy_id", file=sys.stderr)
