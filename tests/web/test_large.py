"""Pages and answers of what is large: they are bounded, and others in the loop have their turns."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from execlog import StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.rolling import rolled_up
from tests.rows import row
from tests.types import Pool
from tests.web.test_api import client, dumped

pytestmark = pytest.mark.long
NODE = {"node": "rule", "ms": 0.5}
# Escaped for the eye, character by character.
ODD = "\N{RIGHT-TO-LEFT OVERRIDE}\x07é"
MOST_CALLS = 75_000


@contextmanager
def calls_between_turns() -> Iterator[list[int]]:
    """How many functions are called at most until others have their turn.

    Counted, not timed: what is called in one go is the same on any machine, and what is sliced is
    so by a few milliseconds.
    """
    most, called = [0], 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal called
        if event in ("call", "c_call"):
            called += 1

    async def turn() -> None:
        nonlocal called
        while True:
            most[0], called = max(most[0], called), 0
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    sys.setprofile(count)
    try:
        yield most
    finally:
        sys.setprofile(None)
        most[0] = max(most[0], called)
        turning.cancel()


async def asked(api: httpx2.AsyncClient, path: str) -> httpx2.Response:
    """An answer during which others have had their turns."""
    with calls_between_turns() as most:
        await asyncio.sleep(0)
        found = await api.get(path)
    assert found.status_code == 200
    assert most[0] < MOST_CALLS, path
    return found


async def test_a_trace_of_ninety_thousand_nodes(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    one = row(trace=[{"node": "all", "children": [NODE] * 90_000}], duration_ms=1.0)
    await repository.insert_row(one)
    async with client(create_app(pool)) as api:
        page = await api.get(f"/execution?id={one.id}")
        drawn = re.findall(r'<tr class="d(\d)"', page.text)
        assert (len(drawn), set(drawn)) == (1000, {"0", "1"})
        [link] = re.findall(r'<a href="([^"]+)">and 89,001 more nodes</a>', page.text)
        assert len(page.text) < 400_000
        # The node that says no time takes as long as all below it.
        widths = re.findall(r'<rect class="bar" x="([\d.]+)%" width="([\d.]+)%"', page.text)
        assert [float(x) for x, _ in widths[:2]] == [0.0, pytest.approx(100 / 90_000, abs=1e-3)]
        assert sent((await api.get(f"/{link}")).json()) == dumped(one)


@pytest.mark.parametrize(
    "trace",
    [
        [{"node": "n", "children": [{"node": "m", "children": [NODE] * 20}] * 15}] * 80,
        [{f"key {n}": n for n in range(100_000)}],
        [{"node": ODD * 60, "output": ODD * 300}] * 1100,
        ["x" * 3_000_000, *range(20_000)],
    ],
    ids=["lists", "keys", "texts", "long"],
)
async def test_a_large_trace(
    pool: Pool, repository: StrategyExecutionLogRepository, trace: list[Any]
) -> None:
    one = row(trace=trace)
    await repository.insert_row(one)
    async with client(create_app(pool)) as api:
        page = await asked(api, f"/execution?id={one.id}")
        assert page.text.count('<tr class="d') <= 1000
        assert len(page.text) < 3_000_000
        assert (await api.get(f"/api/executions/{one.id}")).json()["trace"] == trace


async def test_an_answer_comes_in_messages(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """However large it is, a message is not; what is small is one, and says its length."""
    rows = [row(trace=[NODE] * 20_000, notes=ODD * 50_000, status="error") for _ in range(3)]
    small = row(strategy_id="small", trace=[NODE])
    await repository.insert_rows([*rows, small])
    app = create_app(pool)
    for path, least in (
        (f"/api/executions/{rows[0].id}", 5),
        ("/api/strategies/loyalty/executions", 15),
        ("/api/failures", 15),
        (f"/api/executions/{small.id}", 1),
        ("/api/strategies/small/executions", 1),
        ("/api/strategies/none/executions", 1),
    ):
        messages: list[Any] = []
        await app(scope(path), nothing, collector(messages))
        bodies = [found["body"] for found in messages[1:] if found["body"]]
        assert len(bodies) >= least, path
        assert max(map(len, bodies)) < 1_000_000
        has_length = b"content-length" in dict(messages[0]["headers"])
        assert has_length == (least == 1)
        json.loads(b"".join(bodies))
    async with client(app) as api:
        found = (await api.get("/api/failures")).json()
        assert sorted(map(sent, found), key=lambda one: str(one["id"])) == sorted(
            map(dumped, rows), key=lambda one: str(one["id"])
        )


def sent(found: dict[str, Any]) -> dict[str, Any]:
    """An execution of an answer as it was sent to the log, before that knew when it came."""
    assert found["storedAt"] is not None
    return {**found, "storedAt": None}


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }


async def nothing() -> Any:
    await asyncio.Event().wait()


def collector(messages: list[Any]) -> Any:
    async def send(message: Any) -> None:
        messages.append(message)

    return send


async def test_long_texts_are_cut(pool: Pool, repository: StrategyExecutionLogRepository) -> None:
    names = ("strategy_type", "external_user_id", "external_task_id", "parent_strategy_id", "notes")
    long: dict[str, Any] = dict.fromkeys(names, ODD * 100_000)
    one = row(**long)
    await repository.insert_row(one)
    async with client(create_app(pool)) as api:
        page = await asked(api, f"/execution?id={one.id}")
        assert len(page.text) < 500_000
        assert page.text.count("and 295,000 more characters</a>") == 5
        assert sent((await asked(api, f"/api/executions/{one.id}")).json()) == dumped(one)


async def test_two_hundred_executions_of_long_names(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    name = ODD * 80
    now = datetime.now(UTC)
    names: dict[str, Any] = dict.fromkeys(
        ("strategy_id", "realm_id", "case_name", "error_code", "status"), name
    )
    times = ({"created_at": now - timedelta(seconds=n)} for n in range(200))
    await repository.insert_rows(row(**names, **time) for time in times)
    async with client(create_app(pool)) as api:
        page = await asked(api, f"/executions?{httpx2.QueryParams({'id': name})}&limit=200")
    assert page.text.count("\\u202e\\x07é" * 80) > 4 * 200


async def test_pages_read_no_traces(
    pool: Pool, repository: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which they show nothing of."""
    one = row(status="error", trace=[NODE], created_at=datetime.now(UTC))
    await repository.insert_row(one)
    without = one.model_copy(update={"trace": None})
    log = repository
    assert await log.list_executions(strategy_id="loyalty", payloads=False) == [without]
    assert await log.list_executions(strategy_id="loyalty") == [one]
    assert await log.list_failures(payloads=False) == [without]
    assert await log.list_failures() == [one]
    app = create_app(pool)
    read = []
    async with app.state.reader.snapshot() as viewed:
        kept = viewed._outlined

    def seen(record: Any) -> Any:
        read.append(record["trace"])
        return kept(record)

    monkeypatch.setattr(type(viewed), "_outlined", staticmethod(seen))
    async with client(app) as api:
        for path in ("/", "/strategy?id=loyalty", "/executions?id=loyalty", "/executions"):
            assert (await api.get(path)).status_code == 200
    assert set(read) == {None}
    assert len(read) >= 4


