"""From the overview to an execution that the culprit broke: three clicks, and nothing is typed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from execlog.web import create_app
from tests import databases
from tests.incidents import Incident, made, staged
from tests.rows import fields
from tests.types import Pool
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import follow

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed

RUNS = 4500  # three times as many as of the command line: of 1,500 chance explains some incidents
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 11))]


@asynccontextmanager
async def broken(template: str, seed: int) -> AsyncIterator[tuple[Incident, Pool, str]]:
    """A log in which something is wrong, and its pages."""
    dice = random.Random(seed)
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
        served(create_app(pool)) as url,
    ):
        incident = made(dice, dsn)
        rows = list(staged(dice, incident, RUNS))
        await StrategyExecutionLogRepository(pool).insert_rows(rows)
        yield incident, pool, url


async def walked(page: Page, url: str, window: str) -> str:
    """The id of the execution that three clicks lead to."""
    await page.goto(f"{url}/{window}")
    first = page.locator("#headline li").first
    said = await first.inner_text()
    assert said.startswith("loyalty: error rate rose from "), said
    await follow(page, first.get_by_role("link", name="Why?"))
    await follow(page, page.locator("#causes tbody th a").first)
    failing = page.locator("#rows tbody tr").filter(has=page.locator(".status.error"))
    await follow(page, failing.first.locator("th a"))
    [found] = parse_qs(urlsplit(page.url).query)["id"]
    assert urlsplit(page.url).path == "/execution"
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_three_clicks_from_the_overview_to_a_run_that_broke(
    template: str, chrome: Browser, seed: int
) -> None:
    async with broken(template, seed) as (incident, pool, url):
        page = await chrome.new_page()
        for window in ("", "?since=4h") if seed == 1 else ("",):
            found = await walked(page, url, window)
            one = await StrategyExecutionLogRepository(pool).get(id=found)
            assert one is not None
            culprit = (incident.version, incident.realm, incident.case, "error")
            assert (one.strategy_version, one.realm_id, one.case_name, one.status) == culprit
        await page.close()


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 375])
async def test_what_is_said_of_trouble_can_be_read(
    template: str, chrome: Browser, width: int
) -> None:
    """A finding, a silent log, a recorder that is gone, what is unknown, and an empty log."""
    async with broken(template, 1) as (incident, pool, url):
        page = await chrome.new_page(viewport={"width": width, "height": 900})
        async with ExecutionRecorder(incident.dsn) as recorder:
            recorder.record(**fields())
        await pool.execute(
            "update execlog.recorder_account set closed_at = null, dropped = '{\"full\": 6}',"
            " offered = offered + 6, last_seen = now() - interval '5 min', last_dropped_at = now()"
        )
        assert await read(page, url, ["/", "/storage", "/?realm=typo", "/?since=2020&until=2021"])
        await pool.execute(
            "update execlog.strategy_execution_log set created_at = created_at - interval '20 min'"
        )
        await pool.execute(
            "update execlog.recorder_progress set stored_at = now() - interval '20 min'"
        )
        assert "Nothing was stored for" in await read(page, url, ["/", "/storage"])
        await pool.execute("truncate execlog.strategy_execution_log")
        assert "first.py" in await read(page, url, ["/"])
        await page.close()


async def read(page: Page, url: str, paths: list[str]) -> str:
    """The text of pages in which axe finds nothing, by day and by night."""
    text = ""
    width = page.viewport_size["width"] if page.viewport_size else 0
    for path in paths:
        await page.goto(f"{url}{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        for scheme in ("dark", "light"):
            await page.emulate_media(color_scheme=scheme)
            assert await web.violations(page) == [], (path, scheme)
        text += await page.locator("main").inner_text()
    return text
