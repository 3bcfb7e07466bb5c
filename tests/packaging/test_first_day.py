"""The first day of a newcomer without a Postgres: a server, a row, an alert, a dashboard."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command import COMMAND
from tests.readme import TEXT
from tests.receiver import receiver
from tests.running import FOLDER


@contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`python -m execlog.embedded`, and the environment after its line was pasted into a shell."""
    command = [sys.executable, "-m", "execlog.embedded", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            shell = ["bash", "-c", f"{line}printenv EXECLOG_DSN"]
            dsn = subprocess.run(shell, check=True, capture_output=True, text=True).stdout.strip()
            yield process, {**os.environ, "EXECLOG_DSN": dsn}
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.long
def test_a_row_an_alert_and_a_dashboard(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.getbasetemp() / "day-one"
    for expected in (1, 2):  # on the next morning everything is still there
        with receiver() as hook, serving(str(data)) as (server, environment):
            environment["EXECLOG_WEBHOOK"] = hook.url

            def said(
                *words: str | Path,
                typed: str | None = None,
                code: int = 0,
                environment: dict[str, str] = environment,
            ) -> str:
                done = subprocess.run(
                    words, input=typed, env=environment, capture_output=True, text=True
                )
                assert done.returncode == code, done.stderr
                return done.stdout

            said(COMMAND, "migrate")
            program = FOLDER / "script.py"
            said(sys.executable, program, typed='{"amount": 50}\n{"amount": "many"}\n', code=1)
            assert said(COMMAND, "tail").count("\tloyalty\t") == 2 * expected
            alert = ("check", "--each", "--max-failed", "2%", "--webhook")
            said(COMMAND, *alert, code=3)
            assert len(hook.took) == (expected == 1)
            board = json.loads(said(COMMAND, "grafana"))
            assert {"title", "panels", "templating"} <= board.keys()
        assert server.wait(30) == 0


def test_wrong_words_and_a_folder_that_can_not_be_one(tmp_path: Path) -> None:
    for words, says in ((["--help"], "until Ctrl-C"), ([str(tmp_path / "a" / "b")], "data_dir")):
        command = [sys.executable, "-m", "execlog.embedded", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout, says in done.stderr) == (1, "", True)


def test_no_line_for_cron_holds_a_bare_percent_sign() -> None:
    """Cron ends the command there, and gives it the rest as its input."""
    lines = re.findall(r"^(?:[*\d/,-]+ ){4}[*\d/,-]+  ?.+$", TEXT, re.MULTILINE)
    assert len(lines) >= 1
    assert [line for line in lines if re.search(r"(?<!\\)%", line)] == []
