"""A file of rows that wait: what outlives a process that is killed.

The format, version 1:

    header, 128 bytes:  b"execlog1"
                        how many rows are of ok runs, and of failures (uint32 each); both 0: count
                        CRC-32 of the claim (uint32)
                        the claim: the recorder's id, the batch's number (uint64), the last token
                        CRC-32 of the two counts (uint32)
    each row:           CRC-32 of what follows (uint32)
                        length (uint32; the highest bit tells whether the run failed)
                        the row, as a line of COPY's text format, with its end
    the end:            a length of 0, or the end of the file

All numbers are little-endian. A file is allocated in full before it is used: then a full disk is an
error while it is made, and never one of a write into it.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from execlog.recorder.identity import Claim

if sys.platform != "win32":
    import resource

__all__ = [
    "HEADER_BYTES",
    "ROW_BYTES",
    "Content",
    "CorruptFile",
    "NewerFormat",
    "RowFile",
    "bytes_of",
    "without_ok",
]

HEADER_BYTES = 128
"""The bytes of a file before its first row."""

ROW_BYTES = 8
"""The bytes before each row."""

_MAGIC, _FAMILY = b"execlog1", b"execlog"
_COUNTS, _CLAIM, _ROW = struct.Struct("<II"), struct.Struct("<16sQ16s"), struct.Struct("<II")
_COUNTS_AT, _CLAIM_AT, _CHECK_AT = 8, 16, 60
_FAILED = 0x8000_0000
_SLOW_NS = 5_000_000
_NO_TOKEN = bytes(16)
_TELLS_WAITS = sys.platform == "linux"


class CorruptFile(Exception):
    """It is no file of rows, or its header is damaged."""


class NewerFormat(Exception):
    """It was written by a later version of execlog."""


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        ok: The lines of ok runs, in order.
        failed: The lines of failures.
        claim: What the last transaction claimed that was to store them; None: there was none.
        lost: Rows that can't be read.
        is_torn: Whether that is only what was being written when its process died.
    """

    ok: list[bytes]
    failed: list[bytes]
    claim: Claim | None
    lost: int
    is_torn: bool


