"""Holds archiving back while others store rows: it works for moments, and waits for longer."""

from __future__ import annotations

import asyncio
import time

__all__ = ["PAUSES", "WORK_SECONDS", "Yielding"]

WORK_SECONDS = 0.002
"""How long is worked between two pauses: as long as a batch of those who store."""

PAUSES = 9
"""How many times as long as the work a pause after it is at most."""

_BUSY_RATE = 500.0  # rows/s of others
_SHORTEST = 1.0  # seconds that a rate is measured over: a session reports its rows once a second
_LONGEST_PAUSE = 0.05


class Yielding:
    """Whether others store rows, and the pauses that they are given.

    Attributes:
        is_busy: Whether others stored rows when it was last looked at; at first they might.
    """

    def __init__(self) -> None:
        """Nothing is known yet: others might store. Never raises."""
        self.is_busy = True
        self._rate = 0.0  # rows/s of others
        self._pauses = float(PAUSES)
        self._seen: tuple[float, int] | None = None
        self._resumed = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether a look would tell something new. Never raises."""
        return self._seen is None or time.monotonic() - self._seen[0] >= _SHORTEST

    def look(self, rows: int) -> None:
        """Takes how many rows were stored so far, by anyone. Never raises.

        Args:
            rows: The server's count; archiving itself adds a few.
        """
        now = time.monotonic()
        if self._seen is not None:
            began, before = self._seen
            if now - began < _SHORTEST:
                return
            self._rate = (rows - before) / (now - began)
            self.is_busy = self._rate > _BUSY_RATE
        self._seen = now, rows

    def keep_up(self, rows: int, seconds: float) -> None:
        """Shortens pauses if rows go out slower than twice as fast as they come. Never raises.

        Args:
            rows: How many rows went into a file.
            seconds: How long that took, with its pauses.
        """
        wanted = 2 * self._rate * seconds
        if rows < wanted:
            self._pauses /= 2
        elif rows > 2 * wanted:
            self._pauses = min(2 * self._pauses, PAUSES)

    async def pause(self) -> None:
        """Waits for some times as long as was worked since the last pause, if others store.

        What took long was waiting, not work: a pause has an end. Never raises.
        """
        worked = time.monotonic() - self._resumed
        if self.is_busy and worked >= WORK_SECONDS:
            await asyncio.sleep(min(worked * self._pauses, _LONGEST_PAUSE))
            self._resumed = time.monotonic()
