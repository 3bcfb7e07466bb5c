"""The options that commands share, and the parsers of their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from execlog.cli.completion import strategies
from execlog.display import timeparse

__all__ = [
    "AnyStrategy",
    "ArchiveToAsk",
    "ArchiveToRead",
    "Bucket",
    "Dsn",
    "Given",
    "Json",
    "Output",
    "OutputOption",
    "Realm",
    "Schema",
    "Since",
    "SinceGiven",
    "Spreadsheet",
    "Strategy",
    "Until",
    "UntilGiven",
    "Utc",
    "Wide",
    "before",
    "form",
    "given",
    "length_option",
    "moment",
    "share",
]

# The very first time is infinite to Postgres.
_CALENDAR_BEGINS = datetime.min.replace(tzinfo=UTC) + timedelta.resolution

Value = TypeVar("Value")


class Output(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The form of the output."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


def form(output: Output, as_json: bool, spreadsheet: bool) -> Output:
    """The form that the options choose. Raises typer.BadParameter: --spreadsheet is for CSV."""
    output = Output.json if as_json else output
    if spreadsheet and output is not Output.csv:
        raise typer.BadParameter("is for -o csv", param_hint="--spreadsheet")
    return output


def length_option(name: str, help: str) -> Any:
    """An option whose value is a length of time. Never raises."""
    return typer.Option(name, parser=_length, metavar="LENGTH", help=help)


def moment(text: str) -> datetime:
    """A time, or how long ago; without a zone it is local. Raises typer.BadParameter."""
    return _read(lambda text: timeparse.moment(text, datetime.now(UTC)), text)


@dataclass(frozen=True)
class Given:
    """A time, and how long ago that was if it was given so; None: it was given as a time."""

    time: datetime
    ago: timedelta | None


def given(text: str) -> Given:
    """A time, and whether it moves along with the present. Raises typer.BadParameter."""
    return Given(moment(text), _length(text) if timeparse.is_length(text) else None)


def before(end: datetime, length: timedelta) -> datetime:
    """The time so long before the end, or the calendar's first. Never raises."""
    return end - min(length, end - _CALENDAR_BEGINS)


def share(text: str) -> float:
    """A share between 0 and 1, for example `1%` or `0.01`. Raises typer.BadParameter."""
    try:
        # In decimals: 0.7 % is 0.007 and not a little less.
        value = float(Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1))
    except (ArithmeticError, ValueError):
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is no share such as 1% or 0.01")
    return value


def _length(text: str) -> timedelta:
    """A length of time, for example `2h30m`. Raises typer.BadParameter, with examples."""
    return _read(timeparse.length, text)


def _read(read: Callable[[str], Value], text: str) -> Value:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


Dsn = Annotated[
    str | None,
    typer.Option("--dsn", help="The server; else EXECLOG_DSN, else libpq's own variables."),
]
Schema = Annotated[
    str, typer.Option("--schema", envvar="EXECLOG_SCHEMA", help="The schema of the log.")
]
ArchiveToRead = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        envvar="EXECLOG_ARCHIVE",
        metavar="FOLDER",
        help="Read the rows of this archive's files too.",
    ),
]
ArchiveToAsk = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        envvar="EXECLOG_ARCHIVE",
        metavar="FOLDER",
        help="The log's archive, if it has one: what its files hold is there already.",
    ),
]
_SINCE = f"From this time on: {timeparse.EXAMPLES}."
_UNTIL = "Until this time, included; a date is its first instant."
Since = Annotated[
    datetime | None, typer.Option("--since", parser=moment, metavar="TIME", help=_SINCE)
]
SinceGiven = Annotated[
    Given | None, typer.Option("--since", parser=given, metavar="TIME", help=_SINCE)
]
Until = Annotated[
    datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help=_UNTIL)
]
UntilGiven = Annotated[
    Given | None, typer.Option("--until", parser=given, metavar="TIME", help=_UNTIL)
]
Bucket = Annotated[timedelta | None, length_option("--bucket", "Width, such as 5m or 1h.")]
Strategy = Annotated[
    str, typer.Argument(metavar="STRATEGY", show_default=False, autocompletion=strategies)
]
AnyStrategy = Annotated[
    str | None,
    typer.Argument(
        metavar="[STRATEGY]", help="None: all.", show_default=False, autocompletion=strategies
    ),
]
Realm = Annotated[str | None, typer.Option("--realm", help="Only this tenant.")]
Version = Annotated[
    int | None, typer.Option("--version", help="Only this version of the strategy.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="The form of the answer.")]
Json = Annotated[bool, typer.Option("--json", help="The same as -o json.")]
Spreadsheet = Annotated[
    bool,
    typer.Option(
        "--spreadsheet",
        help="With -o csv: an apostrophe before each text that begins with = + - @, a tab or the"
        " end of a line, which a spreadsheet might execute. Numbers, such as -3.25, are unchanged.",
    ),
]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC, not in the local zone.")]
Wide = Annotated[
    bool,
    typer.Option(
        "--wide", help="Show all columns, whole ids and texts, even beyond the terminal's width."
    ),
]
