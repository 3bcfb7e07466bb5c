"""A batch on its way to the store: which of its rows go next, and which of them it refuses.

The server names the row that it refuses, or it does not: a foreign key, a trigger of the statement
or of the commit leaves open which row it was, or whether it was any. Then halves are tried, until a
row is refused alone. That proves nothing yet, since the server may refuse everything just now. A
row is to blame only if another row was stored between two of its refusals; until then it is set
aside as a suspect, and other rows are tried.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

__all__ = ["Shipment"]

# Rows that are refused alone, and none stored, before it is taken for certain that none would be.
_MOST_IN_VAIN = 16
# How far from one suspect the next row is tried, as a share of the rest: neighbours are alike.
_STRIDE = 0.382


class Shipment:
    """The rows of a batch that are neither stored nor given up.

    Args:
        rows: The rows.
        most: How many may go at once.
    """

    def __init__(self, rows: Iterable[bytes], most: int) -> None:
        """Takes the rows. Never raises."""
        self._most = most
        self._stored = self._in_vain = 0
        self._suspects: deque[tuple[bytes, int]] = deque()
        self._rows = list(rows)
        self._at_once = most
        # So many of the first rows were part of a refusal, since when the store has taken
        # `_stored - _mark` rows.
        self._refused = self._mark = 0

    def __len__(self) -> int:
        """How many are left."""
        return len(self._rows) + len(self._suspects)

    def rows(self) -> list[bytes]:
        """All that are left. Never raises."""
        return [*self._rows, *(row for row, _ in self._suspects)]

    def next(self) -> list[bytes]:
        """The rows to try now, the same until one of the calls below; none: see `begin_again`.

        Never raises.
        """
        if not self._suspects_go_next():
            return self._rows[: min(self._at_once, self._refused or self._at_once)]
        return [row for row, mark in (self._suspects[0],) if self._stored > mark]

    def settle(self, count: int, *, stored: int) -> None:
        """The rows that `next` has answered are done with.

        Args:
            count: How many they are.
            stored: How many of them the store has now.

        Never raises.
        """
        if self._suspects_go_next():
            self._suspects.popleft()
        else:
            del self._rows[:count]
            self._refused = max(self._refused - count, 0)
        self._stored += stored
        self._in_vain = 0 if stored else self._in_vain
        self._at_once = min(self._at_once * 2, self._most)

    def refuse(self, count: int, *, place: int | None) -> bytes | None:
        """The rows that `next` has answered were refused, all of them for one.

        Args:
            count: How many they are.
            place: Which one it was, if the server says so.

        Returns:
            The row that is to blame, which is taken out; None if that is not known yet.

        Never raises.
        """
        # This bounds the work if every row is refused: then they go one at a time.
        self._at_once = max(count // 2, 1)
        if self._suspects_go_next():
            return self._suspects.popleft()[0]
        if place is not None:
            self._refused = max(self._refused - 1, 0)
            return self._rows.pop(place)
        if not self._refused:
            self._refused, self._mark = count, self._stored
        if count > 1:
            return None
        self._refused -= 1
        row = self._rows.pop(0)
        if self._stored > self._mark:
            return row
        self._suspects.append((row, self._mark))
        self._in_vain += 1
        turn = math.ceil(len(self._rows) * _STRIDE)
        self._rows = self._rows[turn:] + self._rows[:turn]
        self._refused = len(self._rows)
        return None

    def begin_again(self, others: Iterable[bytes] = ()) -> None:
        """Tries these others, which may be stored if the suspects are to blame.

        Without any, all rows are tried once more: the server may be well again. Never raises.
        """
        more = list(others)
        if not more:
            more = [row for row, _ in self._suspects]
            self._suspects.clear()
        self._rows = [*more, *self._rows]
        self._at_once, self._refused, self._in_vain = self._most, 0, 0

    def _suspects_go_next(self) -> bool:
        return bool(self._suspects) and (not self._rows or self._in_vain >= _MOST_IN_VAIN)
