"""What a started recorder stores, and what that costs its process.

- `throughput`: one producer in the event loop, in bursts, held back while much is pending; beside
  COPY of ready-made tuples in binary into the same table, and beside the peer's row by row.
- `paced_runs`: 20,000 executions/s in ticks of 5 ms; the CPU time of the whole process, and in
  runs of their own the time of each single call.
"""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from execlog import ExecutionRecorder
from execlog.db.copy_format import COLUMNS
from tests.bench.calls import floor
from tests.bench.common import BATCH, Fresh, fields
from tests.bench.peer import PeerRepository
from tests.databases import TABLE
from tests.first_wave import COLUMNS as PEERS
from tests.types import Connection

RATE = 20_000
TICK = 0.005
ROUNDS, ROUND_ROWS = 6, 50_000
PACED_ROUNDS = 3
PACED_SECONDS = 5.0
LIMIT_SECONDS = 60.0

_BURST = 50
_MOST_PENDING = 20_000
_PEER_ROWS = 50
_WARM_UP_ROWS = 20_000
_FLOOR_EACH = 10  # so many calls for each one of the floor in the same loop

Runs = list[dict[str, Any]]


@dataclass
class Throughput:
    """Executions a second: a figure for each round."""

    recorder: list[float]
    copy: list[float]
    peer: list[float]


@dataclass
class Paced:
    """For each round: CPU microseconds an execution, the rate, nanoseconds of each call."""

    cpu: list[float]
    own_cpu: list[float]
    rate: list[float]
    calls: list[array[int]]
    floor: list[array[int]]


def runs(count: int, *, failures: bool) -> Runs:
    """Arguments of `record`, with the usual share of failures and their traces, or without any."""
    dice, now = Random(4), datetime.now(UTC)
    chosen: Runs = []
    while len(chosen) < count:
        run = fields(len(chosen), now, dice)
        if failures or run["status"] == "ok":
            del run["id"], run["created_at"]
            chosen.append(run)
    return chosen


async def paced(seconds: float, burst: Callable[[int, int], None], rate: int = RATE) -> float:
    """Has bursts of executions made at a rate: from this number up to that. The rate it kept."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    share = int(rate * TICK)
    ticks = round(seconds / TICK)
    async with asyncio.timeout(2 * seconds + LIMIT_SECONDS):
        for tick in range(ticks):
            burst(tick * share, (tick + 1) * share)
            await asyncio.sleep(max(begin + (tick + 1) * TICK - clock(), 0))
    return ticks * share / (clock() - begin)


async def throughput(dsn: str, connection: Connection, peer: PeerRepository) -> Throughput:
    """Everything is stored and counted: see the module."""
    made = Throughput([], [], [])
    mixed = runs(1000, failures=True)
    fresh = Fresh(datetime.now(UTC))
    async with ExecutionRecorder(dsn) as recorder:
        await saturate(recorder, mixed, _WARM_UP_ROWS)
        for _ in range(ROUNDS):
            tuples = fresh.tuples(ROUND_ROWS)
            gc.collect()
            made.recorder.append(await saturate(recorder, mixed, ROUND_ROWS))
            made.copy.append(await _copy(connection, tuples))
            made.peer.append(await _one_by_one(peer, fresh))
        stats = recorder.stats()
    offered = _WARM_UP_ROWS + ROUNDS * ROUND_ROWS
    stored = await connection.fetchval(f"select count(*) from {TABLE}")
    assert stats.offered == stats.written == offered, stats
    assert stored == offered + ROUNDS * ROUND_ROWS, stored
    return made


async def saturate(recorder: ExecutionRecorder, chosen: Runs, count: int) -> float:
    """Executions a second that are recorded and stored, in bursts: see the module."""
    record = recorder.record
    begin = time.perf_counter()
    async with asyncio.timeout(LIMIT_SECONDS):
        for first in range(0, count, _BURST):
            await hold_back(recorder)
            for n in range(first, first + _BURST):
                record(**chosen[n % len(chosen)])
            await asyncio.sleep(0)
    assert await recorder.flush(LIMIT_SECONDS)
    return count / (time.perf_counter() - begin)


async def hold_back(recorder: ExecutionRecorder) -> None:
    """Returns when little enough is pending."""
    while recorder.stats().pending_rows > _MOST_PENDING:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.001)


async def _copy(connection: Connection, tuples: list[tuple[Any, ...]]) -> float:
    schema, name = TABLE.split(".")
    begin = time.perf_counter()
    for first in range(0, len(tuples), BATCH):
        await connection.copy_records_to_table(
            name,
            schema_name=schema,
            records=tuples[first : first + BATCH],
            columns=COLUMNS,
            timeout=LIMIT_SECONDS,
        )
    return len(tuples) / (time.perf_counter() - begin)


async def _one_by_one(peer: PeerRepository, fresh: Fresh) -> float:
    rows = [model.model_dump(include=set(PEERS)) for model in fresh.models(_PEER_ROWS)]
    begin = time.perf_counter()
    async with asyncio.timeout(LIMIT_SECONDS):
        for row in rows:
            await peer.insert_row(row)
    return len(rows) / (time.perf_counter() - begin)


async def paced_runs(dsn: str) -> Paced:
    """Rounds of two runs each, without traces: see the module."""
    count = int(RATE * PACED_SECONDS)
    chosen = runs(1000, failures=False)
    made = Paced([], [], [], [], [])
    set_aside()
    try:
        async with ExecutionRecorder(dsn) as recorder:
            await saturate(recorder, chosen, _WARM_UP_ROWS)
            for _ in range(PACED_ROUNDS):
                made.own_cpu.append(await _own_cpu(chosen))
                begin = time.process_time()
                made.rate.append(await paced(PACED_SECONDS, _plain(recorder, chosen)))
                assert await recorder.flush(LIMIT_SECONDS)
                made.cpu.append((time.process_time() - begin) / count * 1e6)
                calls, floors = array("q", bytes(8 * count)), array("q", bytes(8 * count))
                await paced(PACED_SECONDS, _timing(recorder, chosen, calls, floors))
                assert await recorder.flush(LIMIT_SECONDS)
                made.calls.append(calls)
                made.floor.append(floors[::_FLOOR_EACH])
            stats = recorder.stats()
            assert stats.offered == stats.written, stats
    finally:
        gc.unfreeze()
    return made


def set_aside() -> None:
    """What the benchmark and its peer hold is not the recorder's to be searched for garbage."""
    gc.collect()
    gc.freeze()


def _plain(recorder: ExecutionRecorder, chosen: Runs) -> Callable[[int, int], None]:
    record = recorder.record

    def burst(first: int, end: int) -> None:
        for n in range(first, end):
            record(**chosen[n % 1000])

    return burst


def _timing(
    recorder: ExecutionRecorder, chosen: Runs, calls: array[int], floors: array[int]
) -> Callable[[int, int], None]:
    record, clock = recorder.record, time.perf_counter_ns

    def burst(first: int, end: int) -> None:
        for n in range(first, end):
            run = chosen[n % 1000]
            begin = clock()
            record(**run)
            calls[n] = clock() - begin
            if n % _FLOOR_EACH == 0:
                begin = clock()
                floor(**run)
                floors[n] = clock() - begin

    return burst


async def _own_cpu(chosen: Runs) -> float:
    """CPU microseconds an execution of the paced loop alone."""

    def burst(first: int, end: int) -> None:
        for n in range(first, end):
            chosen[n % 1000]

    begin = time.process_time()
    await paced(1.0, burst)
    return (time.process_time() - begin) / RATE * 1e6
