"""The command that accounts for all executions that were offered, over all processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from execlog import RecorderAccount, StoreUnavailable, StrategyExecutionLogRepository
from execlog.admin.accounted import by_weight, reservation, sentence, shortfall
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
    before,
    form,
)
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import local, number, shown
from execlog.display.tables import Column, print_table
from execlog.repository.accounts import whole_hours

__all__ = ["account"]

_DAY = timedelta(days=1)
_IN_A_TABLE, _MOST = 50, 10_000


def account(
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            max=_MOST,
            help="Else 50 recorders in a table; all in other forms.",
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
    """Account for every execution that a recorder was offered: one sum over all processes.

    The sum is over all recorders. They are listed in this order: those that are open, those that
    dropped executions, the others; each seen last first.

    The window is widened to whole hours of UTC; without --since it is the last day. Exit 1 if
    executions were dropped, if the log holds less than was written, or if a recorder was neither
    closed nor seen for two minutes: then it says how many may be missing. Executions that are
    spooled wait in files, which outlive the process: the next recorder with that folder stores
    them, and counts them as recovered.

    Example: execlog account --since 1d
    """
    output = form(output, as_json, spreadsheet)
    end = datetime.now(UTC) if until is None else until
    begin = before(end, _DAY) if since is None else since
    found, held, rows_from = ask(dsn, schema, lambda log: _asked(log, begin, until))
    lacking = shortfall(found, held)
    first, _ = whole_hours(begin, until)
    is_known = held is not None
    unsure = reservation(rows_from, first or begin, bool(lacking), utc=utc) if is_known else None
    most = limit or (_IN_A_TABLE if output is Output.table else len(found))
    listed = by_weight(found)[:most]
    if output is Output.table:
        _print(found, listed, begin, until, utc=utc, wide=wide)
        if lacking:
            print(lacking)
    else:
        print_models(RecorderAccount, listed, output, spreadsheet=spreadsheet)
        _note(lacking)
    _note(unsure)
    if left := len(found) - len(listed):
        _note(f"{number(left)} more recorders are in the sum; --limit shows more, -o csv all")
    if lacking or any(one.dropped or one.state == "open" for one in found):
        raise typer.Exit(1)


def _note(text: str | None) -> None:
    if text:
        sys.stdout.flush()
        print(f"execlog: {text}", file=sys.stderr)


async def _asked(
    log: StrategyExecutionLogRepository, since: datetime, until: datetime | None
) -> tuple[list[RecorderAccount], int | None, datetime]:
    """The accounts, and then how many rows there are: what is stored in between is no loss.

    And the time before which rows were removed.
    """
    found = await log.recorder_account(since=since, until=until)
    rows_from = (await log.rollup_state()).rows_from
    try:
        return found, await log.count_stored(since=since, until=until), rows_from
    except StoreUnavailable as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        print("execlog: the rows were not counted in time; take less with --since", file=sys.stderr)
        return found, None, rows_from


def _print(
    found: Sequence[RecorderAccount],
    listed: Sequence[RecorderAccount],
    since: datetime,
    until: datetime | None,
    *,
    utc: bool,
    wide: bool,
) -> None:
    if not found:
        print("execlog: no recorder was seen", file=sys.stderr)
        return
    print(sentence(found, utc=utc))
    first, last = whole_hours(since, until)
    to = f" to {local(last, utc)}" if last else ""
    print(f"in whole hours, from {local(first, utc)}{to}\n")
    columns = [
        Column("host", least=8),
        Column("process", right=True, rank=1),
        Column("application", least=8, rank=3),
        Column("last seen", is_time=True, rank=2),
        Column("written", right=True, rank=4),
        Column("dropped", right=True, rank=5),
        Column("state", least=14),
    ]
    rows = [
        (
            shown(one.host),
            str(one.pid),
            shown(one.application),
            one.last_seen,
            number(one.written),
            number(sum(one.dropped.values())),
            _state(one),
        )
        for one in listed
    ]
    print_table(columns, rows, utc=utc, wide=wide)


def _state(one: RecorderAccount) -> str:
    terms = []
    if one.state == "open":
        # The number first: at 80 columns the rest is cut.
        terms.append(f"{number(one.most_missing)} missing at most")
    if one.spooled:
        terms.append(f"{number(one.spooled)} spooled")
    return f"{one.state}: {', '.join(terms)}" if terms else one.state
