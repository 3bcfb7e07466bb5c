"""Whether a file has the bytes that were entered: computed once, and anew if the file changes."""

from __future__ import annotations

import hashlib
import os
import threading

from execlog.archive.place import Place
from execlog.errors import ArchiveError

__all__ = ["check"]

_MOST_KNOWN = 100_000  # files, as many as a read may list

_Version = tuple[int, int, int, int, int]

_known: dict[_Version, str] = {}
_lock = threading.Lock()


def check(place: Place, path: str, size: int, sha256: str) -> None:
    """Compares a file with its entry.

    The bytes of a file of the same inode, size and times are not read a second time. The time of
    its last change of any kind is among these: no program sets that one back.

    Args:
        place: The folder.
        path: The path of the file within it.
        size: The bytes that were entered.
        sha256: Their digest.

    Raises:
        ArchiveError: The file is missing or damaged, or can't be read; it is named.
    """
    whole = place.root / path
    with place.errors():
        try:
            file = open(whole, "rb")
        except (FileNotFoundError, NotADirectoryError):
            raise ArchiveError(f"{whole} is missing") from None
        with file:
            version = _version(os.fstat(file.fileno()))
            if version[2] != size:
                raise ArchiveError(f"{whole} has another size: it is damaged")
            if _known.get(version) == sha256:
                return
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ArchiveError(f"{whole} is damaged: its digest is another")
    with _lock:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[version] = sha256


def _version(found: os.stat_result) -> _Version:
    """What changes if a file is written to, or another one takes its name."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
