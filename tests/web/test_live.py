"""New rows come to an open list of executions without a reload, by one poll for all viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx2
import pytest
from starlette.requests import Request

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from execlog.web.live import MOST_SHOWN, Live
from tests import databases
from tests.recording import until
from tests.rows import row
from tests.types import Pool
from tests.web.site import HOUR

if TYPE_CHECKING:
    pass

TICK = 0.05
TABLE = "strategy_execution_log"
BEGIN = "isolation level repeatable read"


@pytest.fixture(scope="module")
async def pool(template: str) -> AsyncIterator[Pool]:
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=4, max_size=8) as found,
    ):
        yield found


async def store(pool: Pool, *rows: StrategyExecutionLog) -> None:
    await StrategyExecutionLogRepository(pool).insert_rows(rows)


def run(name: str, **more: Any) -> StrategyExecutionLog:
    return row(**{"strategy_id": name, "created_at": datetime.now(UTC), "status": "ok", **more})


@asynccontextmanager
async def viewing(
    pool: Pool, scope: Callable[[Request], Scope | None] | None = None, tick: float = TICK
) -> AsyncIterator[httpx2.AsyncClient]:
    async with reading(pool, scope, tick) as (api, _):
        yield api


@asynccontextmanager
async def reading(
    pool: Pool, scope: Callable[[Request], Scope | None] | None = None, tick: float = TICK
) -> AsyncIterator[tuple[httpx2.AsyncClient, Live]]:
    """An application, and what reads for its open lists."""
    app = create_app(pool, authorize=scope)
    app.state.reader.live.seconds = tick
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as api:
        try:
            yield api, app.state.reader.live
        finally:
            await app.state.reader.aclose()


def place_of(text: str, name: str = "place") -> str:
    return text.partition(f'data-{name}="')[2].partition('"')[0]


def told(text: str) -> str:
    """What is said of an answer, beside its rows."""
    return text.partition("</p>")[0]


async def follow(api: httpx2.AsyncClient, query: str, **headers: str) -> str:
    """The place of a page."""
    answer = await api.get(f"/executions?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert "data-follow" in answer.text
    return place_of(answer.text, "follow")


async def news(api: httpx2.AsyncClient, query: str, after: str, **headers: str) -> str:
    """The first answer that has something."""
    for _ in range(100):
        answer = await api.get(f"/live/executions?{query}&after={after}", headers=headers)
        if answer.status_code == 200:
            return answer.text
        assert answer.status_code == 204
        await asyncio.sleep(TICK)
    raise AssertionError("nothing is new")


async def test_what_is_stored_comes_once(pool: Pool) -> None:
    name = "once"
    await store(pool, run(name))
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        first = [run(name, case_name=f"first {n}") for n in range(3)]
        await store(pool, *first)
        text = await news(api, f"id={name}", place)
        assert all(text.count(f"execution?id={one.id}") == 1 for one in first)
        assert text.count("<tr><th scope=row") + text.count('<tr><th scope="row"') == 3
        assert "data-reload" not in text
        assert (
            await api.get(f"/live/executions?id={name}&after={place_of(text)}")
        ).status_code == 204
        second = run(name)
        await store(pool, second)
        later = await news(api, f"id={name}", place_of(text))
        assert str(second.id) in later
        assert str(first[0].id) not in later
        # One who was away for a while.
        whole = await news(api, f"id={name}", place)
        assert all(str(one.id) in whole for one in (*first, second))
        # A row is the page's own, with its links and its zone.
        page = (await api.get(f"/executions?id={name}")).text
        start = f'<tr><th scope="row"><a href="execution?id={second.id}'
        assert start in later
        assert later.partition(start)[2].partition("<td")[2].partition("</tr>")[0] in page


async def test_filters_hold_and_windows_too(pool: Pool) -> None:
    name = "filtered"
    async with viewing(pool) as api:
        query = f"id={name}&status=failed&since=1h"
        place = await follow(api, query)
        wanted = run(name, status="error")
        others = [
            run(name),
            run("another", status="error"),
            run(name, status="error", created_at=datetime.now(UTC) - 2 * HOUR),
            run(name, status="error", created_at=None),
        ]
        await store(pool, *others, wanted)
        text = await news(api, query, place)
        assert str(wanted.id) in text
        assert [one for one in others if str(one.id) in text] == []


async def test_a_place_that_is_none_begins_anew(pool: Pool) -> None:
    name = "places"
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        ring = place.partition(".")[0]
        wrong = ["", "none", f"{ring}.9", f"{ring}.-1", f"{ring}.\N{SUPERSCRIPT TWO}", "x.0,y.1"]
        for after in wrong:
            answer = await api.get(f"/live/executions?id={name}&after={after}")
            assert 'data-reload="yes"' in told(answer.text), after
            assert place_of(answer.text) == place
        # Another process's place beside one's own.
        assert (await api.get(f"/live/executions?id={name}&after=x.3,{place}")).status_code == 204


async def test_who_falls_behind_is_told(pool: Pool) -> None:
    name = "behind"
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        for _ in range(4):
            await store(pool, *(run(name) for _ in range(90)))
            text = await news(api, f"id={name}", place)
            await asyncio.sleep(3 * TICK)
        assert 'data-reload="yes"' in told(text)
        assert "<tr" not in text


async def test_of_many_the_newest_are_shown(pool: Pool) -> None:
    name = "many"
    async with viewing(pool) as api:
        for count in (MOST_SHOWN + 1, 1000):  # more than are shown; more than are read
            place = await follow(api, f"id={name}")
            begin = datetime.now(UTC)
            rows = [run(name, created_at=begin + timedelta(milliseconds=n)) for n in range(count)]
            await store(pool, *rows)
            text = await news(api, f"id={name}", place)
            assert f'data-more="{MOST_SHOWN}"' in told(text)
            found = [one for one in rows if str(one.id) in text]
            assert found == rows[-MOST_SHOWN:]
            after = place_of(text)
            await store(pool, last := run(name))
            text = await news(api, f"id={name}", after)
            assert str(last.id) in text
            assert text.count("execution?id=") == 1
            assert "data-more" not in text


async def test_many_that_are_stored_late_are_not_missed(pool: Pool) -> None:
    """After the database was away: they are not the newest, but the list has room for them."""
    name = "late"
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        await store(pool, *(run(name, created_at=datetime.now(UTC) - HOUR) for _ in range(300)))
        text = await news(api, f"id={name}", place)
        assert 'data-reload="yes"' in told(text)
        after = await follow(api, f"id={name}")
        await store(pool, one := run(name))
        assert str(one.id) in await news(api, f"id={name}", after)
        # Of others' rows nothing is told.
        await store(pool, *(run("others", created_at=one.created_at) for _ in range(300)))
        await asyncio.sleep(3 * TICK)
        assert place_of((await api.get(f"/executions?id={name}")).text, "follow") == (
            after.partition(".")[0] + ".1"
        )


def _by_header(request: Request) -> Scope | None:
    return Scope(realms=[request.headers["tenant"]])


async def test_tenants_share_no_rows(pool: Pool) -> None:
    """Each sees its own, though both look at the same page; and neither asks for the other's."""
    async with viewing(pool, _by_header) as api:
        acme = await follow(api, "", tenant="acme")
        globex = await follow(api, "", tenant="globex")
        assert acme.partition(".")[0] != globex.partition(".")[0]
        mine = run("shared", realm_id="acme", external_user_id="user of acme")
        theirs = run("shared", realm_id="globex", external_user_id="user of globex")
        await store(pool, mine, theirs, run("shared", realm_id=None))
        for tenant, place, own, other in (
            ("acme", acme, mine, theirs),
            ("globex", globex, theirs, mine),
        ):
            text = await news(api, "", place, tenant=tenant)
            assert str(own.id) in text
            assert str(other.id) not in text
            assert f"user of {other.realm_id}" not in text
            assert text.count("execution?id=") == 1
        # The other's place is one of no ring here; the other's realm is none of its own.
        stolen = await api.get(f"/live/executions?after={acme}", headers={"tenant": "globex"})
        assert 'data-reload="yes"' in told(stolen.text)
        assert str(mine.id) not in stolen.text
        refused = await api.get("/live/executions?realm=acme", headers={"tenant": "globex"})
        assert refused.status_code == 403


