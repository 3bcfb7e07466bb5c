"""Rows with wrong years, and logs of many partitions: no more of them than the server can bear."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLogRepository, maintain
from execlog.admin.doctor import Finding, examined
from execlog.embedded import EmbeddedPostgres
from tests.databases import TABLE
from tests.db.test_cli_transfer import diagnosis
from tests.types import Connection, Pool

DAY = timedelta(days=1)
DEFAULT = f"{TABLE}_default"
COLUMNS = "id, created_at, strategy_id, strategy_version, strategy_type, status, duration_ms"


async def stored(pool: Pool | Connection, times: str, count: int) -> None:
    """So many rows at a time that may depend on their number, n."""
    await pool.execute(
        f"insert into {TABLE} ({COLUMNS}, nodes_executed) select gen_random_uuid(), {times}, 's',"
        f" 1, 'T', 'ok', 1, 1 from generate_series(1, {count}) as n"
    )


async def partitions(pool: Pool) -> int:
    return (await StrategyExecutionLogRepository(pool).health()).partitions


def about(findings: Sequence[Finding], what: str) -> Finding:
    [found] = [finding for finding in findings if finding.about == what]
    return found


@pytest.mark.long
async def test_wrong_years_make_no_partitions(dsn: str, pool: Pool) -> None:
    """The doctor says how many stay, and asks for nothing that `maintain` would not do."""
    await stored(pool, "'1850-01-01Z'::timestamptz + n * interval '37 days'", 1500)
    before = await partitions(pool)
    assert "!! rows that no partition covers: 1,500" in diagnosis(dsn, code=1)["DEFAULT"]
    for _ in range(3):
        steps = await maintain(pool)
        assert not [step for step in steps if step.action != "tune"]
    assert await partitions(pool) == before
    said = "1,500 rows stay in DEFAULT: too few of one time for a partition, or too far ahead"
    assert diagnosis(dsn, code=0)["DEFAULT"] == f"ok {said}; without a time: 0"
    # A few more are no reason to act, so many of one month are, and then they move.
    await stored(pool, "'2150-01-01Z'::timestamptz", 3)
    assert diagnosis(dsn, code=0)["DEFAULT"].startswith("ok 1,503 rows stay")
    await stored(pool, "'1850-06-01Z'::timestamptz + n * interval '1 second'", 1000)
    assert "run `execlog maintain`" in diagnosis(dsn, code=1)["DEFAULT"]
    steps = await maintain(pool)
    assert [(step.action, step.partition[-6:]) for step in steps] == [
        ("attach", "185006"),
        ("vacuum", "efault"),
    ]
    assert diagnosis(dsn, code=0)["DEFAULT"].startswith("ok 1,503 rows stay")


@pytest.mark.usefixtures("within_an_hour")
async def test_how_far_ahead(pool: Pool) -> None:
    """One interval more than is asked for, as of a clock that is ahead, however many rows."""
    await maintain(pool, interval="day", ahead=2)
    for days in range(-1, 9):
        await stored(pool, f"date_trunc('day', now(), 'UTC') + {days} * interval '1 day'", 1100)
    for _ in range(2):
        await maintain(pool, interval="day", ahead=2)
    left = await pool.fetch(
        "select distinct (created_at - date_trunc('day', now(), 'UTC')) / 86400 as ahead"
        f" from {DEFAULT} order by 1"
    )
    assert [one["ahead"] / timedelta(seconds=1) for one in left] == [4, 5, 6, 7, 8]
    assert await partitions(pool) == 1 + 1 + 2 + 1


@pytest.mark.long
async def test_what_holds_a_hundredth(pool: Pool) -> None:
    """Of what stays: 1,000 rows or a hundredth; the others' months are none's."""
    await maintain(pool)
    await stored(pool, "'1900-01-01Z'::timestamptz + n * interval '40 days'", 890)
    await stored(pool, "'1880-01-01Z'::timestamptz", 8)  # of 898 that stay
    await stored(pool, "'1881-01-01Z'::timestamptz", 10)
    await maintain(pool)
    made = await pool.fetch(
        "select id::regclass::text as name from execlog.partitions()"
        " where begins between '1800-01-01' and '2000-01-01'"
    )
    assert [one["name"].removeprefix(f"{TABLE}_") for one in made] == ["188101"]
    log = StrategyExecutionLogRepository(pool)
    assert (await log.health()).stray_rows == 898
    assert (await log.maintenance_state()).left_in_default == 898


@pytest.mark.long
async def test_many_months_come_in_several_runs(pool: Pool) -> None:
    """A hundred at once, and as long as some can come the doctor asks for the next run."""
    await stored(pool, "'1990-01-01Z'::timestamptz + n % 120 * interval '31 days'", 120_000)
    log = StrategyExecutionLogRepository(pool)
    remedies = []
    for _ in range(3):
        steps = await maintain(pool)
        assert {step.outcome for step in steps} == {"done"}
        found = examined(await log.health(), None, await log.maintenance_state())
        remedies.append(about(list(found), "DEFAULT").remedy)
    assert [remedy is not None for remedy in remedies] == [True, False, False]
    assert await pool.fetchval(f"select count(*) from {DEFAULT}") == 0


# Locks.


@asynccontextmanager
async def reading(server: EmbeddedPostgres, clients: int) -> AsyncIterator[tuple[int, str]]:
    """How many of so many connected clients could read all at once; what the doctor says then."""
    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(clients):
            connections.append(await asyncpg.connect(server.dsn))
            stack.push_async_callback(connections[-1].close)
        found = about(list(examined(await execlog.health(server.dsn), None, None)), "locks")
        done = 0
        for connection in connections:
            await connection.execute("begin")
            try:
                await connection.fetch(f"select count(*) from {TABLE}")
                done += 1
            except asyncpg.OutOfMemoryError:
                break
        yield done, f"{found.said} -> {found.remedy}"


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_the_doctor_looks_at_the_room_for_locks(tmp_path: Path) -> None:
    """What it says fits does fit, about as much more does not, and with the remedy all do."""
    folder, clients = tmp_path / "data", 16
    settings = {"max_connections": "40", "max_locks_per_transaction": "10"}
    with EmbeddedPostgres(folder, settings=settings) as server:
        await execlog.migrate(server.dsn)
        await maintain(server.dsn, interval="hour", ahead=110)
        async with reading(server, clients) as (done, said):
            fit = re.search(r"room for (\d+) at once", said)
            assert fit is not None, said
            assert int(fit[1]) <= done < clients
            assert done <= 2 * int(fit[1]) + 1
            setting = re.search(r"set max_locks_per_transaction = (\d+) and restart", said)
            assert setting is not None, said
    settings["max_locks_per_transaction"] = setting[1]
    with EmbeddedPostgres(folder, settings=settings) as server:
        async with reading(server, clients) as (done, said):
            assert (done, said.endswith("-> None")) == (clients, True), said
