"""Type checkers find each mistake in a call of the recorder, and none in a call that is right."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import execlog
from tests.extras import needs

HEAD = """
from typing import Any, assert_type
from uuid import UUID

from execlog import ExecutionRecorder, StrategyExecutionLog
from execlog.recorder import Run

recorder = ExecutionRecorder("postgresql:///")
"""
MISTAKES = """
recorder.record()
recorder.record(strategy_id="s", strategy_version=1, strategy_type="t", status="ok", duration_ms=1, nodes_executed=1, casename="c")
recorder.record("s", strategy_version=1, strategy_type="t", status="ok", duration_ms=1, nodes_executed=1)
recorder.record(strategy_id="s", strategy_version=1, strategy_type="t", status="ok", duration_ms="1", nodes_executed=1)
recorder.record(strategy_id="s", strategy_version=1, strategy_type="t", status="ok", duration_ms=1)
recorder.record(strategy_id="s", strategy_version=1, strategy_type="t", status=200, duration_ms=1, nodes_executed=1)
recorder.run(strategy_id="s", strategy_version=1)
recorder.run("s", strategy_version=1, strategy_type="t")
recorder.recorded(strategy_id="s", strategy_version=1, strategytype="t")
with recorder.run(strategy_id="s", strategy_version=1, strategy_type="t") as run: run.pionts = 1.0
with recorder.run(strategy_id="s", strategy_version=1, strategy_type="t") as run: run.points = "1"
"""  # noqa: E501 - one call a line
RIGHT = """
def write(row: StrategyExecutionLog, error: OSError) -> UUID | None:
    recorder.record(**row.model_dump())
    usual: dict[str, Any] = {"strategy_id": "s", "strategy_type": "t", "status": "ok"}
    recorder.record(**usual, strategy_version=1, duration_ms=1, nodes_executed=1)
    return recorder.record(
        strategy_id="s", strategy_version=1, strategy_type="t", status="error", duration_ms=1.5,
        nodes_executed=1, error_message=error, trace=[1], id=row.id, created_at=row.created_at,
        stored_at=row.stored_at, trace_id="ab" * 16, input={"n": 1}, attributes={"n": 1},
    )


def run(n: int) -> int:
    with recorder.run(strategy_id="s", strategy_version=n, strategy_type="t", input=n) as begun:
        begun.points, begun.trace = 1, [{"node": "a"}]
        return n


@recorder.recorded(strategy_id="s", strategy_version=1, strategy_type="t")
async def score(n: int, *, run: Run | None = None) -> str:
    return str(n)


async def main() -> None:
    assert_type(await score(1), str)
    recorder.sample_rate = 0.5
"""


def mypy(folder: Path) -> dict[int, str]:
    """What mypy says first of each line of the calls."""
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\ncache_dir = cache\n")
    done = checked(folder, "mypy", "--config-file", str(config), "calls.py")
    found = re.findall(r"^calls\.py:(\d+): error: (.*)", done.stdout, re.MULTILINE)
    assert done.returncode == bool(found), done.stdout + done.stderr
    return {int(line): text for line, text in reversed(found)}


def basedpyright(folder: Path) -> dict[int, str]:
    """What pyright says of each line of the calls."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    done = checked(folder, "basedpyright", "--outputjson", "--pythonpath", sys.executable)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        one["range"]["start"]["line"] + 1: one["message"]
        for one in reversed(found)
        if one["severity"] == "error"
    }


def checked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A type checker's run over this folder."""
    root = str(Path(execlog.__file__).parents[1])
    environment = {**os.environ, "MYPYPATH": root, "PYTHONPATH": root}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def complaints(folder: Path, checker: Callable[[Path], dict[int, str]], code: str) -> set[int]:
    """The lines of this code, which comes after the common head, of which the checker complains."""
    (folder / "calls.py").write_text(HEAD + code)
    return {line - HEAD.count("\n") for line in checker(folder)}


@pytest.mark.long
@pytest.mark.parametrize(
    "checker", [pytest.param(one, marks=needs(one.__name__)) for one in (mypy, basedpyright)]
)
def test_mistakes_in_calls(checker: Callable[[Path], dict[int, str]], tmp_path: Path) -> None:
    assert complaints(tmp_path, checker, RIGHT) == set()
    lines = {n for n, line in enumerate(MISTAKES.split("\n"), 1) if line}
    assert complaints(tmp_path, checker, MISTAKES) == lines