async def test_thousands_of_strategies(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """By p99 the histograms of all are read, and only those of the first become models."""
    now = datetime.now(UTC)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    await repository.insert_rows(
        row(
            strategy_id=f"s-{n:04}",
            duration_ms=1.03 ** (n // 2),  # two of a bar, which go by their names
            created_at=now - timedelta(minutes=n % 50),
        )
        for n in range(1500)
    )
    await rolled_up(pool)
    expected = [f"s-{n:04}" for n in (1498, 1499, 1496, 1497, 1494)]
    found = await repository.rank_strategies(by="p99", limit=5)
    assert [one.strategy_id for one in found] == expected
    assert {one.method for one in found} == {"sketch"}
    async with client(create_app(pool)) as api:
        answer = await asked(api, "/api/strategies?by=p99&limit=5")
        assert [one["strategyId"] for one in answer.json()] == expected
        assert "s-1498</bdi>" in (await asked(api, "/?by=p99")).text


async def test_a_scope_of_many_realms(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """More than a list has room for are named."""
    await repository.insert_row(row(realm_id="r-7", created_at=datetime.now(UTC)))
    for count in (200, 5000):
        mine = Scope(realms=[f"r-{n}" for n in range(count)])

        def authorize(request: Request, mine: Scope = mine) -> Scope:
            return mine

        async with client(create_app(pool, authorize=authorize)) as api:
            page = (await asked(api, "/executions?id=loyalty")).text
        options = page.partition('<select name="realm">')[2].partition("</select>")[0]
        assert options.count("<option") == (201 if count == 200 else 0)
        assert page.count('<input name="realm"') == (0 if count == 200 else 1)
        assert "r-7</bdi>" in page


async def test_a_query_has_an_end(shared_pool: Pool) -> None:
    """Each link of a page repeats it."""
    async with client(create_app(shared_pool)) as api:
        for path, kind in (("/executions", "text/html"), ("/api/failures", "application/problem")):
            for size, status in ((16_000, 200), (17_000, 400)):
                found = await api.get(f"{path}?other={'x' * size}")
                assert (found.status_code, path) == (status, path)
            assert found.headers["content-type"].startswith(kind)
            assert "query: is longer than 16,384 bytes" in found.text
