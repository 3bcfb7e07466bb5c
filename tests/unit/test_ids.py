"""UUID version 7: time-ordered, unique, in threads, after a fork, and in clones of the process."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from execlog import ids
from execlog.ids import uuid7


def test_the_layout_of_rfc_9562() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert before <= made.int >> 80 <= after
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_each_is_greater_than_the_one_before() -> None:
    made = [uuid7() for _ in range(100_000)]
    assert made == sorted(set(made))


def test_a_clock_that_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [uuid7()]
    past = time.time_ns() - 60_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: past)
    made += [uuid7() for _ in range(1000)]
    assert made == sorted(set(made))


def test_threads() -> None:
    with ThreadPoolExecutor(8) as threads:
        batches = list(threads.map(lambda _: [uuid7() for _ in range(5000)], range(8)))
    assert len({one for batch in batches for one in batch}) == 40_000
    assert all(batch == sorted(batch) for batch in batches)


def ids_of_both(fork: Callable[[], int]) -> tuple[list[UUID], list[UUID]]:
    """A hundred that this process makes after the fork, and a hundred of the child."""
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.write(writer, b"".join(uuid7().bytes for _ in range(100)))
        finally:
            os._exit(0)
    ours = [uuid7() for _ in range(100)]
    os.waitpid(child, 0)
    theirs = os.read(reader, 1600)
    os.close(reader)
    os.close(writer)
    assert len(theirs) == 1600
    return ours, [UUID(bytes=theirs[n : n + 16]) for n in range(0, 1600, 16)]


def test_a_forked_child_makes_others() -> None:
    uuid7()
    ours, theirs = ids_of_both(os.fork)
    assert not set(ours) & set(theirs)


def test_clones_of_one_memory_image_make_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork that Python does not hear of, and a clock that tells both the same all the time."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    last = uuid7()
    # It keeps the interpreter's lock, so that the child has it too.
    ours, theirs = ids_of_both(ctypes.PyDLL(None).fork)
    assert [one.int >> 64 for one in ours] == [one.int >> 64 for one in theirs]
    assert not set(ours) & set(theirs)
    for made in ours, theirs:
        assert [last, *made] == sorted({last, *made})


def test_each_has_62_bits_of_its_own() -> None:
    """Over a thousand, each bit beside time, version and variant is set and not set."""
    tails = [uuid7().int & (1 << 62) - 1 for _ in range(1000)]
    ever = never = 0
    for tail in tails:
        ever, never = ever | tail, never | ~tail
    assert ever == never & (1 << 62) - 1 == (1 << 62) - 1


def test_a_system_that_refuses_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(size: int) -> bytes:
        raise OSError(size)

    monkeypatch.setattr(os, "getrandom", refused, raising=False)
    assert ids._source() is os.urandom
    monkeypatch.delattr(os, "getrandom")
    assert ids._source() is os.urandom
