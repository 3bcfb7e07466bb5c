"""A worker process by itself, whose parent is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

COMMAND = [sys.executable, "-P", "-m", "execlog.replaying.worker"]


def test_before_it_is_told_anything_it_ends_and_says_nothing() -> None:
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_while_it_answers_it_ends_and_says_nothing() -> None:
    setup = {
        "parent": os.getpid(),
        "path": sys.path,
        "candidates": [{"argument": "evaluate", "path": "builtins:len"}],
        "data_bytes": 2**34,
        "growth_bytes": 2**34,
    }
    taken, told = os.pipe()
    os.close(taken)
    given = json.dumps(setup).encode() + b"\n"
    done = subprocess.run(COMMAND, input=given, stdout=told, stderr=subprocess.PIPE, timeout=20)
    os.close(told)
    assert (done.returncode, done.stderr) == (0, b"")
