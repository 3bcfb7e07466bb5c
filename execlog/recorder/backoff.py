"""Delays between tries: longer each time, up to a cap, and never in step with other processes."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """A sequence of delays between tries.

    Each is drawn from the upper half of twice the one before, so that many recorders that lost one
    server do not return to it all at once.

    Args:
        first: The longest first delay, in seconds.
        cap: The longest delay of all, in seconds.
        dice: The source of the jitter.
    """

    def __init__(self, first: float, cap: float, dice: random.Random) -> None:
        """Takes the bounds. Never raises."""
        self._first = first
        self._cap = cap
        self._dice = dice
        self._longest = first

    def next(self) -> float:
        """Seconds to wait before the next try. Never raises."""
        longest, self._longest = self._longest, min(self._longest * 2, self._cap)
        return self._dice.uniform(longest / 2, longest)

    def reset(self) -> None:
        """Returns to the first delay, after a success. Never raises."""
        self._longest = self._first
