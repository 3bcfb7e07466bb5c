"""A phone's first screen has content, what scrolls sideways shows it, and paper has no controls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from execlog.web import create_app
from tests import databases
from tests.rows import row
from tests.samples import one_of
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import MINUTE, Site, all_pages, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed

ROWS = """() => {
    const middles = [...document.querySelectorAll(".top a, .top p")].map(one => {
        const box = one.getBoundingClientRect();
        return box.top + box.height / 2;
    });
    return {
        apart: Math.max(...middles) - Math.min(...middles),
        tall: document.querySelector(".top").getBoundingClientRect().height,
        wide: document.documentElement.scrollWidth,
        content: document.querySelector("main section, main .empty").getBoundingClientRect().top,
        here: [...document.querySelectorAll(".top nav [aria-current]")].every(one => {
            const [link, nav] = [one, one.parentElement].map(each => each.getBoundingClientRect());
            return link.left >= nav.left - 1 && link.right <= nav.right + 1;
        }),
    };
}"""
CUT = """() => {
    const cut = [...document.querySelectorAll(".scroll, .top nav")]
        .filter(one => one.scrollWidth > one.clientWidth);
    return [cut.length, cut.filter(one =>
        getComputedStyle(one).backgroundAttachment !== "local, local, scroll, scroll").length];
}"""
PAPER = """() => ({
    controls: [...document.querySelectorAll(
        "header, form, button, input, select, .picker nav, .pick, .pages"
    )].filter(one => one.checkVisibility()).map(one => one.outerHTML.slice(0, 60)),
    cut: [...document.querySelectorAll(".scroll")].filter(
        one => getComputedStyle(one).overflowX !== "visible").length,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
})"""


async def look(page: Page, site: Site, names: tuple[str, ...], width: int) -> None:
    for name in names:
        await page.goto(all_pages(site)[name])
        found = await page.evaluate(ROWS)
        assert found["apart"] < 12, name  # one row
        assert found["tall"] < 50, name
        assert found["here"], name  # the page's own link is in sight
        assert found["wide"] <= width, name
        assert found["content"] < 600, name


async def test_a_phone_begins_with_content(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site, viewport={"width": 375, "height": 812}) as (page, heard):
        await look(page, site, ("overview", "failures", "storage"), 375)
        # Where there is more sideways, an edge is drawn.
        many, without = await page.evaluate(CUT)
        assert many >= 1
        assert without == 0
        assert heard.said == []


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 375])
async def test_the_header_is_one_row_on_every_page(chrome: Browser, site: Site, width: int) -> None:
    size = {"width": width, "height": 812}
    async with opened(chrome, site, viewport=size) as (page, _):
        await look(page, site, tuple(all_pages(site)), width)
    async with opened(chrome, site, viewport=size, java_script_enabled=False) as (page, _):
        for path in all_pages(site).values():
            await page.goto(path)
            header = await page.locator(".top").bounding_box()
            assert header is not None
            assert header["height"] < 50


async def test_paper_has_what_was_seen(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site, color_scheme="dark") as (page, _):
        await page.goto(site.page("executions", id="loyalty", since="2h"))
        await page.emulate_media(media="print", color_scheme="dark")
        found = await page.evaluate(PAPER)
        assert found == {
            "controls": [],
            "cut": 0,
            "ground": "rgb(255, 255, 255)",
            "ink": "rgb(0, 0, 0)",
        }
        assert await page.locator(".window").is_visible()
        assert await page.get_by_text("As of ").is_visible()  # with the date


@pytest.mark.long
async def test_every_page_is_printed_without_controls(chrome: Browser, site: Site) -> None:
    async with opened(chrome, site) as (page, _):
        await page.emulate_media(media="print")
        for name, path in all_pages(site).items():
            await page.goto(path)
            found = await page.evaluate(PAPER)
            assert (found["controls"], found["cut"]) == ([], 0), name
            assert (await page.pdf()).startswith(b"%PDF"), name


@pytest.mark.parametrize("width", one_of([375, 320]))
async def test_names_without_a_place_to_break(chrome: Browser, template: str, width: int) -> None:
    """Of strategies, tenants, codes, cases and nodes; also of what is not there."""
    name, now = "W" * 120, datetime.now(UTC)
    rows = [
        row(
            strategy_id=name,
            created_at=now - n * MINUTE,
            realm_id=name,
            external_user_id=name,
            case_name=name,
            strategy_version=1 + (n < 30),
            status="error" if n < 30 or n % 20 == 0 else "ok",
            error_code=name if n < 30 or n % 20 == 0 else None,
            error_message=name,
            attributes={"key": name},
            trace=[{"name": name, "ms": 1, "error": name}],
        )
        for n in range(300)
    ]
    pages: dict[str, dict[str, Any]] = {
        "": {"realm": name},
        "strategy": {"id": name},
        "strategy?": {"id": f"no {name}"},
        "executions": {"id": name, "realm": name, "error_code": name},
        "executions?": {"id": f"no{name}"},
        "breakdown": {"id": name, "by": "error_code"},
        "compare": {},
        "compare?": {"a": name, "b": name, "a_version": 1, "b_version": 2},
        "explain": {"id": name, "measure": f"case:{name}"},
        "execution": {"id": rows[0].id},
    }
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
        served(create_app(pool)) as url,
    ):
        site = Site(url, pool, now, rows)
        await site.store(*rows)
        async with opened(chrome, site, viewport={"width": width, "height": 800}) as (page, _):
            for path, asked in pages.items():
                await page.goto(site.page(path.removesuffix("?"), **asked))
                await page.evaluate(
                    "document.querySelectorAll('details').forEach(one => { one.open = true; })"
                )
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, wide)
