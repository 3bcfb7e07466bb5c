"""The page of a breakdown, its JSON and its CSV: what the repository says, each with its rows."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, get_args

import httpx2
import pytest

from execlog import StrategyExecutionLogRepository
from execlog.display.format import percent
from execlog.repository.breakdown import BY
from execlog.repository.groups import BreakdownOrder
from execlog.web import create_app
from tests.types import Pool
from tests.web.site import a_number, listed
from tests.web.test_api import client, dumped
from tests.web.varied import NOW

WINDOW: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW}
ENDS = {name: time.isoformat() for name, time in WINDOW.items()}
COLUMNS = [*BY, "attributes.plan", "attributes.size", "node"]


@pytest.fixture(scope="module")
async def log(varied: Pool) -> StrategyExecutionLogRepository:
    return StrategyExecutionLogRepository(varied)


@pytest.fixture(scope="module")
async def api(varied: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(varied)) as asking:
        yield asking


def rows(text: str) -> list[list[str]]:
    """The cells of each group of the page."""
    body = (
        text.partition('class="ranks groups"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    )
    return [re.split(r"<t[hd][^>]*>", one)[1:] for one in body.split("<tr>")[1:]]


def link(cell: str) -> str:
    found = re.search(r'href="([^"]*)"', cell)
    return html.unescape(found[1]) if found else ""


def words(cell: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()


async def test_by_each_column_it_is_the_repositorys(
    api: httpx2.AsyncClient,
    log: StrategyExecutionLogRepository,
) -> None:
    for n, by in enumerate(COLUMNS):
        of: dict[str, Any] = {"id": "loyalty"} if n % 2 else {}
        strategy: dict[str, Any] = {"strategy_id": "loyalty"} if n % 2 else {}
        order = get_args(BreakdownOrder)[n % 4]
        filters: dict[str, Any] = {"status": ["ok", "failed"], "attribute_texts": {"vip": "false"}}
        asked = {**ENDS, **of, "status": ["ok", "failed"], "attr": "vip=false", "order": order}
        expected = await log.breakdown(by=by, order=order, **WINDOW, **strategy, **filters)
        found = await api.get("/api/breakdown", params={**asked, "by": by})
        assert found.json() == dumped(expected), by
        page = rows((await api.get("/breakdown", params={**asked, "by": by})).text)
        assert [a_number(words(one[1])) for one in page] == [one.runs for one in expected], by
        assert [a_number(words(one[2])) for one in page] == [one.failures for one in expected], by
        rates = [percent(one.error_rate) for one in expected]
        assert [words(one[3]) for one in page] == rates, by
        assert expected or by == "node"
    bare = await api.get("/api/breakdown?by=realm_id&details=false&limit=1")
    assert [one["users"] for one in bare.json()] == [None]
    default = (await api.get("/breakdown")).text, (await api.get("/breakdown?id=loyalty")).text
    assert [re.findall("<h1>Executions by <bdi>(.*)</bdi>", one) for one in default] == [
        ["strategy"],
        ["version"],
    ]


@pytest.mark.long
@pytest.mark.parametrize("by", [*BY, "attributes.plan", "attributes.size"])
async def test_each_number_is_as_many_rows(api: httpx2.AsyncClient, by: str) -> None:
    await numbers_are_rows(api, by)


async def test_a_number_is_as_many_rows(api: httpx2.AsyncClient) -> None:
    for by in ("error_code", "case_name"):
        await numbers_are_rows(api, by)


async def numbers_are_rows(api: httpx2.AsyncClient, by: str) -> None:
    """Behind each number are so many executions, of this value and those filters."""
    asked = {**ENDS, "by": by, "max_duration_ms": "30"}
    found = rows((await api.get("/breakdown", params=asked)).text)
    linked = 0
    for cells in found:
        for cell in cells[1:3]:
            if link(cell):
                assert "max_duration_ms=30" in link(cell)
                assert len(await listed(api, link(cell))) == a_number(words(cell)), cell
                linked += 1
        assert link(cells[0]) == link(cells[1])
        assert link(cells[0]) or words(cells[0]) in ("none", "(empty)")
    assert linked


async def test_the_tabs_and_the_users_keep_the_filters(api: httpx2.AsyncClient) -> None:
    text = (await api.get("/breakdown?by=error_code&id=loyalty&status=failed&since=6h")).text
    tabs = re.search('aria-label="By">(.*?)</nav>', text, re.DOTALL)
    assert tabs is not None
    links = [html.unescape(one) for one in re.findall('href="([^"]*)"', tabs[1])]
    assert "breakdown?by=external_user_id&id=loyalty&status=failed&since=6h" in links
    assert "breakdown?by=node&id=loyalty&status=failed&since=6h" in links
    users = [link(cells[6]) for cells in rows(text) if words(cells[0]) == "E&1"]
    assert users == [
        "breakdown?id=loyalty&status=failed&error_code=E%261&by=external_user_id&since=6h"
    ]
    assert (await api.get(f"/{users[0]}")).status_code == 200
    strategy = html.unescape((await api.get("/strategy?id=loyalty&since=6h")).text)
    for by in ("strategy_version", "realm_id", "case_name", "external_user_id", "node"):
        assert f'href="breakdown?id=loyalty&by={by}&since=6h"' in strategy


async def test_the_csv_has_all(
    api: httpx2.AsyncClient,
    log: StrategyExecutionLogRepository,
) -> None:
    """The page links to it; who was hit, for a table of another program."""
    asked = {**ENDS, "by": "external_task_id"}
    text = (await api.get("/breakdown", params=asked)).text
    assert "Only the first 50" in text
    href = re.search(r'href="(api/breakdown\?[^"]*format=csv[^"]*)"', text)
    assert href is not None
    answer = await api.get(f"/{html.unescape(href[1])}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="breakdown.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    [formula] = [
        one for one in found if one["value"] == "'=t0"
    ]  # the page's link is for any program
    formula["value"] = "=t0"
    exact = await api.get("/api/breakdown", params={**asked, "format": "csv"})
    assert "\r\n=t0," in exact.text
    expected = await log.breakdown(by="external_task_id", **WINDOW, limit=1000)
    assert len(found) == len(expected) == 150
    for line, one in zip(found, dumped(expected), strict=True):
        told = {name: "" if value is None else str(value) for name, value in one.items()}
        assert line == told


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ("by=duration_ms", "by"),
        ("by=attributes.", "by"),
        ("by=attributes.a%20b", "by"),
        ("order=beauty", "order"),
        ("since=1h&until=2h", "since"),
        ("until=0001-01-01", "until"),
    ],
)
async def test_a_wrong_breakdown_is_named(
    api: httpx2.AsyncClient, asked: str, argument: str
) -> None:
    found = await api.get(f"/api/breakdown?{asked}")
    assert (found.status_code, found.json()["argument"]) == (400, argument)
    assert (await api.get(f"/breakdown?{asked}")).status_code == 400


async def test_an_empty_breakdown(api: httpx2.AsyncClient) -> None:
    page = (await api.get("/breakdown?external_user_id=none")).text
    assert "No executions pass these filters in this window." in page
    node = (await api.get("/breakdown?by=node")).text
    assert "No execution with a trace that failed or was slow in this window." in node
