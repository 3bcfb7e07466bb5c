"""Answers as text: tables for a terminal, tab-separated lines for a pipe, JSON and CSV."""

from __future__ import annotations

import csv
import json
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from execlog.cli.options import Output
from execlog.models import Model

__all__ = [
    "BAR",
    "STYLES",
    "Column",
    "bar",
    "local",
    "milliseconds",
    "number",
    "percent",
    "print_model",
    "print_models",
    "print_table",
    "shown",
    "status_text",
    "stdout",
]

# How statuses look; what is not known looks like a failure of its own kind.
STYLES = {"ok": "green", "error": "red", "timeout": "yellow", "limit": "magenta", "other": "cyan"}
BAR = 30  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Column:
    """A column of a table; numbers stand to the right."""

    name: str
    right: bool = False


def stdout(width: int | None = None) -> Console:
    """The console that data goes to, as wide as the terminal or as said. Never raises."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def shown(value: object) -> str:
    """A stored text as it may be shown: what would steer a terminal is escaped. Never raises."""
    text = "" if value is None else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if _is_harmless(character) else character.encode("unicode_escape").decode()
        for character in text
    )


def _is_harmless(character: str) -> bool:
    # Control, format (which turns the direction of text), surrogate and private characters, and
    # separators of lines.
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def status_text(status: str) -> Text:
    """A status in its colour. Never raises."""
    return Text(shown(status), style=STYLES.get(status, STYLES["other"]))


def local(time: datetime | None, utc: bool) -> str:
    """A time with its offset, in the local zone or in UTC. Never raises."""
    if time is None:
        return "-"
    try:
        zoned = time.astimezone(UTC if utc else None)
    except (OverflowError, ValueError, OSError):  # an end of the calendar
        zoned = time
    return zoned.isoformat(sep=" ", timespec="milliseconds")


def number(value: float | None) -> str:
    """A number with its thousands apart; nothing for None. Never raises."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def percent(rate: float) -> str:
    """A rate as a percentage. Never raises."""
    return f"{rate * 100:.2f} %"


def milliseconds(value: float) -> str:
    """A duration in a unit that suits it. Never raises."""
    if value >= 1e9:
        return f"{value / 1000:.4g} s"
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    if value >= 999.95:
        return f"{value / 1000:.2f} s"
    return f"{value:.1f} ms" if value >= 10 else f"{value:.3g} ms"


def bar(value: float, most: float, width: int = BAR) -> str:
    """A bar of at most so many characters; an eighth of one at least. Never raises."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(round(value / most * width * 8), 1)
    if not _takes_unicode():
        return "#" * max(eighths // 8, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def print_models(models: Sequence[Model], output: Output) -> None:
    """The models' own dumps, as `output` says; `table` is not for this. Raises OSError."""
    dumps = [model.model_dump(by_alias=True, mode="json") for model in models]
    if output is Output.csv:
        if dumps:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(dumps[0])
            writer.writerows([_cell(value) for value in dump.values()] for dump in dumps)
    elif output is Output.jsonl:
        for dump in dumps:
            _print_json(dump, indent=None)
    else:
        _print_json(dumps)


def print_model(model: Model, output: Output) -> None:
    """As `print_models`, but in JSON an object and not a list of one. Raises OSError."""
    if output is Output.json:
        _print_json(model.model_dump(by_alias=True, mode="json"))
    else:
        print_models([model], output)


def _print_json(value: object, indent: int | None = 2) -> None:
    """JSON that steers no terminal, and that any encoding can take."""
    text = json.dumps(value, ensure_ascii=not _takes_unicode(), indent=indent)
    if sys.stdout.isatty():
        text = "".join(
            one if one == "\n" or _is_harmless(one) else _json_escape(one) for one in text
        )
    print(text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"


def _takes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table without lines around it; off a terminal its cells with tabs between. Raises OSError.

    The cells are shown as they are: see `shown`.
    """
    console = stdout()
    if not console.is_terminal:
        # Rich would cut the lines at 80 columns.
        print("\t".join(column.name for column in columns))
        for row in rows:
            print("\t".join(str(cell) for cell in row))
        return
    texts = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    if _width(columns, texts) > console.width:
        _print_expanded(columns, texts, console)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.name, justify="right" if column.right else "left", no_wrap=True)
    for line in texts:
        table.add_row(*line)
    console.print(table, soft_wrap=False)


def _width(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> int:
    """How wide the table is that cuts and wraps nothing."""
    widths = [len(column.name) for column in columns]
    for row in rows:
        widths = [max(width, text.cell_len) for width, text in zip(widths, row, strict=True)]
    return sum(widths) + 3 * len(columns)


def _print_expanded(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], console: Console
) -> None:
    """One line a cell, as psql does where a table is too wide; what is empty is left out."""
    longest = max(len(column.name) for column in columns)
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            if text:
                console.print(Text.assemble((column.name.ljust(longest), "bold"), "  ", text))
        console.print()


def _cell(value: object) -> object:
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return shown(value) if isinstance(value, str) and sys.stdout.isatty() else value
