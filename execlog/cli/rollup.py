"""The commands that rebuild the rollups and compare them with the rows."""

from __future__ import annotations

import asyncio
import sys

import typer

from execlog import (
    ArchivedFile,
    RollupDifference,
    archived_files,
    rebuild_rollups,
    verify_rollups,
)
from execlog.cli.forms import print_models
from execlog.cli.options import (
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Since,
    Spreadsheet,
    Until,
    Utc,
    Wide,
    form,
)
from execlog.cli.progress import progress
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, number, shown
from execlog.display.tables import Column, print_table

__all__ = ["rollup"]

_GRAINS = {60: "minute", 3600: "hour", 86400: "day"}

rollup = typer.Typer(
    help="Rebuild the rollups from the rows, or compare the two.", no_args_is_help=True
)


@rollup.command()
def rebuild(
    since: Since = None,
    until: Until = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Rebuild rollups from the rows, hour by hour, while others store.

    Without a window: those that are not made yet, or else all. If it is interrupted, run it
    again.

    Example: execlog rollup rebuild
    """

    async def run() -> int:
        parts = 0
        with progress("hours", None) as advance:
            async for _ in rebuild_rollups(dsn_of(dsn), since=since, until=until, schema=schema):
                parts += 1
                advance(1)
        return parts

    print(f"execlog: {number(asyncio.run(run()))} parts rebuilt", file=sys.stderr)


@rollup.command()
def verify(
    since: Since = None,
    until: Until = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Compare rollups with their rows and list those that differ; exit 3 if any.

    Example: execlog rollup verify --since 7d
    """

    async def run() -> tuple[list[RollupDifference], list[ArchivedFile]]:
        found = verify_rollups(dsn_of(dsn), since=since, until=until, schema=schema)
        differences = [difference async for difference in found]
        return differences, await archived_files(
            dsn_of(dsn), since=since, until=until, schema=schema
        )

    output = form(output, as_json, spreadsheet)
    differences, files = asyncio.run(run())
    if output is not Output.table:
        print_models(RollupDifference, differences, output, spreadsheet=spreadsheet)
    elif differences:
        _print(differences, utc, wide)
    print(f"execlog: {number(len(differences))} rollups differ from the rows", file=sys.stderr)
    if away := [one for one in files if not one.rows_in_log]:
        last = local(max(one.last_at for one in away), utc)
        said = f"rows of runs until {last} are in files of the archive, which are not compared"
        print(f"execlog: {said}", file=sys.stderr)
    if differences:
        raise typer.Exit(3)


def _print(differences: list[RollupDifference], utc: bool, wide: bool) -> None:
    columns = [
        Column("strategy", least=14),
        Column("realm", rank=5, least=8),
        Column("version", rank=6),
        Column("of", rank=4),
        Column("begins", is_time=True, rank=1),
        Column("rollup", right=True, rank=2),
        Column("rows", right=True, rank=3),
    ]
    rows = [
        (
            shown(one.strategy_id),
            shown(one.realm_id),
            "" if one.strategy_version is None else f"v{one.strategy_version}",
            _GRAINS[one.grain],
            one.begins,
            number(one.kept),
            number(one.counted),
        )
        for one in differences
    ]
    print_table(columns, rows, utc=utc, wide=wide)
