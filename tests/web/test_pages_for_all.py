"""All can be read and reached: by pointer, by keyboard, without scripts, on a small screen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.web import browser as web
from tests.web.site import EVIL, HOUR, Site, all_pages, follow, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed


@pytest.mark.long
async def test_the_pointer_shows_the_numbers_of_a_bucket(page: Page, site: Site) -> None:
    await page.goto(site.page("strategy", id="loyalty", since="6h"))
    await page.get_by_role("button", name="Pause").click()  # a refresh takes the numbers away
    heads = await page.locator("table.series thead th").all_text_contents()
    rows = page.locator("table.series tbody tr")
    count = await rows.count()
    chart = page.locator("#time figure:has(table.series) svg.chart").first
    await chart.scroll_into_view_if_needed()
    box = await chart.bounding_box()
    assert box is not None
    for place in (0, count // 3, count - 1):
        left = box["x"] + (place + 0.5) * box["width"] / count
        await page.mouse.move(left, box["y"] + 60)
        tip = page.locator(".tip")
        await tip.wait_for()
        cells = [
            text.strip() for text in await rows.nth(place).locator("th, td").all_text_contents()
        ]
        assert await tip.locator("b").inner_text() == cells[0]
        names = await tip.locator("dt").all_inner_texts()
        values = await tip.locator("dd").all_inner_texts()
        expected = [
            (head.strip(), cell) for head, cell in zip(heads[1:], cells[1:], strict=False) if cell
        ]
        assert list(zip(names, values, strict=True)) == expected
        shown = await tip.bounding_box()
        assert shown is not None
        assert 0 <= shown["x"] <= 1280 - shown["width"]
    href = await rows.nth(count // 3).locator("a").get_attribute("href")
    left = box["x"] + (count // 3 + 0.5) * box["width"] / count
    async with page.expect_navigation():
        await page.mouse.click(left, box["y"] + 60)
    assert page.url == f"{site.url}/{href}"
    assert await page.locator(".tip").count() == 0


_FOCUSED = """() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    const box = one.getBoundingClientRect();
    return {
        name: one === document.body ? null : one.outerHTML.slice(0, 120),
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: box.width > 0 && box.height > 0 && box.left >= 0 && box.top >= 0
            && box.top < innerHeight,
    };
}"""
_FOCUSABLE = """() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"
)].filter(one => one.checkVisibility()).length"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["overview", "strategy", "executions", "compared", "execution"])
async def test_everything_is_reached_by_keyboard(page: Page, site: Site, name: str) -> None:
    await page.goto(all_pages(site)[name])
    focusable = await page.evaluate(_FOCUSABLE)
    reached = []
    for _ in range(focusable):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        assert focused["ring"], focused
        assert focused["seen"], focused
        reached.append(focused["name"])
    assert None not in reached
    assert 'class="skip"' in reached[0]
    wide = await page.locator(".scroll").evaluate_all("all => all.every(one => one.tabIndex === 0)")
    assert wide


@pytest.mark.long
async def test_the_skip_link_skips(page: Page, site: Site) -> None:
    await page.goto(site.page("strategy", id="loyalty"))
    await page.keyboard.press("Tab")
    assert await page.locator(".skip").bounding_box() is not None
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.long
async def test_all_is_readable_without_scripts(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site, java_script_enabled=False) as (page, heard):
        for name, path in all_pages(site).items():
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200
            assert await page.locator("h1").is_visible()
            assert len(await page.locator("main").inner_text()) > 100, name
            for control in (".live", "#copy"):  # what would do nothing
                assert await page.locator(control).filter(visible=True).count() == 0, name
        await page.goto(site.page("executions", id="loyalty", status="error"))
        await page.get_by_text("Other window or realm").click()
        await page.get_by_label("From").fill("2h")
        await page.get_by_label("Realm").fill("acme")
        await follow(page, page.get_by_role("button", name="Show"))
        kept = "id=loyalty&status=error&since=2h&until=&realm=acme&zone="
        assert page.url.endswith(f"/executions?{kept}")
        found = await page.locator("#rows tbody tr").count()
        wanted = [
            one
            for one in site.of("loyalty", site.now - 2 * HOUR)
            if (one.status, one.realm_id) == ("error", "acme")
        ]
        assert found == len(wanted) > 0
        await page.goto(site.page("strategy", id="loyalty"))
        await page.locator("#time summary").last.click()
        assert await page.locator("table.series tbody tr").first.is_visible()
        assert heard.said == []


_ALIKE = """() => {
    document.querySelectorAll("details").forEach(one => { one.open = true; });
    document.querySelectorAll("tbody tr:nth-child(n+5)").forEach(one => one.remove());
}"""


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 375])
async def test_a_page_bars_nobody(chrome: Browser, site: Site, width: int) -> None:
    """What axe-core finds, by day and by night, and whether a page is wider than the screen."""
    paths = {**all_pages(site), "evil": site.page("strategy", id=EVIL), "problem": "/no/such/page"}
    found = []
    async with opened(chrome, site, viewport={"width": width, "height": 900}) as (page, _):
        for name, path in paths.items():
            await page.goto(path)
            taken = await page.evaluate("document.documentElement.scrollWidth")
            if taken > width:
                found.append(f"{name}: is {taken} pixels wide")
            await photograph(page, f"{name}-{width}")
            # All is opened; and the rows of a table are alike, so that a few of them are enough.
            await page.evaluate(_ALIKE)
            found += [f"{name}: {line}" for line in await web.violations(page)]
            await page.emulate_media(color_scheme="dark")
            found += [f"{name}, dark: {line}" for line in await web.violations(page, web.COLOURS)]
            await page.emulate_media(color_scheme="light")
    assert found == []


async def photograph(page: Page, name: str) -> None:
    """Keeps the whole page as pictures, where somebody wants to look at them."""
    folder = os.environ.get("EXECLOG_TEST_SCREENSHOTS")
    if folder is None:
        return
    schemes: Sequence[Literal["dark", "light"]] = ("dark", "light")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        await page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)
