"""The rows of one batch that is being stored: which to send next, and which the server refuses.

The server may not name the row that it refuses: after a failed foreign key or trigger it is unknown
which row it was, or whether it was any. Then halves are tried, until a row is refused alone. That
proves nothing yet, since the server may refuse everything just now. A row is to blame only if
another row was stored between two refusals of it; until then it is set aside as a suspect, and
other rows are tried.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

__all__ = ["Shipment"]

# Rows that are refused alone, with none stored, until all rows are assumed to be refused.
_MOST_IN_VAIN = 16
# The distance from a suspect to the next row tried, as a share of the rest: neighbours are alike.
_STRIDE = 0.382


class Shipment:
    """The rows of a batch that are neither stored nor rejected.

    Args:
        rows: The rows.
        most: How many may be sent at once.
    """

    def __init__(self, rows: Iterable[bytes], most: int) -> None:
        """Takes the rows. Never raises."""
        self._most = most
        self._stored = self._in_vain = 0
        self._suspects: deque[tuple[bytes, int]] = deque()
        self._rows = list(rows)
        self._at_once = most
        # The first `_refused` rows were part of a refusal, after which the store took
        # `_stored - _mark` rows.
        self._refused = self._mark = 0

    def __len__(self) -> int:
        """The number of rows left."""
        return len(self._rows) + len(self._suspects)

    def rows(self) -> list[bytes]:
        """All rows that are left. Never raises."""
        return [*self._rows, *(row for row, _ in self._suspects)]

    def next(self) -> list[bytes]:
        """The rows to try now, the same until a method below is called; none: see `begin_again`.

        Never raises.
        """
        if not self._suspects_go_next():
            return self._rows[: min(self._at_once, self._refused or self._at_once)]
        return [row for row, mark in (self._suspects[0],) if self._stored > mark]

    def settle(self, count: int, *, stored: int) -> None:
        """Removes the rows that `next` returned.

        Args:
            count: How many they are.
            stored: How many of them were stored.

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

    def remove(self, rows: Iterable[bytes]) -> None:
        """Removes rows that need not be stored any more. Never raises."""
        gone = set(map(id, rows))
        self._rows = [row for row in self._rows if id(row) not in gone]
        self._suspects = deque(entry for entry in self._suspects if id(entry[0]) not in gone)
        self._refused = min(self._refused, len(self._rows))

    def refuse(self, count: int, *, place: int | None) -> bytes | None:
        """Records that the server refused the rows that `next` returned, because of one of them.

        Args:
            count: How many they are.
            place: The index of that row, if the server names it.

        Returns:
            The row that is to blame, which is removed; None: it is not known yet.

        Never raises.
        """
        # This bounds the work if every row is refused: then they are sent one at a time.
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
        """Tries these other rows: if they are stored, the suspects are to blame.

        Without any, all rows are tried once more: the server may accept them by now. Never raises.
        """
        more = list(others)
        if not more:
            more = [row for row, _ in self._suspects]
            self._suspects.clear()
        self._rows = [*more, *self._rows]
        self._at_once, self._refused, self._in_vain = self._most, 0, 0

    def _suspects_go_next(self) -> bool:
        return bool(self._suspects) and (not self._rows or self._in_vain >= _MOST_IN_VAIN)
