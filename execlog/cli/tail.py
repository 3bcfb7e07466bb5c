"""The command that shows the newest executions, and continues with new ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from execlog import (
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.cli.executions import COLUMNS, cells
from execlog.cli.filters import filtered, nothing_found, window_of
from execlog.cli.forms import print_models
from execlog.cli.options import (
    AnyStrategy,
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

__all__ = ["Follower", "tail"]

_PAGE = 200
_EVERY_SECONDS = 1.0
_CALENDAR_BEGINS = datetime.min.replace(tzinfo=UTC)
# A recorder keeps a batch for a fifth of a second, and longer if storing fails.
_LATE = timedelta(seconds=10)


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
            "With -f: how long after its run an execution may be stored and be shown; else 10s.",
        ),
    ] = None,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Show the newest executions, of all strategies or of one, the newest last.

    With -f, new executions are shown within a second or two, each once, except those without a
    time. Each poll reads the last ten seconds, or the length that --late says.

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
        scope = {"strategy_id": strategy, "until": until, "payloads": output is not Output.table}
        late_by = _LATE if late is None else late
        follower = Follower(log, {**scope, **filters}, since, late_by)
        newest = await (follower.begin(limit) if follow else follower.newest(limit))
        write(newest)
        if not newest and not follow:
            of = "" if strategy is None else f" of {shown(strategy)}"
            what = f"no execution{of}{' passes these filters' if filters else ''}"
            await nothing_found(log, what, filters, strategy, since, until)
        while follow:
            sys.stdout.flush()
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                write(await follower.new())
            except StoreUnavailable as error:
                print(f"execlog: {error}; trying again", file=sys.stderr)

    ask(dsn, schema, shown_rows)


class Follower:
    """Finds the executions that were stored since the last poll, each once.

    They are not stored in the order in which they ended: recorders keep batches, and each process
    has its own. So each poll reads back by `late`, and leaves out what was returned before.
    """

    def __init__(
        self,
        log: StrategyExecutionLogRepository,
        scope: Mapping[str, Any],
        since: datetime | None,
        late: timedelta,
    ) -> None:
        """Takes what `list_executions` is asked for. Never raises."""
        self._log = log
        self._scope = scope
        self._since = since
        self._late = late
        self._seen: dict[UUID, datetime] = {}
        self._last = _CALENDAR_BEGINS  # the newest time that was read

    async def newest(self, limit: int) -> list[StrategyExecutionLog]:
        """The newest executions, the newest last. Raises ExeclogError."""
        return (await self._page(limit))[::-1]

    async def begin(self, limit: int) -> list[StrategyExecutionLog]:
        """The same, as the start for `new`. Raises ExeclogError."""
        first = await self._page(1)
        self._see(first)
        # In this order: what is stored in between is on the page, or comes with the next poll.
        if first:
            self._see(await self._recent())
        newest = await self.newest(limit)
        self._see(newest)
        return newest

    async def new(self) -> list[StrategyExecutionLog]:
        """The executions stored since the last poll, the newest last. Raises ExeclogError."""
        found = [one for one in await self._recent() if one.id not in self._seen]
        self._see(found)
        horizon = self._horizon()
        self._seen = {id: time for id, time in self._seen.items() if time >= horizon}
        return found[::-1]

    async def _recent(self) -> list[StrategyExecutionLog]:
        """All executions down to the horizon, newest first."""
        horizon = self._horizon()
        found: list[StrategyExecutionLog] = []
        page: list[StrategyExecutionLog] = []
        while True:
            page = await self._page(_PAGE, before=page[-1] if page else None, since=horizon)
            recent = [one for one in page if one.created_at and one.created_at >= horizon]
            found += recent
            if len(recent) < _PAGE:
                return found

    async def _page(
        self,
        limit: int,
        before: StrategyExecutionLog | None = None,
        since: datetime | None = None,
    ) -> list[StrategyExecutionLog]:
        begins = max((one for one in (since, self._since) if one is not None), default=None)
        return await self._log.list_executions(
            **self._scope, since=begins, limit=limit, before=before
        )

    def _horizon(self) -> datetime:
        # One clock that is ahead must not hide the rows of others.
        newest = min(self._last, datetime.now(UTC))
        return newest - min(self._late, newest - _CALENDAR_BEGINS)

    def _see(self, rows: Sequence[StrategyExecutionLog]) -> None:
        times = {one.id: one.created_at for one in rows if one.created_at}
        self._seen |= times
        self._last = max([self._last, *times.values()])
