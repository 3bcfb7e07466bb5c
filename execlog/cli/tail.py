"""The command that shows the newest executions, and continues with new ones."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, NoReturn

import typer

from execlog import (
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.cli.away import say_away
from execlog.cli.executions import COLUMNS, cells
from execlog.cli.filters import filtered, nothing_found, window_of
from execlog.cli.following import Follower, following
from execlog.cli.forms import print_models
from execlog.cli.options import (
    AnyStrategy,
    ArchiveToRead,
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
    length_option,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import shown
from execlog.display.tables import Table
from execlog.repository.filters import Filters

__all__ = ["tail"]

_PAGE = 200
_EVERY_SECONDS = 0.5
_REST_SECONDS = 0.1  # if a poll takes longer than that

Write = Callable[[Sequence[StrategyExecutionLog]], None]


@filtered
def tail(
    filters: Filters,
    strategy: AnyStrategy = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_PAGE)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new ones.")] = False,
    late: Annotated[
        timedelta | None,
        length_option(
            "--late",
            "With -f on a cluster: how long after its run an execution may be stored; else 10s.",
        ),
    ] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the newest executions, of all strategies or of one, the newest last.

    With -f, executions are shown within a second after they are stored, each once, whatever their
    times are; --since is for those before. On a cluster they are found by their times: each poll
    reads the last ten seconds, or the length that --late says; those without a time are not shown.

    Example: execlog tail loyalty --status error -f
    """
    output = form(output, as_json, spreadsheet)
    if follow and output in (Output.json, Output.csv):
        raise typer.BadParameter("-f needs a table or jsonl: the other forms have an end")
    if follow and until is not None:
        raise typer.BadParameter("-f has no end", param_hint="--until")
    since, until = window_of(filters, strategy, since, until)

    table = Table(COLUMNS, utc=utc, wide=wide, more=follow)

    def write(rows: Sequence[StrategyExecutionLog]) -> None:
        if output is Output.table:
            table.print([cells(one) for one in rows])
        else:
            print_models(StrategyExecutionLog, rows, output, spreadsheet=spreadsheet)

    async def shown_rows(log: StrategyExecutionLogRepository) -> None:
        scope: dict[str, Any] = {
            "strategy_id": strategy,
            "payloads": output is not Output.table,
            **filters,
        }
        if follow:
            follower = await following(log, scope, since, late)
            write(await follower.begin(limit))
            await _followed(follower, write)
        newest = await log.list_executions(**scope, since=since, until=until, limit=limit)
        write(newest[::-1])
        if len(newest) < limit:
            await say_away(log, archive, since, until)
        if not newest:
            of = "" if strategy is None else f" of {shown(strategy)}"
            what = f"no execution{of}{' passes these filters' if filters else ''}"
            await nothing_found(log, what, filters, strategy, since, until)

    ask(dsn, schema, shown_rows, archive=archive)


async def _followed(follower: Follower, write: Write) -> NoReturn:
    """Shows what is new for ever, through failures of the server too."""
    is_away = False
    sys.stdout.flush()
    due = time.monotonic()
    while True:
        due = max(due + _EVERY_SECONDS, time.monotonic() + _REST_SECONDS)
        await asyncio.sleep(due - time.monotonic())
        try:
            async for rows in follower.new():
                write(rows)
                sys.stdout.flush()
            is_away = False
        except StoreUnavailable as error:
            if not is_away:
                print(f"execlog: {error}; trying again", file=sys.stderr)
            is_away = True
