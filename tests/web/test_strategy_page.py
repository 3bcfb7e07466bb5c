"""The page of a strategy: what changed comes first, each number has its rows, within the scope."""

from __future__ import annotations

import html
import random
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx2
import pytest
from starlette.requests import Request

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests import databases
from tests.incidents import made, staged
from tests.rows import T0, row
from tests.types import Pool
from tests.web import browser as web
from tests.web.served import served
from tests.web.site import HOUR, MINUTE, a_number, follow, listed
from tests.web.test_api import client

if TYPE_CHECKING:
    from playwright.async_api import Browser

WINDOW = {"id": "loyalty", "since": "4h"}
TO = " \u2013 "


@pytest.fixture(scope="module")
async def incident(template: str) -> AsyncIterator[tuple[Pool, list[StrategyExecutionLog]]]:
    """A version that breaks for one tenant and one case, half way through three hours."""
    dice = random.Random(3)
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
    ):
        one = replace(made(dice, dsn), version=5, realm="globex", case="bonus")
        rows = list(staged(dice, one))
        await StrategyExecutionLogRepository(pool).insert_rows(rows)
        yield pool, [found for found in rows if found.strategy_id == "loyalty"]


@pytest.fixture
async def api(incident: tuple[Pool, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(incident[0])) as asking:
        yield asking


def words(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


def section(text: str, name: str) -> str:
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def cells(text: str, name: str) -> dict[str, list[tuple[str, str | None]]]:
    """The numbers of each row of a section, with their links."""
    found = {}
    for part in re.split(r"<tr>(?=<th scope=\"row\">)", section(text, name))[1:]:
        head, *rest = part.partition("</table>")[0].split("<td")
        numbers = []
        for one in rest:
            if one.startswith(' class="n"'):
                href = re.search(r'href="([^"]*)"', one)
                numbers.append((words("<td" + one), html.unescape(href[1]) if href else None))
        found[words(head)] = numbers
    return found


async def test_what_changed_comes_first_and_leads_to_the_rows_that_failed(
    api: httpx2.AsyncClient,
) -> None:
    """The window before is empty: the change lies within the window."""
    text = (await api.get("/strategy", params=WINDOW)).text
    changed = section(text, "changed")
    assert re.search(r"Error rate rose from [\d.]+ % to [\d.]+ % at about \d\d:\d\d\.", changed)
    order = [text.index(f'<section id="{name}"') for name in ("changed", "cards", "why", "time")]
    assert order == sorted(order)
    why = section(text, "why")
    [link, *_] = re.findall(r'<li><a href="([^"]*)"', why)
    found = await api.get("/" + html.unescape(link))
    rows = re.findall(r'class="status (\w+)"', found.text.partition("<tbody>")[2])
    assert rows and "ok" not in rows
    assert found.text.count("E_BONUS") > 5
    assert section(text, "time").count('<line class="step"') == 3


async def test_nothing_changed_in_a_strategy_that_is_well(api: httpx2.AsyncClient) -> None:
    text = (await api.get("/strategy", params={"id": "referral", "since": "4h"})).text
    assert "no change within this window" in section(text, "changed")
    assert 'id="why"' not in text


async def test_error_rates_have_a_line_for_each_version(api: httpx2.AsyncClient) -> None:
    text = (await api.get("/strategy", params=WINDOW)).text
    time = section(text, "time")
    first = time.partition("</figure>")[0]
    kinds = re.findall(r'<path class="line (v\d)"', first.partition('class="chart"')[2])
    assert kinds == ["v2", "v1"]  # the newest one above the others
    assert re.findall(r">(v\d) first ran<", first) == ["v4", "v5"]
    assert [word for word in re.findall(r"</svg>(version \d)", first)] == ["version 5", "version 4"]
    heads = [words(one) for one in re.findall(r'<th scope="col"[^>]*>([^<]*)', first)]
    assert heads == ["From", "Runs of v5", "Error rate", "Runs of v4", "Error rate"]
    runs = re.findall(r"<td>(\d+)<td>", first.partition("<tbody>")[2])
    [total, *_] = re.findall(r"<b>(.*?)</b>", section(text, "cards"))
    assert len(runs) > 12 and 0 < sum(map(int, runs)) <= a_number(words(total))


async def test_errors_cases_and_tenants_have_their_rates_and_rows(
    api: httpx2.AsyncClient, incident: tuple[Pool, list[StrategyExecutionLog]]
) -> None:
    runs = incident[1]
    text = (await api.get("/strategy", params=WINDOW)).text

    def rate(some: list[StrategyExecutionLog], among: list[StrategyExecutionLog]) -> float:
        return len(some) / len(among) * 100

    for code, numbers in cells(text, "errors").items():
        wanted = [one for one in runs if one.error_code == code]
        (count, href), (share, again) = numbers
        assert a_number(count) == len(wanted) == len(await listed(api, href or ""))
        assert float(share.removesuffix(" %")) == pytest.approx(rate(wanted, runs), abs=0.006)
        assert again == href
    groups: list[tuple[str, str, Any]] = [
        ("cases", "case_name", {"no rule matched": None}),
        ("tenants", "realm_id", {}),
    ]
    for name, field, named in groups:
        found = cells(text, name)
        assert len(found) >= 3
        for value, numbers in found.items():
            among = [one for one in runs if getattr(one, field) == named.get(value, value)]
            failed = [one for one in among if one.status != "ok"]
            (count, href), (share, failures) = numbers
            assert a_number(count) == len(among) == len(await listed(api, href or ""))
            assert float(share.removesuffix(" %")) == pytest.approx(rate(failed, among), abs=0.006)
            assert len(await listed(api, failures or "")) == len(failed)
    assert next(iter(cells(text, "tenants"))) == "globex"  # with the most failures


def only(realms: list[str]) -> Callable[[Request], Scope]:
    return lambda request: Scope(realms=realms)


async def test_a_scope_sees_its_own_tenants_only(incident: tuple[Pool, Any]) -> None:
    for realms, shown in ((["acme"], False), (["acme", "initech"], True)):
        app = create_app(incident[0], authorize=only(realms))
        async with client(app) as asking:
            text = (await asking.get("/strategy", params=WINDOW)).text
            assert ('id="tenants"' in text) is shown
            assert "globex" not in text and "E_BONUS" not in text
            total = words(re.findall(r"<b>(.*?)</b>", section(text, "cards"))[0])
            own = [one for one in incident[1] if one.realm_id in realms]
            assert a_number(total) == len(own)
            runs = re.findall(r"<td>(\d+)<td>", section(text, "time").partition("</figure>")[0])
            assert sum(map(int, runs)) == len(own)
            one = (await asking.get("/strategy", params={**WINDOW, "realm": "acme"})).text
            assert 'id="tenants"' not in one
            other = await asking.get("/strategy", params={**WINDOW, "realm": "globex"})
            assert other.status_code == 403


async def test_two_scopes_share_no_detail(incident: tuple[Pool, Any]) -> None:
    """What is kept for one viewer is not shown to another, who asks the same."""
    scopes = [Scope(realms=["globex"]), Scope(realms=["acme", "initech"]), Scope()]
    async with client(
        create_app(incident[0], authorize=lambda request: scopes[int(request.query_params["n"])])
    ) as asking:
        pages = [
            (await asking.get("/strategy", params={**WINDOW, "n": str(n)})).text for n in range(3)
        ]
    for text, realms in zip(pages, (["globex"], ["acme", "initech"], None), strict=True):
        own = [one for one in incident[1] if realms is None or one.realm_id in realms]
        among = [one for one in own if one.case_name == "bonus"]
        failed = sum(one.status != "ok" for one in among) / len(among)
        assert cells(text, "cases")["bonus"][1][0] == f"{failed * 100:.2f} %"


@pytest.fixture
async def own(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> AsyncIterator[tuple[httpx2.AsyncClient, StrategyExecutionLogRepository]]:
    async with client(create_app(pool)) as asking:
        yield asking, repository


WHOLE = {"id": "loyalty", "since": T0.isoformat(), "until": (T0 + HOUR).isoformat()}
Own = tuple[httpx2.AsyncClient, StrategyExecutionLogRepository]


async def test_whole_points_have_whole_edges(own: Own) -> None:
    api, log = own
    points = [float(n % 49) for n in range(490)]
    await log.insert_rows(
        row(created_at=T0 + n * timedelta(seconds=7), points=value)
        for n, value in enumerate(points)
    )
    text = (await api.get("/strategy", params=WHOLE)).text
    found = cells(text, "points")
    assert list(found) == [*(f"{n}{TO}{n + 4}" for n in range(0, 45, 5)), f"45{TO}48"]
    for name, [(count, href)] in found.items():
        low, high = map(int, name.split(TO))
        expected = sum(low <= value <= high for value in points)
        assert a_number(count) == expected == len(await listed(api, href or "")), name
    card = (await api.get("/api/strategies/loyalty/metrics", params=WHOLE)).json()
    assert len(card["pointsHistogram"]) == 10  # as the contract has it
    await log.insert_rows([row(created_at=T0, points=0.5)])
    text = (await api.get("/strategy", params={**WHOLE, "until": T0.isoformat()})).text
    assert next(iter(cells(text, "points"))) == f"0{TO}0.05"


@pytest.mark.parametrize(
    ("points", "said"),
    [(None, "No points: no run awarded any."), (0.0, "No points: 3 runs awarded 0.")],
)
async def test_no_points_are_a_line(own: Own, points: float | None, said: str) -> None:
    api, log = own
    await log.insert_rows(row(created_at=T0, points=points, duration_ms=120.0) for _ in range(3))
    text = (await api.get("/strategy", params=WHOLE)).text
    assert words(section(text, "points")).endswith(f"Points {said}")
    # Nor have durations a tail of zeros, on either side.
    assert list(cells(text, "durations")) == [f"100{TO}150 ms"]
    assert "None up to 100 ms, none above 150 ms." in section(text, "durations")


async def test_the_last_bucket_is_partial_and_more_versions_are_named(own: Own) -> None:
    api, log = own
    await log.insert_rows(
        row(created_at=T0 + n * timedelta(seconds=10), strategy_version=n % 6 + 1)
        for n in range(360)
    )
    until = T0 + 59.6 * MINUTE
    text = (await api.get("/strategy", params={**WHOLE, "until": until.isoformat()})).text
    time = section(text, "time")
    assert len(re.findall(r"</a> partial<td>", time)) == 2
    assert '<path class="fill ok part"' in time and '<path class="line v1 part"' in time
    assert (
        re.findall(r"</svg>version (\d)", time) == ["6", "1", "2", "3"]
        or len(re.findall(r"</svg>version (\d)", time)) == 4
    )
    assert "version 6" in time and ">and 2 more</a>" in time
    whole = (await api.get("/strategy", params=WHOLE)).text
    assert "partial" not in section(whole, "time")


async def test_sampled_shares_are_estimates(own: Own) -> None:
    """One failure of twenty-one stored runs of which twenty stand for two hundred each."""
    api, log = own
    rows = [row(created_at=T0, sample_rate=0.05) for _ in range(20)]
    await log.insert_rows([*rows, row(created_at=T0, status="error", error_code="E1")])
    text = (await api.get("/strategy", params=WHOLE)).text
    (count, _), (share, _) = cells(text, "errors")["E1"]
    assert (count, share) == ("1", "~0.25 %")


@web.needed
async def test_the_first_screen_of_a_phone_says_what_is_wrong(
    chrome: Browser, incident: tuple[Pool, Any]
) -> None:
    async with served(create_app(incident[0])) as url:
        page = await chrome.new_page(viewport={"width": 375, "height": 812})
        try:
            await page.goto(f"{url}/strategy?id=loyalty&since=4h")
            card = page.locator("#cards div").filter(has_text="Error rate")
            for found in (page.locator("h1"), page.locator(".window"), page.locator("#changed p")):
                box = await found.first.bounding_box()
                assert box is not None and box["y"] + box["height"] <= 812
            box = await card.bounding_box()
            assert box is not None and box["y"] + box["height"] <= 812
            assert await page.evaluate("document.documentElement.scrollWidth") <= 375
            labels = await page.eval_on_selector_all(
                "svg.levels text", "all => all.map(one => one.getBoundingClientRect().left)"
            )
            assert labels and min(labels) >= 0  # none is cut
            await page.set_viewport_size({"width": 1280, "height": 900})
            tops = await page.eval_on_selector_all(
                "#cards dl > div", "all => all.map(one => one.getBoundingClientRect().top)"
            )
            assert len(tops) == 8 and len(set(tops)) == 1
        finally:
            await page.close()


@web.needed
@pytest.mark.long
async def test_labels_of_a_time_axis_do_not_overlap(
    chrome: Browser, incident: tuple[Pool, Any]
) -> None:
    overlaps = """() => [...document.querySelectorAll("svg.chart")].flatMap(chart => {
        const boxes = [...chart.querySelectorAll(":scope > text:not(.flag)")]
            .map(one => one.getBoundingClientRect());
        return boxes.filter((one, n) => n && one.left < boxes[n - 1].right
            || one.left < 0 || one.right > innerWidth).map(one => one.left);
    })"""
    async with served(create_app(incident[0])) as url:
        page = await chrome.new_page(viewport={"width": 375, "height": 812})
        try:
            for since in ("90s", "15m", "1h", "90m", "4h", "6h", "24h", "30h", "3d", "7d", "30d"):
                await page.goto(f"{url}/strategy?id=loyalty&since={since}")
                assert await page.evaluate(overlaps) == [], since
        finally:
            await page.close()


@web.needed
@pytest.mark.long
async def test_from_the_page_to_a_failing_execution_in_two_clicks(
    chrome: Browser, incident: tuple[Pool, Any]
) -> None:
    async with served(create_app(incident[0])) as url:
        page = await chrome.new_page()
        try:
            await page.goto(f"{url}/strategy?id=loyalty&since=4h")
            await follow(page, page.locator("#why li a").first)
            await follow(page, page.locator("#rows tbody th a").first)
            assert "E_BONUS" in await page.locator("main").inner_text()
        finally:
            await page.close()


async def test_numbers_of_sampled_runs_are_estimates(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """They are no exact numbers, though each stored run is counted."""
    times = {"since": T0.isoformat(), "until": (T0 + HOUR).isoformat()}
    await repository.insert_rows(
        row(strategy_id=name, created_at=T0 + n * MINUTE, sample_rate=rate)
        for name, rate in (("whole", 1.0), ("sampled", 0.1))
        for n in range(20)
    )
    async with client(create_app(pool)) as asking:
        for path, asked, is_exact in (
            ("/strategy", {"id": "whole"}, True),
            ("/strategy", {"id": "sampled"}, False),
            ("/compare", {"a": "whole", "b": "whole"}, True),
            ("/compare", {"a": "whole", "b": "sampled"}, False),
        ):
            page = words((await asking.get(path, params={**times, **asked})).text)
            assert ("All numbers are exact, over every stored run." in page) is is_exact, asked
            assert ("percentiles and averages are estimates" in page) is not is_exact, asked
