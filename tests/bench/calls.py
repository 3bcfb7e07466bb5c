"""What one call costs the engine: `record`, `run`, the peer's building of a row, and the floor.

They are called in a loop with the same values as keyword arguments, a thousand calls to a
measurement, in turn in each round; a figure is the median of the rounds. The garbage collector is
on, as it is in service. The recorder is not started and has room for everything, so that a call
takes an execution down and does nothing else.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from asyncpg.pgproto.pgproto import UUID as FastUUID
from pydantic_core import to_json

from tests.bench.common import TRACE
from tests.bench.peer import ObservedRow
from tests.recording import unstarted

CALLS = 1000
ROUNDS = 25
NOBODY = "postgresql://nobody@localhost:1/none"
MASK = ["external_user_id", "trace/*/input/points"]

Trace = list[Any] | None
Side = Callable[[], float]

_bits = Random(3).getrandbits


def microseconds() -> dict[str, float]:
    """The median call of each side."""
    sides: dict[str, Side] = {
        "record": lambda: _record(None),
        "run": _run,
        "peer": lambda: _peer(None),
        "floor": lambda: _floor(None),
        "record, trace": lambda: _record(TRACE),
        "peer, trace": lambda: _peer(TRACE),
        "floor, trace": lambda: _floor(TRACE),
        "record, mask": lambda: _record(TRACE, MASK),
    }
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(-2, ROUNDS):
        for side, measure in sides.items():
            gc.collect()
            seconds = measure()
            if turn >= 0:
                taken[side].append(seconds / CALLS * 1e6)
    return {side: statistics.median(seconds) for side, seconds in taken.items()}


def floor(
    *,
    strategy_id: str,
    strategy_version: int,
    strategy_type: str,
    status: str,
    duration_ms: float,
    nodes_executed: int,
    realm_id: str | None = None,
    external_game_id: str | None = None,
    external_task_id: str | None = None,
    external_user_id: str | None = None,
    error_code: str | None = None,
    points: float | None = None,
    case_name: str | None = None,
    trace: Trace = None,
    parent_strategy_id: str | None = None,
    notes: str | None = None,
    id: object = None,
    created_at: object = None,
    sampled: bool = False,
    sample_rate: float = 1.0,
) -> object:
    """What no recorder of this interface can do without, unchecked and kept nowhere.

    That is an id, the clock as text, the floats as text, the trace as JSON.
    """
    _second, nanosecond = divmod(time.time_ns(), 1_000_000_000)
    f"{nanosecond:09}"
    repr(duration_ms)
    repr(points)
    if trace is not None:
        to_json(trace)
    return FastUUID(_bits(128).to_bytes(16, "big"))


def _timed(call: Callable[..., object], trace: Trace) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        call(
            strategy_id="strategy-4",
            strategy_version=3,
            strategy_type="DSL_FULL",
            realm_id="realm-1",
            external_game_id="game-17",
            external_task_id="task-233",
            external_user_id="user-48211",
            status="ok",
            points=12.0,
            case_name="case-5",
            duration_ms=7.412903,
            nodes_executed=12,
            trace=trace,
        )
    return time.perf_counter() - begin


def _record(trace: Trace, mask: Iterable[str] = ()) -> float:
    recorder = unstarted(NOBODY, max_rows=10 * CALLS, max_bytes=2**30, mask=mask)
    seconds = _timed(recorder.record, trace)
    stats = recorder.stats()
    assert (stats.pending_rows, stats.altered) == (CALLS, {}), stats
    return seconds


def _run() -> float:
    """The same by `recorder.run`, which makes the id at once and measures the block."""
    recorder = unstarted(NOBODY, max_rows=10 * CALLS, max_bytes=2**30)
    begin = time.perf_counter()
    for _ in range(CALLS):
        with recorder.run(
            strategy_id="strategy-4",
            strategy_version=3,
            strategy_type="DSL_FULL",
            realm_id="realm-1",
            external_game_id="game-17",
            external_task_id="task-233",
            external_user_id="user-48211",
        ) as run:
            run.points, run.case_name, run.nodes_executed = 12.0, "case-5", 12
    seconds = time.perf_counter() - begin
    assert recorder.stats().pending_rows == CALLS
    return seconds


def _peer(trace: Trace) -> float:
    return _timed(ObservedRow, trace)


def _floor(trace: Trace) -> float:
    return _timed(floor, trace)