class RowFile:
    """A file of rows, mapped into memory while it is written.

    Its rows are in memory too while it is mapped: most are stored soon, and to read 2,000 of them
    back takes 0.7 ms of the event loop.

    Args:
        path: Where it is.
        size: Its bytes.
        descriptor: The open file; -1: it is not open.

    Attributes:
        path: Where it is.
        size: The bytes that it takes.
        ok_rows: Its rows of ok runs.
        failed_rows: Its rows of failures.
        room: Bytes left for rows.
        is_mapped: Whether it can be written.
    """

    __slots__ = (
        "_descriptor",
        "_end",
        "_lines",
        "_map",
        "_touched",
        "failed_rows",
        "is_mapped",
        "ok_rows",
        "path",
        "room",
        "size",
    )

    def __init__(self, path: str, size: int, descriptor: int = -1) -> None:
        """Maps it, if it is open. Raises OSError."""
        self.path, self.size = path, size
        self.ok_rows = self.failed_rows = 0
        self._end, self._touched, self._descriptor = HEADER_BYTES, 0, descriptor
        self._lines: tuple[list[bytes], list[bytes]] = ([], [])  # of ok runs, and failures
        self.is_mapped = descriptor >= 0
        if self.is_mapped:
            self._map = mmap.mmap(descriptor, size)
        self.room = size - HEADER_BYTES - ROW_BYTES if self.is_mapped else 0

    @classmethod
    def create(cls, path: str, size: int) -> RowFile:
        """Makes an empty file, and allocates it in full.

        Raises:
            OSError: It can't be: the disk may be full. Nothing is left behind.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(descriptor, size)
            file = cls(path, size, descriptor)
            file._map[: len(_MAGIC)] = _MAGIC
            return file
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise

    @classmethod
    def find(cls, path: str) -> RowFile:
        """The file of a process that is gone; its rows are counted.

        Raises:
            CorruptFile: It is none, or its header is damaged.
            NewerFormat: A later version of execlog wrote it.
            OSError: It can't be read.
        """
        file = cls(path, os.stat(path).st_size)
        with open(path, "rb") as opened:
            header = opened.read(HEADER_BYTES)
            if not header.strip(b"\0") and not opened.read().strip(b"\0"):
                return file  # its process died while it made it
            _check(header)
            ok, failed = _counts_of(header)
            if not ok + failed:
                content = _content(header + opened.read())
                ok, failed = len(content.ok), len(content.failed) + content.lost
        file.ok_rows, file.failed_rows = ok, failed
        file._end = file.size
        return file

    def __len__(self) -> int:
        """The number of rows."""
        return self.ok_rows + self.failed_rows

    def row_bytes(self) -> int:
        """The bytes that its rows take. Never raises."""
        return self._end - HEADER_BYTES

    def append(self, line: bytes, failed: bool) -> bool:
        """Writes a row, for which there is room; whether it waited for the disk for more than 5 ms.

        A thread that lacked a processor for so long has not waited for the disk. Never raises.
        """
        word = len(line) | _FAILED if failed else len(line)
        frame = _ROW.pack(zlib.crc32(line, word), word) + line
        size = len(frame)
        # The call costs 0.4 us, and a page that was written before hardly ever waits.
        is_new_page = ((self._end - 1) ^ (self._end + size - 1)) >= mmap.PAGESIZE
        waits = _waits() if is_new_page else None
        started = time.perf_counter_ns()
        # Nothing is called between these: a signal handler that records must find another place.
        begin = self._end
        self._end = end = begin + size
        self.room -= size
        self._map[begin:end] = frame
        self._lines[failed].append(line)
        slow = time.perf_counter_ns() - started > _SLOW_NS and _has_waited(waits)
        if failed:
            self.failed_rows += 1
        else:
            self.ok_rows += 1
        return slow

    def touch(self) -> bool:
        """Writes to a page that was not written yet; whether it waited for more than 5 ms.

        It must hold no row. Never raises.
        """
        self._touched += mmap.PAGESIZE
        if self._touched >= self.size:
            self._touched = HEADER_BYTES
        waits, started = _waits(), time.perf_counter_ns()
        self._map[self._touched] = 0
        return time.perf_counter_ns() - started > _SLOW_NS and _has_waited(waits)

    def note(self, claim: Claim) -> None:
        """Notes what the next transaction claims. Raises OSError, unless it is mapped."""
        last = _NO_TOKEN if claim.last_token is None else claim.last_token.bytes
        packed = _CLAIM.pack(claim.recorder_id.bytes, claim.number, last)
        self._put(_CLAIM_AT, zlib.crc32(packed).to_bytes(4, "little") + packed)

    def seal(self) -> None:
        """Notes how many rows there are, cuts what is not used, and closes it. Raises OSError."""
        if not self.is_mapped:
            return
        counts = _COUNTS.pack(self.ok_rows, self.failed_rows)
        self._put(_CHECK_AT, zlib.crc32(counts).to_bytes(4, "little"))
        self._put(_COUNTS_AT, counts)
        self._unmap()
        try:
            os.ftruncate(self._descriptor, self._end)
            self.size = self._end
        finally:
            self.close()

    def sync(self) -> None:
        """Returns when the disk has it. Raises OSError."""
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)
            return
        with self._opened() as descriptor:
            os.fdatasync(descriptor)

    def read(self) -> Content:
        """All rows, and the last claim.

        Raises:
            CorruptFile: It is damaged.
            NewerFormat: A later version of execlog wrote it.
            OSError: It can't be read.
        """
        if self.is_mapped:
            ok, failed = self._lines
            return Content(ok, failed, _claim_of(self._map[:HEADER_BYTES]), 0, is_torn=False)
        with open(self.path, "rb") as opened:
            return _content(opened.read())

    def close(self) -> None:
        """Closes it. Never raises."""
        self._unmap()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _unmap(self) -> None:
        if self.is_mapped:
            self.is_mapped, self.room, self._lines = False, 0, ([], [])
            self._map.close()

    def _put(self, place: int, data: bytes) -> None:
        if self.is_mapped:
            self._map[place : place + len(data)] = data
            return
        with self._opened() as descriptor:
            os.pwrite(descriptor, data, place)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def bytes_of(lines: Iterable[bytes]) -> int:
    """The bytes that rows with these lines take in a file. Never raises."""
    return sum(len(line) + ROW_BYTES for line in lines)


def without_ok(file: RowFile) -> None:
    """Rewrites a file without its ok runs.

    Raises:
        CorruptFile: It is damaged.
        OSError: It can't be rewritten; it stays as it is.
    """
    content = file.read()
    size = HEADER_BYTES + 2 * ROW_BYTES + bytes_of(content.failed)
    new = RowFile.create(f"{file.path}.new", size)
    for line in content.failed:
        new.append(line, True)
    if content.claim is not None:
        new.note(content.claim)
    new.seal()
    os.rename(new.path, file.path)
    file.close()
    file.size = new.size


def _waits() -> int:
    """How often this thread has waited, for a disk or anything else, since it began."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if _TELLS_WAITS else 0


