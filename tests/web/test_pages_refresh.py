"""An open page shows what is new by itself, and takes nothing away from who reads it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.rows import row
from tests.web import browser as web
from tests.web.site import EVERY, Site, becomes, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

pytestmark = web.needed


async def failures(page: Page) -> int:
    return await page.locator("#failures tbody tr").count()


async def test_a_new_failure_appears_without_a_reload(page: Page, site: Site) -> None:
    name = "live"
    await site.store(row(strategy_id=name, created_at=datetime.now(UTC), status="error"))
    await page.clock.install()
    await page.goto(site.page("strategy", id=name, since="1h"))
    await page.evaluate("window.kept = true")
    assert await failures(page) == 1
    count = page.locator("#cards dd b a").first
    pause = page.locator("#live-pause")

    async def happens() -> None:
        await site.store(row(strategy_id=name, created_at=datetime.now(UTC), status="timeout"))
        await page.clock.fast_forward(EVERY)

    await happens()
    await becomes(lambda: failures(page), 2)
    await becomes(count.inner_text, "2")

    await pause.click()
    assert await pause.inner_text() == "Resume"
    assert await pause.get_attribute("aria-pressed") == "true"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await happens()
    await page.clock.fast_forward(EVERY)
    await page.wait_for_timeout(200)
    assert await failures(page) == 2
    assert asked == []

    await pause.click()
    assert await pause.inner_text() == "Pause"
    await becomes(lambda: failures(page), 3)
    assert await page.evaluate("window.kept") is True


@pytest.mark.long
async def test_a_pause_holds_what_is_on_its_way(page: Page, site: Site) -> None:
    name, here, go = "held", asyncio.Event(), asyncio.Event()
    await site.store(row(strategy_id=name, created_at=datetime.now(UTC), status="error"))
    await page.clock.install()
    await page.goto(site.page("strategy", id=name, since="1h"))
    await site.store(row(strategy_id=name, created_at=datetime.now(UTC), status="error"))

    async def late(route: Route) -> None:
        answer = await route.fetch()
        here.set()
        await go.wait()
        await route.fulfill(response=answer)

    await page.route("**/strategy?*", late)
    async with page.expect_event("requestfinished"):
        await page.clock.fast_forward(EVERY)
        await here.wait()
        await page.locator("#live-pause").click()
        go.set()
    await page.wait_for_timeout(100)
    assert await failures(page) == 1


@pytest.mark.long
async def test_refreshes_do_not_pile_up(page: Page, site: Site) -> None:
    """A slow server is asked once at a time, and no old answer comes after a new one."""
    await page.clock.install()
    await page.goto(site.page("strategy", id="loyalty", since="1h"))
    held, go = [], asyncio.Event()

    async def slow(route: Route) -> None:
        held.append(route.request.url)
        await go.wait()
        await route.continue_()

    await page.route("**/strategy?*", slow)
    for _ in range(3):
        await page.clock.fast_forward(EVERY)
        await page.wait_for_timeout(50)
    asked = len(held)
    async with page.expect_event("requestfinished"):
        go.set()
    assert asked == 1


@pytest.mark.long
async def test_a_refresh_disturbs_nobody(page: Page, site: Site) -> None:
    """What is open stays open, and where somebody is, nothing moves."""
    name = "disturbed"

    async def happens() -> None:
        await site.store(row(strategy_id=name, created_at=datetime.now(UTC), status="error"))

    await happens()
    await page.clock.install()
    await page.goto(site.page("strategy", id=name, since="1h"))
    await page.locator("#time figure:has(table.series) summary").click()
    await page.locator("#failures tbody a").first.focus()
    for runs in ("2", "3"):
        await happens()
        await page.clock.fast_forward(EVERY)
        await becomes(page.locator("#cards dd b a").first.inner_text, runs)
        numbers = page.locator("#time figure:has(table.series) details")
        assert await numbers.get_attribute("open") is not None
        assert await page.locator("table.series").is_visible()
        assert await failures(page) == 1
        inside = "document.getElementById('failures').contains(document.activeElement)"
        assert await page.evaluate(inside)
    await page.evaluate("document.activeElement.blur()")
    await page.clock.fast_forward(EVERY)
    await becomes(lambda: failures(page), 3)


@pytest.mark.long
async def test_a_lost_server_is_told(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site) as (page, _):
        await page.clock.install()
        await page.goto(site.page("strategy", id="loyalty"))
        await page.context.set_offline(True)
        await page.clock.fast_forward(EVERY)
        state = page.locator("#live-state")
        await becomes(state.inner_text, "Not refreshed: no answer")
        assert await page.locator("#cards").is_visible()
        await page.context.set_offline(False)
        await page.clock.fast_forward(EVERY)
        await becomes(lambda: state.get_by_text("Refreshed").count(), 1)
