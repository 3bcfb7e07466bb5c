"""Pages say that runs of their window are in files: that they are not read, or that they are."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository, restore_archive
from execlog.archive.away import Away
from execlog.repository.questions import Questions
from execlog.web import create_app
from tests.archiving import archived, midnight, with_partitions
from tests.rows import row
from tests.types import Pool
from tests.web.test_api import client


class Kept(NamedTuple):
    """A log whose old runs are in files."""

    pool: Pool
    folder: Path
    old: StrategyExecutionLog


@pytest.fixture
async def kept(pool: Pool, tmp_path: Path) -> AsyncIterator[Kept]:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20), strategy_id="a", status="error", error_code="E1")
    new = row(created_at=midnight(0), strategy_id="a")
    await StrategyExecutionLogRepository(pool).insert_rows([old, new])
    await archived(pool, tmp_path / "archive")
    yield Kept(pool, tmp_path / "archive", old)


_AWAY = "are in the archive, and this page does not have their rows"
_READ = "are from files of the archive"


_PAGES = (
    "/?",
    "/executions?",
    "/executions?status=failed&",
    "/executions?all_times=true&",
    "/strategy?id=a&",
    "/breakdown?id=a&by=case_name&",
    "/explain?id=a&",
)


async def test_a_page_without_the_folder_says_that_runs_are_in_files(kept: Kept) -> None:
    async with client(create_app(kept.pool)) as site:
        for page in _PAGES:
            found = await site.get(f"{page}since=40d")
            assert found.status_code == 200 and _AWAY in found.text, page
            assert f'datetime="{midnight(20):%Y-%m-%dT%H:%M:%S}Z"' in found.text
            assert "--archive" in found.text and str(kept.folder) not in found.text
            if "all_times" not in page:
                assert _AWAY not in (await site.get(f"{page}since=1d")).text
        # Rollups have counted what is away.
        found = await site.get("/compare?a=a&b=a&since=40d")
        assert found.status_code == 200 and "archive" not in found.text


async def test_an_execution_that_is_not_found_may_be_in_files(kept: Kept) -> None:
    for path in (f"/execution?id={kept.old.id}", f"/api/executions/{kept.old.id}"):
        async with client(create_app(kept.pool)) as site:
            found = await site.get(path)
            said = f"Runs until {midnight(20):%Y-%m-%d} 00:00:00 UTC are in the archive"
            assert found.status_code == 404 and said in found.text, found.text
        async with client(create_app(kept.pool, archive=kept.folder)) as site:
            assert (await site.get(path)).status_code == 200
            other = await site.get(path.replace(str(kept.old.id), str(row().id)))
            assert other.status_code == 404 and "archive" not in other.text


async def test_a_page_with_the_folder_says_that_it_read_files(kept: Kept) -> None:
    async with client(create_app(kept.pool, archive=kept.folder)) as site:
        found = await site.get("/executions?since=40d")
        assert _READ in found.text and _AWAY not in found.text and str(kept.old.id) in found.text
        assert _READ not in (await site.get("/executions?since=1d")).text
        found = await site.get("/explain?id=a&since=40d")
        assert found.status_code == 200 and _READ in found.text and _AWAY not in found.text
        assert "archive" not in (await site.get("/compare?a=a&b=a&since=40d")).text
    # Runs that were restored are not away.
    _ = [one async for one in restore_archive(kept.pool, archive=kept.folder)]
    for folder in (None, kept.folder):
        async with client(create_app(kept.pool, archive=folder)) as site:
            found = await site.get("/executions?since=40d")
            assert str(kept.old.id) in found.text
            assert _AWAY not in found.text and _READ not in found.text


async def test_a_file_that_is_away_is_not_named_to_a_viewer(kept: Kept) -> None:
    next(kept.folder.rglob("*.parquet")).unlink()
    async with client(create_app(kept.pool, archive=kept.folder)) as site:
        for path in ("/api/executions?", "/executions?", f"/execution?id={kept.old.id}&"):
            found = await site.get(f"{path}since=40d")
            assert "Files of the log's archive can't be read" in html.unescape(found.text), path
            assert str(kept.folder) not in found.text and ".parquet" not in found.text


async def test_the_log_is_asked_once_a_minute(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ask = list[bool](), Questions._away

    async def away(self: Questions) -> Away | None:
        asked.append(True)
        return await ask(self)

    monkeypatch.setattr(Questions, "_away", away)
    async with client(create_app(kept.pool)) as site:
        for page in ("/executions?since=40d", "/strategy?id=a&since=40d", "/executions?since=1d"):
            assert (await site.get(page)).status_code == 200
    assert len(asked) == 1


async def test_a_log_without_an_archive_says_nothing(pool: Pool) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows([row(strategy_id="a")])
    async with client(create_app(pool)) as site:
        assert "archive" not in (await site.get("/executions?all_times=true")).text
