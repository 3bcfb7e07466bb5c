"""Executions by every filter: on the page and as JSON they are those that the repository finds."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest

from execlog import StrategyExecutionLogRepository
from execlog.repository.filters import Filters
from execlog.web import Scope, create_app
from tests.types import Pool
from tests.web.site import ids, listed
from tests.web.test_api import client, dumped
from tests.web.varied import NOW, TRACE

EACH: list[tuple[str, dict[str, Any]]] = [
    ("realm_id=acme", {"realm_id": "acme"}),
    ("realm_id=acme&realm_id=globex&realm=acme", {"realm_id": ["acme"]}),
    ("realm_id=acme&realm=globex", {"realm_id": []}),
    ("strategy_version=4&strategy_version=5", {"strategy_version": [4, 5]}),
    ("strategy_type=DSL_LITE", {"strategy_type": "DSL_LITE"}),
    ("status=failed", {"status": "failed"}),
    ("status=ok&status=limit", {"status": ["ok", "limit"]}),
    ("error_code=E%261", {"error_code": "E&1"}),
    ("case_name=gold", {"case_name": "gold"}),
    ("no_case=true", {"no_case": True}),
    ("no_case=false&external_user_id=u+1", {"external_user_id": "u 1"}),
    ("external_game_id=g3&external_game_id=g4", {"external_game_id": ["g3", "g4"]}),
    ("external_task_id=t7", {"external_task_id": "t7"}),
    ("parent_strategy_id=base", {"parent_strategy_id": "base"}),
    (f"trace_id={TRACE.hex}", {"trace_id": TRACE}),
    ("attr=plan=gold", {"attribute_texts": {"plan": "gold"}}),
    ("attributes.size=2&attr=vip=true", {"attribute_texts": {"size": "2", "vip": "true"}}),
    ("min_duration_ms=3&max_duration_ms=9", {"min_duration_ms": 3, "max_duration_ms": 9}),
    ("above_duration_ms=30", {"above_duration_ms": 30}),
    ("min_nodes=4&max_nodes=5", {"min_nodes": 4, "max_nodes": 5}),
    ("min_points=-1&max_points=4", {"min_points": -1, "max_points": 4}),
    ("below_points=5", {"below_points": 5}),
]


@pytest.fixture(scope="module")
async def log(varied: Pool) -> StrategyExecutionLogRepository:
    return StrategyExecutionLogRepository(varied)


@pytest.fixture(scope="module")
async def api(varied: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(varied)) as asking:
        yield asking


async def test_each_filter_is_the_repositorys(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    """Over all strategies and over one, on the page and in both lists of the API."""
    window: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW}
    ends = f"since={(NOW - timedelta(days=1)).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"
    assert {name for _, filters in EACH for name in filters} >= {
        *Filters.__annotations__.keys() - {"attributes"}
    }
    for n, (asked, filters) in enumerate(EACH):
        strategy: dict[str, Any] = {"strategy_id": "loyalty"} if n % 2 else {}
        of = "&id=loyalty" if n % 2 else ""
        expected = await log.list_executions(**window, **strategy, **filters, limit=200)
        assert expected or "realm=globex" in asked, asked
        found = await api.get(f"/api/executions?{asked}{of}&{ends}&limit=200")
        assert found.json() == dumped(expected), asked
        assert set(await listed(api, f"executions?{asked}{of}")) == ids(expected), asked
        failed = await log.list_failures(**window, **filters, limit=200)
        assert (await api.get(f"/api/failures?{asked}&{ends}&limit=200")).json() == dumped(failed)
    found = await api.get("/api/strategies/old/executions?attr=plan=gold&strategy_version=5")
    expected = await log.list_executions(
        strategy_id="old", strategy_version=5, attribute_texts={"plan": "gold"}
    )
    assert found.json() == dumped(expected) != []


async def test_older_pages_keep_all_filters(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    asked = "status=failed&strategy_version=4&strategy_version=6&attributes.vip=false&limit=5"
    expected = await log.list_executions(
        status="failed", strategy_version=[4, 6], attribute_texts={"vip": "false"}, limit=200
    )
    assert len(expected) > 10
    url: str | None = f"/executions?{asked}"
    on_pages: list[str] = []
    while url is not None:
        text = (await api.get(url)).text
        on_pages += re.findall(r'<a href="execution\?id=([0-9a-f-]{36})', text)
        older = re.search(r'<a href="([^"]+)" rel="next">', text)
        url = urljoin("/", html.unescape(older[1])) if older else None
    assert on_pages == [str(one.id) for one in expected]
    url, in_api = f"/api/executions?{asked}", []
    while url is not None:
        answer = await api.get(url)
        in_api += [one["id"] for one in answer.json()]
        following = answer.links.get("next")
        url = None if following is None else str(answer.url.join(following["url"]))
    assert in_api == on_pages


def chips(text: str) -> dict[str, str]:
    """The link that removes each filter that is on, by its words."""
    found = re.findall(r'<a href="([^"]*)" aria-label="Without ([^"]*)">', text)
    return {html.unescape(words).strip(): html.unescape(link) for link, words in found}


async def test_a_filter_is_added_by_a_form_and_by_a_cell_and_removed(
    api: httpx2.AsyncClient,
) -> None:
    page = "executions?id=loyalty&external_user_id=u+1&since=6h&add=external_user_id&value=u2"
    added = await api.get(f"/{page}")
    assert added.status_code == 303
    link = added.headers["location"]
    assert link == "executions?id=loyalty&external_user_id=u+1&external_user_id=u2&since=6h"
    text = (await api.get(f"/{link}")).text
    assert chips(text) == {
        "strategy loyalty": "executions?external_user_id=u+1&external_user_id=u2&since=6h",
        "user u 1": "executions?id=loyalty&external_user_id=u2&since=6h",
        "user u2": "executions?id=loyalty&external_user_id=u+1&since=6h",
    }
    cells = {html.unescape(one) for one in re.findall(r'<td><a href="([^"]*)"', text)}
    kept = "executions?id=loyalty&external_user_id=u+1&external_user_id=u2"
    for one in ("status=error", "case_name=gold", "strategy_version=3", "error_code=E%261"):
        assert f"{kept}&{one}&since=6h" in cells, one
    assert f"{kept}&realm=acme&since=6h" in cells
    assert "executions?id=loyalty&external_user_id=u+1&since=6h" in cells
    for name, value, link in (
        ("attr", "plan=gold", "breakdown?attr=plan%3Dgold"),
        ("realm", "acme", "breakdown?realm=acme"),
        ("min_nodes", "3", "breakdown?min_nodes=3"),
        ("min_nodes", "", "breakdown"),
    ):
        added = await api.get("/breakdown", params={"add": name, "value": value})
        assert (added.status_code, added.headers["location"]) == (303, link)
    assert (await api.get("/executions?add=limit&value=3")).status_code == 400


async def test_an_empty_page_says_which_values_are_nowhere(varied: Pool) -> None:
    """Only to those who may see all: others would learn what other tenants have."""
    nothing = "/executions?error_code=E0&error_code=E9&strategy_version=3&realm_id=nowhere"
    async with client(create_app(varied)) as api:
        text = " ".join((await api.get(nothing)).text.split())
        assert "No executions pass these filters in this window. None at all has" in text
        values = re.findall(r"<b><bdi>([^<]*)</bdi></b>(?:,| or|,? whatever)", text)
        assert values == ["code E0", "code E9", "realm nowhere"]
        assert "None at all" not in (await api.get("/executions?status=ok&min_nodes=99")).text
    async with client(create_app(varied, authorize=lambda request: Scope(realms=["acme"]))) as api:
        text = (await api.get("/executions?error_code=E9")).text
        assert "No executions pass these filters" in text
        assert "None at all" not in text


async def test_what_no_index_finds_is_searched_for_a_day(api: httpx2.AsyncClient) -> None:
    told = "Only the last day is searched"
    for asked, is_told in (
        ("error_code=E0", True),
        ("error_code=E0&since=7d", False),
        ("error_code=E0&id=loyalty", False),
        ("error_code=E0&status=failed", False),
        ("", False),
    ):
        page = (await api.get(f"/executions?{asked}&all_times=true")).text
        assert (told in page) == is_told, asked
    for asked, count in (("", 0), ("&since=7d", 1), ("&id=loyalty", 1)):
        found = await api.get(f"/api/executions?error_code=E0{asked}")
        assert len(found.json()) == count, asked
    # The next page has the same window.
    found = await api.get("/api/executions?strategy_type=DSL_FULL&limit=2")
    assert "&since=" in found.links["next"]["url"]


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ("strategy_version=3&strategy_version=x", "strategy_version"),
        ("strategy_version=99999999999", "strategy_version"),
        ("trace_id=7g", "trace_id"),
        ("attr=plan", "attr"),
        ("attributes.=gold", "attr"),
        ("attributes.a%20b=gold", "attr"),
        ("attr=plan=gold&attributes.plan=free", "attr"),
        ("min_nodes=3.5", "min_nodes"),
        ("min_nodes=5&max_nodes=4", "min_nodes"),
        ("no_case=true&case_name=gold", "no_case"),
        ("external_user_id=%00", "external_user_id"),
        ("id=%00", "strategy_id"),
    ],
)
async def test_a_wrong_filter_is_named(api: httpx2.AsyncClient, asked: str, argument: str) -> None:
    for path in ("executions", "breakdown"):
        found = await api.get(f"/api/{path}?{asked}")
        assert (found.status_code, found.json()["argument"]) == (400, argument), path
        assert (await api.get(f"/{path}?{asked}")).status_code == 400, path


async def test_the_document_lists_all_filters(api: httpx2.AsyncClient) -> None:
    paths = (await api.get("/api/openapi.json")).json()["paths"]
    wanted = {*Filters.__annotations__, "attr"} - {"attributes", "attribute_texts"}
    lists = ("executions", "failures", "breakdown", "explain", "strategies/{id}/executions")
    for path in lists:
        parameters = {one["name"]: one for one in paths[f"/api/{path}"]["get"]["parameters"]}
        assert wanted <= parameters.keys(), path
        assert parameters["realm_id"]["schema"]["type"] == "array"
    answers = paths["/api/breakdown"]["get"]["responses"]["200"]["content"]
    assert sorted(answers) == ["application/json", "text/csv"]
    names = [one["get"]["operationId"] for one in paths.values()]
    assert len(names) == len(set(names))
