"""From the overview a walk by links leads to each page and to one execution, and back."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.display.format import milliseconds, number
from tests import databases
from tests.web import browser as web
from tests.web.site import HOUR, Site, a_number, becomes, follow, heading, ids, listed, opened

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = web.needed


async def test_from_the_overview_to_one_execution_and_back(
    page: Page, site: Site, client: httpx2.AsyncClient
) -> None:
    runs = site.of("loyalty", site.now - 6 * HOUR)
    errors = [one for one in runs if one.status == "error"]
    assert 50 < len(errors) < len([one for one in site.of("loyalty") if one.status == "error"])
    seen = []

    async def at(pattern: str, title: str) -> None:
        assert re.search(pattern, page.url), page.url
        assert await heading(page) == title
        seen.append((page.url, title))

    await page.goto(site.page())
    await follow(page, page.get_by_role("link", name="6 h", exact=True))
    await at(r"/\?since=6h$", "Overview")
    ranking = page.locator("#ranking tbody tr").filter(
        has=page.get_by_role("link", name="loyalty", exact=True)
    )
    cell = ranking.locator('[data-name="Runs"]')
    assert a_number(await cell.inner_text()) == len(runs)

    await follow(page, ranking.get_by_role("link", name="loyalty", exact=True))
    await at(r"/strategy\?id=loyalty&since=6h$", "loyalty")
    status = page.locator("ul.mix li").filter(has=page.locator(".status.error"))
    assert a_number(await status.locator("a").inner_text()) == len(errors)

    await follow(page, status.locator("a"))
    await at(r"/executions\?id=loyalty&status=error&since=6h$", "Executions")
    shown = await page.locator("#rows tbody .status").all_inner_texts()
    assert shown == ["error"] * 40
    assert set(await listed(client, page.url.rpartition("/")[2])) == ids(errors)

    newest = max(errors, key=lambda one: one.created_at or site.now)
    await follow(page, page.locator("#rows tbody th a").first)
    assert newest.created_at is not None
    assert re.search(rf"/execution\?id={newest.id}&since=6h$", page.url), page.url
    title = await heading(page)
    when = f"{newest.created_at:%H:%M:%S}"
    assert re.fullmatch(
        rf"loyalty failed at .*{when}.*: {re.escape(str(newest.error_code))}", title
    )
    assert await page.locator(".actions .status").inner_text() == "error"
    seen.append((page.url, title))
    await assert_shows(page, newest)

    for url, title in reversed(seen[:-1]):
        await page.go_back()
        assert (page.url, await heading(page)) == (url, title)
    for url, title in seen[1:]:
        await page.go_forward()
        assert (page.url, await heading(page)) == (url, title)
    await follow(page, page.locator(".crumb a"))
    assert page.url == seen[1][0]


async def assert_shows(page: Page, one: StrategyExecutionLog) -> None:
    """The page of an execution says what is stored."""
    facts = dict(
        zip(
            await page.locator("#coordinates dt").all_inner_texts(),
            await page.locator("#coordinates dd").all_inner_texts(),
            strict=True,
        )
    )
    expected = {
        "Nodes": str(one.nodes_executed),
        "Code": one.error_code,
        "Case": one.case_name,
        "Version": str(one.strategy_version),
        "Type": one.strategy_type,
        "Id": str(one.id),
        "Realm": one.realm_id,
        "Game": one.external_game_id,
        "Task": one.external_task_id,
        "User": one.external_user_id,
        "Trace id": one.trace_id.hex if one.trace_id else None,
    }
    stored_at = datetime.fromisoformat(facts.pop("Stored") + "+00:00")
    assert abs(datetime.now(UTC) - stored_at) < HOUR
    assert one.created_at is not None
    assert f"{one.created_at:%H:%M:%S.%f}" in facts.pop("Finished")
    assert facts.pop("Took") == milliseconds(one.duration_ms)
    assert facts.pop("Points", None) == (None if one.points is None else number(one.points))
    assert facts == {name: value for name, value in expected.items() if value is not None}
    assert one.attributes is not None
    assert await page.locator("#attributes dd").all_inner_texts() == [
        str(value) for _, value in sorted(one.attributes.items(), key=lambda pair: len(pair[0]))
    ]
    assert json.loads(await page.locator("#input pre").inner_text()) == one.input
    names = await page.locator(".waterfall th summary, .waterfall th > bdi").all_inner_texts()
    assert names == ["load", "decide", "tier", "points above a hundred", "bonus", "award"]
    first = page.locator(".waterfall details").first
    await first.locator("summary").click()
    stored = json.loads(await first.locator("dd").inner_text())
    assert one.trace is not None
    assert stored == one.trace[0]["found"]
    assert await page.locator(".notes").inner_text() == one.notes


@pytest.mark.long
async def test_a_strategy_is_opened_by_its_name(page: Page, site: Site) -> None:
    await page.goto(site.page(since="6h"))
    await page.get_by_label("Strategy", exact=True).fill("loyalty-2")
    await follow(page, page.get_by_role("button", name="Open"))
    assert re.search(r"/strategy\?id=loyalty-2&since=6h$", page.url), page.url
    assert await heading(page) == "loyalty-2"


async def test_two_strategies_are_compared(page: Page, site: Site) -> None:
    await page.goto(site.page(since="6h"))
    await follow(page, page.get_by_role("link", name="Compare", exact=True))
    await page.get_by_label("A", exact=True).fill("loyalty")
    await page.get_by_label("B", exact=True).fill("loyalty-2")
    await follow(page, page.get_by_role("button", name="Compare"))
    assert re.search(r"\?since=6h&a=loyalty&a_version=&.*&b=loyalty-2&", page.url), page.url
    table = page.locator("table.deltas")
    heads = await table.locator("thead th a").all_inner_texts()
    assert heads == ["loyalty", "loyalty-2"]
    counts = [len(site.of(name, site.now - 6 * HOUR)) for name in heads]
    found = await table.locator("tbody tr").first.locator("td a").all_inner_texts()
    assert [a_number(text) for text in found] == counts
    deltas = await table.locator('tbody [data-name="Difference"]').all_inner_texts()
    names = await table.locator("tbody th").all_inner_texts()
    moved = dict(zip(names, deltas, strict=True))
    for name, text in moved.items():
        if name not in ("Runs", "Points"):
            assert re.search("(higher|lower) in B|^the same$", text), (name, text)
    log = StrategyExecutionLogRepository(site.pool)
    both = await log.compare(a="loyalty", b="loyalty-2", since=site.now - 6 * HOUR, until=site.now)
    by = both.b.duration.avg_ms - both.a.duration.avg_ms
    assert f"{milliseconds(abs(by))} {'higher' if by > 0 else 'lower'} in B" in moved["Average"]
    await follow(page, page.get_by_role("link", name="Swap"))
    assert await table.locator("thead th a").all_inner_texts() == heads[::-1]


@pytest.mark.long
async def test_the_partitions_are_listed(page: Page, site: Site) -> None:
    await page.goto(site.page())
    await follow(page, page.get_by_role("link", name="Storage", exact=True))
    partitions = await site.pool.fetch(
        "select relid::regclass::text as name from pg_partition_tree($1) where isleaf",
        databases.TABLE,
    )
    names = {row["name"].removeprefix("execlog.") for row in partitions}
    assert names
    assert names <= set(await page.locator("#tables tbody th").all_inner_texts())


@pytest.mark.long
async def test_an_execution_is_copied_as_json(
    chrome: Browser, site: Site, client: httpx2.AsyncClient
) -> None:
    run = site.of("loyalty")[3]
    rights = ["clipboard-read", "clipboard-write"]
    async with opened(chrome, site, permissions=rights) as (page, _):
        await page.goto(site.page("execution", id=run.id))
        await page.get_by_role("button", name="Copy as JSON").click()
        await becomes(page.locator("#copied").inner_text, "Copied.")
        copied = await page.evaluate("navigator.clipboard.readText()")
    answer = await client.get(f"/api/executions/{quote(str(run.id))}")
    assert copied == answer.text
    told = json.loads(copied)
    assert told.pop("storedAt") is not None
    assert told == run.model_dump(by_alias=True, mode="json", exclude={"stored_at"})
