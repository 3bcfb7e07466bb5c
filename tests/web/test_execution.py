"""The page of one execution: what failed, where the time went, and what is around it."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from execlog import InvalidArgument, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.rows import row
from tests.types import Pool
from tests.web import browser as web
from tests.web.site import MINUTE, Site, follow, heading, listed, opened
from tests.web.test_api import NOW, client

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

TRACE: list[Any] = [
    {"node": "load", "ms": 2.0},
    {
        "node": "decide",
        "ms": 210.0,
        "error": "a node below failed",
        "children": [
            {"node": "bonus table", "ms": 190.0, "error": "KeyError: gold", "try": 3},
            {"node": "tier", "ms": 5.0},
        ],
    },
]
TRACING = "https://tempo.example/trace/{trace_id}?from=execlog"


def failure(minutes: float = 1, **changes: Any) -> StrategyExecutionLog:
    fields: dict[str, Any] = {
        "created_at": NOW - minutes * MINUTE,
        "status": "error",
        "error_code": "E1",
        "realm_id": "acme",
        "duration_ms": 430.0,
        "trace": TRACE,
        **changes,
    }
    return row(**fields)


def title(text: str) -> str:
    found = re.search("<title>(.*?)</title>", text, re.DOTALL)
    assert found is not None
    return " ".join(html.unescape(found[1]).split())


def words(text: str, begin: str, end: str) -> str:
    """A part of a page as it is read."""
    part = text.partition(begin)[2].partition(end)[0]
    assert part, begin
    return " ".join(html.unescape(re.sub("<[^>]*>", "", part)).split())


def outcome(text: str) -> str:
    return words(text, 'aria-label="Outcome">', "</section>")


async def test_the_title_says_what_when_and_why(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    time = f"{NOW - MINUTE:%H:%M:%S}"
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, f"loyalty failed at {time}: E1"),
        ({"status": "timeout", "error_code": None}, f"loyalty timed out at {time}"),
        ({"status": "limit"}, f"loyalty hit a limit at {time}: E1"),
        ({"status": "skipped"}, f"loyalty ended at {time}: E1"),
        ({"status": "ok", "case_name": "gold"}, f"loyalty ran at {time}: gold"),
        ({"created_at": None}, "loyalty failed: E1"),
        (
            {"created_at": NOW - timedelta(days=3)},
            f"loyalty failed at {NOW - timedelta(days=3):%Y-%m-%d %H:%M:%S}: E1",
        ),
    ]
    rows = [failure(**changes) for changes, _ in cases]
    await repository.insert_rows(rows)
    async with client(create_app(pool)) as api:
        for one, (_, expected) in zip(rows, cases, strict=True):
            text = (await api.get(f"/execution?id={one.id}")).text
            if time.startswith("00:00"):
                continue  # it may be another day's by now
            assert title(text) == f"{expected} · execlog"
            assert (
                f'<span class="status {one.status if one.status != "skipped" else "other"}">'
                in text
            )


def drawn(text: str) -> dict[str, str]:
    """The row of each node by its name, without what lies in its bar."""
    body = text.partition('class="waterfall"')[2].partition("</figure>")[0]
    found = {}
    for one in re.split("<tr ", body)[1:]:
        name = re.search("<bdi>(.*?)</bdi>", one)
        found[name[1] if name else ""] = one
    return found


async def test_the_failed_node_is_marked_and_open(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """It is named first, with what it says; the nodes around it are marked, and closed."""
    one = failure(error_message="gold is in no table")
    await repository.insert_row(one)
    async with client(create_app(pool)) as api:
        text = (await api.get(f"/execution?id={one.id}")).text
    said = outcome(text)
    assert said.startswith(
        "gold is in no table Failed in bonus table (190.0 ms). errorKeyError: gold"
    )
    nodes = drawn(text)
    anchor = re.search('<a href="#(node-3)"><bdi>bonus table</bdi></a>', text)
    assert anchor is not None
    assert f'class="d1 fault" id="{anchor[1]}"' in nodes["bonus table"]
    assert "<details open>" in nodes["bonus table"]
    assert 'class="d0 fault"' in nodes["decide"]
    assert "<details>" in nodes["decide"]
    assert "fault" not in nodes["load"] + nodes["tier"]
    assert words(text, '<p class="slowest">', "</p>") == (
        "Slowest: bonus table, 190.0 ms of 430.0 ms (own time); 218.0 ms in no node"
    )
    assert text.index("KeyError") < text.index('id="coordinates"') < text.index('id="trace"')


async def test_a_failed_node_beyond_the_first_thousand_is_shown(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    steps = [{"node": f"step {n}", "ms": 0.25} for n in range(1200)]
    late = {"node": "phase", "children": [{"node": "settle", "status": "failed", "why": "shut"}]}
    rows = [
        failure(trace=[*steps, late, {"node": "end"}]),
        failure(trace=[*steps, {"node": "end"}]),
    ]
    await repository.insert_rows(rows)
    async with client(create_app(pool)) as api:
        marked, unmarked = [(await api.get(f"/execution?id={one.id}")).text for one in rows]
    assert marked.count('<tr class="d') == 1001
    assert "and 203 more nodes" in marked
    assert words(marked, '<caption class="caption">', "</caption>") == "Among them, failed"
    beyond = marked.partition("beyond")[2]
    assert '<tr class="d0 fault" id="node-1001">' in beyond
    assert words(beyond, "<summary>", "</summary>") == "failed: settle in phase"
    assert "Failed in settle." in outcome(marked)
    assert outcome(unmarked).startswith("The last node is end; no node of the trace says that")
    assert words(unmarked, '<caption class="caption">', "</caption>") == "Among them, the last one"
    assert 'href="#node-1001"' in unmarked


async def test_what_is_around_it(pool: Pool, repository: StrategyExecutionLogRepository) -> None:
    """The failure before and after, of the same strategy; and how many failed alike."""
    rows = [
        failure(300, error_code="E2"),
        failure(90),
        failure(50, status="ok", error_code=None),
        failure(40, strategy_id="another"),
        failure(20, realm_id="globex"),
        failure(10, status="timeout"),
        failure(5),
    ]
    await repository.insert_rows(rows)
    oldest, first, ok, _, globex, timeout, newest = rows
    async with client(create_app(pool)) as api:

        async def around(one: StrategyExecutionLog, asked: str = "") -> tuple[list[str], str]:
            text = (await api.get(f"/execution?id={one.id}{asked}")).text
            part = text.partition('class="around"')[2].partition("</ul>")[0]
            links = re.findall(r'<a href="execution\?id=([0-9a-f-]+)[^"]*" rel="(\w+)"', part)
            return [f"{rel} {id}" for id, rel in links], outcome(text)

        links, said = await around(timeout)
        assert links == [f"prev {globex.id}", f"next {newest.id}"]
        assert "2 other E1 within an hour of it" in said
        links, _ = await around(timeout, "&realm=acme")
        assert links == [f"prev {first.id}", f"next {newest.id}"]
        _, said = await around(timeout, "&realm=initech")
        assert "No other E1" in said
        _, said = await around(timeout, "&realm=globex")
        assert "1 other E1" in said
        links, _ = await around(ok)
        assert links == [f"prev {first.id}", f"next {globex.id}"]
        links, said = await around(oldest)
        assert links == [f"next {first.id}"]
        assert "No other E2" in said
        assert "No failure before it" in said
        assert "No failure after it" in (await around(newest))[1]
        text = (await api.get(f"/execution?id={timeout.id}")).text
        [alike] = re.findall(r'<li><a href="(executions\?[^"]*)">2 other', text)
        found = await listed(api, html.unescape(alike))
        assert sorted(found) == sorted(str(one.id) for one in (globex, timeout, newest))


async def test_facts_lead_to_those_that_have_them(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Over the page's window; of an older execution, over the hours around it."""
    held: dict[str, Any] = {
        "case_name": "gold",
        "external_user_id": "u 1",
        "external_game_id": "g",
        "external_task_id": "t",
        "parent_strategy_id": "base",
        "points": 2.5,
        "attributes": {"plan": "gold", "vip": True, "n": 1.5},
    }
    recent, old = failure(**held, trace_id=7), failure(4000, **held, trace_id=8)
    await repository.insert_rows([recent, old, failure(strategy_id="another", trace=None)])
    async with client(create_app(pool, trace_url=TRACING)) as api:
        for one, window in ((recent, False), (old, True)):
            text = (await api.get(f"/execution?id={one.id}")).text
            links = [
                html.unescape(link) for link in re.findall(r'<a class="f" href="([^"]*)"', text)
            ]
            names = [re.sub("&(since|until)=[^&]*", "", link) for link in links]
            of = "executions?id=loyalty"
            for wanted in (
                f"{of}&min_duration_ms=430",
                f"{of}&error_code=E1",
                f"{of}&case_name=gold",
                f"{of}&min_points=2.5&max_points=2.5",
                f"{of}&strategy_version=3",
                f"{of}&strategy_type=DSL_FULL",
                "executions?parent_strategy_id=base",
                f"{of}&realm=acme",
                "executions?external_user_id=u+1",
                "executions?external_game_id=g",
                "executions?external_task_id=t",
                f"executions?trace_id={one.trace_id.hex if one.trace_id else ''}",
                f"{of}&attr=plan%3Dgold",
                f"{of}&attr=vip%3Dtrue",
                f"{of}&attr=n%3D1.5",
            ):
                assert wanted in names, wanted
            assert all(("since=" in link) == window for link in links)
            for link in links:
                assert await listed(api, link) == [str(one.id)], link
            hexadecimal = UUID(int=7 if one is recent else 8).hex
            [tracing] = re.findall('<a id="tracing" href="([^"]*)" rel="noreferrer">', text)
            assert tracing == f"https://tempo.example/trace/{hexadecimal}?from=execlog"
        bare = (await api.get("/executions?id=another")).text
        [other] = re.findall(r'<th scope="row"><a href="(execution\?[^"]*)"', bare)
        text = (await api.get(f"/{html.unescape(other)}")).text
        assert 'id="tracing"' not in text
        assert "This execution has no trace" in text
    async with client(create_app(pool)) as api:
        assert 'id="tracing"' not in (await api.get(f"/execution?id={recent.id}")).text


