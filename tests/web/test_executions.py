"""The list of executions: its total, its cells, its data, its suggestions, and its cards."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.types import Pool
from tests.web import browser as web
from tests.web.site import Site, follow, ids, listed, opened
from tests.web.test_api import NOW as BEGAN
from tests.web.test_api import client, dumped, executions
from tests.web.varied import NOW

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

COLUMNS = [field.alias for field in StrategyExecutionLog.model_fields.values()]
PAYLOADS = {"trace", "input"}


@pytest.fixture(scope="module")
async def log(varied: Pool) -> StrategyExecutionLogRepository:
    return StrategyExecutionLogRepository(varied)


@pytest.fixture(scope="module")
async def api(varied: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(varied)) as asking:
        yield asking


def total(text: str) -> str:
    found = re.search('<p class="total"><span>(.*?)</span>', text, re.DOTALL)
    assert found is not None
    words = re.sub(" <small>.*?</small>", "", found[1], flags=re.DOTALL)  # when it was counted
    return " ".join(re.sub("<[^>]*>", "", words).split())


def data(text: str) -> dict[str, str]:
    """The links to the rows as data, by name."""
    found = re.findall(r'<a href="(api/executions\?[^"]*)">(CSV|JSON)</a>', text)
    return {name: html.unescape(link) for link, name in found}


async def test_the_total_is_exact_or_says_more(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows(executions(70))
    await repository.insert_rows(executions(3, strategy_id="sampled", sample_rate=0.5))
    half_an_hour = f"{BEGAN - timedelta(minutes=30):%Y-%m-%dT%H:%M:%S.%fZ}"
    async with client(create_app(pool)) as asking:
        for asked, words in (
            ("id=loyalty", "70 executions, the newest 40 below"),
            ("id=loyalty&limit=70", "70 executions"),
            (f"id=loyalty&status=error&since={half_an_hour}", "5 executions"),
            ("id=loyalty&status=error&min_duration_ms=38", "1 execution"),
            ("id=sampled", "3 executions stored; each stands for 1 ÷ its sample rate"),
        ):
            assert total((await asking.get(f"/executions?{asked}")).text) == words, asked
        first = (await asking.get("/executions?id=loyalty&limit=40")).text
        older = re.search(r'<a href="([^"]+)" rel="next">', first)
        assert older is not None
        second = (await asking.get(f"/{html.unescape(older[1])}")).text
        assert total(second) == "70 executions, older ones below"
        await repository.insert_rows(
            one for _ in range(20) for one in executions(500, duration_ms=1.0)
        )
        many = (await asking.get("/executions?id=loyalty&max_duration_ms=1")).text
        assert total(many) == "More than 10,000 executions, the newest 40 below"


async def test_a_total_that_takes_too_long_is_not_waited_for(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says what it knows, and is complete otherwise."""
    monkeypatch.setattr("execlog.web.filtered._COUNT_SECONDS", 1e-6)
    text = (await api.get("/executions?limit=20")).text
    assert total(text) == "More than 20 executions, the newest 20 below"
    assert "A part is missing" not in text


