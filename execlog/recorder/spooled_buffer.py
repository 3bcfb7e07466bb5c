"""A buffer whose rows lie in files, so that they outlive the process.

Each batch has a file. Its rows are in memory too while few batches wait, and while they are written
to the store. While no file can be had, because the disk is full or slow, batches are in memory as
those of `Buffer`, and move to files as soon as there are some.
"""

from __future__ import annotations

import time
from collections import deque

from execlog.recorder.buffer import Batch, Buffer, Policy
from execlog.recorder.identity import Claim
from execlog.recorder.spool.row_file import Content, RowFile, bytes_of
from execlog.recorder.spool.spool import Spool

__all__ = ["SpooledBuffer"]

_KEPT_OPEN = 8  # files of waiting batches that stay open: most are stored at once


class SpooledBuffer(Buffer):
    """The waiting executions, in files, and the account of all that were offered.

    Args:
        spool: The files.
        max_rows: As of `Buffer`, of rows in memory.
        max_bytes: Likewise.
        batch_rows: Rows of a full batch.
        batch_bytes: Bytes of a full batch.
        policy: Which row is dropped if there is no room.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        max_rows: int | None,
        max_bytes: int,
        batch_rows: int,
        batch_bytes: int,
        policy: Policy,
    ) -> None:
        """Makes an empty buffer. Never raises."""
        self._spool = spool
        self._holding_ok_files: deque[Batch] = deque()  # waiting, and not the last one
        self._loaded_bytes = 0  # of the files that are being written
        spool.on_room = self.move_to_files
        super().__init__(
            max_rows=max_rows,
            max_bytes=max_bytes,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            policy=policy,
        )

    def add(self, line: bytes, failed: bool, altered: tuple[str, ...] = ()) -> tuple[bool, bool]:
        """As that of `Buffer`: what it takes is in a file when it returns, if one can be had.

        Never raises.
        """
        with self._lock:
            batch = self._last
            file = batch.file
            if file is None or file.room < len(line):
                if self._closed or len(line) + self._overhead > self._max_bytes:
                    return super().add(line, failed, altered)
                batch = self._turn(len(line), failed)
                file = batch.file
                if file is None:
                    if self._make_room_in_files(failed):
                        return super().add(line, failed, altered)
                    self._drop("full")
                    self._offered += 1
                    return False, False
            elif self._closed:
                return super().add(line, failed, altered)
            slow = file.append(line, failed)
            if altered:
                for change in altered:
                    self._altered[change] = self._altered.get(change, 0) + 1
            self._offered += 1
            self._away += 1
            rows = file.ok_rows + file.failed_rows
            if rows == 1:
                batch.began = time.monotonic()
            if rows >= self._batch_rows or slow:
                self._begin_next()
                self.writer_sleeps = True
                if slow:
                    self._spool.note_slow()
            wake, self.writer_sleeps = self.writer_sleeps, False
            return True, wake

    def adopt(self, files: list[RowFile]) -> None:
        """Takes files that a dead process left, behind those that wait. Never raises.

        They never give way: they take no room of the recorder's own.
        """
        with self._lock:
            if len(self._last):
                self._begin_next()
            number = self._last.number
            del self._waiting[number]
            for file in files:
                batch = Batch(number, file=file, is_adopted=True, is_sealed=True)
                self._waiting[number] = batch
                self._recovered += len(file)
                self._away += len(file)
                number += 1
            self._last = Batch(number)
            self._waiting[number] = self._last

    def withdraw(self, files: list[RowFile]) -> None:
        """Gives up files that were adopted: they are not for this log. Never raises."""
        gone = set(files)
        with self._lock:
            for batch in [one for one in self._waiting.values() if one.file in gone]:
                self._recovered -= len(batch)
                self._away -= len(batch)
                del self._waiting[batch.number]

    def take(self, *, full: bool) -> Batch | None:
        """As that of `Buffer`; the rows of a batch with a file are to be loaded. Never raises."""
        with self._lock:
            batch = super().take(full=full)
            if batch is not None:
                self._forget(batch)
            return batch

    def load(self, batch: Batch, content: Content | None) -> None:
        """Has the rows of a batch that was taken in memory; those that are lost are dropped.

        Args:
            batch: The batch.
            content: What its file holds; None: it can't be read.

        Never raises.
        """
        ok, failed = ([], []) if content is None else (content.ok, content.failed)
        found = len(ok) + len(failed)
        with self._lock:
            lost = len(batch) - found
            self._away -= len(batch)
            self._loaded_bytes = self._loaded and self._loaded_bytes
            self._loaded_bytes += batch.file.row_bytes() if batch.file else 0
            batch.ok, batch.failed = ok, failed
            self._rows += found
            self._loaded += found
            self._bytes += sum(map(self.size_of, batch.rows()))
            if lost > 0:
                batch.is_damaged = content is None or not content.is_torn
                self._drop("damaged" if batch.is_damaged else "torn", lost)
            else:
                self._recovered -= lost  # ok runs that gave way in its process's last moment

    def uncount(self, lines: list[bytes], *, last: bool) -> None:
        """Takes rows back from those recovered: their own process had stored them.

        Args:
            lines: Rows of a batch that was adopted.
            last: Whether these are the last rows of the batch.

        Never raises.
        """
        with self._lock:
            self._recovered -= len(lines)
            self._written -= len(lines)
            self.settle(lines, last=last)

    def put_back(self, lines: list[bytes]) -> None:
        """Leaves rows that were taken to their files, since the recorder ends. Never raises."""
        with self._lock:
            self._rows -= len(lines)
            self._bytes -= sum(map(self.size_of, lines))
            self._away += len(lines)
            self._loaded = self._taken = 0

    def keep(self, lines: list[bytes], claim: Claim | None) -> bool:
        """Writes rows that were taken to a file, since the recorder ends; whether there is one.

        Args:
            lines: Rows that are in no file.
            claim: What the last transaction claimed, which may have stored them.

        Never raises.
        """
        with self._lock:
            file = self._spool.take(bytes_of(lines), failed=True)
            if file is None:
                return False
            if claim is not None:
                file.note(claim)
            for line in lines:
                file.append(line, True)  # it is not known any more, and not looked at
            self.put_back(lines)
        self._spool.seal(file)
        return True

    def clear(self, reason: str) -> None:
        """As that of `Buffer`; what lies in files stays there, for another process. Never raises.

        It counts as pending. What waits in memory goes to files too, if any can be had.
        """
        with self._lock:
            in_memory = [one for one in self._waiting.values() if one.file is None and len(one)]
            all(self._move_to_file(batch) for batch in in_memory)
            left = [batch.file for batch in self._waiting.values()]
            super().clear(reason)
            self._holding_ok_files.clear()
        for file in left:
            if file is not None and file.is_mapped:
                self._spool.seal(file)

    def move_to_files(self) -> None:
        """Has what waits in memory in files, as far as some are ready; in the spool's thread.

        Never raises.
        """
        while self._waiting_bytes:
            with self._lock:
                waiting = self._waiting.values()
                batch = next((one for one in waiting if one.file is None and len(one)), None)
                if batch is None or not self._spool.has_spare(failed=bool(batch.failed)):
                    return
                if not self._move_to_file(batch):
                    return
                file = None if batch is self._last else batch.file
            if file is not None:
                self._spool.seal_here(file)  # there may be hundreds of them

    def is_safe(self) -> bool:
        """Whether all that is pending lies in files. Never raises."""
        with self._lock:
            return self._rows == self._loaded

    def spooled_bytes(self) -> int:
        """Bytes that the rows in files take. Never raises."""
        with self._lock:
            waiting = sum(one.file.row_bytes() for one in self._waiting.values() if one.file)
            return waiting + (self._loaded_bytes if self._loaded else 0)

    def is_nearly_full(self) -> bool:
        """As that of `Buffer`, or whether the files take 80 % of what they may. Never raises."""
        return self._spool.is_nearly_full() or super().is_nearly_full()

    def _begin_next(self) -> None:
        filled = self._last
        super()._begin_next()
        if filled.file is None:
            return
        if filled.file.ok_rows:
            self._holding_ok_files.append(filled)
        if len(self._waiting) > _KEPT_OPEN:
            filled.is_sealed = True
            self._spool.seal(filled.file)
        else:
            self._spool.sync(filled.file)

    def _move_to_file(self, batch: Batch) -> bool:
        rows = len(batch)
        file = self._spool.take(bytes_of(batch.rows()), failed=bool(batch.failed))
        if file is None:
            return False
        for lines, failed in ((batch.ok, False), (batch.failed, True)):
            for line in lines:
                file.append(line, failed)
        self._rows -= rows
        self._away += rows
        self._bytes -= batch.size
        self._waiting_bytes -= batch.size
        self._ok_bytes -= batch.ok_size
        if batch in self._holding_ok:
            self._holding_ok.remove(batch)
        batch.file, batch.ok, batch.failed, batch.size, batch.ok_size = file, [], [], 0, 0
        if batch is not self._last:
            if file.ok_rows:
                self._holding_ok_files.append(batch)
            batch.is_sealed = True
        return True

    def _turn(self, size: int, failed: bool) -> Batch:
        """The batch that takes a row for which the last one has no room; it may have no file."""
        last = self._last
        if len(last) and (last.file is not None or self._spool.has_spare(failed=failed)):
            self._begin_next()
            self.writer_sleeps = True
            last = self._last
        self._make_room_in_files(failed)
        if not len(last):
            last.file = self._spool.take(size, failed=failed)
        return last

    def _make_room_in_files(self, failed: bool) -> bool:
        """Drops rows until failures find a file, if that can be. Whether they do.

        The spool's thread frees less than it promised, or takes room for a file, at any time.
        """
        while self._spool.missing_bytes() > 0:
            may_drop = failed or self._drops_oldest
            if not (may_drop and self._give_way_in_files(failed)):
                return False
        return True

    def _give_way_in_files(self, failed: bool) -> int:
        """Drops ok runs of a batch, else old failures; about how many bytes that will free."""
        if self._holding_ok_files:
            batch = self._holding_ok_files[0 if self._drops_oldest else -1]
            rows = batch.file.ok_rows if batch.file else 0
        elif failed and self._drops_oldest:
            own = (one for one in self._waiting.values() if one.file and not one.is_adopted)
            batch = next(own, self._last)
            rows = len(batch)
        else:
            return 0
        file = batch.file
        if file is None or batch is self._last:
            return 0
        freed = file.size * rows // len(file)
        self._drop("full", rows)
        self._forget(batch)
        self._away -= rows
        file.ok_rows, file.failed_rows = 0, len(file) - rows
        batch.is_sealed = True
        if not len(file):
            del self._waiting[batch.number]
        self._spool.give_way(file, freed)
        return freed

    def _forget(self, batch: Batch) -> None:
        """It is taken, or has no ok runs any more."""
        holding = self._holding_ok_files
        if holding and holding[0] is batch:
            holding.popleft()
        elif batch in holding:
            holding.remove(batch)
