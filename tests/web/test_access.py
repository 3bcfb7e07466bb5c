"""Who is let in, where it is mounted, and how it reads."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLogRepository,
)
from execlog.embedded import EmbeddedPostgres
from execlog.web import Scope, create_app, with_token
from tests.extras import needs
from tests.rows import fields
from tests.types import Pool
from tests.web.served import served
from tests.web.test_api import client, executions

TOKEN = "sésame:1, ouvre-toi"
PAGES = [
    "/",
    "/strategy?id=loyalty",
    "/executions?id=loyalty",
    "/breakdown?id=loyalty",
    "/explain?id=loyalty",
    "/compare",
    "/storage",
]


async def asked(
    app: Any, path: str = "/", peer: str = "127.0.0.1", **headers: str
) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app, client=(peer, 50000))
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as api:
        return await api.get(path, headers=names)


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("127.8.8.8", {"host": "127.0.0.1:8000"}, 200),
        ("::1", {"host": "[::1]:8000"}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("testclient", {"host": "localhost"}, 200),
        ("127.0.0.1", {"host": "LocalHost"}, 200),
        ("127.0.0.1", {"host": "app.localhost:8000"}, 200),
        ("127.0.0.1", {"host": "127.9.9.9"}, 200),
        ("127.0.0.1", {"referer": "http://localhost:3000/", "origin": "http://[::1]"}, 200),
        ("127.0.0.1", {"sec-fetch-site": "same-origin"}, 200),
        ("127.0.0.1", {"sec-fetch-site": "none", "x-request-id": "7"}, 200),
        ("10.0.0.5", {}, 403),
        ("fe80::1%eth0", {}, 403),
        ("::ffff:10.0.0.5", {}, 403),
        # A page of somebody else's whose name leads here.
        ("127.0.0.1", {"host": "evil.example"}, 403),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example:8000"}, 403),
        ("127.0.0.1", {"host": "10.0.0.5"}, 403),
        ("127.0.0.1", {"host": "[fe80::1]:8000"}, 403),
        ("127.0.0.1", {"host": "a@localhost"}, 403),
        ("127.0.0.1", {"host": "localhost:80/evil"}, 403),
        ("127.0.0.1", {"host": ""}, 403),
        # A name that may be anybody's, in some network or other.
        ("127.0.0.1", {"host": "testserver"}, 403),
        ("127.0.0.1", {"host": "intranet:8000"}, 403),
        ("127.0.0.1", {"host": "localhost.evil.example"}, 403),
        ("127.0.0.1", {"host": "evillocalhost"}, 403),
        ("127.0.0.1", {"host": "0.0.0.0"}, 403),
        # Another site's page.
        ("127.0.0.1", {"sec-fetch-site": "cross-site"}, 403),
        ("127.0.0.1", {"referer": "https://evil.example/"}, 403),
        ("127.0.0.1", {"origin": "https://evil.example"}, 403),
        ("127.0.0.1", {"origin": "null"}, 403),
        ("127.0.0.1", {"referer": "http://["}, 403),
    ],
)
async def test_only_this_machine(
    shared_pool: Pool, peer: str, headers: dict[str, str], status: int
) -> None:
    app = create_app(shared_pool)
    for path in ("/compare", "/api/openapi.json", "/static/execlog.css", "/api/strategies"):
        assert (await asked(app, path, peer, **headers)).status_code == status, path


@pytest.mark.parametrize(
    "name",
    [
        "cdn-loop",
        "cf-connecting-ip",
        "cf-ray",
        "client-ip",
        "disguised-host",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "forwarded-for",
        "proxy-connection",
        "remote-addr",
        "true-client-ip",
        "via",
        "wl-proxy-client-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-envoy-internal",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-forwarded-user",
        "x-host",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-originating-ip",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-ip",
        "x-rewrite-url",
        "x-auth-request-user",
        "x-goog-iap-jwt-assertion",
        "x-proto",
        "x-remote-user",
        "x-scheme",
        "forward" * 5000 + "!",
        "X_Forwarded_For",
    ],
)
async def test_a_trace_of_a_proxy(shared_pool: Pool, name: str) -> None:
    """Whoever is behind it: it connects from this machine, and may call us as it likes."""
    app = create_app(shared_pool)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as api:
        for value in ("127.0.0.1", ""):
            assert (await api.get("/api/openapi.json", headers={name: value})).status_code == 403
        assert (await api.get("/api/openapi.json")).status_code == 200
        token = create_app(shared_pool, authorize=with_token(TOKEN))
    async with client(token, auth=("", TOKEN)) as api:
        assert (await api.get("/api/openapi.json", headers={name: "x"})).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("GET /compare HTTP/1.0\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n", 403),
        ("GET /compare HTTP/1.0\r\nHost: localhost\r\n\r\n", 403),
        ("GET /compare HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
    ],
)
async def test_what_nginx_sends_by_default(shared_pool: Pool, sent: str, status: int) -> None:
    """HTTP/1.0, the address that it was given as the host, and no header that tells of it."""
    async with served(create_app(shared_pool)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(sent.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert int(answer.split()[1]) == status


async def test_the_first_refusal_is_logged_with_its_remedy(
    shared_pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        app = create_app(shared_pool)
        caplog.clear()
        for headers in ({"x-forwarded-for": "10.9.9.9"}, {"host": "evil.example"}):
            assert (await asked(app, "/compare", **headers)).status_code == 403
        [line] = [one.getMessage() for one in caplog.records]
        assert "x-forwarded-for" in line
        assert "authorize=" in line
        assert "--token" in line
        assert "10.9.9.9" not in line


async def test_a_token(shared_pool: Pool) -> None:
    app = create_app(shared_pool, authorize=with_token(TOKEN))
    without = await asked(app, "/compare", "10.0.0.5")
    assert without.status_code == 401
    assert without.headers["www-authenticate"].startswith("Basic ")
    assert (await asked(app, "/api/health")).headers["content-type"] == "application/problem+json"
    for auth in (("", TOKEN), ("anybody", TOKEN)):
        basic = httpx2.BasicAuth(*auth)
        async with client(app, auth=basic) as api:
            assert (await api.get("/compare")).status_code == 200
    for wrong in ("Bearer sesame", "Basic !!!", "Basic", "", "Digest x", "Bearer "):
        assert (await asked(app, "/compare", authorization=wrong)).status_code == 401
    transport = httpx2.ASGITransport(app=app)
    sent = [(b"authorization", f"Bearer {TOKEN}".encode())]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as api:
        assert (await api.get("/compare", headers=sent)).status_code == 200
    for token in ("", 1, "fifteen letters"):
        with pytest.raises(InvalidArgument, match="token"):
            with_token(token)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [None, True, "acme", {"realms": None}])
async def test_what_is_no_scope_sees_nothing(shared_pool: Pool, answer: Any) -> None:
    for authorize in (lambda request: answer, _later(answer)):
        app = create_app(shared_pool, authorize=authorize)
        assert (await asked(app, "/compare")).status_code == 403


def _later(answer: Any) -> Any:
    async def authorize(request: Request) -> Any:
        return answer

    return authorize


async def test_an_authorize_that_refuses_or_fails(shared_pool: Pool) -> None:
    def refuse(request: Request) -> Scope:
        raise HTTPException(302, headers={"Location": "/login"})

    found = await asked(create_app(shared_pool, authorize=refuse))
    assert (found.status_code, found.headers["location"]) == (302, "/login")

    def fail(request: Request) -> Scope:
        raise RuntimeError("hunter2")

    transport = httpx2.ASGITransport(
        app=create_app(shared_pool, authorize=fail), raise_app_exceptions=False
    )
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as api:
        broken = await api.get("/api/strategies")
    assert (broken.status_code, "hunter2" in broken.text) == (500, False)
    assert broken.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in broken.headers


@pytest.mark.parametrize("scope", [{"realms": "acme"}, {"strategies": [1]}, {"inputs": 1}])
def test_a_bad_scope(scope: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(scope))):
        Scope(**scope)


@pytest.mark.long
@needs("fastapi")
async def test_mounted_anywhere(pool: Pool, repository: StrategyExecutionLogRepository) -> None:
    """Below FastAPI, below Starlette, below a prefix: every link of every page leads to a page."""
    import fastapi

    await repository.insert_rows(executions(60))
    inside = create_app(pool)
    service = fastapi.FastAPI()
    service.mount("/runbook", inside)
    outer = Starlette(routes=[Mount("/a/b", inside)])
    own = create_app(pool, prefix="/runbook/")
    for app, where in ((service, "/runbook"), (outer, "/a/b"), (own, "/runbook"), (inside, "")):
        seen = set()
        async with client(app, follow_redirects=True) as api:
            assert (await api.get(where or "/")).status_code == 200
            for page in PAGES:
                found = await api.get(f"{where}{page}")
                links = set(re.findall(r'(?:href|src)="([^"#][^"]*)"', found.text))
                assert len(links) >= 8
                for link in links:
                    target = found.url.join(link.replace("&amp;", "&"))
                    kind = (target.path, tuple(sorted(target.params)))
                    if kind in seen:
                        continue
                    seen.add(kind)
                    assert target.path.startswith(where + "/"), link
                    assert (await api.get(target)).status_code == 200, (page, link)
            nothing = await api.get(f"{where}/api/nothing")
            assert nothing.headers["content-type"] == "application/problem+json"
            lost = await api.get(f"{where}/no/such/page")
            [sheet] = re.findall(r'href="([^"]*execlog.css)"', lost.text)
            assert (await api.get(lost.url.join(sheet))).status_code == 200
            document = (await api.get(f"{where}/api/openapi.json")).json()
            assert document["servers"] == [{"url": where or "/"}]


@pytest.mark.parametrize("prefix", ["", "/runbook"])
async def test_a_slash_too_many_leads_to_the_page_and_nowhere_else(
    shared_pool: Pool, prefix: str
) -> None:
    """Whatever scheme and host the request names."""
    inside = create_app(shared_pool, prefix=prefix, authorize=lambda request: Scope())
    outer = Starlette(routes=[Mount("/a/b", inside)])
    paths = [
        "/storage/?since=1h&realm=%C3%A9",
        "/strategy/?id=a%2Fb",
        "/api/strategies/",
        "/api/strategies/a%2Fb%20%3F/metrics/?since=1h",
        "/api/openapi.json/",
        *([""] if prefix else []),
    ]
    for app, where in ((inside, prefix), (outer, f"/a/b{prefix}")):
        async with client(app, headers={"host": "evil.example", "x-forwarded-proto": "ftp"}) as api:
            for path in paths:
                found = await api.get(where + path)
                assert found.status_code == 307, path
                to = found.headers["location"]
                assert re.match(r"(\.\./|runbook/$)", to), to
                target = found.url.join(to)
                name, _, query = path.partition("?")
                assert target.raw_path.decode() == (
                    f"{where}{name.rstrip('/')}{'' if name else '/'}{'?' if query else ''}{query}"
                )
                assert (await api.get(target)).status_code == 200, to
            for path in ("/nothing/", "/compare//", "/x//evil.example/", "/storage/x/", "/static"):
                lost = await api.get(where + path)
                assert (lost.status_code, lost.headers.get("location")) == (404, None), path


async def test_the_host_that_a_request_names_is_no_part_of_its_path(shared_pool: Pool) -> None:
    app = create_app(shared_pool, authorize=lambda request: Scope())
    for host in ("evil/api", "x/api/y?z", "localhost#"):
        lost = await asked(app, "/nothing", host=host)
        assert (lost.status_code, "text/html" in lost.headers["content-type"]) == (404, True), host


async def test_files_come_whole(shared_pool: Pool) -> None:
    """A header of ten thousand ranges is no work."""
    for count in (1, 10_000):
        ranges = "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 2 * count, 2))
        found = await asked(create_app(shared_pool), "/static/execlog.css", range=ranges)
        assert found.status_code == 200
        assert found.text.startswith("/*")


@pytest.mark.parametrize("prefix", ["/api", "/a", "/outer"])
async def test_a_failure_is_told_in_the_askers_form_below_any_prefix(
    shared_pool: Pool, prefix: str
) -> None:
    app = create_app(shared_pool, prefix=prefix)
    outer = Starlette(routes=[Mount("/outer", app)])
    for one, where in ((app, prefix), (outer, f"/outer{prefix}")):
        for path in ("/api/nope", "/api/strategies?limit=x"):
            found = await asked(one, f"{where}{path}")
            assert found.headers["content-type"] == "application/problem+json", path
        assert "text/html" in (await asked(one, f"{where}/nope")).headers["content-type"]


@pytest.mark.parametrize("prefix", ["", "/runbook"])
async def test_a_refusal_is_told_in_the_askers_form(shared_pool: Pool, prefix: str) -> None:
    app = create_app(shared_pool, prefix=prefix, authorize=with_token(TOKEN))
    outer = Starlette(routes=[Mount("/outer", app)])
    for one, where in ((app, prefix), (outer, f"/outer{prefix}")):
        refused = await asked(one, f"{where}/api/health")
        assert refused.headers["content-type"] == "application/problem+json"
        page = await asked(one, f"{where}/storage")
        assert (page.status_code, "text/html" in page.headers["content-type"]) == (401, True)


async def test_each_answer_has_its_headers(shared_pool: Pool) -> None:
    app = create_app(shared_pool)
    for path in (*PAGES, "/nothing", "/api/strategies", "/api/nothing", "/static/execlog.js"):
        headers = (await asked(app, path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        kept = "no-cache" if "static" in path else "no-store"
        assert headers["cache-control"] == kept


async def test_what_takes_too_long_is_left_out(
    dsn: str, pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Somebody holds the rollups: the numbers do not come, the rows do, and the page says so."""
    await repository.insert_rows(executions(60))
    app = create_app(pool, timeout=0.3)
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute("lock table execlog.rollup in access exclusive mode")
        async with asyncio.timeout(10):
            page = await asked(app, "/strategy?id=loyalty")
        assert page.status_code == 200
        assert "A part is missing." in page.text
        assert "Newest failures" in page.text
        assert page.text.count("<tr>") > 10
        assert (await asked(app, "/api/strategies/loyalty/metrics")).status_code == 503
        await holder.execute("lock table execlog.strategy_execution_log in access exclusive mode")
        async with asyncio.timeout(10):
            nothing = await asked(app, "/strategy?id=loyalty")
        assert nothing.status_code == 503
    await holder.close()
    assert "A part is missing." not in (await asked(app, "/strategy?id=loyalty")).text
    idle = (
        "select count(*) from pg_stat_activity where state like 'idle in%'"
        " and datname = current_database()"
    )
    assert await pool.fetchval(idle) == 0


