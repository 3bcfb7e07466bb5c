"""The overview opens on trouble: what changed, since when, who is silent; within a scope."""

from __future__ import annotations

import html
import random
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.rows import row
from tests.samples import one_of
from tests.types import Pool
from tests.web.test_api import client

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Of each strategy the error rate before and since the last hour.
RATES = {"broke": (0.01, 0.3), "limps": (0.02, 0.15), "mended": (0.3, 0.01), "steady": (0.05, 0.05)}


def runs(now: datetime, until: timedelta = timedelta(0)) -> Iterator[StrategyExecutionLog]:
    """Three hours of runs; only realm acme is hit, and the last of them was `until` ago."""
    dice = random.Random(8)
    for name, rates in RATES.items():
        for n in range(int((3 * HOUR - until) / MINUTE * 5)):
            at = now - 3 * HOUR + n * MINUTE / 5
            realm = "acme" if n % 2 else "globex"
            rate = rates[at > now - HOUR] if realm == "acme" else rates[0]
            yield row(
                strategy_id=name,
                strategy_version=1 + (at > now - HOUR),
                created_at=at,
                realm_id=realm,
                status="error" if dice.random() < rate else "ok",
            )


@pytest.fixture
async def api(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> AsyncIterator[httpx2.AsyncClient]:
    await repository.insert_rows(runs(datetime.now(UTC)))
    async with client(create_app(pool)) as asking:
        yield asking


async def text(api: httpx2.AsyncClient, path: str = "/", **given: Any) -> str:
    found = await api.get(path, params=given or None)
    assert found.status_code == 200, found.text
    assert "A part is missing" not in found.text
    return found.text


def words(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


def section(page: str, name: str) -> str:
    return page.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def sentences(page: str) -> list[str]:
    found = section(page, "headline").partition('<ul class="findings">')[2].partition("</ul>")[0]
    return [words(one) for one in found.split("<li")[1:]]


def names(page: str) -> list[str]:
    table = section(page, "ranking").partition("<tbody>")[2]
    return re.findall(r'<th scope="row"><a href="[^"]*"><bdi>([^<]*)</bdi>', table)


@pytest.mark.parametrize("since", one_of(["4h", "2h", "24h"]))
async def test_it_says_what_is_wrong_and_since_when(api: httpx2.AsyncClient, since: str) -> None:
    page = await text(api, since=since)
    said = sentences(page)
    found = re.compile(
        r"(\w+) : error rate (rose|fell) from (\S+ %) to (\S+ %) at about (\d\d:\d\d)"
    )
    read = [match.groups() for one in said if (match := found.search(one))]
    assert [(name, moved) for name, moved, *_ in read] == [
        ("broke", "rose"),
        ("limps", "rose"),
        ("mended", "fell"),
    ]
    now = datetime.now(UTC)
    for *_, clock in read:
        at = datetime.combine(now.date(), datetime.strptime(clock, "%H:%M").time(), UTC)
        away = min(abs(at - (now - HOUR) + day * timedelta(days=1)) for day in (-1, 0, 1))
        assert away <= 12 * MINUTE
    assert "Why?" in said[0] and "Failing executions" in said[0]
    assert "Failing executions" not in said[2]
    assert names(page) == ["broke", "limps", "mended", "steady"]
    facts = words(section(page, "headline"))
    assert re.search(r"[\d,]+ runs · error rate [\d.]+ % · last stored \d+ s ago", facts)
    assert "the error rate of 4 strategies in this window and the one before" in facts
    assert "<title>(2) Overview" in page


async def test_its_links_lead_to_what_they_name(api: httpx2.AsyncClient) -> None:
    page = section(await text(api, since="4h"), "headline")
    links = [html.unescape(one) for one in re.findall(r'<a href="([^"]*)"', page)]
    strategy, why, failing = links[:3]
    assert re.fullmatch(r"strategy\?id=broke&since=\d{8}T\d{6}Z", strategy)
    assert re.fullmatch(r"explain\?id=broke&since=\d{8}T\d{6}Z", why)
    assert re.fullmatch(r"executions\?id=broke&status=failed&since=\d{8}T\d{6}Z", failing)
    explained = await text(api, f"/{why}")
    assert 'id="causes"' in explained
    assert "acme" in explained
    rows = await text(api, f"/{failing}")
    assert rows.count('class="status error"') > 30


async def test_a_window_that_ended_is_explained_to_its_end(api: httpx2.AsyncClient) -> None:
    now = datetime.now(UTC)
    page = await text(api, since=(now - 3 * HOUR).isoformat(), until=(now - MINUTE).isoformat())
    assert len(sentences(page)) == 3
    assert re.search(r"explain\?id=broke&amp;since=[^&]*&amp;until=", page)
    assert "last stored" not in page


async def test_by_another_order_the_rows_are_in_that_order(api: httpx2.AsyncClient) -> None:
    for by in ("failures", "error_rate", "runs", "p99"):
        page = await text(api, since="4h", by=by)
        ranked = (await api.get("/api/strategies", params={"since": "4h", "by": by})).json()
        assert names(page) == [one["strategyId"] for one in ranked]
        assert len(sentences(page)) == 3
    assert (await api.get("/", params={"by": "colour"})).status_code == 400


@pytest.mark.long
async def test_one_in_trouble_is_among_the_rows_of_many(
    pool: Pool, repository: StrategyExecutionLogRepository, api: httpx2.AsyncClient
) -> None:
    """Sixty others fail more often in number, as ever."""
    now = datetime.now(UTC)
    await repository.insert_rows(
        row(
            strategy_id=f"busy-{n:02}",
            created_at=now - k * 20 * timedelta(seconds=1),
            status="ok" if k % 3 else "error",
        )
        for n in range(60)
        for k in range(500)
    )
    page = await text(api, since="4h")
    assert names(page)[:3] == ["broke", "limps", "mended"]
    assert len(names(page)) == 20
    assert len(page.encode()) <= 60_000
    link = re.search(r'<a href="([^"]*)">30 more</a>', page)
    assert link is not None
    page = await text(api, "/" + html.unescape(link[1]))
    assert len(names(page)) == 50
    assert "Only the first 50" in page


async def test_nothing_that_changed_is_said_too(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    now = datetime.now(UTC)
    await repository.insert_rows(one for one in runs(now) if one.strategy_id == "steady")
    async with client(create_app(pool)) as api:
        page = await text(api, since="4h")
        assert "Nothing changed beyond chance." in section(page, "headline")
        assert "the error rate of 1 strategy in" in words(section(page, "headline"))
        assert "<title>Overview" in page
        few = await text(api, since="4m", realm="acme")
        assert "Too few runs to tell" in section(few, "headline")


async def test_a_log_that_fell_silent(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows(runs(datetime.now(UTC), until=14 * MINUTE))
    async with client(create_app(pool)) as api:
        for since in ("24h", "4h", "1h"):
            said = words(section(await text(api, since=since), "headline"))
            assert "Nothing was stored for 14 min." in said, since
            assert "Usually no gap is longer than" in said
        now = datetime.now(UTC)
        past = await text(api, since="4h", until=(now - 5 * MINUTE).isoformat())
        assert "Nothing was stored" not in past
    scope = Scope(realms=["acme"])
    async with client(create_app(pool, authorize=lambda request: scope)) as own:
        page = section(await text(own), "headline")
        assert "Nothing was stored for 14 min." in page
        assert "storage" not in page


@pytest.mark.parametrize(
    ("silent", "each_day", "since", "is_told"),
    [
        (10 * HOUR, 10 * HOUR, "24h", False),  # a night, whose like the window only has a part of
        (2 * HOUR, 10 * HOUR, "6h", False),  # a window without a night
        (10 * HOUR, 20 * HOUR, "24h", True),
        (14 * MINUTE, 24 * HOUR, "24h", True),
    ],
)
async def test_a_log_that_rests_at_night_is_not_silent(
    pool: Pool,
    repository: StrategyExecutionLogRepository,
    silent: timedelta,
    each_day: timedelta,
    since: str,
    is_told: bool,
) -> None:
    last = datetime.now(UTC) - silent
    await repository.insert_rows(
        row(created_at=last - day * 24 * HOUR - n * 2 * MINUTE)
        for day in range(4)
        for n in range(each_day // (2 * MINUTE))
    )
    async with client(create_app(pool)) as api:
        said = words(section(await text(api, since=since), "headline"))
    assert ("Nothing was stored for" in said) is is_told


async def test_a_scope_has_findings_of_its_own_rows(api: httpx2.AsyncClient, pool: Pool) -> None:
    """The other realm is as it was; and its page is the same whether or not others have runs."""
    hers, one = Scope(realms=["globex"]), Scope(strategies=["steady"])
    apps = [
        create_app(pool, authorize=lambda request: hers),
        create_app(pool, authorize=lambda request: one),
    ]
    async with client(apps[0]) as globex, client(apps[1]) as steady:
        pages = [await text(globex, since="4h"), await text(steady, since="4h")]
        assert "Nothing changed beyond chance." in pages[0]
        assert "acme" not in pages[0]
        assert names(pages[1]) == ["steady"]
        for other in ("broke", "limps", "mended"):
            assert other not in pages[1]
        await pool.execute(
            "delete from execlog.strategy_execution_log where realm_id is distinct from 'globex'"
        )
        again = words(section(await text(globex, since="4h"), "headline"))
    said = re.compile(r"last stored \d+ s")
    assert said.sub("", again) == said.sub("", words(section(pages[0], "headline")))


async def test_viewers_in_two_zones_share_nothing(api: httpx2.AsyncClient, pool: Pool) -> None:
    """The same text is another time in each: of neither the charts are shown to the other."""
    since = (datetime.now(UTC) - 3 * HOUR).strftime("%Y-%m-%dT%H:%M")
    await text(api, since=since, zone="Asia/Tokyo")
    page = await text(api, since=since)
    async with client(create_app(pool)) as alone:
        drawn = [
            re.findall(r'<path class="all" d="[^"]*"', one)
            for one in (
                section(page, "ranking"),
                section(await text(alone, since=since), "ranking"),
            )
        ]
    assert drawn[0] == drawn[1] != []


async def test_realm_and_version_are_filters(api: httpx2.AsyncClient) -> None:
    page = await text(api, since="4h", realm="globex")
    assert "Nothing changed beyond chance." in page
    one = await text(api, since="4h", strategy_version="1")
    assert "Nothing changed beyond chance." in one
    assert 'aria-label="Without version 1"' in one
    added = await api.get("/", params={"since": "4h", "add": "strategy_version", "value": "2"})
    assert added.status_code == 303
    assert "strategy_version=2" in added.headers["location"]
    both = await api.get("/?since=4h&strategy_version=1&strategy_version=2")
    assert names(both.text) == ["broke", "limps", "mended", "steady"]
    refused = await api.get("/", params={"add": "error_code", "value": "E"})
    assert refused.status_code == 400
    page = await text(api, since="4h", status="failed")
    assert 'class="chips"' not in page
