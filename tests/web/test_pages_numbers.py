"""The pages as people use them: in a browser, by pointer, by keyboard, and without scripts."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urljoin

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.display.format import milliseconds
from execlog.web import create_app
from tests import databases
from tests.rows import row
from tests.types import Pool
from tests.web import browser as web
from tests.web.served import served

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page, Response, Route

_MISSING = web.missing()
pytestmark = pytest.mark.skipif(_MISSING is not None, reason=_MISSING or "")

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCRIPT = "<script>document.title='taken'</script>"
IMAGE = '"><img src=x onerror="document.title=\'taken\'">'
EVIL = f"{SCRIPT}{IMAGE}"
STATUSES = ["ok", "ok", "ok", "error", "ok", "timeout", "ok", "limit", "error", "unheard of"]
OTHER = "other"
EVERY = 11_000  # milliseconds, in which a page refreshes itself once


@dataclass(frozen=True)
class Site:
    """The dashboard of a seeded log, and what was stored there."""

    url: str
    pool: Pool
    now: datetime
    rows: Sequence[StrategyExecutionLog]

    def of(self, strategy_id: str, since: datetime | None = None) -> list[StrategyExecutionLog]:
        """The stored executions of a strategy, since then."""
        begin = self.now - 30 * 24 * HOUR if since is None else since
        return [
            one
            for one in self.rows
            if one.strategy_id == strategy_id and one.created_at and one.created_at >= begin
        ]

    def page(self, page: str = "", **asked: Any) -> str:
        """The path of a page."""
        return f"/{page}?{urlencode(asked)}" if asked else f"/{page}"

    async def store(self, *rows: StrategyExecutionLog) -> None:
        """Stores executions while the pages are looked at."""
        await StrategyExecutionLogRepository(self.pool).insert_rows(rows)


@dataclass
class Heard:
    """What pages do that nobody reads on them."""

    said: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def trace(n: int) -> list[dict[str, Any]]:
    """Three nodes, of which one holds two and one of these another."""
    inner = [{"name": "tier", "ms": 1.5, "result": n}, {"name": "bonus", "ms": 0.5}]
    inner[0]["children"] = [{"name": "points above a hundred", "ms": 1.0}]
    return [
        {"name": "load", "ms": 2.0, "found": {"orders": n}},
        {"name": "decide", "ms": 2.5, "children": inner},
        {"name": "award", "ms": 0.25},
    ]


def seeds(now: datetime) -> Iterator[StrategyExecutionLog]:
    """Twenty hours of three strategies; nothing near the ends of the windows that are picked."""
    for name, count in (("loyalty", 1500), ("loyalty-2", 700), (EVIL, 40)):
        for n in range(count):
            age = MINUTE + n * 20 * HOUR / count
            if any(abs(age - hours * HOUR) < 10 * MINUTE for hours in (2, 6)):
                continue
            status = STATUSES[n * 7 % len(STATUSES)]
            yield row(
                created_at=now - age,
                strategy_id=name,
                strategy_type="DSL_FULL",
                realm_id=["acme", "globex", None][n % 3],
                external_game_id=f"game-{n % 9}",
                external_task_id=f"task-{n}",
                external_user_id=f"user-{n % 70}",
                status=status,
                error_code=_code(name, n) if status == "error" else None,
                case_name=EVIL if name == EVIL else ["gold", "silver", None, "bronze & co"][n % 4],
                duration_ms=[0.0, 0.5, 5.0, 5.0001, 7.25, 33.3, 250.0, 900.0, 6000.5][n * 5 % 9],
                points=[None, -10.0, -4.0, 0.0, 0.1, 2.0, 10.0][n % 7],
                nodes_executed=3 + n % 4,
                trace=[{"name": EVIL, "ms": 1, EVIL: EVIL}] if name == EVIL else trace(n),
                notes=EVIL if name == EVIL else f"note {n}",
            )


def _code(name: str, n: int) -> str:
    return EVIL if name == EVIL else ["E_PROFILE", "E RULE/3?", "E&CO", "é"][n % 4]


@pytest.fixture(scope="module")
async def site(template: str) -> AsyncIterator[Site]:
    now = datetime.now(UTC)
    rows = list(seeds(now))
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=8) as pool,
        served(create_app(pool)) as url,
    ):
        found = Site(url, pool, now, rows)
        await found.store(*rows)
        yield found


@pytest.fixture(scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with web.browser() as found:
        yield found


@asynccontextmanager
async def opened(chrome: Browser, site: Site, **options: Any) -> AsyncIterator[tuple[Page, Heard]]:
    """A page in a context of its own."""
    heard = Heard()
    still: Any = {"base_url": site.url, "reduced_motion": "reduce"}  # nothing scrolls slowly
    context = await chrome.new_context(**still, **options)
    context.set_default_timeout(10_000)
    context.on("console", lambda message: heard.said.append(message.text))
    context.on("weberror", lambda error: heard.said.append(str(error.error)))
    context.on("request", lambda request: heard.asked.append(request.url))
    context.on("response", lambda answer: heard.answers.append(answer))

    async def dismiss(dialog: Any) -> None:
        heard.dialogs.append(dialog.message)
        await dialog.dismiss()

    context.on("dialog", dismiss)
    try:
        yield await context.new_page(), heard
    finally:
        await context.close()


@pytest.fixture
async def page(chrome: Browser, site: Site) -> AsyncIterator[Page]:
    """A page that has nothing to complain of, and asks nobody else, whatever a test does."""
    async with opened(chrome, site) as (found, heard):
        yield found
        assert heard.said == []
        assert heard.dialogs == []
        assert {url for url in heard.asked if not url.startswith(f"{site.url}/")} == set()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=site.url) as asking:
        yield asking


def all_pages(site: Site, strategy_id: str = "loyalty") -> dict[str, str]:
    """Each page once, by a name for it."""
    run = site.of(strategy_id)[0]
    return {
        "overview": site.page(),
        "strategy": site.page("strategy", id=strategy_id, since="6h"),
        "failures": site.page("executions", limit=15),
        "executions": site.page(
            "executions", id=strategy_id, status="failed", min_duration_ms=1, limit=15
        ),
        "compare": site.page("compare"),
        "compared": site.page("compare", a=strategy_id, b="loyalty-2", since="6h"),
        "execution": site.page("execution", id=run.id),
        "storage": site.page("storage"),
    }


def a_number(text: str) -> int:
    return int(text.replace(",", ""))


async def follow(page: Page, link: Locator) -> None:
    """Clicks, and waits for the page that it leads to."""
    async with page.expect_navigation():
        await link.click()


async def heading(page: Page) -> str:
    return " ".join((await page.locator("h1").inner_text()).split())


async def becomes(found: Callable[[], Any], expected: object) -> None:
    """Waits until what is found is as expected; the assertion shows what it was."""
    last: object = None
    for _ in range(200):
        last = await found()
        if last == expected:
            return
        await asyncio.sleep(0.02)
    assert last == expected


async def listed(client: httpx2.AsyncClient, href: str) -> list[str]:
    """The ids of all executions behind a link, page by page."""
    found: list[str] = []
    url: str | None = f"/{href}{'&' if '?' in href else '?'}limit=80"
    while url is not None:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found += re.findall(r'<a href="execution\?id=([0-9a-f-]{36})', answer.text)
        older = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
        url = urljoin("/", html.unescape(older[1])) if older else None
    assert len(found) == len(set(found))
    return found


def ids(rows: Sequence[StrategyExecutionLog]) -> set[str]:
    return {str(one.id) for one in rows}


# The walk.


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
    await at(r"/\?since=6h$", "Strategies")
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
    assert shown == ["error"] * 50
    assert set(await listed(client, page.url.rpartition("/")[2])) == ids(errors)

    newest = max(errors, key=lambda one: one.created_at or site.now)
    await follow(page, page.locator("#rows tbody th a").first)
    await at(rf"/execution\?id={newest.id}&since=6h$", "Execution error")
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
        "Id": str(one.id),
        "Realm": one.realm_id,
        "Game": one.external_game_id,
        "Task": one.external_task_id,
        "User": one.external_user_id,
    }
    assert facts == {name: value for name, value in expected.items() if value is not None}
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
    assert re.search(r"\?since=6h&a=loyalty&b=loyalty-2$", page.url), page.url
    table = page.locator("table.deltas")
    heads = await table.locator("thead th a").all_inner_texts()
    assert heads == ["loyalty", "loyalty-2"]
    counts = [len(site.of(name, site.now - 6 * HOUR)) for name in heads]
    found = await table.locator("tbody tr").first.locator("td a").all_inner_texts()
    assert [a_number(text) for text in found] == counts
    deltas = await table.locator("tbody tr").locator("td:last-child").all_inner_texts()
    names = await table.locator("tbody th").all_inner_texts()
    moved = dict(zip(names, deltas, strict=True))
    for name, text in moved.items():
        if name not in ("Runs", "Points, all"):
            assert "▲" in text or "▼" in text or text == "the same", (name, text)
    log = StrategyExecutionLogRepository(site.pool)
    both = await log.compare(a="loyalty", b="loyalty-2", since=site.now - 6 * HOUR, until=site.now)
    by = both.b.duration.avg_ms - both.a.duration.avg_ms
    assert f"{'▲' if by > 0 else '▼'} {milliseconds(abs(by))}" in moved["Average"]
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


# Numbers, and the rows behind them.


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
    labels = re.findall(r"(\d\d:\d\d:\d\d)</a><td>", found.text)
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


# Without scripts.


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
        assert page.url.endswith("/executions?id=loyalty&status=error&since=2h&until=&realm=acme")
        found = await page.locator("#rows tbody tr").count()
        wanted = [
            one
            for one in site.of("loyalty", site.now - 2 * HOUR)
            if (one.status, one.realm_id) == ("error", "acme")
        ]
        assert found == len(wanted) > 0
        await page.goto(site.page("strategy", id="loyalty"))
        await page.locator("#time summary").click()
        assert await page.locator("table.series tbody tr").first.is_visible()
        assert heard.said == []


# Nothing of others.


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
        for kind in ("execlog.css", "execlog.js", "execlog.svg"):
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
        assert await heading(page) == "Execution ok"
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
        if name in ("overview", "strategy", "executions", "compared"):
            async with page.expect_response(page.url):
                await page.clock.fast_forward(EVERY)
            await assert_harmless(page, name)
    await page.goto(site.page("strategy", id=EVIL))
    chart = page.locator("svg.chart").first
    await chart.hover()
    await page.locator(".tip").wait_for()
    await assert_harmless(page, "tip")


async def assert_harmless(page: Page, name: str) -> None:
    assert "taken" not in (await page.title()).replace(EVIL, ""), name
    sources = await page.eval_on_selector_all("script", "all => all.map(one => one.src)")
    assert [source.rpartition("/")[2] for source in sources] == ["execlog.js"], name
    assert await page.locator("img").count() == 0, name


# Live refresh.


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
    await page.locator("#time summary").click()
    await page.locator("#failures tbody a").first.focus()
    for runs in ("2", "3"):
        await happens()
        await page.clock.fast_forward(EVERY)
        await becomes(page.locator("#cards dd b a").first.inner_text, runs)
        assert await page.locator("#time details").get_attribute("open") is not None
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


# The pointer and the keyboard.


@pytest.mark.long
async def test_the_pointer_shows_the_numbers_of_a_bucket(page: Page, site: Site) -> None:
    await page.goto(site.page("strategy", id="loyalty", since="6h"))
    await page.get_by_role("button", name="Pause").click()  # a refresh takes the numbers away
    heads = await page.locator("table.series thead th").all_text_contents()
    rows = page.locator("table.series tbody tr")
    count = await rows.count()
    chart = page.locator("#time svg.chart").first
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


# Everybody, on every screen.


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
    assert json.loads(copied) == run.model_dump(by_alias=True, mode="json")
