"""What dead processes left in a spool, and a recorder has taken over."""

from __future__ import annotations

import logging
import os
import threading
from uuid import UUID

from execlog.recorder.spool import owner as owners
from execlog.recorder.spool.owner import Owner
from execlog.recorder.spool.row_file import CorruptFile, NewerFormat, RowFile

__all__ = ["Left"]

_log = logging.getLogger("execlog.recorder")


class Left:
    """The folders of dead recorders that this one has locked, and their files.

    Args:
        folder: The spool.
    """

    def __init__(self, folder: str) -> None:
        """Takes over nothing yet. Never raises."""
        self._folder = folder
        self._lock = threading.RLock()
        self._taken: dict[str, tuple[Owner, set[RowFile]]] = {}  # by path
        self._ignored: set[str] = set()

    def scan(self) -> list[RowFile]:
        """Takes over the files of those that are dead now, oldest first. Never raises."""
        found: list[RowFile] = []
        for path in owners.listed(self._folder):
            if path not in self._ignored:
                try:
                    found += self._take_over(path)
                except OSError as error:
                    self.leave(path, f"can't be read ({error.strerror})")
        return found

    def owners(self) -> list[Owner]:
        """Whose files they are. Never raises."""
        with self._lock:
            return [one for one, _ in self._taken.values()]

    def holds(self, file: RowFile) -> bool:
        """Whether a file is one of them. Never raises."""
        with self._lock:
            return os.path.dirname(file.path) in self._taken

    def withdraw(self, log: UUID) -> list[RowFile]:
        """Leaves alone what dead processes had for another log than this; returns those files.

        Never raises.
        """
        files: list[RowFile] = []
        with self._lock:
            for path, (one, left) in list(self._taken.items()):
                if one.log() not in (None, log):
                    files += left
                    del self._taken[path]
                    self.leave(path, "is of another log")
                    one.abandon()
        return files

    def remove(self, file: RowFile) -> None:
        """Forgets a file that is gone, and removes its folder with the last one. Never raises."""
        folder = os.path.dirname(file.path)
        with self._lock:
            one, files = self._taken.get(folder, (None, set()))
            files.discard(file)
            if one is not None and not files:
                del self._taken[folder]
                one.release()

    def leave_file(self, file: RowFile, why: str) -> None:
        """Leaves a file alone that was taken over: a later process may store it. Never raises."""
        self.leave(file.path, why)
        self.remove(file)

    def leave(self, path: str, why: str) -> None:
        """Leaves a folder or a file alone from now on, and says so once. Never raises."""
        if path not in self._ignored:
            self._ignored.add(path)
            _log.warning(
                "spool: %s %s, and is left alone", os.path.relpath(path, self._folder), why
            )

    def _take_over(self, path: str) -> list[RowFile]:
        """Raises OSError."""
        one = Owner.take_over(path)
        if one is None:
            return []
        version = one.info.get("format", owners.FORMAT)
        if not isinstance(version, int) or version > owners.FORMAT:
            one.abandon()
            self.leave(path, "was written by a later version of execlog")
            return []
        files: list[RowFile] = []
        for name in _names(path):
            if os.path.join(path, name) in self._ignored:
                continue
            try:
                files += self._found(os.path.join(path, name))
            except OSError as error:
                self.leave(os.path.join(path, name), f"can't be read ({error.strerror})")
        if not files:
            one.release()
            if os.path.exists(path):
                self._ignored.add(path)  # only files are left that were set aside
            return []
        with self._lock:
            self._taken[path] = one, set(files)
        return files

    def _found(self, path: str) -> list[RowFile]:
        """The file there, if it is one that holds rows. Raises OSError."""
        if path.endswith(".new"):  # its process died while it rewrote one
            os.unlink(path)
        if not path.endswith(".rows"):
            return []
        try:
            file = RowFile.find(path)
        except NewerFormat:
            self.leave(path, "was written by a later version of execlog")
            return []
        except CorruptFile:
            os.rename(path, f"{path}.bad")
            self.leave(f"{path}.bad", "is damaged")
            return []
        if not len(file):
            os.unlink(path)
            return []
        return [file]


def _names(folder: str) -> list[str]:
    """The names in a folder, in order; none if it can't be read. Never raises."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
