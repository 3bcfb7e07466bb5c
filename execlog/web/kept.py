"""Answers that are kept for a while: a page that refreshes itself does not ask each time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Dated", "Kept"]

Answer = TypeVar("Answer")


class Dated(NamedTuple, Generic[Answer]):
    """An answer and its time.

    Attributes:
        answer: The answer.
        at: When it was asked for.
    """

    answer: Answer
    at: datetime


class Kept(Generic[Answer]):
    """The newest answers to some questions.

    Args:
        seconds: For how long one is kept.
        most: How many are kept; the oldest one gives way.
        clock: Tells the seconds.
    """

    def __init__(
        self, *, seconds: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes the limits. Never raises."""
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._answers: dict[Hashable, tuple[float, Dated[Answer]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Dated[Answer]:
        """The answer that is kept; else the one that is asked for now.

        Args:
            key: The question, with the scope that it is asked in.
            ask: Asks it.

        Raises:
            ExeclogError: As `ask` does; then nothing is kept.
        """
        found = self._answers.get(key)
        if found is not None and self._clock() - found[0] < self._seconds:
            return found[1]
        begin, at = self._clock(), datetime.now(UTC)
        dated = Dated(await ask(), at)
        self._answers.pop(key, None)  # so that it becomes the newest
        self._answers[key] = begin, dated
        if len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]
        return dated
