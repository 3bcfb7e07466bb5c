"""Answers as text: tables for a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from execlog.display.format import shown

__all__ = [
    "BAR",
    "STYLES",
    "Column",
    "bar",
    "is_colourless",
    "plain",
    "print_table",
    "status_text",
    "stdout",
    "takes_unicode",
]

# The colours of statuses; an unknown one is coloured as a failure of its own kind.
STYLES = {"ok": "green", "error": "red", "timeout": "yellow", "limit": "magenta", "other": "cyan"}
BAR = 30  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Column:
    """A column of a table; numbers are aligned to the right."""

    name: str
    right: bool = False


def stdout(width: int | None = None) -> Console:
    """The console for data, of the terminal's width or the one given. Never raises."""
    return plain(sys.stdout, width)


def plain(file: TextIO, width: int | None = None) -> Console:
    """A console that shows stored text as it is and cuts no line. Never raises.

    A pipe is no terminal, whatever FORCE_COLOR and TTY_COMPATIBLE say.
    """
    return Console(
        file=file,
        force_terminal=None if file.isatty() else False,
        color_system=None if is_colourless() else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=width,
    )


def is_colourless() -> bool:
    """Whether NO_COLOR asks for plain text. Never raises."""
    return bool(os.environ.get("NO_COLOR"))


def status_text(status: str) -> Text:
    """A status in its colour. Never raises."""
    return Text(shown(status), style=STYLES.get(status, STYLES["other"]))


def bar(value: float, most: float, width: int = BAR) -> str:
    """A bar of at most `width` characters and at least an eighth of one. Never raises."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(round(value / most * width * 8), 1)
    if not takes_unicode():
        return "#" * max(eighths // 8, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def takes_unicode() -> bool:
    """Whether standard output can encode every character. Never raises."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table without borders; cells with tabs between if not on a terminal. Raises OSError.

    The cells are not escaped: see `shown`.
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
    """The width of the table with no cell cut or wrapped."""
    widths = [len(column.name) for column in columns]
    for row in rows:
        widths = [max(width, text.cell_len) for width, text in zip(widths, row, strict=True)]
    return sum(widths) + 3 * len(columns)


def _print_expanded(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], console: Console
) -> None:
    """One line per cell, as psql does if a table is too wide; empty cells are left out."""
    longest = max(len(column.name) for column in columns)
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            if text:
                console.print(Text.assemble((column.name.ljust(longest), "bold"), "  ", text))
        console.print()