async def test_other_pages_are_not_followed(pool: Pool) -> None:
    async with viewing(pool) as api:
        one = run("older")
        await store(pool, one)
        for query in ("until=2030-01-01", f"before=,{one.id}", "since=2h&until=1h"):
            answer = await api.get(f"/executions?{query}")
            assert answer.status_code == 200
            assert "data-follow" not in answer.text


@asynccontextmanager
async def counting(pool: Pool) -> AsyncIterator[list[str]]:
    """The statements that the pool's connections send."""
    sent: list[str] = []

    def heard(query: Any) -> None:
        sent.append(query.query)

    size = pool.get_size()
    connections = [await pool.acquire() for _ in range(size)]
    for one in connections:
        one.add_query_logger(heard)
        await pool.release(one)
    try:
        yield sent
    finally:
        connections = [await pool.acquire() for _ in range(size)]
        for one in connections:
            one.remove_query_logger(heard)
            await pool.release(one)


async def _statements(pool: Pool, viewers: int, seconds: float, tick: float) -> list[str]:
    """What is sent while so many look at two lists, each asking as often as the log is read."""
    async with viewing(pool, tick=tick) as api:
        places = [await follow(api, f"id=poll-{n}") for n in range(2)]

        async def view(n: int) -> None:
            place = places[n % 2]
            for _ in range(round(seconds / tick)):
                answer = await api.get(f"/live/executions?id=poll-{n % 2}&after={place}")
                assert answer.status_code in (200, 204)
                await asyncio.sleep(tick)

        async with counting(pool) as sent:
            await asyncio.gather(*map(view, range(viewers)))
            return [one for one in sent if "stored_xid" in one or BEGIN in one]


