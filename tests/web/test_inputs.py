"""Who sees inputs and the values of traces, on pages and by the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execlog import StrategyExecutionLogRepository
from execlog.web import Scope, create_app, with_token
from tests.types import Pool
from tests.web.test_api import client, executions

TOKEN = "a token of this test"
SECRET = "SECRET"
HELD = {
    "status": "error",
    "input": {"user": SECRET},
    "trace": [
        {"node": "load", "ms": 2.0, "found": SECRET, "rows": [SECRET]},
        {"name": "decide", "nodes": [{"id": "tier", "duration": "1.5ms", "why": {SECRET: 1}}, {}]},
        SECRET,
        [SECRET],
    ],
    "attributes": {"region": "north"},
    "error_message": "out of coins",
}
LEFT = [
    {"node": "load", "ms": 2.0},
    {"node": "decide", "children": [{"node": "tier", "ms": 1.5}, {"node": "node"}]},
    None,
    None,
]


@pytest.mark.parametrize("kind", ["own", "own with inputs", "loopback", "token"])
async def test_who_sees_inputs_and_values_of_traces(
    pool: Pool, repository: StrategyExecutionLogRepository, kind: str
) -> None:
    """Names and times of nodes are for all; the owner of the machine or the token sees the rest."""
    [one] = executions(1, **HELD)
    await repository.insert_rows([one])
    authorize = {
        "own": lambda request: Scope(realms=["acme"]),
        "own with inputs": lambda request: Scope(realms=["acme"], inputs=True),
        "token": with_token(TOKEN),
    }.get(kind)
    sees = kind != "own"
    auth = ("", TOKEN) if kind == "token" else None
    async with client(create_app(pool, authorize=authorize), auth=auth) as api:
        for page in ("/", "/strategy?id=loyalty", "/executions?id=loyalty", "/executions"):
            found = await api.get(page)
            assert (found.status_code, SECRET in found.text) == (200, False), page
        page = (await api.get(f"/execution?id={one.id}")).text
        assert ("SECRET" in page, "Names and times only" in page) == (sees, not sees)
        for shown in ("load", "tier", "1.5 ms", "north", "out of coins"):
            assert shown in page, shown
        for path in (
            "/api/failures",
            "/api/strategies/loyalty/executions",
            f"/api/executions/{one.id}",
        ):
            answer = (await api.get(path)).json()
            dump = answer[0] if isinstance(answer, list) else answer
            assert dump["input"] == (HELD["input"] if sees else None), path
            assert dump["trace"] == (HELD["trace"] if sees else LEFT), path
            assert dump["attributes"] == HELD["attributes"]
            assert dump["errorMessage"] == "out of coins"


async def test_a_large_trace_without_values(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    deep: dict[str, Any] = {"node": "n", "found": SECRET}
    for _ in range(80):
        deep = {"node": "n", "found": SECRET, "children": [deep]}
    rows = [*executions(1, trace=[deep] * 15), *executions(1, trace=[]), *executions(1, trace=None)]
    await repository.insert_rows(rows)
    async with client(create_app(pool, authorize=lambda request: Scope())) as api:
        texts = [(await api.get(f"/api/executions/{one.id}")).text for one in rows]
    assert (texts[0].count('"node"'), SECRET in texts[0]) == (1000, False)
    assert [json.loads(text)["trace"] for text in texts[1:]] == [[], None]
