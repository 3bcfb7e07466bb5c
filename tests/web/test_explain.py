"""The page that explains a change, and its JSON: what the repository says, each with its rows."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.display.explained import sentences_of
from execlog.repository.explanation import Explanation
from execlog.web import Scope, create_app
from tests import databases
from tests.db.test_explain import planted
from tests.explaining import WINDOW, WINDOWS, runs
from tests.rows import STRATEGY, T0
from tests.types import Pool
from tests.web import browser as web
from tests.web.served import served
from tests.web.test_api import client
from tests.web.test_pages_for_all import photograph

if TYPE_CHECKING:
    from playwright.async_api import Browser

ASKED = {"id": STRATEGY, "since": T0.isoformat(), "until": (T0 + WINDOW).isoformat()}
EARLIER = {"since": "2026-11-20T11:00Z", "until": "2026-11-20T11:59Z"}


def values(dice: Any, after: bool) -> dict[str, Any]:
    """Texts that a page must escape, and an attribute that is no text."""
    plan = dice.choice(["a&b=<i>", "free", "gold"])
    return {"attributes": {"plan": plan, "beta": dice.random() < 0.5}}


def seeds() -> Iterator[StrategyExecutionLog]:
    yield from runs(planted(realm_id="acme", strategy_version=4))
    for one in runs(lambda run, after: 0.3 if odd(run) and after else 0.04, values=values):
        yield one.model_copy(update={"strategy_id": "odd"})


def odd(run: Any) -> bool:
    return bool(run["attributes"]["plan"] == "a&b=<i>" and run["attributes"]["beta"])


@pytest.fixture(scope="module")
async def explained(template: str) -> AsyncIterator[Pool]:
    async with databases.filled(template, seeds()) as pool:
        yield pool


@pytest.fixture
async def api(explained: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(explained)) as asking:
        yield asking


def words(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


def rows(text: str, section: str) -> list[str]:
    part = text.partition(f'id="{section}"')[2].partition("</section>")[0]
    return part.partition("<tbody>")[2].split("<tr>")[1:]


async def test_the_page_says_what_the_command_says_and_leads_to_the_rows(
    api: httpx2.AsyncClient, explained: Pool
) -> None:
    log = StrategyExecutionLogRepository(explained)
    expected = await log.explain(strategy_id=STRATEGY, **WINDOWS)
    found = await api.get("/api/explain", params=ASKED)
    assert found.json() == expected.model_dump(by_alias=True, mode="json")
    text = (await api.get("/explain", params=ASKED)).text
    for sentence in sentences_of(expected, utc=True):
        assert sentence in words(text)
    assert "data-live" not in text and text.count("<script") == 2
    causes, symptoms = rows(text, "causes"), rows(text, "symptoms")
    assert (len(causes), len(symptoms)) == (len(expected.causes), len(expected.symptoms))
    assert words(causes[0]).startswith("realm acme in version 4 ")
    for one, row in zip((*expected.causes, *expected.symptoms), causes + symptoms, strict=True):
        href = re.search(r'href="([^"]*)"', row)
        assert href is not None, one.attributes
        listed = await api.get(f"/api/{html.unescape(href[1])}&limit=200")
        # What explains an error rate leads to the runs that failed.
        filters = {"status": "failed", **one.attributes}
        wanted = await log.list_executions(strategy_id=STRATEGY, limit=200, **WINDOWS, **filters)
        assert [run["id"] for run in listed.json()] == [str(run.id) for run in wanted]


async def test_attributes_lead_to_their_rows_and_filters_are_kept(
    api: httpx2.AsyncClient,
) -> None:
    text = (await api.get("/explain", params={**ASKED, "id": "odd", "strategy_version": "3"})).text
    first = rows(text, "causes")[0]
    assert "a&amp;b=&lt;i&gt;" in first and "<i>" not in first
    href = html.unescape(first.partition('href="')[2].partition('"')[0])
    found = (await api.get("/api/" + href)).json()
    assert found
    for run in found:
        assert run["strategyVersion"] == 3 and run["attributes"]["plan"] == "a&b=<i>"
        assert run["attributes"]["beta"] is True
    more = {"add": "external_game_id", "value": "game-1"}
    added = await api.get("/explain", params={**ASKED, **more})
    assert added.status_code == 303
    path, _, kept = added.headers["location"].partition("?")
    assert path == "explain"
    assert dict(parse_qsl(kept)) == {**ASKED, "external_game_id": "game-1"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"realm": "bolt"}, "Chance alone could explain this change."),
        (EARLIER, "Too few runs to tell: it takes at least"),
        ({"measure": "case:none<"}, "The share of case none< stayed at 0.00 %"),
        ({"measure": "points"}, "Points per run "),
    ],
)
async def test_it_says_that_there_is_no_cause(
    api: httpx2.AsyncClient, more: dict[str, str], said: str
) -> None:
    found = await api.get("/explain", params={**ASKED, **more})
    assert found.status_code == 200
    assert said in words(found.text)


async def test_a_significant_change_leads_to_its_explanation(api: httpx2.AsyncClient) -> None:
    window = {name: ASKED[name] for name in ("since", "until")}
    for path, asked in (("/", {}), ("/strategy", {"id": STRATEGY})):
        text = (await api.get(path, params={**window, **asked, "realm": "acme"})).text
        links = re.findall(r'worse</span> <a href="([^"]*)">Why\?</a>', text)
        assert any(one.startswith(f"explain?id={STRATEGY}&amp;since=") for one in links), path
        assert all(one.endswith("realm=acme") for one in links)
        assert (await api.get("/" + html.unescape(links[0]))).status_code == 200
    calm = (await api.get("/strategy", params={**window, "id": STRATEGY, "realm": "bolt"})).text
    assert "Why?" not in calm


async def test_a_page_that_refreshes_asks_once_a_minute(
    explained: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    explain = StrategyExecutionLogRepository.explain

    async def counted(log: Any, **given: Any) -> Explanation:
        asked.append(given)
        return await explain(log, **given)

    monkeypatch.setattr("execlog.repository.repository.Reads.explain", counted, raising=False)
    shown: list[Scope] = [Scope()]
    async with client(create_app(explained, authorize=lambda request: shown[-1])) as asking:

        async def why(**more: str) -> str:
            text = (await asking.get("/strategy", params={**ASKED, **more})).text
            return words(text.partition('id="why"')[2].partition("</section>")[0])

        first = await why()
        assert " realm acme " in first and " As of " in first
        assert await why() == first
        assert len(asked) == 1
        # Another window, realm, zone of its times or scope is another question.
        await why(since=(T0 + timedelta(seconds=1)).isoformat())
        await why(realm="acme")
        await why(zone="Asia/Kolkata")
        assert len(asked) == 4
        shown.append(Scope(realms=["acme", "bolt"]))
        await why()
        assert [one["realm_id"] for one in asked[4:]] == [shown[-1].realms]


@pytest.mark.parametrize(
    "scope", [Scope(realms=["bolt", "core"]), Scope(realms=[]), Scope(strategies=[STRATEGY])]
)
async def test_a_scope_limits_it(explained: Pool, scope: Scope) -> None:
    log = StrategyExecutionLogRepository(explained)
    own: dict[str, Any] = {} if scope.realms is None else {"realm_id": scope.realms}
    expected = await log.explain(strategy_id=STRATEGY, **WINDOWS, **own)
    async with client(create_app(explained, authorize=lambda request: scope)) as asking:
        found = await asking.get("/api/explain", params=ASKED)
        assert found.json() == expected.model_dump(by_alias=True, mode="json")
        page = await asking.get("/explain", params=ASKED)
        assert sentences_of(expected, utc=True)[0] in words(page.text)
        other = {"realm": "acme"} if scope.strategies is None else {"id": "odd"}
        for path in ("/explain", "/api/explain"):
            assert (await asking.get(path, params={**ASKED, **other})).status_code == 403


@pytest.mark.parametrize(
    ("more", "argument"), [({"measure": "p95"}, "measure"), ({"id": ""}, "id"), ({"add": "x"}, "")]
)
async def test_a_wrong_question_is_named(
    api: httpx2.AsyncClient, more: dict[str, str], argument: str
) -> None:
    asked = {**ASKED, **more}
    assert (await api.get("/explain", params=asked)).status_code == 400
    if argument:
        found = await api.get("/api/explain", params=asked)
        assert (found.status_code, found.json()["argument"]) == (400, argument)


async def test_an_explanation_that_is_late_is_a_problem(explained: Pool) -> None:
    async with client(create_app(explained, timeout=0.001)) as asking:
        for path in ("/explain", "/api/explain"):
            assert (await asking.get(path, params=ASKED)).status_code == 503


@web.needed
@pytest.mark.long
async def test_causes_bar_nobody_and_fit_a_small_screen(chrome: Browser, explained: Pool) -> None:
    async with served(create_app(explained)) as url:
        page = await chrome.new_page(viewport={"width": 360, "height": 900})
        try:
            for strategy in (STRATEGY, "odd"):
                await page.goto(f"{url}/explain?{urlencode({**ASKED, 'id': strategy})}")
                assert await page.locator("#causes tbody tr").count() > 0
                assert await page.evaluate("document.documentElement.scrollWidth") <= 360
                assert await web.violations(page) == []
                await photograph(page, f"explain-{strategy}")
        finally:
            await page.close()
