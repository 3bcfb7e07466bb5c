"""A worker process by itself."""

from __future__ import annotations

import subprocess
import sys


def test_without_a_parent_it_ends_and_says_nothing() -> None:
    command = [sys.executable, "-P", "-m", "execlog.replay.worker"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
