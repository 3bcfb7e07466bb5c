"""A recorder's files: spares to write to, those that wait, and those that a dead process left.

Each recorder has a folder of its own within the spool (`owner`), with a file (`row_file`) for each
batch of rows. A file goes when its rows are stored. Whatever may wait for the disk is done by one
thread (`worker`), in order; only `append` into a file that is there is not.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from execlog.recorder.spool.left import Left
from execlog.recorder.spool.owner import Owner, sync_folder
from execlog.recorder.spool.row_file import (
    HEADER_BYTES,
    ROW_BYTES,
    Content,
    RowFile,
    without_ok,
)
from execlog.recorder.spool.worker import Worker

__all__ = ["Spool"]

T = TypeVar("T")

_SPARES, _RESERVED = 6, 2
_SMALLEST_FILE, _SHARE = 64 * 1024, 16
_MOST_UNUSED = 64 * 1024  # of a batch's file: rows of this size must fit into what a batch leaves
_TICK_SECONDS = 0.5
_TICKS_PER_SCAN = 20
_BURST_SECONDS = 0.1
_log = logging.getLogger("execlog.recorder")


class Spool:
    """The files of one recorder.

    Args:
        folder: The spool, which `place` has prepared.
        limit: The most bytes that the recorder's own files may take. What dead processes left was
            within their limits: it is there anyway, and none of it gives way to new rows.
        batch_bytes: The rows of a batch take about so many bytes at most.
        durable: Whether rows are to outlive the machine too.
        info: What is noted of the recorder.

    Attributes:
        on_left: Called with files that dead processes left, in the spool's thread or by `open`.
        on_room: Called when a file can be had again, in the spool's thread.
        used: Bytes that the recorder's own files take.
        slow_writes: Rows whose write took more than 5 ms.
        trouble: Why no file can be made; None: they can be.
    """

    def __init__(
        self,
        folder: str,
        *,
        limit: int,
        batch_bytes: int,
        durable: bool,
        info: dict[str, Any],
    ) -> None:
        """Makes nothing yet. Never raises."""
        self._folder = folder
        self._limit = limit
        self._file_bytes = max(min(batch_bytes + _MOST_UNUSED, limit // _SHARE), _SMALLEST_FILE)
        self._durable = durable
        self._info = info
        self.on_left: Callable[[list[RowFile]], None] = list.clear
        self.on_room: Callable[[], object] = bool
        self._lock = threading.RLock()
        self._worker = Worker(self._tick, _TICK_SECONDS)
        self._owner: Owner | None = None
        self._left = Left(folder)
        self._spares: deque[RowFile] = deque()
        self._open_file: RowFile | None = None  # the one that is written, to be synced now and then
        self._synced_rows = 0
        self._is_unsynced = False
        self._number = self._ticks = 0
        self._is_open = self._closed = False
        self._is_refilling = False
        self._is_well = True
        self._promised = 0  # bytes of files that are about to be freed
        self.used = self.slow_writes = 0
        self.trouble: str | None = None

    def open(self) -> None:
        """Makes the recorder's folder and its first file, and adopts what dead processes left.

        Never raises.
        """
        if self._is_open or self._closed:
            return
        self._is_open = True
        self._begin()
        self._adopt()

    def _begin(self) -> None:
        if self._owner is not None or self._closed:
            return
        with self._lock:
            if self._owner is None:
                try:
                    self._make()
                    self._fill()
                except OSError as error:
                    self._complain(error)
        self._worker.submit(self._refill)  # which starts the thread

    def _make(self) -> None:
        """Makes the recorder's folder, if it is not there. Raises OSError."""
        with self._lock:
            if self._owner is not None and not os.path.isdir(self._owner.path):
                self._owner.abandon()  # somebody has removed it
                self._owner = None
            if self._owner is None:
                os.makedirs(self._folder, mode=0o700, exist_ok=True)
                self._owner = Owner.create(self._folder, self._info)
                if self._durable:
                    sync_folder(self._folder)

    def _adopt(self) -> None:
        if found := self._left.scan():
            self.on_left(found)

    def take(self, size: int, *, failed: bool) -> RowFile | None:
        """A new file, for a row of so many bytes and those after it; None: none can be had now.

        Args:
            size: Bytes of the row's line.
            failed: Whether it is of a failure: these may have the last spares of a full spool.

        Never raises.
        """
        if self._owner is None and not self.trouble:  # else the spool's thread tries it again
            self._begin()
        if not self._is_well or self._closed:
            return None
        needed = size + HEADER_BYTES + 2 * ROW_BYTES
        if needed > self._file_bytes:
            self._open_file = self._create_now(needed)
            self._refill_soon()
            return self._open_file
        with self._lock:
            has_one = len(self._spares) > self._kept_back(failed)
            file = self._spares.popleft() if has_one else None
        if file is None and not self.is_full() and self._is_burst():
            file = self._create_now(self._file_bytes)
        self._open_file = file
        self._refill_soon()
        return file

    def is_full(self) -> bool:
        """Whether one more file would be too many. Never raises."""
        return self.used + self._file_bytes > self._limit

    def is_nearly_full(self) -> bool:
        """Whether the files take 80 % of what they may. Never raises."""
        return self.used >= 0.8 * self._limit

    def missing_bytes(self) -> int:
        """How much is to be freed so that failures find a file; 0 or less: none. Never raises."""
        if len(self._spares) > _RESERVED:
            return 0
        return self.used - self._promised + self._file_bytes - self._limit

    def has_spare(self, *, failed: bool) -> bool:
        """Whether `take` may have a file, for a failure or for others. Never raises."""
        if self._owner is None:
            return not self.trouble
        return self._is_well and len(self._spares) > self._kept_back(failed)

    def _kept_back(self, failed: bool) -> int:
        return _RESERVED if not failed and self.is_full() else 0

    def note_slow(self) -> None:
        """Counts a write that was slow, after which rows wait in memory until the disk is well.

        Never raises.
        """
        self.slow_writes += 1
        self._is_well = False
        self._worker.submit(self._probe)

    def seal(self, file: RowFile) -> concurrent.futures.Future[None]:
        """Has a file closed that will wait for long. Never raises."""
        return self._worker.submit(lambda: self.seal_here(file))

    def seal_here(self, file: RowFile) -> None:
        """As `seal`, in the spool's thread itself. Never raises."""
        self._resize(file, file.seal)

    def sync(self, file: RowFile) -> None:
        """Has the disk keep a file, if rows are to outlive the machine. Never raises."""
        if self._durable:
            self._worker.submit(lambda: self._sync(file))

    def give_way(self, file: RowFile, freed: int) -> None:
        """Has a file rewritten without its ok runs; removed, if it counts no failures.

        Args:
            file: The file.
            freed: About how many bytes that will free. Until it is done, they count as free.

        Never raises.
        """
        with self._lock:
            self._promised += freed
        self._worker.submit(lambda: self._give_way(file, freed))

    def read(self, file: RowFile) -> concurrent.futures.Future[Content]:
        """The rows of a file. The future raises CorruptFile, OSError. Never raises."""
        return self._worker.submit(file.read)

    def note(
        self, files: list[RowFile], note: Callable[[RowFile], None]
    ) -> concurrent.futures.Future[None]:
        """Has something noted in files that may be closed. Never raises."""
        return self._for_each(files, note)

    def discard(self, file: RowFile, *, damaged: bool = False) -> None:
        """Has a file removed, or set aside because it is damaged. Never raises."""
        self._worker.submit(lambda: self._remove(file, damaged=damaged))

    def leave(self, file: RowFile, why: str) -> None:
        """Leaves alone what a dead process left, and says why. Never raises."""
        self._worker.submit(lambda: self._left.leave_file(file, why))

    def note_log(self, log: UUID) -> concurrent.futures.Future[None] | None:
        """Notes to which log rows are delivered; None: it is noted. The future raises OSError.

        Never raises.
        """
        lacking = [one for one in self._owners() if one.log() is None]
        if not lacking:
            return None
        return self._for_each(lacking, lambda one: one.note_log(log, sync=self._durable))

    def is_of(self, log: UUID) -> bool:
        """Whether the recorder's own files may be delivered to this log. Never raises."""
        return self._owner is None or self._owner.log() in (None, log)

    def withdraw(self, log: UUID) -> list[RowFile]:
        """Leaves alone what dead processes had for another log than this; returns those files.

        Never raises.
        """
        return self._left.withdraw(log)

    def close(self) -> concurrent.futures.Future[None]:
        """Removes what holds no rows, and lets others have the rest. Never raises."""
        self._closed = True
        done = self._worker.submit(self._release)
        self._worker.stop()
        return done

    def _for_each(self, ones: list[T], do: Callable[[T], None]) -> concurrent.futures.Future[None]:
        def all_of_them() -> None:
            for one in ones:
                do(one)

        return self._worker.submit(all_of_them)

    def _owners(self) -> list[Owner]:
        own = [] if self._owner is None else [self._owner]
        return own + self._left.owners()

    def _create(self, size: int) -> RowFile:
        """Raises OSError."""
        owner = self._owner
        if owner is None:
            raise FileNotFoundError(errno.ENOENT, "it has no folder")
        with self._lock:
            self._number += 1
            path = os.path.join(owner.path, f"{self._number:012}.rows")
            self.used += size
        try:
            return RowFile.create(path, size)
        except OSError:
            with self._lock:
                self.used -= size
            raise

    def _create_now(self, size: int) -> RowFile | None:
        """A file for a row that is larger than others, here and now."""
        if self._owner is None or self.used + size > self._limit:
            return None
        try:
            return self._create(size)
        except OSError as error:
            self._complain(error)
            return None

    def _is_burst(self) -> bool:
        """Whether files are used faster than spares are made, though the disk is not slow.

        A thread that lacks a processor, or Python's lock, begins its next job late.
        """
        return not self.trouble and self._worker.busy_seconds() < _BURST_SECONDS

    def _refill_soon(self) -> None:
        if not (self._is_refilling or self.trouble):
            self._is_refilling = True
            self._worker.submit(self._refill)

    def _refill(self) -> None:
        """Makes spares; in the spool's thread."""
        try:
            if not self._closed:
                self._make()
            has_more = self._fill()
            if has_more and self._durable and self._owner is not None:
                sync_folder(self._owner.path)
        except OSError as error:
            self._complain(error)
        else:
            if self.trouble:
                _log.warning("the spool has room again")
                self.trouble = None
            self.on_room()
        self._is_refilling = False
        if self._may_fill():
            self._refill_soon()  # what waited in memory took them

    def _fill(self) -> bool:
        """Whether it has made files. Raises OSError."""
        before = self._number
        while self._may_fill():
            self._spares.append(self._create(self._file_bytes))
            self._worker.begin_part()
        return self._number > before

    def _may_fill(self) -> bool:
        """Whether spares are lacking, and there is room for one."""
        return len(self._spares) < _SPARES and not (self.is_full() or self._closed)

    def _complain(self, error: OSError) -> None:
        if self.trouble is None:
            self.trouble = error.strerror or type(error).__name__
            _log.warning(
                "no file can be made in the spool (%s): executions wait in memory", self.trouble
            )

    def _probe(self) -> None:
        """Looks whether the disk is well again, after a slow write."""
        spare = self._spares[-1] if self._spares else None
        self._is_well = spare is None or not spare.touch()
        if self._is_well:
            self.on_room()

    def _tick(self) -> None:
        """What is to be done now and then; in the spool's thread."""
        if self._closed:
            return
        if not self._is_well:
            self._probe()
        if self.trouble or len(self._spares) < _SPARES:
            self._refill()
        file = self._open_file
        if self._durable and file is not None and len(file) != self._synced_rows:
            self._synced_rows = len(file)
            self._sync(file)
        self._ticks += 1
        if self._ticks % _TICKS_PER_SCAN == 0:
            self._adopt()

    def _remove(self, file: RowFile, *, damaged: bool) -> None:
        file.close()
        with contextlib.suppress(FileNotFoundError):
            if damaged:
                os.rename(file.path, f"{file.path}.bad")
                self._left.leave(f"{file.path}.bad", "is damaged")
            else:
                os.unlink(file.path)
        if not self._left.holds(file):
            with self._lock:
                self.used -= file.size
        if len(self._spares) < _SPARES:
            self._refill()
        self._left.remove(file)

    def _sync(self, file: RowFile) -> None:
        try:
            file.sync()
        except FileNotFoundError:
            """Its rows are stored."""
        except OSError as error:
            if not self._is_unsynced:
                self._is_unsynced = True
                _log.warning("spool: the disk does not take what is written (%s)", error.strerror)

    def _resize(self, file: RowFile, change: Callable[[], None]) -> None:
        before = file.size
        with contextlib.suppress(OSError):  # it keeps its size
            change()
        with self._lock:
            self.used += file.size - before
        if self._durable:
            self._sync(file)

    def _give_way(self, file: RowFile, freed: int) -> None:
        try:
            if len(file):
                self._resize(file, lambda: without_ok(file))
            else:
                self._remove(file, damaged=False)
        finally:
            with self._lock:
                self._promised -= freed

    def _release(self) -> None:
        while self._spares:
            spare = self._spares.popleft()
            spare.close()
            with contextlib.suppress(OSError):
                os.unlink(spare.path)
        for one in self._owners():
            one.release()
