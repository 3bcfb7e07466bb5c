"""What is told of the process that a recorder is in."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import BuiltinFunctionType

__all__ = ["about_process", "now", "signals_left"]

_LONGEST = 200


def about_process() -> dict[str, object]:
    """Its host, pid, application (the name of its program), and as started_at the present time.

    Never raises.
    """
    try:
        host = socket.gethostname()
    except OSError:
        host = ""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    return {
        "host": _clean(host),
        "pid": os.getpid(),
        "application": _clean(program.removeprefix("-c")) or "python",
        "started_at": now(),
    }


def now() -> str:
    """The present time by the machine's clock, in UTC. Never raises."""
    return datetime.now(UTC).isoformat()


@contextlib.contextmanager
def signals_left() -> Iterator[None]:
    """A thread that is started inside the block leaves SIGTERM to the others. Never raises.

    Python's handlers run in the main thread, which a signal does not wake that another thread got:
    that happens if it comes just when a stopped process goes on. The thread has this from its first
    moment on: it may wait long for its first line.
    """
    # Where `gevent` has put its own in place of what starts threads, none is started.
    if os.name != "posix" or not isinstance(_thread.start_new_thread, BuiltinFunctionType):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()[:_LONGEST]