@pytest.mark.long
async def test_many_viewers_leave_a_recorder_its_turn(dsn: str) -> None:
    """Fifty at once on five connections, which a recorder borrows from too."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=5) as pool:
        log = StrategyExecutionLogRepository(pool)
        await log.insert_rows(executions(2000))
        app = create_app(pool)
        busiest = 0

        async def view() -> None:
            async with client(app) as api:
                for path in ("/", "/strategy?id=loyalty"):
                    found = await api.get(path)
                    assert found.status_code == 200
                    assert "A part is missing." not in found.text

        async def watch(viewers: asyncio.Future[Any]) -> None:
            nonlocal busiest
            while not viewers.done():
                busiest = max(busiest, pool.get_size() - pool.get_idle_size())
                await asyncio.sleep(0)

        async with ExecutionRecorder(pool, linger=0.01) as recorder:
            viewers = asyncio.gather(*(view() for _ in range(50)))
            watching = asyncio.ensure_future(watch(viewers))
            while not viewers.done():
                for _ in range(5):
                    recorder.record(**fields(duration_ms=1.0))
                await asyncio.sleep(0.01)
            await asyncio.gather(viewers, watching)
        stats = recorder.stats()
        assert (stats.dropped, stats.rejected, stats.written) == ({}, {}, stats.offered)
        assert stats.written > 0
        # Half of five, rounded down, and the recorder's own.
        assert busiest <= 3


async def test_round_trips_of_a_strategys_page() -> None:
    """One statement for the numbers, one for the rows, in a transaction that can't write."""
    settings = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track_utility": "on",
    }
    with EmbeddedPostgres(settings=settings) as server:
        import execlog

        await execlog.migrate(server.dsn)
        observer = await asyncpg.connect(server.dsn)
        await observer.execute("create extension pg_stat_statements")
        async with asyncpg.create_pool(server.dsn, min_size=1, max_size=1) as pool:
            await StrategyExecutionLogRepository(pool).insert_rows(executions(60))
            app = create_app(pool)
            assert (await asked(app, "/strategy?id=loyalty")).status_code == 200
            await observer.execute("select pg_stat_statements_reset()")
            assert (await asked(app, "/strategy?id=loyalty")).status_code == 200
            found = await observer.fetch("select query, calls from pg_stat_statements")
        await observer.close()
    calls = {record["query"]: record["calls"] for record in found}
    read = [query for query in calls if "strategy_execution_log" in query]
    assert [calls[query] for query in read] == [1, 1]
    # (Some versions tell of the whole message for each statement of it.)
    assert any("begin" in query.lower() and "read only" in query.lower() for query in calls)
    assert any("statement_timeout" in query.lower() for query in calls)


