"""What the README shows works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


def test_every_statement_is_in_the_runbook() -> None:
    linked = set(re.findall(r"\(sql/(\w+)\.sql\)", README))
    assert linked == statements().keys()
