"""How long to wait between tries: longer each time, up to a cap, and never in step with others."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """A sequence of delays between tries.

    Each is drawn from the upper half of twice the one before, so that many recorders that lost one
    server don't come back to it all at once.

    Args:
        first: Seconds of the longest first delay.
        cap: Seconds of the longest delay of all.
        dice: Where the jitter comes from.
    """

    def __init__(self, first: float, cap: float, dice: random.Random) -> None:
        """Takes the bounds. Never raises."""
        self._first = first
        self._cap = cap
        self._dice = dice
        self._longest = first

    def next(self) -> float:
        """Seconds to wait now. Never raises."""
        longest, self._longest = self._longest, min(self._longest * 2, self._cap)
        return self._dice.uniform(longest / 2, longest)

    def reset(self) -> None:
        """All is well again: the next pause is a first one. Never raises."""
        self._longest = self._first
