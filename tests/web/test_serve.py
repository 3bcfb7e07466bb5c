"""The command that serves the dashboard, as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from execlog import StrategyExecutionLogRepository
from tests.samples import one_of
from tests.web.test_api import executions

CALL = "from execlog.cli import main; main()"


@contextmanager
def serving(dsn: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and where it says that it listens."""
    with listening("serve", "--dsn", dsn, *options) as found:
        yield found


@contextmanager
def listening(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", CALL, *words, "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://\S+", said)
            assert found, said
            yield process, found[0]
        finally:
            process.kill()


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("EXECLOG_")}


async def test_it_serves_until_it_is_interrupted(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows(executions(20))
    with serving(dsn) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert "loyalty" in httpx2.get(url).text
        assert httpx2.get(f"{url}api/strategies").json()[0]["strategyId"] == "loyalty"
        refused = httpx2.get(url, headers={"Host": "evil.example"})
        assert refused.status_code == 403
        process.send_signal(signal.SIGINT)
        assert process.wait(10) in (0, 130)


@pytest.mark.long
@pytest.mark.timeout(150)
async def test_what_the_demo_serves(empty_dsn: str) -> None:
    """The page that it names shows what has just run, and no time when nothing did."""
    with listening("demo", "-n", "120", "--serve", "--dsn", empty_dsn) as (process, url):
        page = httpx2.get(url)
        assert page.status_code == 200
        assert re.search(r"<dt>Runs</dt><dd><b><a href=[^>]*>120</a>", page.text)
        counts = re.findall(r":\d\d</a><td>(\d+)", page.text)
        assert sum(map(int, counts)) == 120
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)


async def test_with_a_token(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    await repository.insert_rows(executions(20))
    with serving(dsn, "--token", "sesame-open-up-now", "--host", "0.0.0.0") as (_, url):
        port = url.rstrip("/").rsplit(":", 1)[1]
        here = f"http://127.0.0.1:{port}/"
        assert httpx2.get(here).status_code == 401
        assert httpx2.get(here, auth=("me", "wrong")).status_code == 401
        assert "loyalty" in httpx2.get(here, auth=("me", "sesame-open-up-now")).text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *one_of(
            ([["--host", host], "give a token too"] for host in ("0.0.0.0", "::", "example.com")),
            several=True,
        ),
        (["--token", ""], "is empty"),
        (["--token", "fifteen letters"], "--token: is shorter than 16 characters"),
        (["--dsn", ""], "is empty"),
        (["--port", "70000"], "--port"),
        (["--schema", "pg_x"], "pg_"),
        (["--trace-url", "https://traces.example/"], "--trace-url: must have {trace_id} once"),
    ],
)
def test_what_it_refuses(options: list[str], said: str) -> None:
    command = [sys.executable, "-c", CALL, "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_variable_is_no_missing_token() -> None:
    command = [sys.executable, "-c", CALL, "serve", "--port", "0"]
    empty = {**environment(), "EXECLOG_TOKEN": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=empty, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is empty (an unset variable?)" in done.stderr


def test_the_address_of_traces_may_be_a_variable() -> None:
    command = [sys.executable, "-c", CALL, "serve", "--port", "0"]
    wrong = {**environment(), "EXECLOG_TRACE_URL": "ftp://traces.example/{trace_id}"}
    done = subprocess.run(command, capture_output=True, text=True, env=wrong, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trace-url: must be an address that begins with http(s)://" in done.stderr


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", CALL, "serve", "--port", port]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), timeout=30
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"execlog: Address already in use.*\n", done.stderr)
