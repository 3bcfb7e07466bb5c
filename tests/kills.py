"""Processes that record and are killed again and again, and what became of what they accepted.

An id counts as accepted when `record` has returned it and it was written to a file, which outlives
the process. A worker is forked from a process that has imported all: so a kill takes no second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg

from execlog import ExecutionRecorder
from tests.databases import CLIENTS, TABLE
from tests.recording import balanced, record, until

ROOT = Path(__file__).parents[1]
_AT_ONCE_SHARE = 0.2  # of the workers are killed while they begin
_ID_BYTES = 16
_STORED = f"select id from {TABLE}"


@dataclass
class Outcome:
    """Numbers of executions.

    `lost` were accepted and are not stored, `doubled` are stored more than once, `untold` are
    stored and were not accepted: their process died between `record` and the write of the id.
    `pending` is, kill by kill, how many that were accepted were not stored yet.
    """

    kills: int = 0
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    untold: int = 0
    pending: list[int] = field(default_factory=list)


@dataclass
class Killing:
    """What is done.

    Attributes:
        dsn: The log.
        files: A folder for the ids.
        spool: The spool; None: there is none.
        rate: Executions a second of each worker.
        seconds: How long a worker lives at most, once it records.
        lanes: Workers at once.
        durability: As of the recorder.
        measured: Whether it is looked how many are pending at each kill.
    """

    dsn: str
    files: Path
    spool: Path | None
    rate: int
    seconds: float = 0.5
    lanes: int = 1
    durability: str = "process"
    measured: bool = False


async def killed(
    what: Killing,
    kills: int,
    dice: random.Random,
    meanwhile: contextlib.AbstractAsyncContextManager[None] | None = None,
) -> Outcome:
    """Kills so many workers, then stores what the spool holds, and counts."""
    outcome = Outcome()
    shares = [len(range(lane, kills, what.lanes)) for lane in range(what.lanes)]
    lanes = [_lane(what, outcome, lane, share, dice) for lane, share in enumerate(shares)]
    async with meanwhile or contextlib.nullcontext():
        await asyncio.gather(*lanes)
    await _settle(what)
    accepted = _accepted(what.files)
    connection = await asyncpg.connect(what.dsn, statement_cache_size=0)
    try:
        stored = [row["id"] for row in await connection.fetch(_STORED)]
    finally:
        await connection.close()
    there = set(stored)
    outcome.accepted = len(accepted)
    outcome.lost = len(accepted - there)
    outcome.doubled = len(stored) - len(there)
    outcome.untold = len(there - accepted)
    return outcome


async def _lane(
    what: Killing, outcome: Outcome, lane: int, kills: int, dice: random.Random
) -> None:
    async with _nursery() as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for n in range(kills):
            file = what.files / f"{lane}-{n}.ids"
            spool = None if what.spool is None else str(what.spool)
            order = [what.dsn, spool, what.rate, str(file), what.durability]
            nursery.stdin.write(json.dumps(order).encode() + b"\n")
            pid = int(await nursery.stdout.readline())
            if dice.random() > _AT_ONCE_SHARE:
                await _until_it_records(file)
            await asyncio.sleep(dice.random() * what.seconds)
            os.kill(pid, signal.SIGKILL)
            assert await nursery.stdout.readline() == b"gone\n"
            outcome.kills += 1
            if what.measured:
                lost = sum(outcome.pending) if what.spool is None else 0
                outcome.pending.append(await _pending(what) - lost)


async def _until_it_records(file: Path) -> None:
    await until(lambda: file.exists() and file.stat().st_size)


async def _pending(what: Killing) -> int:
    """How many that were accepted are not stored, once the server has noticed the kill."""
    busy = f"select count(*) = 0 from {CLIENTS} and pid <> pg_backend_pid()"
    connection = await asyncpg.connect(what.dsn, statement_cache_size=0)
    try:
        await until(lambda: connection.fetchval(busy))
        stored = await connection.fetchval(f"select count(*) from {TABLE}")
    finally:
        await connection.close()
    sizes = (path.stat().st_size for path in what.files.glob("*.ids"))
    return max(sum(size // _ID_BYTES for size in sizes) - int(stored), 0)


async def _settle(what: Killing) -> None:
    if what.spool is None:
        return
    async with ExecutionRecorder(what.dsn, spool=what.spool) as recorder:
        assert await recorder.flush(60), recorder.stats()
        stats = recorder.stats()
    assert balanced(stats), stats
    assert (stats.pending_rows, stats.rejected) == (0, {}), stats
    assert not set(stats.dropped) - {"torn"}, stats
    # One that died while it made its folder has left a hidden one: it goes a minute later.
    left = [one for one in os.listdir(what.spool) if not one.startswith(".")]
    assert left == [], [(one, os.listdir(what.spool / one)) for one in left]


def _accepted(files: Path) -> set[UUID]:
    found: set[UUID] = set()
    for path in files.glob("*.ids"):
        data = path.read_bytes()
        whole = len(data) - len(data) % _ID_BYTES
        found |= {UUID(bytes=data[n : n + _ID_BYTES]) for n in range(0, whole, _ID_BYTES)}
    return found


@asynccontextmanager
async def _nursery() -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kills", stdin=pipe, stdout=pipe, cwd=ROOT
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _nurse() -> None:
    """Forks a worker for each line, and says when it is gone."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _work(*json.loads(line))
            finally:
                os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


def _work(dsn: str, spool: str | None, rate: int, file: str, durability: str) -> None:
    """Records at this rate until it is killed."""
    accepted = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    options = {} if spool is None else {"spool": spool, "durability": durability}
    recorder = ExecutionRecorder(dsn, timeout=2, **options)  # type: ignore[arg-type]
    with recorder:
        sent, begin = 0, time.perf_counter()
        while True:
            while sent < (time.perf_counter() - begin) * rate:
                id_ = record(recorder, sent)
                if isinstance(id_, UUID):
                    os.write(accepted, id_.bytes)
                sent += 1
            time.sleep(0.001)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _nurse()
