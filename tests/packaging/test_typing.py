"""A type checker finds each mistake in a call of the recorder, and none in a call that is right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


def complaints(folder: Path, code: str) -> dict[int, str]:
    """What mypy says first of each line of this code, which comes after the common head."""
    (folder / "calls.py").write_text(HEAD + code)
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\ncache_dir = cache\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", config, "calls.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(execlog.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^calls\.py:(\d+): error: (.*)", done.stdout, re.MULTILINE)
    assert done.returncode == bool(found), done.stdout + done.stderr
    return {int(line) - HEAD.count("\n"): text for line, text in reversed(found)}


@pytest.mark.long
@needs("mypy")
def test_mistakes_in_calls(tmp_path: Path) -> None:
    assert complaints(tmp_path, RIGHT) == {}
    lines = [n for n, line in enumerate(MISTAKES.split("\n"), 1) if line]
    assert list(complaints(tmp_path, MISTAKES)) == lines[::-1]
