"""The runs of a kind by whole blocks of time, as sums: what every test of an explanation reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Cells", "Frame", "joined"]


@dataclass(frozen=True, slots=True)
class Cells:
    """Some of the runs of both windows.

    Attributes:
        runs: How many rows they are, in the window before and in the one after.
        counted: How many of these rows have the outcome.
        weights: Of each block the sum of the weights.
        outcomes: Of each block the sum of weight times outcome.
    """

    runs: tuple[int, int]
    counted: tuple[int, int]
    weights: list[float]
    outcomes: list[float]

    def without(self, other: Cells) -> Cells:
        """These runs without some of them. Never raises."""
        return Cells(
            (self.runs[0] - other.runs[0], self.runs[1] - other.runs[1]),
            (self.counted[0] - other.counted[0], self.counted[1] - other.counted[1]),
            [_rest(a, b) for a, b in zip(self.weights, other.weights, strict=True)],
            [_rest(a, b) for a, b in zip(self.outcomes, other.outcomes, strict=True)],
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The blocks: those of the window before come first, `after` is the first of the other."""

    blocks: int
    after: int

    @property
    def before_window(self) -> range:
        """The blocks of the window before. Never raises."""
        return range(self.after)

    @property
    def after_window(self) -> range:
        """The blocks of the window after. Never raises."""
        return range(self.after, self.blocks)

    @property
    def both(self) -> range:
        """All blocks. Never raises."""
        return range(self.blocks)


def joined(parts: Iterable[Cells], frame: Frame) -> Cells:
    """The runs of all parts, which have none in common. Never raises."""
    kept = list(parts)
    if len(kept) == 1:
        return kept[0]
    zero = [[0.0] * frame.blocks]
    return Cells(
        (sum(one.runs[0] for one in kept), sum(one.runs[1] for one in kept)),
        (sum(one.counted[0] for one in kept), sum(one.counted[1] for one in kept)),
        [sum(column) for column in zip(*(one.weights for one in kept), *zero, strict=True)],
        [sum(column) for column in zip(*(one.outcomes for one in kept), *zero, strict=True)],
    )


def _rest(all_of: float, some: float) -> float:
    """The difference, without the noise of sums that should be equal."""
    rest = all_of - some
    return 0.0 if math.isclose(all_of, some, rel_tol=1e-12) else rest
