"""Archiving holds back while others store rows, and only then."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from execlog.admin.yielding import Yielding
from execlog.archive import engine


class Clock:
    """The time, as it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_others_are_seen_by_the_rows_that_they_store(clock: Clock) -> None:
    yielding = Yielding()
    yielding.look(10_000_000)  # of all time: nothing is known yet
    assert not yielding.is_busy
    clock.now += 0.4
    yielding.look(10_005_000)  # the server tells them once a second
    assert not yielding.is_busy
    clock.now += 0.6
    yielding.look(10_005_000)
    assert yielding.is_busy
    clock.now += 4
    yielding.look(10_005_100)  # our own entries and proofs
    assert not yielding.is_busy


async def test_half_of_the_time_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    yielding, clock = Yielding(), Clock()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", clock)
    for busy in (False, True):
        yielding.is_busy = busy
        for worked in (0.001, 0.02, 0.001, 30.0):
            yielding._resumed = clock.now - worked
            await yielding.pause()
    # What took half a minute was waiting for the server.
    assert slept == [pytest.approx(0.02), pytest.approx(0.05)]


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities here")
async def test_duckdb_s_thread_goes_last_and_ours_does_not(tmp_path: Path) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    (tmp_path / "spill").mkdir()
    async with engine.opened(tmp_path, tmp_path / "spill") as opened:
        found = await opened._apart(lambda: os.getpriority(os.PRIO_PROCESS, 0))
    assert found == max(engine._NICE, before)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
