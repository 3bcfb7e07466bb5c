"""Holds archiving back while others store rows: half of its time it waits."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Yielding"]

_BUSY_RATE = 500.0  # rows/s of others
_SHORTEST = 1.0  # seconds that a rate is measured over: a session reports its rows once a second
_WORK_SECONDS = 0.005  # shorter than a batch of those who store


class Yielding:
    """Whether others store rows, and the pauses that they are given.

    Attributes:
        is_busy: Whether others stored rows when it was last looked at.
    """

    def __init__(self) -> None:
        """Nothing is known yet: there are no pauses. Never raises."""
        self.is_busy = False
        self._seen: tuple[float, int] | None = None
        self._resumed = time.monotonic()

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
            self.is_busy = rows - before > _BUSY_RATE * (now - began)
        self._seen = now, rows

    async def pause(self) -> None:
        """Waits for as long as was worked since the last pause, if others store. Never raises."""
        worked = time.monotonic() - self._resumed
        if self.is_busy and worked >= _WORK_SECONDS:
            await asyncio.sleep(min(worked, 10 * _WORK_SECONDS))
            self._resumed = time.monotonic()
