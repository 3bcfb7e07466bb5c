"""An open list shows new rows by itself: what the viewer reads stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from execlog import StrategyExecutionLog
from execlog.web import Scope, create_app
from tests.rows import row
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import EVERY, Site, becomes, follow, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed

LOOK = 1_100  # milliseconds, in which an open list asks once
HOUR = 3_600_000
TICK = 0.05
DENIED = """for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(window, name, {
        get() { throw new DOMException("denied", "SecurityError"); }
    });
"""
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@asynccontextmanager
async def following(
    site: Site, scope: Callable[[Request], Scope | None] | None = None
) -> AsyncIterator[Site]:
    """The same log, read as often as a test can wait for."""
    app = create_app(site.pool, authorize=scope)
    app.state.reader.live.seconds = TICK
    async with served(app) as url:
        yield replace(site, url=url)


@pytest.fixture(scope="module")
async def quick(site: Site) -> AsyncIterator[Site]:
    async with following(site) as found:
        yield found


@pytest.fixture
async def page(chrome: Browser, quick: Site) -> AsyncIterator[Page]:
    async with opened(chrome, quick) as (found, heard):
        await found.clock.install()
        yield found
        assert heard.said == []
        assert {url for url in heard.asked if not url.startswith(f"{quick.url}/")} == set()


def run(name: str, **more: Any) -> StrategyExecutionLog:
    return row(**{"strategy_id": name, "created_at": datetime.now(UTC), "status": "ok", **more})


async def comes(page: Page, found: Callable[[], Awaitable[Any]], expected: object) -> None:
    """Lets the page's time pass until what is found is as expected."""
    last: object = None
    for _ in range(60):
        last = await found()
        if last == expected:
            return
        await page.clock.fast_forward(LOOK)
        await asyncio.sleep(TICK)
    assert last == expected


async def rows(page: Page) -> int:
    return await page.locator("#rows tbody tr").count()


async def top(page: Page) -> str | None:
    return await page.locator("#rows tbody a").first.get_attribute("href")


async def listing(page: Page, site: Site, name: str, count: int = 3, **more: Any) -> None:
    """Opens the list of a new strategy."""
    await site.store(*(run(name) for _ in range(count)))
    await page.goto(site.page("executions", id=name, **more))
    await page.evaluate("window.kept = true")
    assert await page.locator("#live-state").inner_text() == "Live"


async def test_new_rows_come_without_a_reload(page: Page, quick: Site) -> None:
    await listing(page, quick, "comes", limit=4)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    first, second = run("comes"), run("comes", case_name="second")
    await quick.store(first)
    await comes(page, lambda: rows(page), 4)
    assert await top(page) == f"execution?id={first.id}"
    assert await page.locator("tr.fresh").count() == 1
    await quick.store(second)
    await comes(page, lambda: top(page), f"execution?id={second.id}")
    assert await rows(page) == 4  # no more than the page has room for
    assert await page.evaluate("window.kept") is True
    assert {url for url in loaded if "/live/executions?" not in url} == set()
    await page.clock.fast_forward(3_100)
    assert await page.locator("tr.fresh").count() == 0  # it was marked for a moment
    # The next page begins behind the last row that is left.
    runs = page.locator("#rows tbody th a")
    cut = await runs.evaluate_all("all => all.map(one => one.href)")
    await follow(page, page.get_by_role("link", name="Older"))
    rest = await runs.evaluate_all("all => all.map(one => one.href)")
    assert (len(cut), len(rest)) == (4, 1)
    assert set(cut).isdisjoint(rest)


@pytest.mark.parametrize("how", ["scrolled", pytest.param("focused", marks=pytest.mark.long)])
async def test_what_is_read_stays(page: Page, quick: Site, how: str) -> None:
    name = f"read-{how}"
    await listing(page, quick, name, 36)
    if how == "scrolled":
        await page.evaluate("scrollTo(0, 300)")
    else:
        await page.locator("#rows tbody a").nth(3).focus()
    before = await top(page)
    await quick.store(run(name), run(name))
    button = page.get_by_role("button", name="2 new")
    await comes(page, button.count, 1)
    assert (await rows(page), await top(page)) == (36, before)
    if how == "focused":
        assert await web.violations(page) == []
    await button.click()
    assert await rows(page) == 38
    assert await page.evaluate("scrollY") == 0
    if how == "focused":  # the rows that are marked, by day and by night
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await web.violations(page, web.COLOURS) == []
    assert await page.locator("#news").count() == 0


