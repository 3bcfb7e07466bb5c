"""Archiving holds back while others store rows, and only then."""

from __future__ import annotations

import asyncio
import math
import os
import time
from decimal import Decimal
from pathlib import Path

import pytest

from execlog.admin import yielding as module
from execlog.admin.summing import both
from execlog.admin.yielding import PAUSES, Yielding
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
    yielding.look(10_000_000)  # of all time: nothing is known yet, so they might
    assert yielding.is_busy
    clock.now += 1
    assert yielding.is_due
    yielding.look(10_000_010)
    assert not yielding.is_busy and not yielding.is_due
    clock.now += 0.4
    yielding.look(10_005_000)  # the server tells them once a second
    assert not yielding.is_busy
    clock.now += 0.6
    yielding.look(10_005_000)
    assert yielding.is_busy
    clock.now += 4
    yielding.look(10_005_100)  # our own entries and proofs
    assert not yielding.is_busy


async def test_most_of_the_time_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    yielding, clock = Yielding(), Clock()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", clock)
    for busy in (False, True):
        yielding.is_busy = busy
        for worked in (0.001, 0.003, 0.001, 30.0):
            yielding._resumed = clock.now - worked
            await yielding.pause()
    # What took half a minute was waiting for the server.
    assert slept == [pytest.approx(0.003 * PAUSES), pytest.approx(0.05)]


async def test_archiving_outruns_those_who_store(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    yielding = Yielding()
    yielding.look(0)
    clock.now += 1
    yielding.look(5000)
    for rows in (99_000, 99_000, 150_000, 201_000, 201_000, 201_000):  # in ten seconds
        yielding.keep_up(rows, 10.0)
        yielding._resumed = clock.now - 0.003
        await yielding.pause()
    expected = [PAUSES / 2, PAUSES / 4, PAUSES / 4, PAUSES / 2, PAUSES, PAUSES]
    assert slept == pytest.approx([0.003 * one for one in expected])


async def test_a_pause_that_is_cancelled_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 3600.0)
    yielding = Yielding()
    yielding._resumed -= 3600
    task = asyncio.create_task(yielding.pause())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)


def test_numbers_of_two_sets_of_rows_are_those_of_all() -> None:
    nan = float("nan")
    one = {
        "rows": 2,
        "ids": Decimal(2**80),
        "first_at": 5,
        "most_bytes": 7,
        "least_points": 1.5,
        "most_points": nan,
        "notes": None,
        "users": 3,
    }
    other = {
        "rows": 0,
        "ids": Decimal(1),
        "first_at": 4,
        "most_bytes": 9,
        "least_points": nan,
        "most_points": 2.0,
        "notes": None,
        "users": None,
    }
    for found in (both(one, other), both(other, one)):
        assert math.isnan(found["most_points"])
        assert {**found, "most_points": None} == {
            "most_points": None,
            "rows": 2,
            "ids": 2**80 + 1,
            "first_at": 4,
            "most_bytes": 9,
            "least_points": 1.5,
            "notes": None,
            "users": 3,
        }


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities here")
async def test_duckdb_s_thread_goes_last_and_ours_does_not(tmp_path: Path) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    (tmp_path / "spill").mkdir()
    async with engine.opened(tmp_path, tmp_path / "spill") as opened:
        found = await opened._apart(lambda: os.getpriority(os.PRIO_PROCESS, 0))
    assert found == max(engine._NICE, before)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
