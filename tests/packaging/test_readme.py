"""What the README shows works as it stands."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

import execlog
from execlog.repository import statements

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_first_example_runs() -> None:
    example = re.findall(r"```python\n(.+?)```", README, re.DOTALL)[0]
    first = README[: README.index(example)].count("\n") + example.count("\n")
    assert first <= 30
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "error_code='E42'" in done.stdout
    assert "method='exact' sample_size=2" in done.stdout


class Engine:
    """What the README's services score with."""

    def evaluate(self, event: dict[str, Any]) -> SimpleNamespace:
        trace = [{"node": "a", "input": event}]
        return SimpleNamespace(status="ok", points=2.0, case="gold", trace=trace, milliseconds=1.5)


def example(number: int, dsn: str) -> dict[str, Any]:
    code = re.findall(r"```python\n(.+?)```", README, re.DOTALL)[number]
    scope: dict[str, Any] = {"engine": Engine()}
    exec(code.replace("postgresql://...", dsn), scope)
    return scope


async def test_the_service_records(
    dsn: str, repository: execlog.StrategyExecutionLogRepository
) -> None:
    app = example(1, dsn)["app"]

    def call() -> list[object]:
        with TestClient(app) as client:
            return [client.post("/score", json={"user": f"u{n}"}).json() for n in range(3)]

    assert await asyncio.to_thread(call) == [2.0] * 3
    stored = await repository.list_for_strategy(strategy_id="loyalty")
    assert [row.external_user_id for row in stored] == ["u2", "u1", "u0"]
    assert stored[0].trace == [{"node": "a", "input": {"user": "u2"}}]


async def test_the_worker_records(
    dsn: str, repository: execlog.StrategyExecutionLogRepository
) -> None:
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    for event in ({"user": "a"}, {"user": "b"}, None):
        queue.put_nowait(event)
    await example(2, dsn)["worker"](queue, dsn)
    assert await repository.count_by_status(strategy_id="loyalty") == {"ok": 2}


def test_every_statement_is_in_the_runbook() -> None:
    linked = set(re.findall(r"\(sql/(\w+)\.sql\)", README))
    assert linked == statements().keys()
