"""A process that calls candidates: `python -m execlog.replaying.worker`, started by `pool`.

A line on standard input says what to import, each later one is an execution: a digit, the place of
the first candidate that is called, and its JSON. Each call is answered by a line of JSON on
standard output: an array, or an object for anything else. Candidates have neither stream: what they
print goes to standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from time import perf_counter  # before a candidate can replace it
from typing import Any, BinaryIO

from pydantic_core import to_json

from execlog.errors import InvalidArgument
from execlog.recorder.muted import Muted, mute
from execlog.replaying.candidate import imported
from execlog.replaying.handed import execution_of
from execlog.replaying.outcome import Outcome, of_error, read_outcome

__all__ = ["main"]

_LOOK_AFTER = 64  # calls, between two looks at the memory
_PARENT_SECONDS = 1.0
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
# Of the peak that the system tells.
_PEAK_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Answers until standard input ends. Raises OSError: the parent is gone."""
    asked, told = _own_streams()
    muted = mute()
    line = asked.readline()
    if not line:  # the parent was killed meanwhile
        return
    setup = json.loads(line)
    _end_with_parent(setup["parent"])
    _limit(setup["data_bytes"])
    sys.path[:] = setup["path"]
    try:
        candidates = [imported(one["argument"], one["path"]) for one in setup["candidates"]]
    except InvalidArgument as error:
        _write(told, to_json({"failed": error.argument, "problem": error.problem}) + b"\n")
        return
    _write(told, b'{"ready": true}\n')
    _answer(asked, told, candidates, muted, setup["growth_bytes"])


def _own_streams() -> tuple[BinaryIO, int]:
    """Both pipes, out of reach of what prints and reads."""
    asked, told = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return os.fdopen(asked, "rb"), told


def _answer(
    asked: BinaryIO,
    told: int,
    candidates: Sequence[Callable[[Any], Any]],
    muted: Muted,
    growth_bytes: int,
) -> None:
    calls = most = 0
    process = os.getpid()
    for line in asked:
        for candidate in candidates[int(line[:1]) :]:
            text = _call(candidate, line[1:], muted, is_timed=calls > 0)
            if os.getpid() != process:
                os._exit(0)  # a fork by the candidate: its parent answers
            _write(told, text)
        calls += 1
        if calls == 1:  # which may have loaded what all later ones need
            most = _held() + growth_bytes
        if calls % _LOOK_AFTER == 0 and _held() > most:
            _write(told, b'{"full": true}\n')
            os._exit(0)


def _call(candidate: Callable[[Any], Any], line: bytes, muted: Muted, *, is_timed: bool) -> bytes:
    """The answer as a line. Each call has an execution of its own, which it may change.

    The first call is not timed: it loads what all later ones need.
    """
    took, before = 0.0, muted.calls
    reason: str | None
    try:
        execution = execution_of(line)
        recorded = execution.status
        begin = perf_counter()
        try:
            returned = candidate(execution)
        finally:
            took = perf_counter() - begin
        outcome, reason = read_outcome(returned, recorded)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the candidate's too
        outcome, reason = of_error(error)
    return _line(outcome, took * 1000 if is_timed else None, reason, muted.calls - before)


def _line(outcome: Outcome, took_ms: float | None, reason: str | None, calls: int) -> bytes:
    values = (outcome.status, outcome.points, outcome.case_name, outcome.error_code)
    return to_json([*values, took_ms, reason, calls]) + b"\n"


def _write(told: int, text: bytes) -> None:
    while text:
        text = text[os.write(told, text) :]


def _end_with_parent(parent: int) -> None:
    """Ends the process with its parent, even in the middle of a call that never ends.

    On Linux the system does, also where a call such as a regular expression never lets another
    thread run.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="execlog-parent").start()


def _limit(data_bytes: int) -> None:
    """A call that takes all memory gets a MemoryError, and the machine keeps the rest."""
    if hasattr(resource, "RLIMIT_DATA"):
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        given = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([data_bytes, *given]), hard))


def _held() -> int:
    """The bytes that it has in memory; where the system does not tell, the most that it has had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_BYTES


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the parent was killed
        main()
    os._exit(0)  # without waiting for threads that a candidate has left
