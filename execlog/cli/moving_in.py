"""The part of `execlog import` that stores the executions of a table of another program."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer

from execlog.cli.progress import progress
from execlog.cli.server import connected, work
from execlog.display.format import number, shown
from execlog.display.tables import Column, print_table
from execlog.moving import (
    Account,
    Match,
    Mover,
    Script,
    Wishes,
    check_zone,
    find_table,
    has_files,
    is_cluster,
    matched,
)
from execlog.repository.repository import files_of

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = [
    "Default",
    "FromDsn",
    "FromTable",
    "Map",
    "Moving",
    "PlanOnly",
    "TimeZone",
    "move_in",
]

FromTable = Annotated[
    str | None,
    typer.Option(
        "--from-table",
        metavar="TABLE",
        help="A table of another program in place of FILE, such as public.runs.",
    ),
]
FromDsn = Annotated[
    str | None,
    typer.Option(
        "--from-dsn",
        metavar="DSN",
        help="With --from-table: the server of that table; else it is in the log's database.",
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="THEIRS=OURS",
        help="With --from-table: the column of an execution, or attributes.KEY, that a column of"
        " the table becomes; THEIRS= leaves it out. Others are matched by name.",
    ),
]
Default = Annotated[
    list[str] | None,
    typer.Option(
        "--default",
        metavar="OURS=VALUE",
        help="With --from-table: the value in all rows of a column that the table lacks.",
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--time-zone",
        metavar="NAME",
        help="With --from-table: the zone of times that have none. Without this option: UTC.",
    ),
]
PlanOnly = Annotated[
    bool,
    typer.Option("--plan", help="With --from-table: show how it is read and count; store nothing."),
]


@dataclass(frozen=True)
class Moving:
    """What the command was asked to do."""

    table: str
    from_dsn: str | None
    maps: Sequence[str]
    defaults: Sequence[str]
    ignore_unknown: bool
    time_zone: str
    sample_rate: float | None
    stops: bool
    plan: bool


def move_in(asked: Moving, dsn: str | None, schema: str, archive: Path | None = None) -> None:
    """Stores the executions of a table, or shows how it would.

    Args:
        asked: What is to be done.
        dsn: The server of the log, as it was given.
        schema: The schema of the log.
        archive: The folder of the log's archive.

    Raises:
        ExeclogError: An argument is wrong, or a server is away or refuses.
        typer.Exit: A row stopped it, or none could be stored.
    """
    wishes = Wishes(
        [_pair("--map", text, at_end=True) for text in asked.maps],
        dict(_pair("--default", text, at_end=False) for text in asked.defaults),
        asked.ignore_unknown,
    )

    files = files_of(archive)

    async def done(log: Pool) -> Account:
        async with _source(asked, dsn, log, schema) as source:
            theirs = source or log
            match = matched(await find_table(theirs, asked.table), wishes)
            await check_zone(theirs, asked.time_zone)
            mover = Mover(
                match,
                log,
                source,
                files=files,
                schema=schema,
                zone=asked.time_zone,
                sample_rate=asked.sample_rate,
                stops=asked.stops,
                stores=not asked.plan,
            )
            if asked.plan:
                _print_plan(match)
            _say(_notes(match, asked))
            return await _moved(mover, match, asked)

    account = work(dsn, done, writes=not asked.plan)
    if account.stopped or (account.bad and not account.stored + account.known and not asked.plan):
        if not account.stopped:
            _say(["nothing was stored"])
        raise typer.Exit(1)


async def _moved(mover: Mover, match: Match, asked: Moving) -> Account:
    try:
        with progress("rows", match.table.estimated_rows) as advance:
            return await mover.run(advance)
    finally:
        account = mover.account
        said = [*_told(account, asked), *account.lines()]
        if asked.plan:
            for line in said:
                print(line)
        else:
            _say(said)
        _say(_unrated(account, asked))


@contextlib.asynccontextmanager
async def _source(
    asked: Moving, dsn: str | None, log: Pool, schema: str
) -> AsyncIterator[Pool | None]:
    """The pool that rows are read from through the client; None: the server stores them."""
    is_on_server = not (await is_cluster(log) or await has_files(log, schema))
    if asked.from_dsn is None and is_on_server:
        yield None
        return
    if asked.from_dsn == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--from-dsn")
    argument = "dsn" if asked.from_dsn is None else "--from-dsn"
    async with connected(asked.from_dsn or dsn, argument=argument) as pool:
        yield pool


def _pair(option: str, text: str, *, at_end: bool) -> tuple[str, str]:
    """The two sides of an equals sign. Raises typer.BadParameter: there are none."""
    left, sign, right = text.rpartition("=") if at_end else text.partition("=")
    if not sign or not left:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return left, right


def _print_plan(match: Match) -> None:
    script = Script(match, 0)
    rows = []
    for source in match.sources:
        if source.constant is not None:
            name, kind = shown(source.constant), "--default"
        elif source.field is None:
            name, kind = ", ".join(shown(one.name) for one in match.table.key), "key"
        else:
            name, kind = shown(source.field.name), shown(source.field.type)
        rows.append((name, kind, source.ours, script.conversion(source)))
    rows += [(shown(one.name), shown(one.type), "-", "left out") for one in match.left_out]
    print_table([Column("column"), Column("type"), Column("becomes"), Column("how")], rows)
    print()


def _notes(match: Match, asked: Moving) -> Iterator[str]:
    if not match.has("created_at"):
        yield "the table has no column for created_at: the executions have no time"
    if asked.sample_rate is not None and not match.has("sampled"):
        yield (
            f"the table has no column for sampled: ok runs have the sample rate"
            f" {asked.sample_rate:g}, all others 1"
        )


def _told(account: Account, asked: Moving) -> Iterator[str]:
    if asked.plan:
        yield (
            f"{number(account.rows)} rows: {number(account.stored)} would be stored,"
            f" {number(account.known)} are there already, {number(account.bad)} can't be stored"
        )
        return
    said = f"{number(account.stored)} executions stored"
    if account.known:
        said += f", {number(account.known)} were there already"
    if account.stopped:
        said += "; a row that can't be stored stopped it (--on-error skip goes on)"
    elif account.bad:
        said += f", {number(account.bad)} rows could not be stored"
    yield said


def _unrated(account: Account, asked: Moving) -> Iterator[str]:
    if account.unrated and asked.sample_rate is None:
        yield (
            f"warning: {number(account.unrated)} sampled executions have no rate, and count as one"
            " run each; --sample-rate says which share was kept"
        )


def _say(lines: Iterator[str] | Sequence[str]) -> None:
    for line in lines:
        print(f"execlog: {line}", file=sys.stderr)
