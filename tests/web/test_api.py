"""The JSON of the dashboard: what the repository answers, to those who may see it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from execlog import (
    ExeclogError,
    InvalidArgument,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.web import Scope, create_app
from tests.rows import row
from tests.types import Pool

MINUTE = timedelta(minutes=1)
NOW = datetime.now(UTC)
STATUSES = ["ok", "ok", "error", "timeout", "limit", "unheard of"]


def executions(number: int, **changes: Any) -> list[StrategyExecutionLog]:
    return [
        row(
            **{
                "created_at": NOW - n * MINUTE,
                "status": STATUSES[n % len(STATUSES)],
                "error_code": "E1" if STATUSES[n % len(STATUSES)] == "error" else None,
                "realm_id": ["acme", "globex", None][n % 3],
                "duration_ms": float(n % 40),
                "points": [None, 5.0, 10.0][n % 3],
                "case_name": ["gold", None][n % 2],
                **changes,
            }
        )
        for n in range(number)
    ]


@asynccontextmanager
async def client(app: Any, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://localhost", **options
    ) as asking:
        yield asking


@pytest.fixture
async def log(repository: StrategyExecutionLogRepository) -> StrategyExecutionLogRepository:
    await repository.insert_rows(executions(120))
    await repository.insert_rows(executions(30, strategy_id="a/b c?", realm_id="acme"))
    await repository.insert_rows(executions(3, strategy_id="old", created_at=None))
    return repository


@pytest.fixture
async def api(pool: Pool, log: object) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(create_app(pool)) as asking:
        yield asking


def dumped(answer: Any) -> Any:
    if isinstance(answer, list):
        return [dumped(one) for one in answer]
    return answer.model_dump(by_alias=True, mode="json")


WINDOW: dict[str, Any] = {"since": NOW - 100 * MINUTE, "until": NOW}
ASKED = {name: time.isoformat() for name, time in WINDOW.items()}


async def test_the_answers_are_the_repositorys(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    """Each path, with and without a window, in the models' own dumps."""
    run = (await log.list_for_strategy(strategy_id="loyalty", limit=1))[0]
    questions: list[tuple[str, dict[str, Any], Any]] = [
        ("strategies", {}, log.rank_strategies()),
        (
            "strategies",
            {**ASKED, "by": "failures", "limit": 1, "realm": "acme"},
            log.rank_strategies(**WINDOW, by="failures", limit=1, realm_id="acme"),
        ),
        ("strategies/loyalty/metrics", {}, log.metrics(strategy_id="loyalty")),
        ("strategies/a%2Fb%20c%3F/metrics", ASKED, log.metrics(strategy_id="a/b c?", **WINDOW)),
        (
            "strategies/loyalty/timeseries",
            {**ASKED, "bucket": "10m"},
            log.timeseries(strategy_id="loyalty", **WINDOW, bucket=600),
        ),
        (
            "strategies/loyalty/executions",
            {"status": "failed", "min_duration_ms": "3", "max_duration_ms": 30, "limit": 7},
            log.list_executions(
                strategy_id="loyalty",
                status="failed",
                min_duration_ms=3,
                max_duration_ms=30,
                limit=7,
            ),
        ),
        (
            "strategies/loyalty/executions",
            {"no_case": "true", "below_points": 7},
            log.list_executions(strategy_id="loyalty", no_case=True, below_points=7),
        ),
        ("strategies/old/executions", {}, log.list_executions(strategy_id="old")),
        (
            "compare",
            {**ASKED, "a": "loyalty", "b": "a/b c?"},
            log.compare(a="loyalty", b="a/b c?", **WINDOW),
        ),
        ("failures", {**ASKED, "realm": "globex"}, log.list_failures(realm_id="globex", **WINDOW)),
        (f"executions/{run.id}", {}, log.get(id=run.id)),
    ]
    for path, asked, answer in questions:
        found = await api.get(f"/api/{path}", params=asked)
        assert (found.status_code, path) == (200, path), found.text
        assert found.headers["content-type"] == "application/json"
        assert found.json() == dumped(await answer), path
    health = (await api.get("/api/health")).json()
    assert (health["partitions"], health["missingMigrations"]) == (
        (await log.health()).partitions,
        [],
    )