def _has_waited(since: int | None) -> bool:
    return since is not None and (not _TELLS_WAITS or _waits() > since)


def _allocate(descriptor: int, size: int) -> None:
    """Raises OSError."""
    made = size
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        made = size // 2  # most batches fill less; and what is made, a sync has to write
    # The system's pages are made here, where others may go on meanwhile, and many at once: with
    # those that `append` would have to make, 2,000 rows take 1.5 ms instead of 1.2.
    if os.pwrite(descriptor, bytes(made), 0) < made:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _check(header: bytes) -> None:
    """Raises CorruptFile, NewerFormat."""
    if header[: len(_MAGIC)] != _MAGIC:
        version = header[len(_FAMILY) : len(_MAGIC)]
        if header.startswith(_FAMILY) and version > _MAGIC[-1:]:
            raise NewerFormat
        raise CorruptFile
    if len(header) < HEADER_BYTES:
        raise CorruptFile


def _content(data: bytes) -> Content:
    """Raises CorruptFile, NewerFormat."""
    _check(data[:HEADER_BYTES])
    lines: tuple[list[bytes], list[bytes]] = ([], [])
    place, gaps = _read_rows(data, HEADER_BYTES, lines), 0
    end = len(data.rstrip(b"\0"))
    for begin in range(place + 1, end):
        # Rows behind one that can't be read are whole: only where they begin is not known.
        if begin > place and (after := _read_rows(data, begin, lines)) > begin:
            place, gaps = after, gaps + 1
    ok, failed = lines
    counted = sum(_counts_of(data))
    lost = max(counted - len(ok) - len(failed), 0) if counted else gaps + (place < end)
    return Content(ok, failed, _claim_of(data), lost, is_torn=not counted and not gaps)


def _read_rows(data: bytes, place: int, lines: tuple[list[bytes], list[bytes]]) -> int:
    """Reads rows from a place on, up to one that can't be read; returns where that is."""
    end = len(data) - ROW_BYTES
    crc32, unpack = zlib.crc32, _ROW.unpack_from
    while place <= end:
        checksum, word = unpack(data, place)
        begin = place + ROW_BYTES
        after = begin + (word & ~_FAILED)
        if begin == after or after > end + ROW_BYTES:
            break
        line = data[begin:after]
        if crc32(line, word) != checksum:
            break
        lines[word >= _FAILED].append(line)
        place = after
    return place


def _counts_of(header: bytes) -> tuple[int, int]:
    """How many rows of ok runs and of failures it says that there are; (0, 0): it does not."""
    counts = header[_COUNTS_AT:_CLAIM_AT]
    checksum = int.from_bytes(header[_CHECK_AT : _CHECK_AT + 4], "little")
    ok, failed = _COUNTS.unpack(counts)
    return (ok, failed) if zlib.crc32(counts) == checksum else (0, 0)


def _claim_of(data: bytes) -> Claim | None:
    checksum = int.from_bytes(data[_CLAIM_AT : _CLAIM_AT + 4], "little")
    packed = data[_CLAIM_AT + 4 : _CLAIM_AT + 4 + _CLAIM.size]
    recorder, number, last = _CLAIM.unpack(packed)
    if not number or zlib.crc32(packed) != checksum:
        return None  # none was made, or its process died while it noted it: it was not sent
    return Claim(
        UUID(bytes=recorder),
        number,
        UUID(bytes=_NO_TOKEN),
        None if last == _NO_TOKEN else UUID(bytes=last),
    )
