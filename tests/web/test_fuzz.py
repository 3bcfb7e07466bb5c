"""Questions that nobody would ask: whatever is asked, the answer is what the document says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import create_app
from tests import databases
from tests.extras import needs
from tests.oracle import EXAMPLES
from tests.rows import row
from tests.web.served import served

NOW = datetime.now(UTC)
SCRIPT = "<script>taken</script>"
STATUSES = ["ok", "error", "timeout", "limit", SCRIPT]

few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def seeds() -> Iterator[StrategyExecutionLog]:
    for n in range(200):
        status = STATUSES[n % len(STATUSES)]
        yield row(
            created_at=NOW - n * timedelta(minutes=3),
            strategy_id=["loyalty", SCRIPT][n % 2],
            status=status,
            realm_id=[None, "acme", SCRIPT][n % 3],
            error_code=SCRIPT if status == "error" else None,
            case_name=["gold", SCRIPT, None][n % 3],
            notes=SCRIPT,
            duration_ms=float(n % 30),
            points=[None, 5.0, 10.0][n % 3],
            trace=[{"name": SCRIPT, "ms": 1.0, SCRIPT: [SCRIPT]}],
        )


@pytest.fixture(scope="module")
async def app(template: str) -> AsyncIterator[Any]:
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
    ):
        await StrategyExecutionLogRepository(pool).insert_rows(seeds())
        yield create_app(pool)


@pytest.fixture(scope="module")
async def client(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)  # what an endpoint raises is raised in the test
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        yield asking


# The API.


def ask(url: str, positive: bool) -> Counter[tuple[str, int]]:
    """Asks each path many times, and checks each answer; how often which status was answered."""
    import schemathesis
    from schemathesis import GenerationMode, checks
    from schemathesis.specs.openapi import checks as described

    mode = GenerationMode.POSITIVE if positive else GenerationMode.NEGATIVE
    wanted = [
        checks.not_a_server_error,
        described.status_code_conformance,
        described.content_type_conformance,
        described.response_schema_conformance,
    ]
    seen: Counter[tuple[str, int]] = Counter()
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    for path in schema:
        operation = schema[path]["GET"]
        if not positive and not any(operation.iter_parameters()):
            continue  # there is nothing to ask in a wrong way

        @few
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            answer = case.call_and_validate(checks=wanted)
            seen[case.operation.path, answer.status_code] += 1

        one()
    return seen


@pytest.mark.long
@needs("schemathesis")
@pytest.mark.parametrize("positive", [True, False], ids=["allowed", "refused"])
async def test_the_api_answers_as_its_document_says(app: Any, positive: bool) -> None:
    async with served(app) as url:
        # It asks without a loop; what answers is in ours.
        seen = await asyncio.to_thread(ask, url, positive)
    good = {path for path, status in seen if status == 200}
    assert len(good) >= (8 if positive else 1), seen
    assert len({path for path, _ in seen}) == (11 if positive else 10), seen


# The pages.

Asked = tuple[str, str | int | float | bool | None]
odd = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            SCRIPT,
            f'"{SCRIPT}',
            f"'>{SCRIPT}",
            "loyalty",
            "acme",
            "failed",
            "true",
            "\0",
            "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
            "\u202e",
            "%",
            "a" * 3000,
        ]
    ),
    st.text(max_size=20),
)
number = st.one_of(
    st.sampled_from(["0", "-1", "1e308", "1e999", "nan", "-inf", "9" * 400, "0x1", "1_0", "٣"]),
    st.integers().map(str),
    st.floats().map(str),
)
moment = st.one_of(
    st.sampled_from(
        [
            "24h",
            "0s",
            "999999w",
            "0001-01-01",
            "0001-01-01T00:00:00+14:00",
            "0001-01-02T00:00:00Z",
            "1999-12-31T23:59:59.999999Z",
            "9999-12-30T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59-14:00",
            "infinity",
            "now",
        ]
    ),
    st.datetimes().map(datetime.isoformat),
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)).map(str),
)
cursor = st.one_of(
    st.builds("{},{}".format, st.one_of(moment, st.just("")), st.uuids()),
    st.sampled_from([",", ",,", f",{SCRIPT}", f"{SCRIPT},"]),
)
names = st.sampled_from(["loyalty", SCRIPT])
KINDS: dict[str, st.SearchStrategy[str]] = {
    "id": names,
    "a": names,
    "b": names,
    "realm": st.sampled_from(["acme", SCRIPT]),
    "zone": st.sampled_from(["Asia/Kolkata", "America/New_York", "UTC", SCRIPT]),
    "status": st.sampled_from([*STATUSES, "failed", "other"]),
    "error_code": st.just(SCRIPT),
    "case_name": st.just(SCRIPT),
    "no_case": st.sampled_from(["true", "false", "2"]),
    "all_times": st.sampled_from(["true", "on", "no"]),
    "by": st.sampled_from(
        ["p99", "runs", "failures", "error_rate", "odd", "node", "realm_id", f"attributes.{SCRIPT}"]
    ),
    "order": st.sampled_from(["p99", "runs", "odd"]),
    "measure": st.sampled_from(["duration", "points", f"case:{SCRIPT}"]),
    "add": st.sampled_from(["id", "realm", "attr", "min_nodes", SCRIPT]),
    "value": st.sampled_from(["acme", SCRIPT, "3"]),
    "attr": st.sampled_from(["plan=gold", SCRIPT, "=", "plan"]),
    "attributes.plan": st.sampled_from(["gold", SCRIPT]),
    "realm_id": st.sampled_from(["acme", SCRIPT]),
    "strategy_version": number,
    "min_nodes": number,
    "trace_id": st.one_of(st.uuids().map(str), number),
    "external_user_id": st.just(SCRIPT),
    "since": moment,
    "until": moment,
    "before": cursor,
    "limit": number,
    **dict.fromkeys(
        [
            "min_duration_ms",
            "above_duration_ms",
            "max_duration_ms",
            "min_points",
            "max_points",
            "below_points",
        ],
        number,
    ),
}
paths = st.sampled_from(
    [
        "/",
        "/strategy",
        "/executions",
        "/breakdown",
        "/explain",
        "/compare",
        "/execution",
        "/storage",
        f"/{SCRIPT}",
        "/x/y",
    ]
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, list[Asked]]:
    """A page, and parameters: most are of the kind that they should be, some are of none."""
    path = draw(paths)
    asked = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=4, unique=True))
    asked += {"/strategy": ["id"], "/explain": ["id"], "/compare": ["a", "b"]}.get(path, [])
    values: list[Asked] = [(name, draw(st.one_of(KINDS[name], KINDS[name], odd))) for name in asked]
    return path, draw(st.permutations(values))


@pytest.mark.long
@settings(few, max_examples=5 * EXAMPLES)
@given(question=questions())
async def test_a_page_is_a_page_whatever_is_asked(
    client: httpx2.AsyncClient, question: tuple[str, list[Asked]]
) -> None:
    path, asked = question
    answer = await client.get(path, params=asked)
    assert answer.status_code in (200, 303, 400, 404), answer.text
    if answer.status_code == 303:  # a form added a filter: the page that has it
        answer = await client.get(answer.headers["location"])
        assert answer.status_code in (200, 400), answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.lstrip().startswith("<!doctype html>")
    assert answer.text.rstrip().endswith("</html>")
    assert "<script>" not in answer.text.lower()
    assert answer.text.count("<script") == 2


@pytest.mark.parametrize(
    "asked",
    [
        "strategy?id=loyalty&until=9999-12-31T23:59:59.999999Z",
        "strategy?id=loyalty&since=0001-01-01&until=0001-01-01",
        "compare?a=loyalty&b=loyalty&until=9999-12-31T23:59:59.999999Z",
        "?since=0001-01-01&until=9999-12-31",
    ],
)
async def test_a_viewers_mistake_is_no_error_of_the_service(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, asked: str
) -> None:
    """Some windows are refused only when a part of the page has been read already."""
    assert (await client.get(f"/{asked}")).status_code == 400
    assert [one.getMessage() for one in caplog.records] == []


@pytest.mark.parametrize("what", ["metrics", "timeseries", "executions"])
async def test_a_strategy_may_have_any_name(client: httpx2.AsyncClient, what: str) -> None:
    for name in ("a/b", "a\nb", "\n", f"a/{what}", "é?#%"):
        answer = await client.get(f"/api/strategies/{quote(name, safe='')}/{what}")
        assert answer.status_code == 200, (name, answer.text)
