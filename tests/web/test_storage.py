"""The page of the log itself: silence is not ok, and an estimate is no number."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.web import create_app
from execlog.web.storage import about
from tests.rows import fields, row
from tests.types import Pool
from tests.web.test_api import client

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def sections(pool: Pool) -> dict[str, str]:
    """The text of each section, by its id."""
    async with client(create_app(pool)) as api:
        found = await api.get("/storage")
    assert found.status_code == 200
    assert "A part is missing" not in found.text
    parts = re.findall(r'<section id="(\w+)"(.*?)</section>', found.text, re.S)
    return {name: words(text) for name, text in parts}


def words(part: str) -> str:
    text = re.sub(r"^[^>]*>", "", part)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


async def stored(pool: Pool, ago: timedelta, *, for_: timedelta = 100 * MINUTE) -> None:
    """Six runs a minute until so long ago."""
    end = datetime.now(UTC) - ago
    count = int(for_ / MINUTE * 6)
    await StrategyExecutionLogRepository(pool).insert_rows(
        row(created_at=end - n * MINUTE / 6) for n in range(count)
    )


async def test_a_log_that_stores_says_when_it_did_last(pool: Pool) -> None:
    await stored(pool, timedelta(seconds=30))
    assert re.match(r"Last stored 3\d s ago , at [-\d ]*\d\d:", (await sections(pool))["arrival"])


async def test_a_log_that_usually_stores_and_is_silent(pool: Pool) -> None:
    await stored(pool, 14 * MINUTE)
    found = (await sections(pool))["arrival"]
    assert re.match(r"Nothing was stored for 14 min , since [-\d ]*\d\d:", found)
    assert "usually no gap is longer than" in found


async def test_a_log_that_is_seldom_used_is_not_silent(pool: Pool) -> None:
    log = StrategyExecutionLogRepository(pool)
    now = datetime.now(UTC)
    await log.insert_rows(row(created_at=now - n * 90 * MINUTE) for n in range(1, 20))
    found = (await sections(pool))["arrival"]
    assert found.startswith("Last stored 1 h 30 min ago")
    assert "this log has had such gaps before" in found


@pytest.mark.parametrize(
    ("ago", "count", "said"),
    [
        (30 * HOUR, 2000, "Nothing was stored for 1 day 6 h , since .*: no recorder is alive."),
        (10 * MINUTE, 1, "Last stored 10 min ago , .*: .*too few runs tell how often it stores"),
    ],
)
async def test_a_silence_is_usual_only_if_the_log_shows_it(
    pool: Pool, ago: timedelta, count: int, said: str
) -> None:
    await stored(pool, ago, for_=count * MINUTE / 6)
    assert re.match(said, (await sections(pool))["arrival"])


@pytest.mark.parametrize(("rest", "each"), [(14 * HOUR, 24 * HOUR), (62 * HOUR, 168 * HOUR)])
async def test_a_night_and_a_weekend_are_no_silence(
    pool: Pool, rest: timedelta, each: timedelta
) -> None:
    last = datetime.now(UTC) - 0.9 * rest
    await StrategyExecutionLogRepository(pool).insert_rows(
        row(created_at=last - several * each - n * 5 * MINUTE)
        for several in range(3)
        for n in range((each - rest) // (5 * MINUTE))
    )
    found = (await sections(pool))["arrival"]
    assert "and this log has had such gaps before" in found


@pytest.mark.parametrize("ahead", [3 * HOUR, None])
async def test_a_log_with_runs_is_not_empty(pool: Pool, ahead: timedelta | None) -> None:
    """Whatever the clock of a client says, and if it says nothing."""
    now = datetime.now(UTC)
    log = StrategyExecutionLogRepository(pool)
    await log.insert_rows([row(created_at=None if ahead is None else now + ahead)])
    assert "arrival" not in await sections(pool)
    await log.insert_rows([row(created_at=now - 10 * MINUTE)])
    assert (await sections(pool))["arrival"].startswith("Last stored 10 min ago")


async def test_recorders_that_are_alive_and_have_nothing_stored(pool: Pool, dsn: str) -> None:
    async with execlog.ExecutionRecorder(dsn) as recorder:
        for _ in range(3):
            recorder.record(**fields())
        await recorder.flush()
        await pool.execute(
            "update execlog.recorder_progress set stored_at = now() - interval '20 minutes'"
        )
        await pool.execute("truncate execlog.strategy_execution_log")
        found = await sections(pool)
        assert found["arrival"].startswith("Nothing was stored for 20 min")
        assert "a recorder is alive and was offered nothing to store" in found["arrival"]
        await pool.execute("update execlog.recorder_account set offered = 10, pending = 7")
        found = await sections(pool)
        assert "a recorder that is alive holds 7 runs that are not stored" in found["arrival"]
    assert "alive" in found["recorders"]


async def test_the_account_of_the_recorders(pool: Pool, dsn: str) -> None:
    async with execlog.ExecutionRecorder(dsn) as recorder:
        for _ in range(5):
            recorder.record(**fields())
    await pool.execute(
        "update execlog.recorder_account set offered = 9, dropped = '{\"full\": 4}',"
        " spooled = 0, last_dropped_at = now()"
    )
    found = (await sections(pool))["recorders"]
    assert "1 recorder: 9 offered = 5 written + 4 dropped (full, " in found
    row_of = found.rpartition("State")[2]
    assert " 9 5 4 0 0 0 closed" in row_of
    # Its process was killed.
    await pool.execute(
        "update execlog.recorder_account set closed_at = null, last_seen = now() - interval '1 h'"
    )
    found = (await sections(pool))["recorders"]
    assert "Not closed, and silent: " in found
    assert "not closed, silent" in found
    assert "at most " in found


async def test_nobody_recorded(pool: Pool) -> None:
    found = await sections(pool)
    assert found["arrival"].startswith("No run is stored yet.")
    assert "None was seen." in found["recorders"]


async def test_what_maintain_did(pool: Pool, dsn: str) -> None:
    found = (await sections(pool))["upkeep"]
    assert "maintain has not been completed yet; the log was made" in found
    await execlog.maintain(dsn)
    found = (await sections(pool))["upkeep"]
    assert re.search(
        r"maintain was last completed \d+ s ago, at [-\d ]*\d\d:[^;]*; it left nothing", found
    )
    assert "No process maintains the log at this moment." in found
    await pool.execute(
        "update execlog.maintenance set maintained_at = now() - interval '3 hours',"
        " left_in_default = 12, holder = 'host-7', held_until = now() + interval '1 minute'"
    )
    found = (await sections(pool))["upkeep"]
    assert "last completed 3 h ago" in found
    assert "it left 12 rows in the DEFAULT partition" in found
    assert "host-7 maintains the log now." in found


async def test_sizes_and_estimates(pool: Pool) -> None:
    await stored(pool, MINUTE)
    await pool.execute("analyze")
    found = (await sections(pool))["tables"]
    assert "Rows ~600 Their data" in found
    assert re.search(r"Rollups [\d.]+ kB", found)
    assert re.search(r"_default 0 ", found)


@pytest.mark.parametrize(("rows", "said"), [(None, "unknown"), (0, "0"), (12_400, "~12,400")])
def test_an_estimate_is_marked(rows: int | None, said: str) -> None:
    assert about(rows) == said


async def test_a_finding_has_its_section_once(pool: Pool) -> None:
    found: dict[str, Any] = await sections(pool)
    for once in ("last stored", "oldest run", "recorders"):
        assert once not in found["health"]
    assert "clock" in found["health"]