@pytest.mark.parametrize(
    "url",
    [
        "https://traces.example/",
        "https://traces.example/{trace_id}/{trace_id}",
        "https://traces.example/{trace_id}/{other}",
        "https://{trace_id}/",
        "javascript:alert('{trace_id}')",
        "//traces.example/{trace_id}",
        "https:///{trace_id}",
        "https://a b.example/{trace_id}",
        "https://[::1/{trace_id}",
        "",
        7,
    ],
)
def test_an_address_of_traces_that_is_none(pool: Pool, url: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        create_app("postgresql:///", trace_url=url)
    assert caught.value.argument == "trace_url"


def allowed(scope: Scope, request: object) -> Scope:
    return scope


async def test_a_scope_sees_no_other_s_failures(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Neither as the one before or after, nor in a number; without inputs, no values of a node."""
    rows = [
        failure(30, realm_id="globex"),
        failure(20, input={"secret": 1}),
        failure(19, realm_id=None),
        failure(10, realm_id="globex"),
    ]
    await repository.insert_rows(rows)
    own: Sequence[Scope] = (Scope(realms=["acme"]), Scope(realms=["acme"], inputs=True))
    for scope in own:
        async with client(create_app(pool, authorize=functools.partial(allowed, scope))) as api:
            text = (await api.get(f"/execution?id={rows[1].id}")).text
            assert not {str(one.id) for one in rows if one is not rows[1]} & {
                *re.findall(r"execution\?id=([0-9a-f-]+)", text)
            }
            said = outcome(text)
            assert "No other E1 within an hour of it" in said
            assert "No failure before it No failure after it" in said
            assert "Failed in bonus table" in said
            assert ("KeyError" in text) == scope.inputs
            assert ("secret" in text) == scope.inputs
            refused = await api.get(f"/execution?id={rows[1].id}&realm=globex")
            assert refused.status_code == 403
            assert (await api.get(f"/execution?id={rows[0].id}")).status_code == 404


async def test_a_verdict_is_no_failure_of_an_ok_run(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    trace = [{"node": "is adult", "ok": False}, {"node": "end", "ok": True}]
    ok = failure(trace=trace, status="ok", error_code=None)
    handled = failure(trace=[{"node": "retry", "error": "once"}], status="ok", error_code=None)
    failed = failure(trace=trace)
    await repository.insert_rows([ok, failed, handled])
    hidden = create_app(pool, authorize=lambda request: Scope())
    async with client(create_app(pool)) as api, client(hidden) as blind:
        assert outcome((await api.get(f"/execution?id={ok.id}")).text).startswith("No rule matched")
        said = outcome((await api.get(f"/execution?id={failed.id}")).text)
        assert said.startswith("Failed in is adult.")
        said = outcome((await api.get(f"/execution?id={handled.id}")).text)
        assert said.startswith("Failed in retry, yet the run is ok.")
        # A verdict is a value.
        said = outcome((await blind.get(f"/execution?id={failed.id}")).text)
        assert said.startswith("The last node is end; no node")


@web.needed
async def test_from_failure_to_failure(page: Page, site: Site) -> None:
    """By links: to the one before, back to the next, and to the node in the trace."""
    errors = [one for one in site.of("loyalty") if one.status != "ok"]
    errors.sort(key=lambda one: one.created_at or site.now)
    await page.goto(site.page("execution", id=errors[-2].id))
    assert (await heading(page)).startswith("loyalty ")
    await follow(page, page.get_by_role("link", name="Next failure"))
    assert str(errors[-1].id) in page.url
    assert await page.get_by_text("No failure after it").is_visible()
    await follow(page, page.get_by_role("link", name="Previous failure"))
    assert str(errors[-2].id) in page.url
    node = page.locator(".slowest a")
    anchor = await node.get_attribute("href")
    await node.click()
    assert page.url.endswith(str(anchor))
    assert await page.locator(str(anchor)).is_visible()


@web.needed
@pytest.mark.long
async def test_the_facts_of_a_phone_are_in_two_columns(chrome: Browser, site: Site) -> None:
    size: Any = {"viewport": {"width": 375, "height": 812}}
    one = site.of("loyalty")[0]
    async with opened(chrome, site, **size) as (page, _):
        await page.goto(site.page("execution", id=one.id))
        facts = page.locator("#coordinates .facts > div")
        boxes = [await facts.nth(place).bounding_box() for place in (0, 1)]
        assert boxes[0] and boxes[1]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375
