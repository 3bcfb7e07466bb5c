"""UUID version 7: time-ordered, unique, in threads and after a fork."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

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


def test_a_forked_child_makes_others() -> None:
    uuid7()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(uuid7().bytes for _ in range(100)))
        os._exit(0)
    ours = {uuid7().bytes for _ in range(100)}
    os.waitpid(child, 0)
    theirs = os.read(reader, 1600)
    os.close(reader)
    os.close(writer)
    assert len(theirs) == 1600
    assert not ours & {theirs[n : n + 16] for n in range(0, 1600, 16)}
