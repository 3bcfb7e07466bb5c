"""How long after its commit `execlog tail -f` shows an execution, and what that takes.

    python -m tests.bench.follow [--seconds 20] [--rate 5000] [--future 100000] [--terminal]

Writers store batches by COPY, each in a transaction of its own, beside rows dated in the future and
a transaction that stays open from begin to end. The command runs as a process of its own, in a pipe
or on a terminal; its memory is read from /proc (Linux). Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import pty
import random
import re
import time
import tty
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

import execlog
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.common import bench_database, load
from tests.bench.rollup_shapes import run
from tests.command import COMMAND
from tests.types import Pool

WRITERS = 5
BATCH = 200
_PATIENCE_TURNS = 200  # of a tenth of a second
_FORK = multiprocessing.get_context("fork")
_WARM_UP_SECONDS = 3.0
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPEN = (
    "insert into execlog.strategy_execution_log (id, strategy_id, strategy_version, strategy_type,"
    " status, duration_ms, nodes_executed, sampled, sample_rate)"
    " values (gen_random_uuid(), 'open', 1, 'DSL_FULL', 'ok', 1, 1, false, 1)"
)


@dataclass
class Outcome:
    """Seconds, bytes and numbers of executions."""

    stored: int = 0
    rate: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    longest: float = 0.0
    missed: int = 0
    twice: int = 0
    memory_at_begin: int = 0
    memory_at_end: int = 0
    cpu_share: float = 0.0
    load: str = ""


Times = dict[bytes, float]
"""The time of each id."""


async def follow(seconds: float, rate: int, future: int, *, terminal: bool) -> Outcome:
    """Everything is stored, shown and counted: see the module."""
    outcome = Outcome(load=load())
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=WRITERS + 1, max_size=WRITERS + 1) as pool:
            ahead = datetime.now(UTC) + timedelta(hours=1)
            await _stored(pool, _batch(random.Random(1), future, ahead), {})
            async with pool.acquire() as connection:
                held = connection.transaction()
                await held.start()
                await connection.execute(_OPEN)
                await _followed(dsn, pool, outcome, seconds, rate, terminal)
                await held.rollback()
    return outcome


async def _followed(
    dsn: str, pool: Pool, outcome: Outcome, seconds: float, rate: int, terminal: bool
) -> None:
    committed: Times = {}
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        tty.setraw(theirs)
    words = [str(COMMAND), "tail", "-f", "-n", "1", "--wide", "--dsn", dsn]
    process = await asyncio.create_subprocess_exec(*words, stdout=theirs)
    os.close(theirs)
    # In a process of its own: a thread would wait for the lock of this interpreter, and so would
    # the command, as soon as the pipe is full.
    lines = _FORK.Value("l", 0)
    result, told = _FORK.Pipe(duplex=False)
    reader = _FORK.Process(target=_read, args=(ours, lines, told))
    reader.start()
    os.close(ours)
    pause = WRITERS * BATCH / rate
    batches = [_batches(n, int(seconds / pause)) for n in range(WRITERS)]
    try:
        await asyncio.sleep(_WARM_UP_SECONDS)
        begin = time.monotonic()
        writers = [asyncio.create_task(_write(pool, committed, one, pause)) for one in batches]
        await asyncio.sleep(min(_WARM_UP_SECONDS, seconds / 2))
        outcome.memory_at_begin, cpu = _resident(process.pid), _cpu(process.pid)
        measured = time.monotonic()
        await asyncio.gather(*writers)
        taken = time.monotonic() - begin
        outcome.cpu_share = (_cpu(process.pid) - cpu) / (time.monotonic() - measured)
        for _ in range(_PATIENCE_TURNS):
            if lines.value >= len(committed):
                break
            await asyncio.sleep(0.1)
        outcome.memory_at_end = _resident(process.pid)
    finally:
        process.kill()
        await process.wait()
    shown, outcome.twice = await asyncio.to_thread(result.recv)
    reader.join()
    latencies = sorted(max(shown[one] - at, 0.0) for one, at in committed.items() if one in shown)
    outcome.stored, outcome.rate = len(committed), len(committed) / taken
    outcome.missed = len(committed) - len(latencies)
    outcome.p50, outcome.p95 = (latencies[int(len(latencies) * one)] for one in (0.5, 0.95))
    outcome.longest = latencies[-1]


def _read(file: int, lines: Any, told: Any) -> None:
    """Notes the time of each piece, until the command ends; then says that of each id."""
    pieces: list[tuple[float, bytes]] = []
    with suppress(OSError):  # how a terminal ends
        while data := os.read(file, 1 << 16):
            pieces.append((time.monotonic(), data))
            lines.value += data.count(b"\n")
    shown: Times = {}
    twice, rest = 0, b""
    for at, data in pieces:
        *whole, rest = (rest + data).split(b"\n")
        for found in _ID.findall(b"\n".join(whole)):
            twice += found in shown
            shown.setdefault(found, at)
    told.send((shown, twice))


async def _write(
    pool: Pool, times: Times, batches: Sequence[Sequence[bytes]], pause: float
) -> None:
    due = time.monotonic()
    for one in batches:
        await _stored(pool, one, times)
        due += pause
        await asyncio.sleep(max(due - time.monotonic(), 0))


def _batches(seed: int, count: int) -> Sequence[Sequence[bytes]]:
    dice = random.Random(f"writer {seed}")
    return [_batch(dice, BATCH, datetime.now(UTC)) for _ in range(count)]


def _batch(dice: random.Random, rows: int, at: datetime) -> Sequence[bytes]:
    return [run(dice, at, n % 10) for n in range(rows)]


async def _stored(pool: Pool, lines: Sequence[bytes], times: Times) -> None:
    await Store(pool, 60.0).copy(statements()["insert_rows"], [b"".join(lines)])
    now = time.monotonic()
    times.update((_id(line), now) for line in lines)


def _id(line: bytes) -> bytes:
    text = line.partition(b"\t")[0].decode()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).encode()


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(text) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--future", type=int, default=100_000)
    parser.add_argument("--terminal", action="store_true")
    given = parser.parse_args()
    outcome = asyncio.run(follow(given.seconds, given.rate, given.future, terminal=given.terminal))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
