"""Candidates for replays that worker processes import: good ones, and each kind of bad one."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import re
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import execlog
from execlog import Outcome, StrategyExecutionLog
from tests.rows import T0, row

RECORDER_DSN = "postgresql://nowhere.invalid/none"
_kept: list[bytes] = []
_loaded: list[bool] = []
_recorder: list[execlog.ExecutionRecorder] = []


def amount(execution: StrategyExecutionLog) -> float:
    """What the run was given."""
    given: Any = execution.input
    return float(given["amount"])


def decide(execution: StrategyExecutionLog, threshold: float = 50) -> Outcome:
    """The decision of the log: gold from the threshold on."""
    if amount(execution) >= threshold:
        return Outcome("ok", 10.0, "gold")
    return Outcome("ok", 1.0, None)


def higher(execution: StrategyExecutionLog) -> Outcome:
    """The threshold is 60."""
    return decide(execution, 60)


def logged(number: int, **changes: Any) -> StrategyExecutionLog:
    """A run of `decide`."""
    usual = {
        "created_at": T0 + timedelta(seconds=number),
        "external_user_id": f"u{number % 7}",
        "input": {"amount": number},
    }
    decided = dataclasses.asdict(decide(row(**usual)))
    return row(**{**usual, **decided, **changes})


def repeat(execution: StrategyExecutionLog) -> Outcome:
    """What the log says."""
    one = execution
    return Outcome(one.status, one.points, one.case_name, one.error_code)


def hangs(execution: StrategyExecutionLog) -> Outcome:
    """Every fiftieth one never ends."""
    while amount(execution) % 50 == 3:
        pass
    return decide(execution)


def sleeps(execution: StrategyExecutionLog) -> Outcome:
    """The same in a system call."""
    if amount(execution) % 50 == 3:
        time.sleep(3600)
    return decide(execution)


def raises(execution: StrategyExecutionLog) -> Outcome:
    """Each kind of exception."""
    kinds = {3: ValueError("no\ud800good"), 4: TimeoutError("late"), 5: KeyboardInterrupt()}
    if (kind := kinds.get(int(amount(execution)) % 10)) is not None:
        raise kind
    return decide(execution)


def prints(execution: StrategyExecutionLog) -> Outcome:
    """Writes wherever the protocol could be."""
    print('["ok",1,null,null,1,null]')
    print('["ok",1,null,null,1,null]', file=sys.stderr)
    os.write(1, b'["ok",1,null,null,1,null]\n')
    sys.stdin.read()
    return decide(execution)


def exits(execution: StrategyExecutionLog) -> Outcome:
    """By an exception, and without asking Python."""
    number = amount(execution) % 10
    if number == 3:
        sys.exit(4)
    if number == 5:
        os._exit(7)
    return decide(execution)


def crashes(execution: StrategyExecutionLog) -> Outcome:
    """Every fiftieth one reads what is not there."""
    if amount(execution) % 50 == 3:
        ctypes.string_at(1)
    return decide(execution)


def always_exits(execution: StrategyExecutionLog) -> Outcome:
    """Each call ends the process."""
    os._exit(1)


def leaks(execution: StrategyExecutionLog) -> Outcome:
    """Each call keeps ten megabytes."""
    _kept.append(b"x" * 10_000_000)
    return decide(execution)


def loads(execution: StrategyExecutionLog) -> Outcome:
    """The first call loads what all later ones need."""
    if not _kept:
        _kept.append(b"x" * 600_000_000)
    return decide(execution)


def loads_late(execution: StrategyExecutionLog) -> Outcome:
    """Takes its time at the first call of a process."""
    if not _loaded:
        _loaded.append(True)
        time.sleep(0.5)
    return decide(execution)


def takes_all(execution: StrategyExecutionLog) -> Outcome:
    """One call wants more than there is."""
    if amount(execution) == 3:
        bytearray(2**46)
    return decide(execution)


def forks(execution: StrategyExecutionLog) -> Outcome:
    """One call goes on in two processes."""
    if amount(execution) == 30:
        os.fork()
    return decide(execution)


class _Unnamed(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Unnamed(Exception, metaclass=_Unnamed):
    """Neither its name nor its text can be had."""

    def __str__(self) -> str:
        raise RuntimeError


def raises_what_is_odd(execution: StrategyExecutionLog) -> Outcome:
    """An exception that raises, and one with a long text."""
    if amount(execution) == 3:
        raise Unnamed
    if amount(execution) == 4:
        raise ValueError("x" * 100_000_000)
    return decide(execution)


def stops_the_clock(execution: StrategyExecutionLog) -> Outcome:
    """As libraries for tests do."""
    time.perf_counter = lambda: float("nan")
    return decide(execution)


def never_lets_go(execution: StrategyExecutionLog) -> Outcome:
    """No other thread of its process runs."""
    Path(f"{os.getpid()}.pid").touch()
    re.match("(a+)+$", "a" * 50 + "b")
    return decide(execution)


class Waiting:
    """An object that is awaited, once it is called."""

    def decide(self, execution: StrategyExecutionLog) -> Outcome:
        """A method."""
        return decide(execution)

    async def __call__(self, execution: StrategyExecutionLog) -> Outcome:
        return decide(execution)


class Inherits(Waiting):
    """Whose parent says how it is called."""


def mutates(execution: StrategyExecutionLog) -> Outcome:
    """Changes what it was given, after it has decided."""
    found = decide(execution)
    given: Any = execution.input
    given["amount"] = -1000
    execution.__dict__["status"] = "odd"
    return found


_NONSENSE: list[Any] = [
    None,
    3,
    ("ok", 1.0, None, None),
    {},
    {"status": None},
    {"status": "fine"},
    {"status": "ok", "points": float("nan")},
    {"status": "ok", "points": "ten"},
    {"status": "ok", "points": True},
    {"status": "ok", "points": 10**400},
    {"status": "ok", "case_name": 3},
    {"status": "ok", "case_name": "x" * 10_000_000},
    {"status": "error", "error_code": "\ud800"},
    Outcome(None),  # type: ignore[arg-type]
    Outcome,
]


def answers_nonsense(execution: StrategyExecutionLog) -> Any:
    """No outcome, in many ways."""
    number = int(amount(execution))
    return _NONSENSE[number] if number < len(_NONSENSE) else {"status": "ok", "points": 1}


async def waits(execution: StrategyExecutionLog) -> Outcome:
    """An async function that could be named."""
    return decide(execution)


def writes_into_pipes(execution: StrategyExecutionLog) -> Outcome:
    """Into whatever it has open, in the hope of an answer."""
    if amount(execution) == 3:
        for number in range(3, 30):
            with contextlib.suppress(OSError):
                os.write(number, b"hello\n")
    return decide(execution)


def records(execution: StrategyExecutionLog) -> Outcome:
    """A candidate that was made to record its runs, and looks for the log in the environment."""
    if not _recorder:
        _recorder.append(execlog.ExecutionRecorder(RECORDER_DSN))
        _recorder[0].__enter__()
    fields = {"strategy_id": "x", "strategy_version": 1, "strategy_type": "T"}
    with _recorder[0].run(**fields):  # type: ignore[arg-type]
        found = decide(execution)
    _recorder[0].record(**fields, status="ok", duration_ms=1.0, nodes_executed=1)  # type: ignore[arg-type]
    _recorder[0].flush_blocking()
    known = [name for name in os.environ if name.startswith("EXECLOG_")]
    return Outcome("error", None, None, ",".join(known)) if known else found