async def test_pauses(page: Page, quick: Site) -> None:
    """By the button, in a hidden tab, after an hour without a sign; then nothing is asked."""
    await listing(page, quick, "pauses")
    pause = page.locator("#live-pause")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    async def is_still() -> None:
        await asyncio.sleep(4 * TICK)  # what is on its way
        asked.clear()
        for _ in range(3):
            await page.clock.fast_forward(EVERY)
            await asyncio.sleep(TICK)
        assert asked == []

    await pause.click()
    await is_still()
    await pause.click()
    await quick.store(run("pauses"))
    await comes(page, lambda: rows(page), 4)
    await page.evaluate(HIDE, True)
    await is_still()
    await quick.store(run("pauses"))
    await page.evaluate(HIDE, False)
    await comes(page, lambda: rows(page), 5)
    await page.clock.fast_forward(HOUR)
    await is_still()
    assert await pause.inner_text() == "Resume"
    assert await page.locator("#live-state").inner_text() == "Paused after an hour"
    await page.mouse.move(5, 5)
    await is_still()
    await quick.store(run("pauses"))
    await pause.click()
    assert await pause.inner_text() == "Pause"
    await comes(page, lambda: rows(page), 6)


@pytest.mark.long
async def test_other_pages_pause_too(page: Page, quick: Site) -> None:
    await page.goto(quick.page("strategy", id="loyalty", since="1h"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    async def asks() -> bool:
        return any("/strategy?" in one for one in asked)

    async def goes_on() -> None:
        asked.clear()
        await comes(page, asks, True)

    async def is_still() -> None:
        await asyncio.sleep(4 * TICK)  # what is on its way
        asked.clear()
        await page.clock.fast_forward(EVERY)
        await asyncio.sleep(0.3)
        assert not await asks()

    await goes_on()
    await page.evaluate(HIDE, True)
    await is_still()
    await page.evaluate(HIDE, False)
    await goes_on()
    await page.clock.fast_forward(HOUR)
    await is_still()
    await page.get_by_role("button", name="Resume").click()
    await goes_on()


async def test_without_the_browsers_storage(chrome: Browser, quick: Site) -> None:
    """A pause lasts as long as the page; and all else works."""
    async with opened(chrome, quick) as (page, heard):
        await page.context.add_init_script(DENIED)
        await page.clock.install()
        await listing(page, quick, "denied")
        await page.locator("#live-pause").click()
        assert await page.locator("#live-pause").inner_text() == "Resume"
        await quick.store(run("denied"))
        for _ in range(3):
            await page.clock.fast_forward(LOOK)
            await asyncio.sleep(TICK)
        assert await rows(page) == 3
        await page.locator("#live-pause").click()
        await comes(page, lambda: rows(page), 4)
        await page.reload()
        assert await page.locator("#live-pause").inner_text() == "Pause"
        await page.goto(quick.page("strategy", id="loyalty"))
        await page.locator("#time svg.chart").first.hover()
        await page.locator(".tip").wait_for()
        assert heard.said == []


def _by_cookie(request: Request) -> Scope | None:
    return Scope(realms=[request.cookies["tenant"]])


@pytest.mark.long
async def test_two_tenants_see_their_own(chrome: Browser, site: Site) -> None:
    async with following(site, _by_cookie) as shared:
        async with opened(chrome, shared) as (one, _), opened(chrome, shared) as (two, _):
            for page, tenant in ((one, "acme"), (two, "globex")):
                cookie: Any = {"name": "tenant", "value": tenant, "url": shared.url}
                await page.context.add_cookies([cookie])
                await page.clock.install()
                await page.goto(shared.page("executions", limit=5))
            mine, theirs = run("both", realm_id="acme"), run("both", realm_id="globex")
            await site.store(mine, theirs)
            await comes(one, lambda: top(one), f"execution?id={mine.id}")
            await comes(two, lambda: top(two), f"execution?id={theirs.id}")
            for page, other in ((one, theirs), (two, mine)):
                await page.clock.fast_forward(LOOK)
                assert str(other.id) not in await page.content()


@pytest.mark.long
async def test_an_empty_list_gets_its_first_row(page: Page, quick: Site) -> None:
    await page.goto(quick.page("executions", id="first"))
    assert await page.locator("#rows .empty").count() == 1
    await quick.store(run("first"))
    await comes(page, lambda: rows(page), 1)
    await quick.store(run("first"))
    await comes(page, lambda: rows(page), 2)


@pytest.mark.long
async def test_a_log_without_an_order_is_loaded_again(chrome: Browser, quick: Site) -> None:
    """The server says so to an open page, which from then on refreshes itself as others do."""
    async with opened(chrome, quick) as (page, _):
        await page.clock.install()
        await listing(page, quick, "unordered")
        await page.route("**/live/executions?*", lambda route: route.fulfill(status=501, body=""))
        await page.clock.fast_forward(LOOK)
        await asyncio.sleep(0.2)
        await quick.store(run("unordered"))
        await page.clock.fast_forward(EVERY)
        await becomes(lambda: rows(page), 4)
        assert await page.locator("#live-state").get_by_text("Refreshed").count() == 1


@pytest.mark.long
async def test_a_lost_server_is_told_and_found_again(chrome: Browser, quick: Site) -> None:
    async with opened(chrome, quick) as (page, _):
        await page.clock.install()
        await listing(page, quick, "lost")
        await page.context.set_offline(True)
        state = page.locator("#live-state")
        await comes(page, state.inner_text, "Not refreshed: no answer")
        await quick.store(run("lost"))
        await page.context.set_offline(False)
        await comes(page, lambda: rows(page), 4)
        assert await state.inner_text() == "Live"
