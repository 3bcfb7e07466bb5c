"""Random faults under load, for as long as `EXECLOG_SOAK_SECONDS` says (3; .ci/run says 30)."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder
from tests.databases import TABLE
from tests.outage import Outage
from tests.recording import (
    assert_sum,
    balanced,
    load,
    terminate_others,
)

SECONDS = float(os.environ.get("EXECLOG_SOAK_SECONDS", "3"))
Fault = Callable[[Outage, random.Random], Awaitable[object]]


async def terminated(server: Outage, dice: random.Random) -> None:
    for _ in range(dice.randrange(1, 10)):
        async with server.connection() as connection:
            await terminate_others(connection)
        await asyncio.sleep(dice.random() * 0.05)


async def canceled(server: Outage, dice: random.Random) -> None:
    async with server.connection() as connection:
        for _ in range(dice.randrange(1, 20)):
            await connection.execute(
                "select pg_cancel_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                " and backend_type = 'client backend'"
            )
            await asyncio.sleep(dice.random() * 0.01)


async def killed(server: Outage, dice: random.Random) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(dice.random() * 0.5)
    await asyncio.to_thread(server.start)


async def frozen(server: Outage, dice: random.Random) -> None:
    server.freeze()
    await asyncio.sleep(dice.random() * 1.2)
    server.thaw()


async def locked(server: Outage, dice: random.Random) -> None:
    async with server.connection() as connection, connection.transaction():
        await connection.execute(f"lock table {TABLE} in access exclusive mode")
        await asyncio.sleep(dice.random())


async def read_only(server: Outage, dice: random.Random) -> None:
    await server.configure("default_transaction_read_only", "on")
    await asyncio.sleep(dice.random() * 0.5)
    await writable(server)


async def writable(server: Outage) -> None:
    connection = await asyncpg.connect(
        server.dsn, server_settings={"default_transaction_read_only": "off"}
    )
    await connection.execute("alter system reset default_transaction_read_only")
    await connection.execute("select pg_reload_conf()")
    await connection.close()


async def unanswered(server: Outage, dice: random.Random) -> None:
    await server.configure("synchronous_standby_names", "nope")
    await asyncio.sleep(dice.random() * 0.5)
    async with server.connection() as connection:
        await terminate_others(connection)
    await server.configure("synchronous_standby_names", None)


async def task_cancelled(server: Outage, dice: random.Random) -> None:
    for _ in range(dice.randrange(1, 10)):
        for task in asyncio.all_tasks():
            if "Delivery.run" in task.get_name():
                task.cancel()
        await asyncio.sleep(dice.random() * 0.02)


FAULTS: list[Fault] = [
    terminated,
    canceled,
    killed,
    frozen,
    locked,
    read_only,
    unanswered,
    task_cancelled,
]


@pytest.mark.long
@pytest.mark.timeout(SECONDS * 2 + 60)
async def test_random_faults_under_load(
    record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    """Of a recorder without a spool, of one with it, and of one whose rows the disk must have."""
    spooled: list[dict[str, Any]] = [{"durability": "process"}, {"durability": "disk"}]
    ways: list[dict[str, Any]] = [{}, *({"spool": tmp_path / "spool"} | one for one in spooled)]
    seed = random.randrange(10**6)
    record_property("seed", seed)
    print(f"seed {seed}")  # shown where it fails
    dice = random.Random(seed)
    clock = asyncio.get_running_loop().time
    with Outage() as server:
        await execlog.migrate(server.dsn)
        recorders = [
            ExecutionRecorder(server.dsn, timeout=1, max_rows=10**6, **way) for way in ways
        ]
        for recorder in recorders:
            await recorder.start()
        end = clock() + SECONDS
        loads = [asyncio.create_task(load(recorder, SECONDS, 1000)) for recorder in recorders]
        faults = FAULTS.copy()
        while clock() < end:
            if not faults:
                faults = FAULTS.copy()
            await faults.pop(dice.randrange(len(faults)))(server, dice)
            assert all(balanced(recorder.stats()) for recorder in recorders)
            await asyncio.sleep(dice.random() * 0.3)
        await asyncio.gather(*loads)
        closed = await asyncio.gather(*(recorder.aclose(timeout=30) for recorder in recorders))
        for stats in closed:
            assert stats.written == stats.offered > SECONDS * 50, stats
            assert not stats.dropped and not stats.rejected
        assert os.listdir(tmp_path / "spool") == []
        all_ = closed[0].model_copy(
            update={
                "offered": sum(stats.offered for stats in closed),
                "written": sum(stats.written for stats in closed),
            }
        )
        await assert_sum(server.dsn, all_)
