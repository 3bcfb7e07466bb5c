"""What is told of the process that a recorder is in."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from datetime import UTC, datetime

__all__ = ["about_process", "leave_signals", "now"]

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


def leave_signals() -> None:
    """Leaves SIGTERM to other threads. A thread of our own calls it. Never raises.

    Python's handlers run in the main thread, which a signal does not wake that another thread got:
    that happens if it comes just when a stopped process goes on.
    """
    # (With gevent it may be the main thread itself, whose native id is the process's.)
    if sys.platform == "linux" and threading.get_native_id() != os.getpid():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def now() -> str:
    """The present time by the machine's clock, in UTC. Never raises."""
    return datetime.now(UTC).isoformat()


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()[:_LONGEST]
