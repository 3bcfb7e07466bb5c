"""The README's service and worker, each as a process: what runs, fails or is ended is stored."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from execlog import StrategyExecutionLogRepository
from tests.extras import needs
from tests.readme import block
from tests.recording import until

SECONDS = 30
ENGINE = '''
import pathlib
import time
from types import SimpleNamespace


class Engine:
    """Runs as the event asks it to."""

    calls = 0

    def evaluate(self, event):
        self.calls += 1
        if event.get("slow"):
            pathlib.Path("begun").touch()
            time.sleep(0.5)
        if event.get("raises"):
            raise {"KeyError": KeyError, "TimeoutError": TimeoutError}[event["raises"]]
        trace = [{"node": "a", "input": event}]
        return SimpleNamespace(status="ok", points=2.0, case="gold", trace=trace)


engine = Engine()
'''
WORK = """

def queue_of(*events):
    queue = asyncio.Queue()
    for event in events:
        queue.put_nowait(event)
    return queue


class Busy:
    async def get(self):
        if engine.calls == 1000:
            print("busy", flush=True)
        return {}


class Idle(asyncio.Queue):
    async def get(self):
        if self.empty():
            print("idle", flush=True)
        return await super().get()


async def main():
    for error in (KeyError, TimeoutError):
        try:
            await worker(queue_of({}, {"raises": error.__name__}, {}), DSN)
        except error:
            print(error.__name__, flush=True)
    await worker(queue_of({}, {}, None), DSN)
    print("done", flush=True)
    await worker(Busy(), DSN)
    idle = Idle()
    for _ in range(50):
        idle.put_nowait({})
    await worker(idle, DSN)
    print(engine.calls)


asyncio.run(main())
"""


@asynccontextmanager
async def started(folder: Path, *words: str) -> AsyncIterator[Process]:
    """A Python of its own in this folder; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=folder, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def outcomes(repository: StrategyExecutionLogRepository) -> Counter[tuple[str, str | None]]:
    """How many runs ended how, and why."""
    stored = repository.stream(strategy_id="loyalty")
    return Counter([(row.status, row.error_code) async for row in stored])


@pytest.mark.long
@needs("fastapi")
async def test_the_service(
    dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    code = ENGINE + block("FastAPI(").replace("postgresql://...", dsn)
    (tmp_path / "service.py").write_text(code)
    words = ("-m", "uvicorn", "service:app", "--port", "0", "--no-access-log")
    once = httpx2.Limits(max_keepalive_connections=0)  # a failure ends its connection
    async with started(tmp_path, *words) as process, httpx2.AsyncClient(limits=once) as client:
        assert process.stderr is not None
        while not (found := re.search(rb"http://\S+", await process.stderr.readline())):
            assert not process.stderr.at_eof()
        reading = asyncio.create_task(process.stderr.read())  # the tracebacks
        url = f"{found[0].decode()}/score"

        async def status(**event: object) -> int:
            return (await client.post(url, json=event, timeout=SECONDS)).status_code

        slow = asyncio.create_task(status(user="u", slow=True))
        await until((tmp_path / "begun").exists, SECONDS)
        for _ in range(5):
            assert await status(user="u") == 200
            assert await status(user=7, raises="KeyError") == 500
            assert await status(raises="TimeoutError") == 500
        process.send_signal(signal.SIGTERM)  # while that one runs, and the others are pending
        assert await slow == 200
        await process.wait()
        assert b"Application shutdown complete" in await reading
    assert await outcomes(repository) == {
        ("ok", None): 6,
        ("error", "KeyError"): 5,
        ("timeout", "TimeoutError"): 5,
    }
    [last] = await repository.list_for_strategy(strategy_id="loyalty", status="error", limit=1)
    assert (last.external_user_id, last.points, last.trace) == ("7", None, None)
    ok = await repository.list_for_strategy(strategy_id="loyalty", status="ok")
    assert {(row.points, row.case_name, row.nodes_executed) for row in ok} == {(2.0, "gold", 1)}
    assert max(row.duration_ms for row in ok) >= 500


@pytest.mark.long
async def test_the_worker(
    dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    code = ENGINE + block("add_signal_handler") + WORK.replace("DSN", repr(dsn))
    (tmp_path / "work.py").write_text(code)
    async with started(tmp_path, "work.py") as process:
        assert process.stdout is not None and process.stderr is not None

        async def said() -> str:
            assert process.stdout is not None
            return (await process.stdout.readline()).decode().rstrip()

        assert [await said() for _ in range(3)] == ["KeyError", "TimeoutError", "done"]
        assert await said() == "busy"
        process.send_signal(signal.SIGTERM)
        assert await said() == "idle"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        calls = int(await said())
        assert (await process.wait(), await process.stderr.read()) == (0, b"")
    assert calls > 1000
    assert await outcomes(repository) == {
        ("ok", None): calls - 2,
        ("error", "KeyError"): 1,
        ("timeout", "TimeoutError"): 1,
    }
