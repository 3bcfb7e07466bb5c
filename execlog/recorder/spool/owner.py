"""A recorder's own folder within a spool, and the lock that tells whether it is alive.

The lock is one of the process: it ends with it, whichever way it ends, and not when it is stopped.
A forked child does not have it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any
from uuid import UUID, uuid4

if sys.platform != "win32":
    import fcntl

__all__ = ["FORMAT", "Owner", "about", "is_alive", "is_name", "listed", "sync_folder"]

FORMAT = 1
"""The version of the files' format."""

# Two files: to close one that is locked, wherever in the process, ends the lock.
_LOCK, _INFO = "lock", "owner"
_UNNAMED_SECONDS = 60.0
# A process may lock a file twice, and its closing one descriptor ends both: so it must know, and
# its threads must take turns. By name: a path can be spelled in many ways.
_owned: set[str] = set()
_turn = threading.RLock()


class Owner:
    """A recorder's folder, which this process has locked.

    Attributes:
        path: The folder.
        info: What it says of its recorder: format, host, pid, application, started_at, log.
    """

    def __init__(self, path: str, descriptor: int, info: dict[str, Any]) -> None:
        """Takes a folder that was locked. Never raises."""
        self.path = path
        self.info = info
        self._descriptor = descriptor

    @classmethod
    def create(cls, spool: str, info: dict[str, Any]) -> Owner:
        """Makes a folder, and locks it. Raises OSError."""
        name = uuid4().hex
        hidden, path = os.path.join(spool, f".{name}"), os.path.join(spool, name)
        os.mkdir(hidden, 0o700)
        descriptor = -1
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(os.path.join(hidden, _LOCK), flags, 0o600)
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owner = cls(path, descriptor, {"format": FORMAT, **info})
            owner._write(hidden, sync=False)
            with _turn:
                os.rename(hidden, path)  # only now others see it
                _owned.add(os.path.basename(path))
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            with contextlib.suppress(OSError):  # on a full disk this is tried again and again
                _remove(hidden)
            raise
        return owner

    @classmethod
    def take_over(cls, path: str) -> Owner | None:
        """Locks the folder of a process that is gone; None: it is alive, or the folder is gone.

        Raises:
            OSError: It can't be opened.
        """
        with _turn:
            return None if os.path.basename(path) in _owned else cls._lock(path)

    @classmethod
    def _lock(cls, path: str) -> Owner | None:
        """Raises OSError."""
        name = os.path.join(path, _LOCK)
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                os.rmdir(path)  # of one that died while it removed it
            return None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(name).st_ino != os.fstat(descriptor).st_ino:
                raise FileNotFoundError
        except (BlockingIOError, PermissionError, FileNotFoundError):
            os.close(descriptor)
            return None
        _owned.add(os.path.basename(path))
        return cls(path, descriptor, about(path))

    def note_log(self, log: UUID, *, sync: bool) -> None:
        """Notes to which log its rows are delivered; on the disk too, if asked. Raises OSError."""
        self.info |= {"log": str(log)}
        try:
            self._write(self.path, sync=sync)
        except OSError:
            del self.info["log"]
            raise

    def log(self) -> UUID | None:
        """To which log its rows were delivered; None: to none yet, or it is not known.

        Never raises.
        """
        try:
            return UUID(self.info["log"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def release(self) -> None:
        """Ends the lock, and removes the folder if no file is left in it. Never raises."""
        with contextlib.suppress(OSError):
            if not set(os.listdir(self.path)) - {_LOCK, _INFO, f".{_INFO}"}:
                _remove(self.path)
        self.abandon()

    def abandon(self) -> None:
        """Ends the lock. Never raises."""
        with _turn:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            _owned.discard(os.path.basename(self.path))

    def _write(self, folder: str, *, sync: bool) -> None:
        """In one step: the file is there before and after, whole."""
        path = os.path.join(folder, f".{_INFO}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(self.info).encode())
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(path, os.path.join(folder, _INFO))


def about(path: str) -> dict[str, Any]:
    """What a recorder's folder says of it; empty if it can't be read. Never raises."""
    try:
        with open(os.path.join(path, _INFO), "rb") as opened:
            info = json.loads(opened.read())
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def is_alive(path: str) -> bool:
    """Whether a process has locked a recorder's folder.

    Raises:
        OSError: The lock can't be opened; FileNotFoundError: the folder is gone.
    """
    with _turn:
        if os.path.basename(path) in _owned:
            return True
        with open(os.path.join(path, _LOCK), "rb") as lock:
            try:
                # Shared: two that ask at once don't take each other for the owner.
                fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return True
            return False


def listed(spool: str) -> list[str]:
    """The paths of all recorders' folders, oldest first. Never raises.

    What a process left that died while it made its folder is removed.
    """
    found: list[tuple[float, str]] = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(spool):
            with contextlib.suppress(OSError):
                changed = entry.stat(follow_symlinks=False).st_mtime
                if entry.name.startswith("."):
                    if time.time() - changed > _UNNAMED_SECONDS:
                        _remove_unnamed(entry.path)
                elif is_name(entry.name) and entry.is_dir(follow_symlinks=False):
                    found.append((changed, entry.path))
    return [path for _, path in sorted(found)]


def sync_folder(path: str) -> None:
    """Returns when the disk has the names in a folder.

    Raises:
        OSError: It has not.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unnamed(path: str) -> None:
    if is_name(os.path.basename(path)[1:]):
        _remove(path)


def is_name(name: str) -> bool:
    """Whether it is that of a recorder's folder, and not of another one. Never raises."""
    return len(name) == 32 and not name.strip("0123456789abcdef")


def _remove(path: str) -> None:
    for name in (f".{_INFO}", _INFO, _LOCK):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, name))
    os.rmdir(path)


def _forget() -> None:
    """The locks stay the parent's."""
    global _turn
    _turn = threading.RLock()
    _owned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
