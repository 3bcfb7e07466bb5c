"""An answer is kept for its time, and no more of them than their number."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from execlog import StoreUnavailable
from execlog.web.kept import Kept


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """Answers with how often it was asked."""

    times = 0

    async def __call__(self) -> int:
        self.times += 1
        return self.times


async def test_it_is_asked_again_when_its_time_is_over() -> None:
    clock, asked = Clock(), Asked()
    kept = Kept[int](seconds=60, most=2, clock=clock)
    first = await kept.get("a", asked)
    assert first.answer == 1
    assert abs((datetime.now(UTC) - first.at).total_seconds()) < 10
    clock.now = 59.9
    assert await kept.get("a", asked) is first
    clock.now = 60.0
    assert (await kept.get("a", asked)).answer == 2
    clock.now = 119.9
    assert (await kept.get("a", asked)).answer == 2


async def test_the_oldest_gives_way() -> None:
    clock, asked = Clock(), Asked()
    kept = Kept[int](seconds=60, most=2, clock=clock)
    for key in ("a", "b"):
        await kept.get(key, asked)
    clock.now = 60.0
    assert (await kept.get("a", asked)).answer == 3  # the newest now
    assert (await kept.get("c", asked)).answer == 4
    assert (await kept.get("a", asked)).answer == 3
    clock.now = 0.0
    assert (await kept.get("b", asked)).answer == 5


async def test_a_failure_is_not_kept() -> None:
    async def fails() -> int:
        raise StoreUnavailable("late")

    kept = Kept[int](seconds=60, most=2)
    with pytest.raises(StoreUnavailable):
        await kept.get("a", fails)
    assert (await kept.get("a", Asked())).answer == 1
