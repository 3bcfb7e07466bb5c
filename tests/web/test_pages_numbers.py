"""Each number on a page is as many rows as lie behind its link."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest

from execlog import StrategyExecutionLogRepository
from tests.web import browser as web
from tests.web.site import HOUR, MINUTE, OTHER, STATUSES, Site, a_number, ids, listed

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = web.needed


async def links(page: Page, rows: str) -> list[tuple[str, str, str | None]]:
    """The name, the number and the link of each row of a figure."""
    found: list[list[str]] = await page.eval_on_selector_all(
        rows,
        """rows => rows.map(row => [
            row.querySelector("th, dt, .status").innerText.trim(),
            (row.querySelector("td.n, dd b, a") ?? row).innerText.trim(),
            row.querySelector("a")?.getAttribute("href"),
        ])""",
    )
    return [(name, text, link) for name, text, link in found]


@pytest.fixture(params=["rows", "rollups"])
async def answered_by(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """What the numbers come from: few runs are counted anew, many are not."""
    kept = await site.pool.fetchval("select exact_runs from execlog.rollup_state")
    at_most = 10**12 if request.param == "rows" else -1
    await site.pool.execute("update execlog.rollup_state set exact_runs = $1", at_most)
    yield request.param
    await site.pool.execute("update execlog.rollup_state set exact_runs = $1", kept)


@pytest.mark.long
async def test_each_number_is_as_many_rows(
    page: Page, site: Site, client: httpx2.AsyncClient, answered_by: str
) -> None:
    begin = site.now - 4 * HOUR - timedelta(seconds=17, microseconds=5)
    runs = site.of("loyalty", begin)
    window = {"since": begin.isoformat(), "until": site.now.isoformat()}
    await page.goto(site.page("strategy", id="loyalty", **window))
    counted = 0
    for rows in ("ul.mix li", "#durations tr", "#points tr", "#errors tr", "#cases tr"):
        found = [one for one in await links(page, f"{rows}:not(thead tr)") if one[1] != "0"]
        assert len(found) > 1, rows
        for name, text, href in found:
            assert href is not None, (rows, name)
            assert len(await listed(client, href)) == a_number(text), (rows, name, href)
            counted += 1
    assert counted > 20
    by_status = {name: href for name, _, href in await links(page, "ul.mix li")}
    for status in ("ok", "error", "timeout", "limit", OTHER):
        wanted = "unheard of" if status == OTHER else status
        expected = ids([one for one in runs if one.status == wanted])
        assert set(await listed(client, by_status[status] or "")) == expected, status
    codes = {name: href for name, _, href in await links(page, "#errors tbody tr")}
    for code in codes:
        expected = ids([one for one in runs if one.error_code == code])
        assert set(await listed(client, codes[code] or "")) == expected, code
    no_case = ids([one for one in runs if one.case_name is None])
    cases = {name: href for name, _, href in await links(page, "#cases tbody tr")}
    assert set(await listed(client, cases["no rule matched"] or "")) == no_case


@pytest.mark.long
async def test_each_card_is_of_its_rows(
    page: Page, site: Site, client: httpx2.AsyncClient, answered_by: str
) -> None:
    begin = site.now - 4 * HOUR - timedelta(seconds=17, microseconds=5)
    runs = site.of("loyalty", begin)
    window = {"since": begin.isoformat(), "until": site.now.isoformat()}
    await page.goto(site.page("strategy", id="loyalty", **window))
    cards = {name: (text, href or "") for name, text, href in await links(page, "#cards dl > div")}
    rows = {name: set(await listed(client, href)) for name, (_, href) in cards.items()}
    assert a_number(cards["Runs"][0]) == len(runs)
    assert rows["Runs"] == rows["Points"] == rows["Nodes"] == ids(runs)
    slowest = max(one.duration_ms for one in runs)
    assert rows["Slowest"] == ids([one for one in runs if one.duration_ms == slowest])
    metrics = await StrategyExecutionLogRepository(site.pool).metrics(
        strategy_id="loyalty", since=begin, until=site.now
    )
    for name in ("p50", "p95", "p99"):
        at_least = getattr(metrics.duration, f"{name}_ms")
        assert rows[name] == ids([one for one in runs if one.duration_ms >= at_least]), name
    points = sum(one.points or 0 for one in runs)
    assert float(cards["Points"][0].replace(",", "")) == pytest.approx(points)


@pytest.mark.long
async def test_the_error_rate_is_that_of_its_rows(
    page: Page, site: Site, client: httpx2.AsyncClient
) -> None:
    """A status that is none of ours is in both or in neither."""
    window = {"since": (site.now - 4 * HOUR).isoformat(), "until": site.now.isoformat()}
    await page.goto(site.page("strategy", id="loyalty", **window))
    cards = {name: (text, href or "") for name, text, href in await links(page, "#cards dl > div")}
    text, href = cards["Error rate"]
    behind = len(await listed(client, href))
    assert text == f"{behind / len(site.of('loyalty', site.now - 4 * HOUR)) * 100:.2f} %"


@pytest.mark.long
async def test_each_bucket_is_as_many_rows(
    page: Page, site: Site, client: httpx2.AsyncClient, answered_by: str
) -> None:
    begin = site.now - 3 * HOUR  # so that some runs are at the very edge of their bucket
    window = {"since": begin.isoformat(), "until": site.now.isoformat()}
    await page.goto(site.page("strategy", id="loyalty", **window))
    buckets: list[list[str]] = await page.eval_on_selector_all(
        "table.series tbody tr",
        "rows => rows.map(row => [row.cells[1].textContent, row.querySelector('a').href])",
    )
    assert sum(int(total) for total, _ in buckets) == len(site.of("loyalty", begin))
    seen: list[str] = []
    for total, href in buckets:
        found = await listed(client, "executions" + href[href.index("?") :])
        assert len(found) == int(total), href
        seen += found
    assert len(seen) == len(set(seen))  # no run is in two of them
    busiest = max(buckets, key=lambda bucket: int(bucket[0]))
    await page.goto(busiest[1])
    assert await page.locator("#cards dd b").first.inner_text() == busiest[0]


async def test_buckets_of_a_second_are_told_apart(site: Site, client: httpx2.AsyncClient) -> None:
    """Also in a window that begins with a minute."""
    begin = (site.now - MINUTE).replace(second=0, microsecond=0)
    ends = {"since": begin.isoformat(), "until": (begin + MINUTE).isoformat()}
    found = await client.get("/strategy", params={"id": "loyalty", **ends})
    table = found.text.partition('<table class="series">')[2]
    labels = re.findall(r"(\d\d:\d\d:\d\d)</a><td>", table)
    assert len(labels) == len(set(labels)) > 50


@pytest.mark.long
async def test_a_number_of_the_overview_is_as_many_rows(
    page: Page, site: Site, client: httpx2.AsyncClient
) -> None:
    begin = site.now - 5 * HOUR
    await page.goto(site.page(since=begin.isoformat(), until=site.now.isoformat()))
    rows = page.locator("#ranking tbody tr")
    names = await rows.locator("th").all_inner_texts()
    for place, name in enumerate(names):
        for column, statuses in (("Runs", {*STATUSES}), ("Failures", {*STATUSES} - {"ok"})):
            link = rows.nth(place).locator(f'[data-name="{column}"] a')
            found = await listed(client, await link.get_attribute("href") or "")
            expected = [one for one in site.of(name, begin) if one.status in statuses]
            assert set(found) == ids(expected), (name, column)
            assert a_number(await link.inner_text()) == len(expected)
    assert len(names) == 3
