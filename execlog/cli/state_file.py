"""A file of state, which one process holds at a time and which is whole whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from execlog.errors import ExeclogError
from execlog.whole_file import replace_file

if sys.platform != "win32":
    import fcntl

__all__ = ["StateUnavailable", "held_file", "read_file", "write_file"]

_POLL_SECONDS = 0.05


class StateUnavailable(ExeclogError):
    """A state can't be read, held or kept."""


@contextlib.asynccontextmanager
async def held_file(path: Path, *, by: str, patience: float) -> AsyncIterator[None]:
    """Holds a file, by a file `.lock` beside it, which stays; the hold ends with the process.

    Args:
        path: The file.
        by: What else may hold it, for the message.
        patience: Seconds that another process is waited for.

    Raises:
        StateUnavailable: Another process holds it, or it can't be held.
    """
    if sys.platform == "win32":
        raise StateUnavailable("--state: there are no locks of files here: leave it out")
    with _understood():
        descriptor = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        last = time.monotonic() + patience
        while True:
            with contextlib.suppress(BlockingIOError), _understood():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > last:
                raise StateUnavailable(f"--state: {by} holds the file")
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes | None:
    """What the file holds; None: there is none. Raises StateUnavailable: it can't be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe may never end
            raise StateUnavailable("--state: is no file")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unavailable(error) from None


def write_file(path: Path, held: bytes) -> None:
    """Replaces the file as a whole. Raises StateUnavailable: it can't be written."""
    with _understood():
        replace_file(path, held)


def _lock_of(path: Path) -> str:
    """That of the file itself, if the path is a link to it: both are one state."""
    return f"{os.path.realpath(path)}.lock"


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """Errors of files as ours; a lock that is held stays what it is."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise _unavailable(error) from None


def _unavailable(error: OSError) -> StateUnavailable:
    # Raised without its cause, which `main` would take for that of a server that is away.
    return StateUnavailable(f"--state: {error.strerror or 'failed'}")
