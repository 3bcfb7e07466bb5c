"""What an import of a table did: how many rows were stored, and why others were not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from execlog.display.format import number, shown
from execlog.moving.table import Field

__all__ = ["Account"]

_LONGEST = 80  # characters of a key's value that are shown


@dataclass
class Account:
    """The account of an import, which grows part by part.

    Attributes:
        key: The columns of the table's key.
        rows: The rows that were read.
        stored: The executions that were stored, or would be.
        known: The executions that were stored before.
        bad: The rows that can't be stored.
        unrated: The sampled executions without a rate.
        reasons: Why rows can't be stored: how many, and the key of one.
        stopped: Whether a row that can't be stored ended it.
    """

    key: Sequence[Field]
    rows: int = 0
    stored: int = 0
    known: int = 0
    bad: int = 0
    unrated: int = 0
    reasons: dict[str, tuple[int, str]] = field(default_factory=dict)
    stopped: bool = False

    def refuse(self, reason: str, key: str, rows: int = 1) -> None:
        """Counts rows that can't be stored. Never raises.

        Args:
            reason: Why.
            key: The key of one of them, as a JSON list of texts.
            rows: How many.
        """
        before, example = self.reasons.get(reason, (0, key))
        self.reasons[reason] = before + rows, example
        self.bad += rows

    def lines(self) -> Iterator[str]:
        """A line for each reason, the most frequent first. Never raises."""
        for reason, (rows, key) in sorted(self.reasons.items(), key=lambda one: -one[1][0]):
            yield f"{shown(reason)}: {number(rows)}, for example {self.row(key)}"

    def row(self, key: str) -> str:
        """A row by its key, for a person. Never raises.

        Args:
            key: The key, as a JSON list of texts.
        """
        texts = zip(self.key, json.loads(key), strict=True)
        return ", ".join(f"{shown(one.name)} {_short(text)}" for one, text in texts)


def _short(text: str) -> str:
    return shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
