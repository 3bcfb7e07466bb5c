"""`execlog replay`: its lines, its forms, its exit codes, and how it goes on after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from execlog import StrategyExecutionLogRepository
from tests.command import COMMAND, run
from tests.replaying import logged
from tests.rows import STRATEGY

ROOT = Path(__file__).parents[2]
SLOW = """
import os, pathlib, time
from tests.replaying import RECORDER_DSN, decide
from execlog import ExecutionRecorder

recorder = ExecutionRecorder(RECORDER_DSN)
run = {"strategy_id": "x", "strategy_version": 1, "strategy_type": "T"}
pathlib.Path(f"{os.getpid()}.pid").touch()

def evaluate(execution):
    time.sleep(0.003)
    recorder.record(**run, status="ok", duration_ms=1.0, nodes_executed=1)
    return decide(execution, 60)
"""


async def test_it_says_what_changed_and_fails_over_a_limit(
    repository: StrategyExecutionLogRepository, dsn: str, tmp_path: Path
) -> None:
    await repository.insert_rows([logged(number) for number in range(100)])
    await repository.insert_rows([logged(200, input=None, case_name="\x1b[31m")])
    words = ["--with", "tests.replaying:higher", "--fail-over", "9%", "--dsn", dsn]
    done = run("replay", STRATEGY, *words, "--processes", "1")
    limit = "10.00 % changed or fail newly, over the limit of 9 %"
    assert (done.returncode, done.stderr) == (3, f"execlog: {limit}\n")
    first, second, *_ = done.stdout.splitlines()
    assert first == (
        "100 of 101 runs replayed; 90 same, 10 changed, 0 newly failing, 0 newly passing;"
        " 1 can't be replayed (no input 1)."
    )
    assert second.startswith("Noise is unknown without a baseline. Points -")
    assert re.search(
        r"^gold\t\(no rule matched\)\t10\t-90\t[0-9a-f-]{36}$", done.stdout, re.MULTILINE
    )
    done = run("replay", STRATEGY, *words, "--case", "gold", "--max-ms", "0", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["failShare"]) == (1, None)
    assert done.stderr == "execlog: nothing was compared, so there is no share to judge\n"
    done = run("replay", STRATEGY, *words, "--realm", "<acme>", "-o", "html")
    assert done.returncode == 1
    assert done.stdout.startswith("<!doctype html>")
    assert "Nothing was replayed" in done.stdout and "realm id &lt;acme&gt;" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--with", "rules"], "--with: 'rules' is no import path such as package.module:name"),
        (["--with", "nothing.here:x"], "'nothing.here:x' can't be imported"),
        (["--with", "tests.replaying:x"], "'tests.replaying:x' has no x"),
        (
            ["--with", "tests.replaying:decide", "--baseline", "tests.replaying:_NONSENSE"],
            "--baseline: 'tests.replaying:_NONSENSE' is not callable",
        ),
        (["--with", "tests.replaying:decide", "-o", "csv"], "'csv' is not one of"),
        (["--with", "tests.replaying:decide", "--time-limit", "0"], "--time-limit"),
        ([], "--with"),
    ],
)
def test_bad_usage_is_named(words: list[str], said: str) -> None:
    done = run("replay", STRATEGY, *words, "--dsn", "postgresql://nowhere.invalid/none")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_without_templates_a_file_is_refused_at_once() -> None:
    code = "import sys; sys.modules['jinja2'] = None; from execlog.cli import main; main()"
    words = ["replay", STRATEGY, "--with", "tests.replaying:decide", "-o", "html"]
    command = [sys.executable, "-c", code, *words, "--dsn", "postgresql://x.invalid/x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = "execlog: -o html needs its extra: pip install 'execlog[web]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.long
def test_a_module_that_prints_leaves_the_data_alone(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("print('hello')\nevaluate = None\n")
    words = ["replay", STRATEGY, "--with", "rules:evaluate", "--dsn", "postgresql://x.invalid/x"]
    done = subprocess.run([COMMAND, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hello" in done.stderr and "'rules:evaluate' is not callable" in done.stderr


@pytest.mark.long
async def test_what_a_candidate_prints_here_is_no_data(
    repository: StrategyExecutionLogRepository, dsn: str, tmp_path: Path
) -> None:
    await repository.insert_rows([logged(1)])
    (tmp_path / "talks.py").write_text("async def evaluate(one):\n    print('hello')\n")
    words = ["replay", STRATEGY, "--with", "talks:evaluate", "--dsn", dsn, "-o", "json"]
    done = run_in(tmp_path, words)
    assert (json.loads(done.stdout)["newlyFailing"], done.stderr) == (1, "hello\n")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_it_goes_on_after_it_was_ended(
    repository: StrategyExecutionLogRepository,
    dsn: str,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """With the same result as in one go."""
    await repository.insert_rows([logged(number) for number in range(1000)])
    (tmp_path / "slow_rules.py").write_text(SLOW)
    begun = ended(tmp_path, dsn, number)
    assert (begun.returncode, begun.stdout) == (130 if number == signal.SIGINT else -9, "")
    assert_all_ended(tmp_path)
    if number == signal.SIGINT:
        assert "state.json keeps how far it came" in begun.stderr
        other = completed(tmp_path, dsn, "--sample", "10")
        assert (other.returncode, "state: was made with another sample" in other.stderr) == (
            2,
            True,
        )
    done = completed(tmp_path, dsn)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    counts = ("replayed", "recorderCalls", "changed")
    assert [found[name] for name in counts] == [1000, 1000, 10]
    assert not (tmp_path / "state.json").exists()
    if number == signal.SIGINT:
        return
    expected = json.loads(completed(tmp_path, dsn).stdout)
    for answer in (found, expected):
        for name in ("since", "recordedTimes", "candidateTimes"):
            del answer[name]
    assert found == expected


@pytest.mark.long
async def test_no_call_outlives_the_command(
    repository: StrategyExecutionLogRepository, dsn: str, tmp_path: Path
) -> None:
    """Not even one that never lets another thread run."""
    await repository.insert_rows([logged(1)])
    words = ["replay", STRATEGY, "--with", "tests.replaying:never_lets_go", "--dsn", dsn]
    kill_in_a_call(tmp_path, words)
    assert_all_ended(tmp_path)


def kill_in_a_call(folder: Path, words: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = subprocess.Popen([COMMAND, *words], cwd=folder, env=environment)
    ends = time.monotonic() + 20
    while not list(folder.glob("*.pid")):
        assert begun.poll() is None and time.monotonic() < ends
        time.sleep(0.02)
    begun.kill()
    begun.wait()


def run_in(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], cwd=folder, capture_output=True, text=True)


def words_for(dsn: str) -> list[str]:
    words = ["replay", STRATEGY, "--with", "slow_rules:evaluate", "--since", "10000d"]
    words += ["--processes", "2", "--dsn", dsn, "--state", "state.json", "-o", "json"]
    return [str(COMMAND), *words]


def ended(folder: Path, dsn: str, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A replay that was sent this signal once it had kept something."""
    begun = subprocess.Popen(
        words_for(dsn),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ends = time.monotonic() + 30
    while not (folder / "state.json").exists():
        assert begun.poll() is None and time.monotonic() < ends
        time.sleep(0.02)
    begun.send_signal(number)
    out, said = begun.communicate(timeout=20)
    return subprocess.CompletedProcess([], begun.returncode, out, said)


def assert_all_ended(folder: Path) -> None:
    """Neither the command nor a worker of it is left."""
    ends = time.monotonic() + 10
    for file in folder.glob("*.pid"):
        while Path(f"/proc/{file.stem}").exists():
            assert time.monotonic() < ends, file
            time.sleep(0.05)


def completed(folder: Path, dsn: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words_for(dsn), *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
