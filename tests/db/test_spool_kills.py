"""kill -9 at random moments under load, also while the server fails: all accepted rows, once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import execlog
from tests.db.test_recorder_soak import Fault, frozen, unanswered
from tests.db.test_recorder_soak import killed as server_killed
from tests.kills import Killing, Outcome, killed
from tests.outage import Outage

LONG_KILLS = 25


@pytest.fixture
def dice(record_property: Callable[[str, object], None]) -> random.Random:
    seed = random.randrange(10**6)
    record_property("seed", seed)
    print(f"seed {seed}")  # shown where it fails
    return random.Random(seed)


def killing(dsn: str, folder: Path, rate: int) -> Killing:
    (folder / "ids").mkdir()
    return Killing(dsn, folder / "ids", folder / "spool", rate)


def assert_whole(outcome: Outcome) -> None:
    assert (outcome.lost, outcome.doubled) == (0, 0), outcome
    assert outcome.untold <= outcome.kills, outcome
    assert outcome.accepted > 100 * outcome.kills, outcome


async def test_three_kills(dsn: str, tmp_path: Path, dice: random.Random) -> None:
    what = killing(dsn, tmp_path, 5000)
    what.seconds = 0.4
    assert_whole(await killed(what, 3, dice))


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("rate", [5000, 20_000])
async def test_kills(dsn: str, tmp_path: Path, dice: random.Random, rate: int) -> None:
    assert_whole(await killed(killing(dsn, tmp_path, rate), LONG_KILLS, dice))


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_kills_with_the_disk(dsn: str, tmp_path: Path, dice: random.Random) -> None:
    what = killing(dsn, tmp_path, 5000)
    what.durability = "disk"
    assert_whole(await killed(what, 8, dice))


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_kills_of_many_at_once(dsn: str, tmp_path: Path, dice: random.Random) -> None:
    """Each adopts what others left, and is killed meanwhile."""
    what = killing(dsn, tmp_path, 2000)
    what.lanes = 4
    assert_whole(await killed(what, 24, dice))


@contextlib.asynccontextmanager
async def failing(server: Outage, fault: Fault, dice: random.Random) -> AsyncIterator[None]:
    """The server fails again and again, and is well at the end."""
    ended = asyncio.Event()

    async def fail() -> None:
        while not ended.is_set():
            await asyncio.sleep(dice.random() * 0.5)
            await fault(server, dice)

    task = asyncio.create_task(fail())
    try:
        yield
    finally:
        ended.set()
        await task


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", [server_killed, frozen, unanswered])
async def test_kills_while_the_server_fails(
    tmp_path: Path, dice: random.Random, fault: Fault
) -> None:
    with Outage() as server:
        await execlog.migrate(server.dsn)
        what = killing(server.dsn, tmp_path, 3000)
        what.lanes = 2
        what.seconds = 1.0
        assert_whole(await killed(what, 20, dice, failing(server, fault, dice)))
