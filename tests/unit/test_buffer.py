"""The buffer against a plain model of it: who waits, who gave way, and an account that adds up."""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from execlog.recorder.buffer import POLICIES, Account, Batch, Buffer
from tests.oracle import EXAMPLES

MAX_ROWS, MAX_BYTES, BATCH_ROWS = 9, 3000, 3


def buffer(**changes: Any) -> Buffer:
    limits: dict[str, Any] = {
        "max_rows": MAX_ROWS,
        "max_bytes": MAX_BYTES,
        "batch_rows": BATCH_ROWS,
        "batch_bytes": 1000,
        "policy": "drop_newest",
    }
    return Buffer(**(limits | changes))


def total(account: Account) -> int:
    lost = sum(account.rejected.values()) + sum(account.dropped.values())
    return account.sampled_out + lost + account.written + account.pending_rows


@dataclass
class Model:
    """The same in the simplest way: one list of (line, failed), and what is being written."""

    oldest: bool
    size_of: Callable[[bytes], int]
    waiting: list[tuple[bytes, bool]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    dropped: int = 0

    def add(self, line: bytes, failed: bool) -> bool:
        stays = [
            one
            for one, other_failed in self.waiting
            if (other_failed and not (failed and self.oldest))
            or (not other_failed and not (failed or self.oldest))
        ]
        if sum(map(self.size_of, [*self.taken, *stays, line])) > MAX_BYTES:
            self.dropped += 1  # nobody is to go in vain
            return False
        while not self.fits(line):
            ok = [entry for entry in self.waiting if not entry[1]]
            if ok and (failed or self.oldest):
                self.waiting.remove(ok[0 if self.oldest else -1])
            elif failed and self.oldest and self.waiting:
                del self.waiting[0]
            else:
                self.dropped += 1
                return False
            self.dropped += 1
        self.waiting.append((line, failed))
        return True

    def fits(self, line: bytes) -> bool:
        size = sum(map(self.size_of, [*self.taken, *(one for one, _ in self.waiting), line]))
        return len(self.taken) + len(self.waiting) < MAX_ROWS and size <= MAX_BYTES


class BufferMachine(RuleBasedStateMachine):
    policy = "drop_newest"

    def __init__(self) -> None:
        super().__init__()
        self.buffer = buffer(policy=self.policy)
        self.model = Model(self.policy == "drop_oldest", self.buffer.size_of)
        self.batch: Batch | None = None
        self.number = self.offered = 0

    @rule(failed=st.booleans(), length=st.integers(0, 300))
    def add(self, failed: bool, length: int) -> None:
        self.number += 1
        self.offered += 1
        line = b"%04d" % self.number + b"x" * length
        waits, _ = self.buffer.add(line, failed)
        assert waits == self.model.add(line, failed)

    @rule()
    def sample_out(self) -> None:
        self.offered += 1
        self.buffer.sample_out()

    @rule()
    def reject(self) -> None:
        self.offered += 1
        self.buffer.reject("odd")

    @rule()
    def seal(self) -> None:
        number = self.buffer.seal()
        pending = self.model.waiting or self.model.taken
        assert self.buffer.is_settled(number) == (not pending)

    @precondition(lambda self: self.batch is None)
    @rule(full=st.booleans())
    def take(self, full: bool) -> None:
        self.batch = self.buffer.take(full=full)
        if self.batch is None:
            assert full or not self.model.waiting
            return
        taken = [*self.batch.ok, *self.batch.failed]
        assert 0 < len(taken) <= BATCH_ROWS
        # Batches go in the order of arrival: nobody who waits came before all of these.
        left = [entry for entry in self.model.waiting if entry[0] not in taken]
        assert sorted(taken) + [line for line, _ in left] == [
            line for line, _ in self.model.waiting
        ]
        self.model.waiting, self.model.taken = left, taken

    @precondition(lambda self: self.batch is not None)
    @rule(outcome=st.sampled_from(["stored", "rejected", "dropped"]), rows=st.integers(1, 3))
    def settle(self, outcome: str, rows: int) -> None:
        lines, rest = self.model.taken[:rows], self.model.taken[rows:]
        reasons = {} if outcome == "stored" else {outcome: "odd"}
        self.buffer.settle(lines, last=not rest, **reasons)
        self.model.taken = rest
        if not rest:
            self.batch = None

    @rule()
    def clear(self) -> None:
        self.buffer.clear("cleared")
        self.model.waiting.clear()

    @invariant()
    def the_account_adds_up(self) -> None:
        account = self.buffer.account()
        lines = [*self.model.taken, *(line for line, _ in self.model.waiting)]
        assert account.offered == self.offered == total(account)
        assert account.pending_rows == len(lines) <= MAX_ROWS
        assert account.pending_bytes == sum(map(self.buffer.size_of, lines)) <= MAX_BYTES
        assert account.dropped.get("full", 0) == self.model.dropped
        assert (self.buffer.waiting_since() is None) == (not self.model.waiting)


class OldestMachine(BufferMachine):
    policy = "drop_oldest"


TestDropNewest = BufferMachine.TestCase
TestDropOldest = OldestMachine.TestCase
TestDropNewest.settings = TestDropOldest.settings = settings(
    max_examples=5 * EXAMPLES, stateful_step_count=60, deadline=None
)


def test_who_wakes_the_writer() -> None:
    own = buffer()
    assert own.add(b"1", False) == (True, True)  # the first one begins to wait
    assert own.add(b"2", False) == (True, False)
    assert own.add(b"3", True) == (True, True)  # the batch is full
    assert own.add(b"4" * 1000, True) == (True, True)  # by bytes
    assert own.add(b"5", False) == (True, False)  # the writer is at work, and will look again
    own.wake_on_next()
    assert own.add(b"6", False) == (True, True)
    own.clear("test")
    assert own.waiting_since() is None
    assert own.add(b"7", False) == (True, True)
    assert own.waiting_since() is not None
    assert own.add(b"8", False) == (True, False)


def test_a_closed_buffer_and_one_that_opens_again() -> None:
    own = buffer()
    own.close("closed")
    assert own.add(b"1", False) == (False, False)
    own.close("")
    assert own.add(b"1", False)[0]
    assert own.account().rejected == {"closed": 1}


def test_what_was_altered_is_counted_once_it_waits() -> None:
    own = buffer(max_rows=1)
    own.add(b"1", False, ("text_repaired", "trace_cut"))
    own.add(b"2", False, ("text_repaired",))
    assert own.account().altered == {"text_repaired": 1, "trace_cut": 1}


@pytest.mark.parametrize(
    "bound",
    [
        {"max_rows": 10, "max_bytes": 10**6},
        {"max_rows": 100, "max_bytes": 10 * 249},
        {"max_rows": None, "max_bytes": 10 * 249},
    ],
)
def test_nearly_full(bound: dict[str, int | None]) -> None:
    own = buffer(**bound)
    for _ in range(7):
        own.add(b"x", False)
    assert not own.is_nearly_full()
    own.add(b"x", False)
    assert own.is_nearly_full()


def test_a_signal_that_comes_while_the_lock_is_held() -> None:
    own = buffer()
    with own._lock:  # a handler runs in the thread that it interrupts
        assert own.add(b"1", False)[0]
    assert own.account().pending_rows == 1


def test_the_memory_of_the_smallest_batches_is_counted() -> None:
    """A batch a row: what the batches take is more than what the rows take."""
    own = buffer(max_rows=10**6, max_bytes=10**9, batch_rows=1)
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(10_000):
            own.add(b"%0200d" % n, False)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < own.account().pending_bytes * 1.1


@pytest.mark.parametrize("length", [120, 200, 900])
def test_a_buffer_that_is_full_takes_the_memory_that_it_may(length: int) -> None:
    """Rows of the usual sizes, whose number nothing bounds: neither much more nor much less."""
    own = buffer(max_rows=None, max_bytes=4 * 2**20, batch_rows=2000, batch_bytes=2**20)
    numbers = itertools.count()
    gc.collect()
    tracemalloc.start(1)
    try:
        while own.add(b"%0*d" % (length, next(numbers)), False)[0]:
            pass
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    account = own.account()
    assert account.pending_bytes > 4 * 2**20 - own.size_of(b"x" * length)
    assert 0.9 < taken / account.pending_bytes < 1.1
    assert own.is_nearly_full()


def test_emptied_batches_do_not_stay() -> None:
    """A failure at the head, and then nothing but ok runs that push each other out."""
    own = buffer(max_rows=10, policy="drop_oldest")
    own.add(b"failed", True)
    for _ in range(1000):
        own.add(b"ok", False)
    assert len(own._waiting) <= 6


def test_nothing_goes_for_a_row_that_does_not_fit_all_the_same() -> None:
    own = buffer(max_rows=1000, max_bytes=20_000)
    own.add(b"x" * 9000, True)
    for _ in range(10):
        own.add(b"ok", False)
    assert own.add(b"x" * 15_000, True) == (False, False)
    assert (own.account().pending_rows, own.account().dropped) == (11, {"full": 1})


@pytest.mark.parametrize("policy", POLICIES)
def test_on_a_full_stack_a_row_is_counted_once_or_not_at_all(policy: str) -> None:
    """The first drop, the first rejection and the end of a batch, at each depth that may fail."""
    frames, frame = 1, sys._getframe()
    while (outer := frame.f_back) is not None:
        frames, frame = frames + 1, outer

    def deep(left: int, call: Callable[[], object]) -> object:
        return deep(left - 1, call) if left else call()

    usual, failed = sys.getrecursionlimit(), 0
    for left in range(1, 60):
        tried = buffer(policy=policy)
        for n in range(30):
            reason = "closed" if n == 20 else ""
            if reason:
                tried.close(reason)
            sys.setrecursionlimit(frames + 60)
            try:
                deep(left, functools.partial(tried.add, b"x" * 50, n % 3 == 0, ("cut",)))
            except RecursionError:
                failed += 1
            finally:
                sys.setrecursionlimit(usual)
            account = tried.account()
            assert account.offered == total(account), (left, n)
            assert account.pending_rows == sum(map(len, tried._waiting.values()))
    assert 0 < failed


def test_when_one_was_dropped_last() -> None:
    tried = buffer()
    assert tried.last_dropped_at is None
    for _ in range(MAX_ROWS):
        tried.add(b"x", True)
    assert tried.last_dropped_at is None
    before = time.time()
    tried.add(b"x", True)
    assert tried.last_dropped_at is not None
    assert before <= tried.last_dropped_at <= time.time()
    tried.last_dropped_at = None
    tried.clear("closed")
    assert tried.last_dropped_at is not None


def test_the_capacity_is_that_of_the_smaller_limit() -> None:
    assert buffer(max_bytes=10**6).capacity == MAX_ROWS
    assert buffer(max_bytes=10**6, max_rows=None).capacity == 10**6 // (100 + 48 + 200)
