"""What a spool holds, and whose it is. To look changes nothing, and needs no server."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from execlog.errors import InvalidArgument
from execlog.models import Model
from execlog.recorder.spool import owner as owners
from execlog.recorder.spool.row_file import CorruptFile, NewerFormat, RowFile

__all__ = ["SpooledRecorder", "list_spool"]

_LOST_AND_FOUND = "lost+found"  # of a volume that is a spool as a whole


class SpooledRecorder(Model):
    """What lies in a spool of one recorder.

    Attributes:
        recorder: The name of its folder.
        host: Where it ran; empty if that is not known.
        pid: Its process; None if that is not known.
        application: The name of its program.
        started_at: When the recorder was made.
        state: "alive": a process has locked it, and stores it; "dead": none has, and the next
            process with this spool stores it; "newer": dead, and written by a later version of
            execlog, which has to store it; "damaged": dead, and only files are left that can't be
            read.
        rows: Executions that are not stored, as far as is known: their process may have stored some
            in its last moment. None: a later version of execlog wrote them.
        bytes: What its files take, with those that are ready to be written.
        oldest: When its first execution finished; None: there is none, or it can't be read.
        damaged_files: Files that can't be read and are set aside: they end in `.bad`.
        newer_files: Files that a later version of execlog wrote.
        log: The log that its executions are for; None: any, none of them was stored yet.
    """

    recorder: str
    host: str
    pid: int | None
    application: str
    started_at: datetime | None
    state: Literal["alive", "dead", "newer", "damaged"]
    rows: int | None
    bytes: int
    oldest: datetime | None
    damaged_files: int
    newer_files: int
    log: UUID | None


def list_spool(folder: str | os.PathLike[str]) -> list[SpooledRecorder]:
    """The recorders that have a folder in a spool, oldest first; those of this process too.

    Args:
        folder: The spool.

    Raises:
        InvalidArgument: It is no folder, can't be read, or is no spool.
    """
    if os.name != "posix":
        raise InvalidArgument("spool", "needs a POSIX system")
    path = os.path.abspath(folder)
    try:
        names = os.listdir(path)
    except OSError as error:
        raise InvalidArgument("spool", f"can't be read: {error.strerror}") from None
    others = [name for name in names if not owners.is_name(name.removeprefix("."))]
    if len(others) == len(names) and set(others) - {_LOST_AND_FOUND}:
        raise InvalidArgument("spool", "is no spool: it holds other files, and no recorder's")
    found: list[SpooledRecorder] = []
    for own in owners.listed(path):
        with contextlib.suppress(FileNotFoundError):  # it is stored meanwhile
            found.append(_recorder(own))
    return found


def _recorder(path: str) -> SpooledRecorder:
    """Raises FileNotFoundError: it is gone; InvalidArgument."""
    try:
        alive = owners.is_alive(path)
        names = sorted(os.listdir(path))
    except PermissionError as error:
        raise InvalidArgument("spool", f"can't be read: {error.strerror}") from None
    info = owners.about(path)
    version = info.get("format", owners.FORMAT)
    is_newer = not isinstance(version, int) or version > owners.FORMAT
    files = _Files(alive)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            files.look_at(os.path.join(path, name), readable=not is_newer)
    state: Literal["alive", "dead", "newer", "damaged"] = "alive" if alive else "dead"
    if not alive and not files.rows:
        if is_newer or files.newer:
            state = "newer"
        elif files.damaged:
            state = "damaged"
    return SpooledRecorder(
        recorder=os.path.basename(path),
        **_about(info),
        state=state,
        rows=None if is_newer else files.rows,
        bytes=files.bytes,
        oldest=files.oldest,
        damaged_files=files.damaged,
        newer_files=files.newer,
    )


class _Files:
    """The sum of a recorder's files."""

    def __init__(self, alive: bool) -> None:
        self._alive = alive
        self.rows = self.bytes = self.damaged = self.newer = 0
        self.oldest: datetime | None = None

    def look_at(self, path: str, *, readable: bool) -> None:
        """Adds a file. Raises FileNotFoundError: it is gone."""
        if path.endswith(".bad"):
            self.damaged += 1
        elif not path.endswith(".rows"):
            return
        elif not readable:
            self.newer += 1
        else:
            self._count(path)
        self.bytes += os.stat(path).st_size

    def _count(self, path: str) -> None:
        try:
            file = RowFile.find(path)
            if len(file) and not self.rows:
                self.oldest = _first_time(file)
            self.rows += len(file)
        except NewerFormat:
            self.newer += 1
        except CorruptFile:
            if not self._alive:  # else it is just being made
                self.damaged += 1


def _first_time(file: RowFile) -> datetime | None:
    """When the first execution in a file finished. Raises CorruptFile, FileNotFoundError."""
    content = file.read()
    times = []
    for line in (*content.ok[:1], *content.failed[:1]):
        with contextlib.suppress(ValueError):  # it has no time
            times.append(datetime.fromisoformat(line.decode().split("\t", 2)[1]))
    return min(times, default=None)


def _about(info: dict[str, Any]) -> dict[str, Any]:
    """What a recorder's folder says of it, as far as it can be understood."""
    pid = info.get("pid")
    return {
        "host": _text(info.get("host")),
        "pid": pid if isinstance(pid, int) else None,
        "application": _text(info.get("application")),
        "started_at": _parsed(datetime.fromisoformat, info.get("started_at")),
        "log": _parsed(UUID, info.get("log")),
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parsed(parse: Any, value: object) -> Any:
    try:
        return parse(value)
    except (TypeError, ValueError, AttributeError):
        return None