@pytest.mark.long
def test_one_application_and_many_event_loops(dsn: str) -> None:
    """Each loop has connections and turns of its own: a test's application, a worker's."""
    app = create_app(dsn)

    async def many() -> set[int]:
        answers = await asyncio.gather(*(asked(app, "/compare") for _ in range(20)))
        return {answer.status_code for answer in answers}

    async def closed() -> set[int]:
        found = await many()
        await app.state.reader.aclose()
        found |= await many()
        await app.state.reader.aclose()
        return found

    for _ in range(3):
        assert asyncio.run(closed()) == {200}


@pytest.mark.parametrize(
    "since",
    [
        "1095d",
        "0033-01-01T00:00:00.5",
        "30s",
        "0001-01-01",
        "0001-01-01T00:00:00.000001",
        "2026-01-01&until=9999-12-31",
        "9999-12-30T22:00&until=9999-12-31",
        "9999-12-01&until=9999-12-31T23:59:59.999998",
        "0001-01-01T00:00:01&until=9999-12-31T23:59:59.999998",
    ],
)
async def test_long_windows_and_short_ones_have_pages(shared_pool: Pool, since: str) -> None:
    """Whatever the overview shows, its links show too, and theirs."""
    log = StrategyExecutionLogRepository(shared_pool)
    await log.insert_rows(executions(10))
    app = create_app(shared_pool)
    for page in ("/", "/strategy?id=loyalty", "/compare?a=loyalty&b=x", "/executions?id=loyalty"):
        found = await asked(app, f"{page}{'&' if '?' in page else '?'}since={since}")
        if since == "0001-01-01":
            # It is infinite to Postgres, which a chart can't be.
            assert found.status_code in (200, 400), page
            continue
        assert found.status_code == 200, page
        links = re.findall(r'href="([^"#]*since=[^"]*)"', found.text)
        for link in [*links[:3], *links[-3:]]:
            target = found.url.join(link.replace("&amp;", "&"))
            assert (await asked(app, str(target.raw_path, "ascii"))).status_code == 200, link


