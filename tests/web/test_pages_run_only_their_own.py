"""No page loads or runs what is not its own, wherever the pages lie."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from execlog.ids import uuid7
from execlog.web import create_app
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import EVERY, EVIL, SCRIPT, Site, all_pages, follow, heading, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed


@pytest.mark.long
async def test_nothing_is_loaded_from_elsewhere(chrome: Browser, site: Site) -> None:
    run = site.of("loyalty")[0]
    async with opened(chrome, site) as (page, heard):
        for path in all_pages(site).values():
            await page.goto(path)
        for path in (f"executions/{run.id}", "openapi.json", "strategies"):
            await page.evaluate("path => fetch(path)", f"/api/{path}")
        assert {url for url in heard.asked if not url.startswith(f"{site.url}/")} == set()
        assert heard.said == []
        for kind in ("execlog.css", "execlog.js", "live.js", "execlog.svg"):
            assert any(url.endswith(f"/static/{kind}") for url in heard.asked), kind
        for answer in heard.answers:
            policy = answer.headers.get("content-security-policy", "")
            assert "default-src 'self'" in policy, answer.url
            assert "unsafe" not in policy
            assert answer.status in (200, 304), answer.url


@pytest.mark.long
@pytest.mark.parametrize("how", ["mounted", "prefixed"])
async def test_it_lies_wherever_it_is_put(chrome: Browser, site: Site, how: str) -> None:
    """Style sheet, script and links are found below any path, on pages that are none too."""
    app = create_app(site.pool, prefix="/a/b" if how == "prefixed" else "")
    whole = app if how == "prefixed" else Starlette(routes=[Mount("/a/b", app)])
    async with served(whole) as url, opened(chrome, replace(site, url=url)) as (page, heard):
        await page.goto("/a/b")
        assert page.url == f"{url}/a/b/"
        await follow(page, page.get_by_role("link", name="loyalty", exact=True).first)
        await follow(page, page.locator("ul.mix a").first)
        await follow(page, page.locator("#rows tbody th a").first)
        assert (await heading(page)).startswith("loyalty ran at ")
        await follow(page, page.get_by_role("link", name="Storage", exact=True))
        assert heard.said == []
        await page.goto("/a/b/no/such/page")
        await follow(page, page.get_by_role("link", name="To the overview"))
        assert page.url == f"{url}/a/b/"
        assert {one.url for one in heard.answers if one.status >= 400} == {
            f"{url}/a/b/no/such/page"
        }
        assert all(asked.startswith(f"{url}/a/b") for asked in heard.asked)


async def test_an_injected_script_does_not_run(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site) as (page, heard):
        await page.goto(site.page())
        await page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.taken = 1";
                document.body.append(script);
                const button = document.createElement("div");
                button.innerHTML = "<img src='data:,' onerror='window.taken = 2'>";
                document.body.append(button);
            }"""
        )
        await page.wait_for_timeout(100)
        assert await page.evaluate("window.taken") is None
        assert any("Content Security Policy" in text for text in heard.said)


@pytest.mark.long
async def test_stored_scripts_are_text(page: Page, site: Site) -> None:
    run = next(one for one in site.of(EVIL) if one.status == "error")
    paths = {**all_pages(site, EVIL), "execution": site.page("execution", id=run.id)}
    paths["wrong"] = site.page("executions", id=EVIL, limit="1", status=EVIL, error_code=EVIL)
    paths["realm"] = site.page("strategy", id=EVIL, realm=EVIL)
    await page.clock.install()
    for name, path in paths.items():
        await page.goto(path)
        if name not in ("failures", "compare", "storage"):
            assert SCRIPT in await page.locator("main").inner_text(), name
        await assert_harmless(page, name)
        if name in ("overview", "strategy", "compared"):
            async with page.expect_response(page.url):
                await page.clock.fast_forward(EVERY)
            await assert_harmless(page, name)
    await page.goto(site.page("executions", id=EVIL))
    new = run.model_copy(update={"id": uuid7(), "created_at": datetime.now(UTC)})
    await site.store(new)
    for _ in range(100):  # it comes without a reload
        await page.clock.fast_forward(1000)
        if str(new.id) in await page.content():
            break
        await page.wait_for_timeout(50)
    assert str(new.id) in await page.content()
    await assert_harmless(page, "live")
    await page.goto(site.page("strategy", id=EVIL))
    chart = page.locator("svg.chart").first
    await chart.hover()
    await page.locator(".tip").wait_for()
    await assert_harmless(page, "tip")


async def assert_harmless(page: Page, name: str) -> None:
    assert "taken" not in (await page.title()).replace(EVIL, ""), name
    sources = await page.eval_on_selector_all("script", "all => all.map(one => one.src)")
    assert [source.rpartition("/")[2] for source in sources] == ["execlog.js", "live.js"], name
    assert await page.locator("img").count() == 0, name
