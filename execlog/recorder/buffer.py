"""The executions that wait to be stored: bounded by bytes and by rows, every one accounted for.

The buffer is a queue of batches. `add` fills the last one and begins another when it is full. The
writer takes the first one whole, and its rows stay pending until they are settled, so nothing is
ever put back. No method does I/O, and all are safe to call from threads. The identity

    offered + recovered = sampled out + rejected + dropped + written + pending

holds at every moment, because each method changes both of its sides under one lock.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from execlog.recorder.spool.row_file import RowFile

__all__ = ["POLICIES", "Account", "Batch", "Buffer", "Policy"]

Policy = Literal["drop_newest", "drop_oldest"]
"""Which row is dropped if the buffer is full. Either way ok runs are dropped before failures."""

POLICIES = get_args(Policy)
"""The policies by name."""

# A waiting row takes this beside its text, for a bytes object and its place in a list; and a batch
# this, a large share if it is a single row.
_ROW_BYTES, _BATCH_BYTES = 48, 600
# No line is shorter: the id, the time, a digit or a letter or NULL for each column, and tabs.
_SHORTEST_LINE = 100
_NEARLY_FULL = 0.8


@dataclass(eq=False, slots=True)
class Batch:
    """Rows that are stored together.

    `number` rises from batch to batch, `size` and `ok_size` (of its ok runs) are in bytes, `began`
    is when its first row came. The rows of one with a `file` lie there, and take no memory.
    """

    number: int
    # Lists: taking one from the head of 2,000 costs less than a deque costs for a small batch.
    ok: list[bytes] = field(default_factory=list)
    failed: list[bytes] = field(default_factory=list)
    size: int = 0
    ok_size: int = 0
    began: float = 0.0
    file: RowFile | None = None
    is_adopted: bool = False  # another process wrote it, and may have stored some of it
    is_sealed: bool = False  # its file is closed, or will be
    is_damaged: bool = False  # its file is, and is to be kept

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.ok) + len(self.failed) if self.file is None else len(self.file)

    def rows(self) -> list[bytes]:
        """All rows that are in memory. Never raises."""
        return [*self.ok, *self.failed]


@dataclass(frozen=True)
class Account:
    """The counts of all executions by outcome, at one moment."""

    offered: int
    recovered: int
    sampled_out: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    altered: dict[str, int]
    written: int
    pending_rows: int
    pending_bytes: int
    spooled_rows: int


class Buffer:
    """The waiting executions, and the account of all that were offered.

    Args:
        max_rows: Rows that may be pending, with those that are being written; None: any number.
        max_bytes: Bytes of memory that pending rows may take.
        batch_rows: Rows of a full batch.
        batch_bytes: Bytes of a full batch.
        policy: Which row is dropped if there is no room.
    """

    def __init__(
        self,
        *,
        max_rows: int | None,
        max_bytes: int,
        batch_rows: int,
        batch_bytes: int,
        policy: Policy,
    ) -> None:
        """Makes an empty buffer. Never raises."""
        self._max_rows = sys.maxsize if max_rows is None else max_rows
        self._max_bytes = max_bytes
        self._batch_rows = batch_rows
        self._overhead = _ROW_BYTES + _BATCH_BYTES // batch_rows
        self._batch_bytes = batch_bytes
        self._drops_oldest = policy == "drop_oldest"
        # Reentrant: a signal handler that records while its own thread is in here must not block
        # for ever. (It can leave the account wrong: it interrupts an update half way.)
        self._lock = threading.RLock()
        self._last = Batch(1)
        # By number: a batch whose rows were all dropped is removed at once, wherever it is.
        self._waiting = OrderedDict({1: self._last})
        self._ok_bytes = self._waiting_bytes = 0  # of rows that wait, which may be dropped
        self._holding_ok: deque[Batch] = deque()  # the waiting batches that hold ok runs
        self._taken = 0  # number of the first batch that is being written; 0: none
        self._closed = ""
        self.uncalled = 0  # executions offered when the stack was too deep to call any method
        # Whether the next row must wake the writer: that costs 50 microseconds, which a batch's
        # first row saves while the writer works.
        self.writer_sleeps = True
        self._offered = self._recovered = self._sampled_out = self._written = 0
        # No Counter: its first `+= 1` needs room on the stack.
        self._rejected: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._altered: dict[str, int] = {}
        self.last_dropped_at: float | None = None  # by `time.time`
        self._rows = self._bytes = 0  # pending in memory, with the batch that is being written
        self._away = self._loaded = 0  # rows in files only; and of those that are being written

    def size_of(self, line: bytes) -> int:
        """The memory that a waiting row takes, in bytes. Never raises."""
        return len(line) + self._overhead

    @property
    def capacity(self) -> int:
        """The most rows that can be pending. Never raises."""
        return min(self._max_rows, self._max_bytes // (_SHORTEST_LINE + self._overhead))

    def sample_out(self) -> None:
        """Counts an execution that the sampler did not choose. Never raises."""
        with self._lock:
            self._offered += 1
            self._sampled_out += 1

    def reject(self, reason: str) -> None:
        """Counts an execution that can't be stored. Never raises."""
        with self._lock:
            self._rejected[reason] = self._rejected.get(reason, 0) + 1
            self._offered += 1

    def add(self, line: bytes, failed: bool, altered: tuple[str, ...] = ()) -> tuple[bool, bool]:
        """Takes an execution, if there is room or room can be made.

        Args:
            line: The row as a line of COPY text.
            failed: Whether the run failed: ok runs are dropped in favour of it.
            altered: The changes made to it, as words to count by.

        Returns:
            Whether it waits now, and whether the writer must be woken.

        Never raises.
        """
        size = len(line) + self._overhead
        with self._lock:
            if self._closed or size > self._max_bytes:
                reason = self._closed or "too_large"
                self._rejected[reason] = self._rejected.get(reason, 0) + 1
                self._offered += 1
                return False, False
            if (
                self._rows >= self._max_rows or self._bytes + size > self._max_bytes
            ) and not self._make_room(size, failed):
                self._drop("full")
                self._offered += 1
                return False, False
            batch = self._last
            rows = len(batch.ok) + len(batch.failed) + 1
            filled = batch.size + size
            if rows == 1:
                batch.began = time.monotonic()
            if altered:
                for change in altered:
                    self._altered[change] = self._altered.get(change, 0) + 1
            if rows >= self._batch_rows or filled >= self._batch_bytes:
                self._begin_next()
                self.writer_sleeps = True
            # From here on nothing is called, which could fail on a full stack.
            self._offered += 1
            if failed:
                batch.failed += (line,)
            else:
                if not batch.ok:
                    self._holding_ok += (batch,)
                batch.ok += (line,)
                batch.ok_size += size
                self._ok_bytes += size
            batch.size = filled
            self._waiting_bytes += size
            self._rows += 1
            self._bytes += size
            wake, self.writer_sleeps = self.writer_sleeps, False
            return True, wake

    def adopt(self, files: list[RowFile]) -> None:
        """Takes files that a dead process left, if it keeps rows in files. Never raises."""

    def seal(self) -> int:
        """Ends the last batch, so that it counts as full; returns the last number that has rows.

        Never raises.
        """
        with self._lock:
            if len(self._last):
                self._begin_next()
            return self._last.number - 1

    def waiting_since(self) -> float | None:
        """When the oldest waiting batch got its first row, by `time.monotonic`.

        None if no row waits; then the next one wakes the writer. Never raises.
        """
        with self._lock:
            first = self._first()
            self.writer_sleeps = not len(first)
            return None if self.writer_sleeps else first.began

    def wake_on_next(self) -> None:
        """Lets the next row wake the writer, even if others wait already. Never raises."""
        with self._lock:
            self.writer_sleeps = True

    def take(self, *, full: bool) -> Batch | None:
        """The oldest batch, which the caller owns until it is settled; None if there is none.

        Args:
            full: Only a full batch; else the last one too, even if it is not full.

        Never raises.
        """
        with self._lock:
            batch = self._first()
            if batch is self._last:
                if full or not len(batch):
                    return None
                self._begin_next()
            del self._waiting[batch.number]
            self._ok_bytes -= batch.ok_size
            self._waiting_bytes -= batch.size
            if self._holding_ok and self._holding_ok[0] is batch:
                self._holding_ok.popleft()
            self._taken = self._taken or batch.number
            return batch

    def settle(
        self,
        lines: list[bytes],
        *,
        rejected: str = "",
        dropped: str = "",
        last: bool = False,
    ) -> None:
        """Counts rows of the batch that was taken as stored, or for a reason rejected or dropped.

        Args:
            lines: The rows.
            rejected: Why the store refuses them.
            dropped: Why they are dropped.
            last: Whether these are the last rows of the batch.

        Never raises.
        """
        size = sum(map(self.size_of, lines))
        with self._lock:
            self._rows -= len(lines)
            self._bytes -= size
            self._loaded = 0 if last else max(self._loaded - len(lines), 0)
            if rejected:
                self._rejected[rejected] = self._rejected.get(rejected, 0) + len(lines)
            elif dropped:
                self._drop(dropped, len(lines))
            else:
                self._written += len(lines)
            if last:
                self._taken = 0

    def clear(self, reason: str) -> None:
        """Drops all rows that wait in memory; a batch that was taken stays with its taker.

        Never raises.
        """
        with self._lock:
            for batch in self._waiting.values():
                if len(batch) and batch.file is None:
                    self._rows -= len(batch)
                    self._bytes -= batch.size
                    self._drop(reason, len(batch))
            self._begin_next()
            self._waiting = OrderedDict({self._last.number: self._last})
            self._holding_ok.clear()
            self._ok_bytes = self._waiting_bytes = 0

    def close(self, reason: str) -> None:
        """Rejects every later execution for this reason; "" opens the buffer again.

        Never raises.
        """
        with self._lock:
            self._closed = reason

    def is_settled(self, number: int) -> bool:
        """Whether no row of this batch or of an earlier one is pending. Never raises."""
        with self._lock:
            return number < (self._taken or self._first().number)

    def spooled_bytes(self) -> int:
        """Bytes that rows in files take. Never raises."""
        return 0

    def is_nearly_full(self) -> bool:
        """Whether at least 80 % of the rows or of the bytes are taken. Never raises."""
        with self._lock:
            return (
                self._rows >= _NEARLY_FULL * self._max_rows
                or self._bytes >= _NEARLY_FULL * self._max_bytes
            )

    def account(self) -> Account:
        """The present account. Never raises."""
        with self._lock:
            rejected = dict(self._rejected)
            if self.uncalled:
                rejected["internal"] = rejected.get("internal", 0) + self.uncalled
            return Account(
                offered=self._offered + self.uncalled,
                recovered=self._recovered,
                sampled_out=self._sampled_out,
                rejected=rejected,
                dropped=dict(self._dropped),
                altered=dict(self._altered),
                written=self._written,
                pending_rows=self._rows + self._away,
                pending_bytes=self._bytes,
                spooled_rows=self._away + self._loaded,
            )

    def _drop(self, reason: str, rows: int = 1) -> None:
        """Counts rows as dropped, or fails before it counts any: a full stack has no room."""
        count, now = self._dropped.get(reason, 0) + rows, time.time()
        self._dropped[reason], self.last_dropped_at = count, now

    def _begin_next(self) -> None:
        self._last = Batch(self._last.number + 1)
        self._waiting[self._last.number] = self._last

    def _first(self) -> Batch:
        """The oldest batch; only the last one can be empty."""
        return next(iter(self._waiting.values()))

    def _make_room(self, size: int, failed: bool) -> bool:
        """Drops rows until there is room for one of this size, if that can be. Whether it can."""
        if not self._can_make_room(size, failed):
            return False
        while self._rows >= self._max_rows or self._bytes + size > self._max_bytes:
            if not self._give_way(failed):
                return False
        return True

    def _can_make_room(self, size: int, failed: bool) -> bool:
        """Whether dropping all rows that may be dropped is enough: none is dropped in vain."""
        may_go = self._ok_bytes if failed or self._drops_oldest else 0
        if failed and self._drops_oldest:
            may_go = self._waiting_bytes
        return self._bytes - may_go + size <= self._max_bytes

    def _give_way(self, failed: bool) -> bool:
        """Drops one row in favour of another, if there is one to drop. Whether there was."""
        gives_ok = bool(self._holding_ok) and (failed or self._drops_oldest)
        end = 0 if self._drops_oldest else -1
        batch = self._holding_ok[end] if gives_ok else self._first()
        if not gives_ok and not (failed and self._drops_oldest and batch.failed):
            return False
        row = batch.ok[end] if gives_ok else batch.failed[0]
        size, is_last_row = len(row) + self._overhead, len(batch.ok) + len(batch.failed) == 1
        self._drop("full")
        # From here on nothing is called, which could fail on a full stack.
        if gives_ok:
            del batch.ok[end]
            batch.ok_size -= size
            self._ok_bytes -= size
            if not batch.ok:
                del self._holding_ok[end]
        else:
            del batch.failed[0]
        if is_last_row and batch is not self._last:
            del self._waiting[batch.number]
        batch.size -= size
        self._waiting_bytes -= size
        self._rows -= 1
        self._bytes -= size
        return True