async def test_a_filter_of_zero_is_told(shared_pool: Pool) -> None:
    page = await asked(create_app(shared_pool), "/executions?id=loyalty&max_points=0")
    assert re.search(r"points at most <b><bdi>0</bdi></b>", page.text)


async def test_it_can_not_write(shared_pool: Pool) -> None:
    app = create_app(shared_pool)
    async with app.state.reader.snapshot() as log:
        await log.rank_strategies()
        connection = log._store._borrowed
        assert await connection.fetchval("show transaction_read_only") == "on"
        assert await connection.fetchval("show transaction_isolation") == "repeatable read"
        assert await connection.fetchval("show statement_timeout") == "5s"


@pytest.mark.parametrize(
    ("scope", "strategies", "realms"),
    [
        (Scope(realms=["acme"]), {"loyalty", "a/b c?", "old"}, {"acme"}),
        (Scope(strategies=["old"]), {"old"}, {"acme", "globex", None}),
        (Scope(realms=["globex", "x"], strategies=["loyalty", "x"]), {"loyalty"}, {"globex"}),
        (Scope(realms=[]), set(), set()),
        (Scope(strategies=[]), set(), set()),
    ],
)
async def test_lists_and_breakdowns_stay_within_a_scope(
    varied: Pool, scope: Scope, strategies: set[str], realms: set[str | None]
) -> None:
    """With and without filters; a breakdown counts nothing of others either."""
    app = create_app(varied, authorize=lambda request: scope)
    async with client(app) as api:
        for asked in ("", "status=failed&", "external_user_id=u2&", "attr=plan=gold&"):
            found = (await api.get(f"/api/executions?{asked}limit=200")).json()
            assert {one["strategyId"] for one in found} == strategies, asked
            assert {one["realmId"] for one in found} == realms, asked
            for by, key in (("strategy_id", "strategyId"), ("realm_id", "realmId")):
                groups = (await api.get(f"/api/breakdown?{asked}by={by}")).json()
                counts = Counter(one[key] for one in found)
                assert {one["value"]: one["runs"] for one in groups} == counts, (asked, by)
            page = (await api.get(f"/executions?{asked}limit=200")).text
            assert page.count('<a href="execution?id=') == len(found), asked
