"""Which columns of a table fit into a width, and how wide each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from rich.cells import cell_len, set_cell_size

__all__ = ["GAP", "Column", "Layout", "cut", "fit", "id_length", "whole"]

GAP = 2
"""The cells between two columns."""

# Of a UUID of version 7: the millisecond in which it was made.
_SHORT_ID = 13


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its header.
        right: Whether its cells are aligned to the right, as numbers are.
        is_time: Whether its cells are times; its header then names their zone.
        rank: How much it matters, 0 the most. The highest one is left out first; of several the
            last.
        least: The fewest cells that its texts may be cut to; None: they are never cut.
        usual: The least width if its rows are not all known yet.
    """

    name: str
    right: bool = False
    is_time: bool = False
    rank: int = 0
    least: int | None = None
    usual: int = 0


@dataclass(frozen=True)
class Layout:
    """How a table is shown.

    Attributes:
        shown: The columns that are shown, as their places among all.
        widths: The width of each of these.
        left_out: Those that are not shown, unless all their cells are empty.
        cut: Those of which a text is cut.
    """

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    left_out: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """The width of a line. Never raises."""
        return sum(self.widths) + GAP * (len(self.widths) - 1)


def fit(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, *, more: bool = False
) -> Layout:
    """The layout in which each row is one line. Never raises.

    Columns without any text are left out first. Then texts are cut, the widest first, as far as
    their columns allow; and if that is not enough, the columns that matter least are left out.

    Args:
        columns: The columns; their names are the headers.
        rows: The cells.
        width: The cells of a line.
        more: Whether more rows will follow: then no column is known to be empty.
    """
    known = _widths(columns, rows)
    natural = _natural(columns, known, more)
    least = [_least(column, wide) for column, wide in zip(columns, natural, strict=True)]
    empty = {
        place for place in range(len(columns)) if not more and not any(row[place] for row in rows)
    }
    kept = sorted(range(len(columns)), key=lambda n: (n in empty, columns[n].rank, n))
    while len(kept) > 1 and kept[-1] in empty and _total(natural, kept) > width:
        kept.pop()
    while len(kept) > 1 and _total(least, kept) > width:
        kept.pop()
    shown = tuple(sorted(kept))
    widths = tuple(_narrowed(natural, least, shown, width))
    return Layout(
        shown,
        widths,
        tuple(n for n in range(len(columns)) if n not in {*kept, *empty}),
        tuple(n for n, wide in zip(shown, widths, strict=True) if wide < known[n]),
    )


def whole(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, more: bool = False
) -> Layout:
    """The layout with all columns and the whole texts of these rows. Never raises.

    Args:
        columns: As for `fit`, as the other two.
        rows: The cells.
        more: Whether more rows will follow.
    """
    widths = _natural(columns, _widths(columns, rows), more)
    return Layout(tuple(range(len(columns))), tuple(widths))


def cut(text: str, width: int, ellipsis: str) -> str:
    """The text, or its beginning and an ellipsis, in so many cells. Never raises.

    Args:
        text: The text.
        width: The most cells.
        ellipsis: The mark of what is cut.
    """
    if cell_len(text) <= width:
        return text
    if width <= len(ellipsis):
        return ellipsis[:width]
    return set_cell_size(text, width - len(ellipsis)).rstrip() + ellipsis


def id_length(ids: Iterable[UUID]) -> int:
    """How many characters of these ids tell them apart, 13 at least. Never raises.

    Ids are led by their time: those of one millisecond begin alike, and need more.
    """
    texts = sorted({str(id) for id in ids})
    length = _SHORT_ID
    for one, next in pairwise(texts):
        while one[:length] == next[:length]:
            length += 1
    # Never a hyphen at the end.
    return length + any(text[length - 1] == "-" for text in texts)


def _natural(columns: Sequence[Column], known: Sequence[int], more: bool) -> list[int]:
    """The widths with room for rows that follow."""
    return [max(column.usual * more, wide) for column, wide in zip(columns, known, strict=True)]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column with no text cut."""
    widths = [cell_len(column.name) for column in columns]
    for row in rows:
        widths = [max(wide, cell_len(text)) for wide, text in zip(widths, row, strict=True)]
    return widths


def _least(column: Column, natural: int) -> int:
    return natural if column.least is None else min(natural, column.least)


def _total(widths: Sequence[int], places: Sequence[int]) -> int:
    return sum(widths[place] for place in places) + GAP * (len(places) - 1)


def _narrowed(
    natural: Sequence[int], least: Sequence[int], shown: Sequence[int], width: int
) -> list[int]:
    """The widths of the columns that are shown, the widest texts cut until the line is full."""
    if len(shown) == 1:
        return [min(natural[shown[0]], width)]
    widths = [max(least[place], min(natural[place], width)) for place in shown]
    spare = [wide - least[place] for wide, place in zip(widths, shown, strict=True)]
    for _ in range(sum(widths) + GAP * (len(shown) - 1) - width):
        widest = max(range(len(shown)), key=lambda n: (spare[n] > 0, widths[n]))
        widths[widest] -= 1
        spare[widest] -= 1
    return widths