async def test_each_cell_leads_to_those_that_have_it(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    """On each cell that a filter exists for; a duration and nodes, to those with at least that."""
    one = next(
        found
        for found in await log.list_executions(status="error", limit=200)
        if found.points and found.case_name and found.realm_id and found.external_user_id
    )
    text = (await api.get(f"/executions?external_task_id={one.external_task_id}&since=5h")).text
    row = text.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [html.unescape(link) for link in re.findall(r'<td><a href="([^"]*)"', row)]
    kept = f"external_task_id={one.external_task_id}"
    assert [cell.replace(f"executions?{kept}&", "").replace("&since=5h", "") for cell in cells] == [
        f"id={one.strategy_id}",
        "status=error",
        "error_code=E%261",
        f"case_name={one.case_name}",
        f"min_duration_ms={one.duration_ms:g}",
        f"min_points={one.points:g}&max_points={one.points:g}",
        f"min_nodes={one.nodes_executed}",
        f"strategy_version={one.strategy_version}",
        f"realm={one.realm_id}",
        f"external_user_id={(one.external_user_id or '').replace(' ', '+')}",
    ]
    for cell in cells:
        found = await listed(api, cell.replace(f"{kept}&", ""))
        assert str(one.id) in found, cell
    assert row.count("<td>") == 10


async def test_the_data_are_the_rows_that_are_shown(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    """The same filters, window and page, as JSON and as CSV."""
    page = "/executions?status=failed&attributes.vip=false&limit=7&since=6h"
    for _ in range(2):
        text = (await api.get(page)).text
        shown = re.findall(r'<a href="execution\?id=([0-9a-f-]{36})', text)
        assert len(shown) == 7
        links = data(text)
        assert [one["id"] for one in (await api.get(f"/{links['JSON']}")).json()] == shown
        answer = await api.get(f"/{links['CSV']}")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="executions.csv"'
        assert [one["id"] for one in csv.DictReader(io.StringIO(answer.text))] == shown
        older = re.search(r'<a href="([^"]+)" rel="next">', text)
        assert older is not None
        page = f"/{html.unescape(older[1])}"
    everything = (await api.get("/executions?error_code=E0&id=loyalty&all_times=true")).text
    assert len((await api.get(f"/{data(everything)['JSON']}")).json()) == 1


@pytest.mark.parametrize("inputs", [True, False])
async def test_csv_has_each_column_that_may_be_seen(
    pool: Pool, repository: StrategyExecutionLogRepository, inputs: bool
) -> None:
    """Id first, JSON as text; traces and inputs only if the scope has inputs."""
    odd = {
        "error_message": 'says "no",\nthen ends',
        "notes": "=1+1",
        "external_user_id": "é",
        "trace": [{"node": "n", "why": 'a "b", c'}],
        "input": {"secret": [1, None]},
        "attributes": {"plan": "gold", "n": 1.5},
        "trace_id": 7,
    }
    rows = [*executions(1, status="error", **odd), *executions(2, status="error")]
    await repository.insert_rows(rows)
    await repository.insert_rows(executions(1, status="error", realm_id="hidden"))
    scope = Scope(realms=["acme", "globex"], inputs=inputs)
    async with client(create_app(pool, authorize=lambda request: scope)) as asking:
        for path in ("executions", "failures", "strategies/loyalty/executions"):
            plain = await asking.get(f"/api/{path}?format=csv")
            assert plain.text.startswith("id,createdAt,strategyId,")
            found = list(csv.DictReader(io.StringIO(plain.text)))
            assert len(found) == 3, path
            has = [name for name in COLUMNS if inputs or name not in PAYLOADS]
            assert list(found[0]) == has
            assert ("secret" in plain.text) == inputs
            expected = {str(one["id"]): one for one in dumped(await repository.list_failures())}
            for line in found:
                one = expected[line["id"]]
                for name in has:
                    value = one[name]
                    if isinstance(value, list | dict):
                        assert json.loads(line[name]) == value, name
                    else:
                        assert line[name] == ("" if value is None else str(value)), name
            safe = await asking.get(f"/api/{path}?format=csv&spreadsheet=true")
            assert ("'=1+1" in safe.text, "'=1+1" in plain.text) == (True, False)
            more = await asking.get(f"/api/{path}?format=csv&limit=1")
            assert "format=csv" in more.links["next"]["url"]
        assert (await asking.get("/api/executions?format=xml")).status_code == 400


def suggested(text: str) -> list[str]:
    found = text.partition('<datalist id="suggestions">')[2].partition("</datalist>")[0]
    return [html.unescape(one) for one in re.findall('<option value="([^"]*)">', found)]


async def test_values_are_suggested_and_added(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    """As the form takes them, on each page that filters; what is on is left out."""
    for page in ("executions", "breakdown?by=realm_id", "explain?id=loyalty&since=2h"):
        found = suggested((await api.get(f"/{page}")).text)
        if "id=" in page:
            found.append("strategy=loyalty")  # which is asked for
        assert found[0] == "code=E&1", page
        for one in ("realm=acme", "version=3", "strategy=loyalty", "user=u 1", "plan=gold"):
            assert one in found, (page, one)
        assert len(found) < 60
    narrowed = suggested((await api.get("/executions?id=loyalty&realm=acme&status=error")).text)
    assert not {"strategy=loyalty", "realm=acme", "realm=globex", "status=error"} & {*narrowed}
    for value, link in (
        ("code=E&1", "executions?error_code=E%261"),
        ("version=3", "executions?strategy_version=3"),
        ("strategy=a/b c?", "executions?id=a%2Fb+c%3F"),
        ("realm=acme", "executions?realm=acme"),
        ("plan=gold", "executions?attr=plan%3Dgold"),
        ("external_user_id=u 1", "executions?external_user_id=u+1"),
    ):
        answer = await api.get("/executions", params={"add": "any", "value": value})
        assert (answer.status_code, answer.headers["location"]) == (303, link)
    chosen = await api.get("/executions?add=error_code&value=code%3DE%261")
    assert chosen.headers["location"] == "executions?error_code=E%261"
    twice = await api.get("/executions?error_code=E1&add=any&value=code%3DE1")
    assert twice.headers["location"] == "executions?error_code=E1"
    for wrong in ("E1", "a b=c", "code="):
        refused = await api.get("/executions", params={"add": "any", "value": wrong})
        assert refused.status_code == 400
        assert "must be NAME=VALUE" in refused.text


async def test_the_overview_leads_to_executions_for_what_it_has_not(
    api: httpx2.AsyncClient,
) -> None:
    """It has realm and version; any other filter is one of the list of executions."""
    assert "code=E&1" in suggested((await api.get("/")).text)
    for value, link in (
        ("realm=acme", "./?realm=acme"),
        ("version=3", "./?strategy_version=3"),
        ("code=E&1", "executions?strategy_version=4&error_code=E%261&since=2h"),
        ("strategy=old", "executions?strategy_version=4&id=old&since=2h"),
    ):
        of = {"strategy_version": "4", "since": "2h"} if link.startswith("exec") else {}
        answer = await api.get("/", params={**of, "add": "any", "value": value})
        assert (answer.status_code, answer.headers["location"]) == (303, link)
    assert (await api.get("/?add=error_code&value=E1")).status_code == 400


async def test_a_scope_is_suggested_and_counted_its_own(varied: Pool) -> None:
    """A tenant learns of no other's names or numbers."""
    mine = Scope(realms=["acme"], strategies=["loyalty", "old"])
    log = StrategyExecutionLogRepository(varied)
    own = await log.count_executions(
        realm_id="acme", strategy_id=["loyalty", "old"], since=NOW.replace(year=NOW.year - 1)
    )
    async with client(create_app(varied, authorize=lambda request: mine)) as asking:
        text = (await asking.get("/executions?limit=5&since=7d")).text
        assert total(text) == f"{own} executions, the newest 5 below"
        found = suggested(text) + suggested((await asking.get("/breakdown?by=status")).text)
        assert "realm=acme" in found
        assert not [one for one in found if "globex" in one or "a/b" in one]
        rows = (await asking.get(f"/{data(text)['CSV']}")).text
        assert {one["realmId"] for one in csv.DictReader(io.StringIO(rows))} == {"acme"}


@web.needed
async def test_a_suggestion_is_added_in_a_browser(page: Page, site: Site) -> None:
    await page.goto(site.page("executions", id="loyalty", since="6h"))
    box = page.get_by_label("Value")
    assert await box.is_visible()
    values = await page.locator("#suggestions option").evaluate_all("all => all.map(o => o.value)")
    assert "code=E&CO" in values
    await box.fill("code=E&CO")
    await follow(page, page.get_by_role("button", name="Add filter"))
    assert page.url == f"{site.url}/executions?id=loyalty&since=6h&error_code=E%26CO"
    wanted = [one for one in site.of("loyalty") if one.error_code == "E&CO"]
    shown = await page.locator("#rows tbody th a").evaluate_all("all => all.map(a => a.href)")
    assert {re.split("[=&]", link)[1] for link in shown} <= ids(wanted)
    assert (await page.locator(".total strong").inner_text()).endswith(" executions")


@web.needed
async def test_on_a_phone_the_newest_is_seen_at_once(chrome: Browser, site: Site) -> None:
    """Filters fold into one line; a run is a card with time, status and strategy in the first."""
    size: Any = {"viewport": {"width": 375, "height": 812}}
    async with opened(chrome, site, **size) as (page, _):
        await page.goto(site.page("executions", status="failed"))
        fold = page.locator(".fold summary")
        assert await fold.is_visible()
        assert not await page.get_by_label("Value").is_visible()
        card = page.locator("#rows tbody tr").first
        box = await card.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 812
        assert box["height"] < 110
        time, status = card.locator("th"), card.locator(".status")
        lines = [await one.bounding_box() for one in (time, status)]
        assert lines[0] and lines[1]
        assert abs(lines[0]["y"] - lines[1]["y"]) < 8
        await fold.click()
        assert await page.get_by_label("Value").is_visible()
        assert await page.get_by_role("navigation", name="Status").is_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375
