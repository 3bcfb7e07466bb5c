"""What is told of the process that a recorder is in."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime

__all__ = ["about_process", "now"]

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


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()[:_LONGEST]