async def test_times_are_read_as_on_the_command_line(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    async def runs(**asked: str) -> int:
        found = await api.get("/api/strategies/loyalty/metrics", params=asked)
        total: int = found.json()["statusBreakdown"]["total"]
        return total

    half = NOW - 60.5 * MINUTE
    assert await runs(since=half.isoformat()) == 61
    # Without a zone it is UTC; and a + that nobody escaped is a space.
    assert await runs(since=half.replace(tzinfo=None).isoformat()) == 61
    asked = half.isoformat()
    found = await api.get(f"/api/strategies/loyalty/metrics?since={asked}")
    assert found.json()["statusBreakdown"]["total"] == 61
    since = (datetime.now(UTC) - NOW) // MINUTE
    assert 58 - since <= await runs(since="1h") <= 61
    assert await runs(since="1w") == 120
    # A form's empty field is no field.
    assert await runs(since="", until="") == 120


@pytest.mark.parametrize(
    ("path", "argument"),
    [
        ("strategies?since=yesterday", "since"),
        ("strategies?since=1h&until=2h", "since"),
        ("strategies?by=beauty", "by"),
        ("strategies?limit=many", "limit"),
        ("strategies/loyalty/timeseries?bucket=0s", "bucket"),
        ("strategies/loyalty/timeseries?since=30d&bucket=1s", "bucket"),
        ("strategies/loyalty/executions?before=x", "before"),
        ("strategies/loyalty/executions?min_points=nan", "min_points"),
        ("strategies/loyalty/executions?status=%00", "status"),
        ("compare?a=loyalty", "b"),
        ("executions/no-uuid", "id"),
    ],
)
async def test_a_wrong_parameter_is_named(shared_pool: Pool, path: str, argument: str) -> None:
    async with client(create_app(shared_pool)) as api:
        found = await api.get(f"/api/{path}")
    assert found.status_code == 400
    assert found.headers["content-type"] == "application/problem+json"
    problem = found.json()
    assert problem["argument"] == argument
    assert (problem["type"], problem["title"], problem["status"]) == (
        "about:blank",
        "Bad Request",
        400,
    )


async def test_what_is_not_there(api: httpx2.AsyncClient) -> None:
    none = "00000000-0000-7000-8000-000000000000"
    for path in (f"/api/executions/{none}", "/api/nothing"):
        found = await api.get(path)
        assert (found.status_code, found.json()["status"]) == (404, 404)
    refused = await api.post("/api/strategies")
    assert refused.status_code == 405
    assert sorted(refused.headers["allow"].split(", ")) == ["GET", "HEAD"]
    page = await api.get("/nothing")
    assert (page.status_code, "text/html" in page.headers["content-type"]) == (404, True)


@pytest.mark.parametrize("path", ["strategies/loyalty/executions", "failures"])
async def test_pages_end(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository, path: str
) -> None:
    """Page by page along the Link header, each row comes once, those without a time last."""
    await log.insert_rows(executions(11, created_at=None, status="error"))
    await log.insert_rows(executions(9, created_at=NOW - 7 * MINUTE, status="error"))
    url: str | None = f"/api/{path}?limit=10"
    found = []
    while url is not None:
        answer = await api.get(url)
        assert len(answer.json()) <= 10
        found += answer.json()
        following = answer.links.get("next")
        url = None if following is None else str(answer.url.join(following["url"]))
    ids = [one["id"] for one in found]
    assert len(ids) == len(set(ids))
    failed = [n for n in range(120) if STATUSES[n % 6] != "ok"]
    others = [n for n in range(30) if STATUSES[n % 6] != "ok"]
    undated = [n for n in range(3) if STATUSES[n % 6] != "ok"]
    expected = 120 if "strategies" in path else len(failed) + len(others) + len(undated)
    assert len(ids) == expected + 20
    times = [one["createdAt"] or "" for one in found]
    assert times == sorted(times, reverse=True)


async def test_a_page_may_end_between_executions_of_one_time_and_id(
    api: httpx2.AsyncClient, log: StrategyExecutionLogRepository
) -> None:
    names = ["c", "b,1", "a"]  # a comma stands between the parts of a cursor too
    for at in (NOW - 7 * MINUTE, None):
        for one in executions(1, created_at=at, status="error", external_user_id="tied"):
            await log.insert_rows(
                one.model_copy(update={"id": UUID(int=7), "strategy_id": name}) for name in names
            )
    url: str | None = "/api/executions?external_user_id=tied&limit=1&since=1h"
    found = []
    while url is not None:
        answer = await api.get(url)
        found += [one["strategyId"] for one in answer.json()]
        following = answer.links.get("next")
        url = None if following is None else str(answer.url.join(following["url"]))
    assert found == names
    # Without a strategy, as it was made once, a cursor leads to the next id.
    before = f"{(NOW - 7 * MINUTE).isoformat()},{UUID(int=7)}"
    asked = {"external_user_id": "tied", "since": "1h", "before": before}
    assert (await api.get("/api/executions", params=asked)).json() == []


async def test_a_scope(pool: Pool, log: StrategyExecutionLogRepository) -> None:
    """Whoever may see one realm and one strategy finds nothing of the others, anywhere."""
    mine = Scope(realms=["acme"], strategies=["loyalty", "old"])

    async def authorize(request: object) -> Scope:
        return mine

    foreign = (await log.list_executions(strategy_id="loyalty", realm_id="globex", limit=1))[0]
    own = (await log.list_executions(strategy_id="loyalty", realm_id="acme", limit=1))[0]
    other = (await log.list_executions(strategy_id="a/b c?", realm_id="acme", limit=1))[0]
    unowned = next(
        one for one in await log.list_executions(strategy_id="loyalty") if one.realm_id is None
    )
    async with client(create_app(pool, authorize=authorize)) as api:

        async def ask(path: str) -> Any:
            found = await api.get(f"/api/{path}")
            return found.json() if found.status_code == 200 else found.status_code

        assert [one["strategyId"] for one in await ask("strategies")] == ["loyalty", "old"]
        card = await ask("strategies/loyalty/metrics")
        assert card == dumped(await log.metrics(strategy_id="loyalty", realm_id="acme"))
        assert card["statusBreakdown"]["total"] == 40
        series = await ask("strategies/loyalty/timeseries")
        assert sum(one["total"] for one in series) == 40
        rows = await ask("strategies/loyalty/executions?limit=200")
        assert {one["realmId"] for one in rows} == {"acme"}
        failures = await ask("failures?limit=200")
        assert {(one["realmId"], one["strategyId"]) for one in failures} <= {
            ("acme", "loyalty"),
            ("acme", "old"),
        }
        assert len(failures) > 10
        both = await ask("compare?a=loyalty&b=old")
        assert both["a"] == dumped(await log.metrics(strategy_id="loyalty", realm_id="acme"))
        assert await ask(f"executions/{own.id}") == dumped(await log.get(id=own.id))
        for refused in (
            f"executions/{foreign.id}",
            f"executions/{other.id}",
            f"executions/{unowned.id}",
        ):
            assert await ask(refused) == 404
        for refused in (
            "strategies?realm=globex",
            "strategies/loyalty/metrics?realm=globex",
            "strategies/a%2Fb%20c%3F/metrics",
            "strategies/a%2Fb%20c%3F/timeseries",
            "strategies/a%2Fb%20c%3F/executions",
            "strategies/loyalty/executions?realm_id=globex",
            "failures?realm=globex",
            "failures?realm_id=acme&realm_id=globex",
            "executions?realm_id=globex",
            "executions?realm=globex&realm_id=acme",
            "executions?id=a%2Fb%20c%3F",
            "breakdown?by=status&realm_id=globex",
            "breakdown?by=status&id=a%2Fb%20c%3F",
            "breakdown?by=status&format=csv&realm=globex",
            "explain?id=a%2Fb%20c%3F",
            "explain?id=loyalty&realm_id=globex",
            "compare?a=loyalty&b=a%2Fb%20c%3F",
            "health",
        ):
            assert await ask(refused) == 403, refused
        # The pages are made of the same.
        overview = (await api.get("/")).text
        assert "loyalty" in overview
        assert "a/b c?" not in overview
        assert "globex" not in overview
        assert "Storage" not in overview
        strategy = (await api.get("/strategy?id=loyalty")).text
        assert "globex" not in strategy
        for page, status in (
            ("/strategy?id=a%2Fb%20c%3F", 403),
            ("/strategy?id=loyalty&realm=globex", 403),
            ("/executions?id=a%2Fb%20c%3F", 403),
            ("/executions?realm_id=globex", 403),
            ("/breakdown?id=a%2Fb%20c%3F", 403),
            ("/breakdown?realm=globex", 403),
            ("/breakdown?by=realm_id&realm_id=acme&realm_id=globex", 403),
            ("/explain?id=a%2Fb%20c%3F", 403),
            ("/compare?a=loyalty&b=a%2Fb%20c%3F", 403),
            (f"/execution?id={foreign.id}", 404),
            ("/storage", 403),
        ):
            assert (await api.get(page)).status_code == status, page
        mine = Scope(realms=[], strategies=None)
        assert await ask("strategies") == []
        assert await ask("failures") == []
        assert (await ask("strategies/loyalty/metrics"))["statusBreakdown"]["total"] == 0
        assert await ask(f"executions/{own.id}") == 404


async def test_the_document_describes_each_path(api: httpx2.AsyncClient) -> None:
    document = (await api.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert sorted(document["paths"]) == [
        "/api/breakdown",
        "/api/compare",
        "/api/executions",
        "/api/executions/{id}",
        "/api/explain",
        "/api/failures",
        "/api/health",
        "/api/strategies",
        "/api/strategies/{id}/executions",
        "/api/strategies/{id}/metrics",
        "/api/strategies/{id}/timeseries",
    ]
    card = document["components"]["schemas"]
    assert "statusBreakdown" in json.dumps(document["paths"]["/api/strategies/{id}/metrics"])
    assert set(card) >= {"Problem", "StrategyRank", "TimeseriesBucket", "StrategyExecutionLog"}
    # No reference leads nowhere.
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in card


async def test_no_database_is_a_problem_and_no_secret(empty_dsn: str) -> None:
    async with asyncpg.create_pool(empty_dsn, min_size=0) as pool, client(create_app(pool)) as api:
        for path, kind in (("/api/strategies", "problem+json"), ("/", "html")):
            found = await api.get(path)
            assert found.status_code == 503
            assert kind in found.headers["content-type"]
            assert "execlog migrate" in found.text
    away = "postgresql://who:hunter2@127.0.0.1:9/none"
    app = create_app(away, timeout=2)
    async with client(app) as api:
        for path in ("/api/strategies", "/", "/strategy?id=loyalty", "/storage"):
            found = await api.get(path)
            assert found.status_code == 503
            assert found.headers["retry-after"] == "5"
            assert "can&#39;t be reached" in found.text or "can't be reached" in found.text
            assert "hunter2" not in found.text
    await app.state.reader.aclose()
    with pytest.raises(InvalidArgument, match="pool_or_dsn: is not a connection") as caught:
        create_app("postgresql://hunter2:[", timeout=2)
    assert "hunter2" not in str(caught.value)


async def test_a_dsn_is_enough(dsn: str, log: object) -> None:
    """The pool is made when it is needed, and goes with the application."""
    app = create_app(dsn)
    async with app.router.lifespan_context(app), client(app) as api:
        for _ in range(2):
            assert (await api.get("/api/strategies")).status_code == 200
        assert "loyalty" in (await api.get("/")).text
    observer = await asyncpg.connect(dsn)
    left = "select count(*) from pg_stat_activity where datname = current_database()"
    while await observer.fetchval(left + " and query like '%rank%' and pid <> pg_backend_pid()"):
        pass
    await observer.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool_or_dsn": 1},
        {"pool_or_dsn": ""},
        {"authorize": "me"},
        {"prefix": "runbook"},
        {"prefix": "/{id}"},
        {"timeout": 0},
        {"schema": "pg_x"},
    ],
)
async def test_bad_arguments(shared_pool: Pool, arguments: dict[str, Any]) -> None:
    [name] = arguments
    with pytest.raises(ExeclogError, match=name):
        create_app(**{"pool_or_dsn": shared_pool, **arguments})
