"""A Celery task and an RQ job, ended under load: what a worker said it did is stored once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.extras import needs
from tests.running import EVENT, assert_stored, free_port, started, wait_until

if TYPE_CHECKING:
    import redis

pytestmark = pytest.mark.long
TERM, INT = signal.SIGTERM, signal.SIGINT
SUCCEEDED = rb"succeeded in .*"
WORKER = ["-m", "celery", "--app=celery_task", "worker", "--concurrency=2", "--loglevel=INFO"]
SEND = """
import json, sys
from celery_task import score
with score.app.producer_pool.acquire(block=True) as producer:
    for _ in range({jobs}):
        score.apply_async(({event},), producer=producer)
"""


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    """A Redis of the test's own, which keeps nothing."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("no redis-server on this machine (apt install redis-server)")
    port = free_port()
    words = [command, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    """The environment of a Celery program whose broker is a folder."""
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    folders = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
    }
    (tmp_path / "scores_config.py").write_text(
        f"broker_url = 'filesystem://'\nbroker_transport_options = {folders}\n"
        "worker_hijack_root_logger = False\n"
    )
    return {"CELERY_CONFIG_MODULE": "scores_config", "PYTHONPATH": str(tmp_path)}


def send(dsn: str, config: dict[str, str], jobs: int) -> None:
    """Queues so many tasks."""
    code = SEND.format(jobs=jobs, event=json.loads(EVENT))
    with started(["-c", code], dsn, **config) as sending:
        assert sending.end(seconds=50) == 0, sending.err[-3000:]


@needs("celery")
@pytest.mark.parametrize("number", [TERM, INT])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_celery_task(dsn: str, config: dict[str, str], pool: str, number: signal.Signals) -> None:
    send(dsn, config, 3000)
    with started([*WORKER, f"--pool={pool}"], dsn, **config) as program:
        wait_until(lambda: len(program.ids(SUCCEEDED)) >= 100)
        code = program.end(number)
        assert code == (0 if number == TERM else 1), (code, program.err[-1500:])
    assert_stored(dsn, program.ids(SUCCEEDED), least=50)
    assert b"Traceback" not in program.err


@needs("celery")
def test_children_of_celery_that_end_while_they_are_busy(dsn: str, config: dict[str, str]) -> None:
    """Each after 40 tasks, of which it did the last ones within the last fifth of a second."""
    send(dsn, config, 400)
    with started([*WORKER, "--pool=prefork", "--max-tasks-per-child=40"], dsn, **config) as program:
        wait_until(lambda: len(program.ids(SUCCEEDED)) == 400)
        time.sleep(1)
        assert program.end(TERM) == 0, program.err[-1500:]
    assert_stored(dsn, program.ids(SUCCEEDED), least=400, beyond=0)


@needs("rq")
@pytest.mark.parametrize("number", [TERM, INT, None])
def test_an_rq_job(dsn: str, redis_port: int, number: signal.Signals | None) -> None:
    """Each job is a process."""
    import redis
    import rq

    with redis.Redis(port=redis_port) as connection:
        wait_until_up(connection)
        queue = rq.Queue(connection=connection)
        for _ in range(15 if number is None else 300):
            queue.enqueue("rq_job.score", json.loads(EVENT), result_ttl=500)
        words = ["-m", "rq.cli", "worker", f"--url=redis://127.0.0.1:{redis_port}"]
        with started([*words, *([] if number else ["--burst"])], dsn) as program:
            wait_until(lambda: (program.out + program.err).count(b"Job OK") >= 10)
            assert program.end(number) == 0, program.err[-3000:]
        done = [queue.fetch_job(one) for one in queue.finished_job_registry.get_job_ids()]
        ids = {UUID(job.return_value()) for job in done if job is not None}
    assert_stored(dsn, ids, least=3, beyond=1)


def wait_until_up(connection: redis.Redis) -> None:
    """Returns when the server answers."""
    from redis.exceptions import ConnectionError

    for _ in range(500):
        with suppress(ConnectionError):
            connection.ping()
            return
        time.sleep(0.02)
    raise AssertionError("Redis never answered")