async def test_fifty_viewers_ask_no_more_than_two(pool: Pool) -> None:
    ticks = 0.8 / 0.1
    for viewers in (2, 50):
        sent = await _statements(pool, viewers, 0.8, 0.1)
        transactions = [one for one in sent if BEGIN in one]
        assert 3 <= len(transactions) <= ticks + 1, viewers
        # Two questions, each asked once in a transaction.
        assert len(sent) - len(transactions) <= 2 * len(transactions)


async def test_the_poll_ends_with_the_last_viewer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execlog.web.live._ASKED_SECONDS", 3 * TICK)

    others = asyncio.all_tasks()  # of applications that earlier tests have left

    def tasks() -> list[asyncio.Task[Any]]:
        found = asyncio.all_tasks() - others
        return [one for one in found if one.get_name() == "execlog live"]

    async with viewing(pool) as api:
        assert tasks() == []
        await follow(api, "id=ends")
        assert len(tasks()) == 1
        await until(lambda: tasks() == [])
        await follow(api, "id=ends")
        assert len(tasks()) == 1
    assert tasks() == []  # `aclose` ends it


@asynccontextmanager
async def changed(pool: Pool, there: str, back: str) -> AsyncIterator[None]:
    await pool.execute(f"alter table execlog.{TABLE} {there}")
    try:
        yield
    finally:
        await pool.execute(f"alter table {back}")


async def status_becomes(api: httpx2.AsyncClient, path: str, status: int) -> httpx2.Response:
    for _ in range(100):
        answer = await api.get(path)
        if answer.status_code == status:
            return answer
        await asyncio.sleep(TICK)
    raise AssertionError(answer.status_code)


async def test_a_log_that_cannot_be_read_is_told_and_asked_again(pool: Pool) -> None:
    name = "away"
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        path = f"/live/executions?id={name}&after={place}"
        async with changed(pool, "rename to gone", f"execlog.gone rename to {TABLE}"):
            await status_becomes(api, path, 503)
        await store(pool, one := run(name))
        assert str(one.id) in (await status_becomes(api, path, 200)).text


async def test_a_log_without_an_order_is_loaded_whole(pool: Pool) -> None:
    """As one that is spread over a cluster: the page then refreshes itself as others do."""
    column = "alter column stored_xid"
    default = f"execlog.{TABLE} {column} set default pg_current_xact_id()"
    async with viewing(pool) as api:
        place = await follow(api, "id=unordered")
        async with changed(pool, f"{column} drop default", default):
            await status_becomes(api, f"/live/executions?id=unordered&after={place}", 501)
            for name in ("unordered", "another"):
                page = await api.get(f"/executions?id={name}")
                assert page.status_code == 200
                assert 'data-live="10"' in page.text
                assert "data-follow" not in page.text
            assert (await api.get("/live/executions?id=another")).status_code == 501


async def test_a_restored_server_is_read_from_its_present(pool: Pool) -> None:
    name = "restored"
    async with reading(pool) as (api, live):
        place = await follow(api, f"id={name}")
        [ring] = live._rings.values()
        ring.place = "900000000:900000000:"  # of a time that the server has not reached
        text = await news(api, f"id={name}", place)
        assert 'data-reload="yes"' in told(text)
        after = place_of(text)
        assert after.partition(".")[0] != place.partition(".")[0]
        await store(pool, one := run(name))
        assert str(one.id) in await news(api, f"id={name}", after)


async def test_a_question_that_is_refused_leaves_others_alone(pool: Pool) -> None:
    name = "alone"
    async with viewing(pool) as api:
        place = await follow(api, f"id={name}")
        await api.get("/live/executions?min_nodes=2&max_nodes=1")
        await status_becomes(api, "/live/executions?min_nodes=2&max_nodes=1", 400)
        await store(pool, one := run(name))
        assert str(one.id) in await news(api, f"id={name}", place)


async def test_no_more_lists_than_there_is_room_for(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execlog.web.live._MOST_QUESTIONS", 2)
    async with viewing(pool) as api:
        for n in range(2):
            assert await follow(api, f"id=room-{n}") != ""
        other = await api.get("/executions?id=room-2")
        assert (other.status_code, "data-follow" in other.text) == (200, False)
        assert (await api.get("/live/executions?id=room-2")).status_code == 501


async def test_each_of_many_lists_has_its_turn(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execlog.web.live._MOST_A_TICK", 2)
    async with viewing(pool) as api:
        places = [await follow(api, f"id=turn-{n}") for n in range(5)]
        rows = [run(f"turn-{n}") for n in range(5)]
        await store(pool, *rows)
        for n, (place, one) in enumerate(zip(places, rows, strict=True)):
            assert str(one.id) in await news(api, f"id=turn-{n}", place)
