"""Answers as text: tables for a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TextIO
from uuid import UUID

from rich.console import Console
from rich.text import Text

from execlog.display.format import local, short, shown, zone
from execlog.display.layout import GAP, Column, Layout, cut, fit, id_length, whole

__all__ = [
    "BAR",
    "STYLES",
    "Cell",
    "Column",
    "Table",
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
_AT_ONCE = 100  # lines that are written at once


Cell = str | Text | datetime | UUID | None
"""A text, a time (None if it is unknown) or an id."""


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


class Table:
    """A table: on a terminal one line a row, in a pipe all columns with tabs between them.

    The layout on a terminal is chosen for the first rows and kept for later ones. The cells are not
    escaped: see `shown`.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        utc: bool = False,
        wide: bool = False,
        more: bool = False,
    ) -> None:
        """Takes the columns. Never raises.

        Args:
            columns: The columns.
            utc: Whether times are shown in UTC, not in the local zone.
            wide: Show everything, even beyond the width of the terminal.
            more: Whether rows will follow the first ones.
        """
        self._columns = columns
        self._utc = utc
        self._more = more
        self._console = stdout()
        self._layout: Layout | None = None
        self._has_header = False
        # In a pipe too, ids and times are whole.
        self._is_short = self._console.is_terminal and not wide
        self._id_length: int | None = None

    def print(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Prints the rows, before the first ones the header. Raises OSError."""
        if self._is_short and self._id_length is None:
            ids = (cell for row in rows for cell in row if isinstance(cell, UUID))
            self._id_length = id_length(ids)
        now = datetime.now(UTC)
        if not self._console.is_terminal:
            self._print_separated(rows, now)
        elif rows or self._more:
            self._print_aligned([[self._text(cell, now) for cell in row] for row in rows], now)

    def _text(self, cell: Cell, now: datetime) -> Text:
        if isinstance(cell, Text) and (cell.plain.isascii() or takes_unicode()):
            return cell
        return Text(self._plain(cell, now), style=cell.style if isinstance(cell, Text) else "")

    def _plain(self, cell: Cell, now: datetime) -> str:
        if isinstance(cell, str):
            return cell if cell.isascii() else _encoded(cell)
        if isinstance(cell, UUID):
            return str(cell)[: self._id_length]
        if isinstance(cell, Text):
            return _encoded(cell.plain)
        return short(cell, self._utc, now) if self._is_short else local(cell, self._utc)

    def _print_separated(self, rows: Sequence[Sequence[Cell]], now: datetime) -> None:
        # Rich would cut the lines at 80 columns.
        if not self._has_header:
            print("\t".join(column.name for column in self._columns))
            self._has_header = True
        for row in rows:
            print("\t".join(self._plain(cell, now) for cell in row))

    def _print_aligned(self, rows: Sequence[Sequence[Text]], now: datetime) -> None:
        is_first = self._layout is None
        if self._layout is None:
            self._layout = self._print_header(rows, now)
        for begin in range(0, len(rows), _AT_ONCE):
            some = rows[begin : begin + _AT_ONCE]
            self._print_lines([self._line(row, self._layout) for row in some])
        if is_first and not self._more:
            self._print_note(self._layout)

    def _print_header(self, rows: Sequence[Sequence[Text]], now: datetime) -> Layout:
        """Chooses the layout and prints what comes before the rows."""
        zoned = f" ({zone(now, self._utc)})" if self._is_short else ""
        columns = [
            replace(column, name=_encoded(column.name) + zoned * column.is_time)
            for column in self._columns
        ]
        texts = [[text.plain for text in row] for row in rows]
        if self._is_short:
            layout = fit(columns, texts, self._console.width, more=self._more)
        else:
            layout = whole(columns, texts, more=self._more)
        if self._more:  # else it would stand between the rows
            self._print_note(layout)
        rule = "─" if takes_unicode() else "-"
        names = [Text(column.name, style="bold") for column in columns]
        self._print_lines([self._line(names, layout), Text(rule * layout.width, style="dim")])
        return layout

    def _line(self, row: Sequence[Text], layout: Layout) -> Text:
        ellipsis = "…" if takes_unicode() else "..."
        line = Text()
        spaces = 0  # that are written only if anything follows
        for place, width in zip(layout.shown, layout.widths, strict=True):
            cell = row[place]
            length = cell.cell_len
            if length > width and self._is_short:
                cell = cell.copy()
                cell.plain = cut(cell.plain, width, ellipsis)
                length = cell.cell_len
            before, after = width - length, 0
            if not self._columns[place].right:
                before, after = after, before
            if length:
                line.append(" " * (spaces + before)).append_text(cell)
                spaces = after + GAP
            else:
                spaces += width + GAP
        line.rstrip()
        return line

    def _print_lines(self, lines: Sequence[Text]) -> None:
        # At once: Rich asks the terminal for each print, which takes longer than to make a line.
        self._console.print(Text("\n").join(lines))

    def _print_note(self, layout: Layout) -> None:
        """Says on standard error what is not shown."""
        left_out, cuts = (
            ", ".join(self._columns[place].name for place in places)
            for places in (layout.left_out, layout.cut)
        )
        if not left_out and not cuts:
            return
        sys.stdout.flush()
        console = plain(sys.stderr)
        note = "execlog: --wide " + (f"adds {left_out}" if left_out else "shows all")
        note += f"; cut: {cuts}" * bool(cuts)
        if console.is_terminal:
            note = cut(note, console.width, "...")
        console.print(Text(note, style="dim"))


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    utc: bool = False,
    wide: bool = False,
) -> None:
    """A table whose rows are all known. Raises OSError.

    Args:
        columns: As for `Table`, as `utc` and `wide`.
        rows: The cells.
        utc: Whether times are shown in UTC.
        wide: Show everything.
    """
    Table(columns, utc=utc, wide=wide).print(rows)


def _encoded(text: str) -> str:
    """The text with escapes for what the encoding lacks, which are wider than the characters."""
    encoding = sys.stdout.encoding or "ascii"
    return text if takes_unicode() else text.encode(encoding, "backslashreplace").decode(encoding)
