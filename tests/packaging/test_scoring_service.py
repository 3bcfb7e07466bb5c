"""The service in one file: it scores, its pages ask for the token, and it says why it changed."""

from __future__ import annotations

import asyncio
import importlib
import signal
import tomllib
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx2

from execlog import StrategyExecutionLogRepository
from tests.extras import needs
from tests.running import FOLDER, free_port, started, wait_for_port

pytestmark = needs("fastapi", "rule_engine", "yaml")
TOKEN = "a token of the tests"
GOOD = [{"amount": 5 + n, "user": f"u{n % 7}"} for n in range(60)]


def composed() -> Mapping[str, Any]:
    """The services that compose.yaml describes."""
    yaml: Any = importlib.import_module("yaml")
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services: dict[str, Any] = found["services"]
    return services


def words(port: int) -> list[str]:
    """How compose runs it, below `python -m`, on loopback."""
    [name, *rest] = composed()["scores"]["command"]
    replaced = {
        "--app-dir=tests/programs": "--app-dir=.",
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=8000": f"--port={port}",
    }
    assert replaced.keys() <= set(rest)
    return ["-m", name, *(replaced.get(word, word) for word in rest)]


async def test_it_scores_shows_and_explains(empty_dsn: str) -> None:
    port = free_port()
    for version in ("1", "2"):
        with started(
            words(port), empty_dsn, EXECLOG_TOKEN=TOKEN, SCORES_VERSION=version
        ) as program:
            await asyncio.to_thread(wait_for_port, port, program)
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                for event in GOOD:
                    answer = await client.post("/score", json=event)
                    assert answer.status_code == 200, program.err
                bad = await client.post("/score", json={"amount": "many"})
                assert (bad.status_code, "the run is" in bad.text) == (422, True)
                assert (await client.get("/runbook/")).status_code == 401
                page = await client.get("/runbook/", auth=("any", TOKEN))
                assert (page.status_code, ">execlog<" in page.text) == (200, True)
                for minutes in (-5, 0, 10**12):
                    refused = await client.get("/why", params={"minutes": minutes})
                    assert refused.status_code == 422
                why = await client.get("/why")
                assert why.json()["change"].startswith("Error rate "), why.text
            code = await asyncio.to_thread(program.end, signal.SIGTERM)
            assert code in (0, -signal.SIGTERM), program.err
    async with asyncpg.create_pool(empty_dsn, min_size=0, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        card = await log.metrics(strategy_id="loyalty")
        assert (card.status_breakdown.total, card.status_breakdown.error) == (122, 2)
        by_version = await log.breakdown(by="strategy_version", strategy_id="loyalty")
        assert {one.value: one.runs for one in by_version} == {1: 61, 2: 61}
        [failed, *_] = await log.list_failures(limit=1)
        assert (failed.error_code, failed.input) == ("EvaluationError", {"amount": "many"})
        assert failed.trace == [{"node": "large", "condition": "amount >= 1000"}]


def test_the_image_has_what_the_service_needs() -> None:
    """What compose gives it, and what is installed, is what the file says that it needs."""
    service = (FOLDER / "scoring_service.py").read_text()
    given = composed()["scores"]["environment"].keys()
    assert all(f'os.environ["{name}"]' in service for name in given)
    installed = (FOLDER / "Dockerfile").read_text()
    assert "'.[cli,web]' fastapi rule-engine" in installed
    assert "pip install 'execlog[cli,web]' fastapi rule-engine" in service
    extras = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())
    assert "web" in extras["project"]["optional-dependencies"]
    assert composed()["scores"]["build"]["dockerfile"] == "tests/programs/Dockerfile"
