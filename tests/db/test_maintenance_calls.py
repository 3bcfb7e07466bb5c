"""`maintain`, as a method and as a command: what it takes, what it refuses and who may call it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from execlog import (
    InvalidArgument,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
    maintain,
    migrate,
)
from tests.command import run
from tests.maintaining import DAY, told
from tests.types import Pool


async def test_who_may_not(dsn: str, pool: Pool, empty_dsn: str) -> None:
    with pytest.raises(SchemaOutdated):
        await maintain(empty_dsn)
    name = f"reader_{time.time_ns()}"
    await pool.execute(f"create role {name} login password 'x'")
    await pool.execute(f"grant usage on schema execlog to {name}")
    await pool.execute(f"grant select on all tables in schema execlog to {name}")
    try:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1, init=as_role(name)) as own:
            with pytest.raises(QueryRejected) as refused:
                await maintain(own, ahead=4)
            plan = await maintain(own, ahead=4, only_plan=True)
    finally:
        await pool.execute(f"drop owned by {name}")
        await pool.execute(f"drop role {name}")
    assert refused.value.sqlstate == "42501"
    assert told(plan) == {"tune planned": 4, "attach planned": 1}


def as_role(name: str) -> Any:
    async def become(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await connection.execute(f"set role {name}")

    return become


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("interval", {"interval": "year"}),
        ("interval", {"interval": None}),
        ("ahead", {"ahead": -1}),
        ("ahead", {"ahead": 1001}),
        ("ahead", {"ahead": True}),
        ("retain", {"retain": 90}),
        ("retain", {"retain": timedelta()}),
        ("retain", {"retain": timedelta.max}),
        ("retain_failures", {"retain_failures": DAY}),
        ("retain_failures", {"retain": DAY, "retain_failures": -DAY}),
        ("lock_timeout", {"lock_timeout": 0}),
    ],
)
async def test_bad_input(argument: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await maintain("postgresql://127.0.0.1:1/", **given)
    assert caught.value.argument == argument


async def test_what_it_is_given(dsn: str, pool: Pool) -> None:
    with pytest.raises(InvalidArgument, match=r"^target: "):
        await maintain(7)  # type: ignore[arg-type]
    async with pool.acquire() as connection:
        assert told(await maintain(connection)) == {"tune done": 4}
        async with connection.transaction():
            with pytest.raises(InvalidArgument, match="in a transaction"):
                await maintain(connection)
    with pytest.raises(StoreUnavailable):
        await maintain("postgresql://127.0.0.1:1/")


async def test_from_a_terminal(dsn: str, pool: Pool) -> None:
    words = ("maintain", "--interval", "day", "--ahead", "2", "--retain", "90d", "--utc")
    plan = run(*words, "--plan", EXECLOG_DSN=dsn)
    assert (plan.returncode, plan.stderr) == (0, "")
    header, *lines = [line.split("\t") for line in plan.stdout.splitlines()]
    assert header == ["step", "partition", "from", "to", "outcome", "took", "problem"]
    assert Counter(line[0] for line in lines) == {"replace": 4, "attach": 3}
    done = run(*words, EXECLOG_DSN=dsn)
    assert [line.split("\t")[:4] for line in done.stdout.splitlines()[1:]] == [
        line[:4] for line in lines
    ]
    again = run(*words, EXECLOG_DSN=dsn)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr
    assert run("maintain", "--retain-failures", "9d", EXECLOG_DSN=dsn).returncode == 2


async def test_a_cluster_that_is_migrated_and_maintained_is_found_healthy(empty_dsn: str) -> None:
    await migrate(empty_dsn)
    await maintain(empty_dsn, interval="week", ahead=8)
    found = run("doctor", EXECLOG_DSN=empty_dsn)
    assert (found.returncode, "!!" in found.stdout) == (0, False)
