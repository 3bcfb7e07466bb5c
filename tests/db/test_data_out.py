"""What the commands write for other programs, and that a pipe gets no colour."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli import app
from execlog.web import create_app
from tests.db.test_cli_reading import NASTY, on_terminal
from tests.rows import STRATEGY, row
from tests.types import Pool
from tests.web.test_api import client

NOW = datetime.now(UTC)
EMPTY = tempfile.TemporaryDirectory()
# With these words each command that has a form answers, of a log that may be empty.
WORDS = {
    "tail": [],
    "failures": [],
    "summary": [STRATEGY],
    "timeline": [STRATEGY],
    "top": [],
    "compare": [STRATEGY, "b"],
    "explain": [STRATEGY],
    "export": [],
    "maintain": ["--plan"],
    "breakdown": ["--by", "version"],
    "check": ["--max-error-rate", "1%"],
    "doctor": [],
    "rollup verify": [],
    "archive list": [],
    "archive verify": ["--archive", EMPTY.name],
    "account": [],
    "spool": [EMPTY.name],
}

LISTS = ("tail", "failures", "top", "export", "rollup verify", "archive list", "archive verify")


def answer(command: str, *words: str, dsn: str, **environment: str) -> Any:
    """What a command answers into a pipe."""
    given = [*command.split(), *WORDS.get(command, []), *words]
    done = CliRunner().invoke(app, given, env={"EXECLOG_DSN": dsn, **environment})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def with_forms(command: Any, name: str = "") -> dict[str, set[str]]:
    """The options of each command that writes CSV, by the command's words."""
    found: dict[str, set[str]] = {}
    for word, below in getattr(command, "commands", {}).items():
        found |= with_forms(below, f"{name} {word}".strip())
    options = {option for parameter in command.params for option in parameter.opts}
    return found | ({name: options} if "--output" in options and name != "replay" else {})


def test_every_command_with_csv_is_for_spreadsheets_too() -> None:
    found = with_forms(typer.main.get_command(app))
    assert found.keys() == WORDS.keys() | {"show"}
    assert [name for name, options in found.items() if "--spreadsheet" not in options] == []


def test_an_empty_answer_has_its_header(dsn: str) -> None:
    for command in WORDS:
        header, *rows = answer(command, "-o", "csv", dsn=dsn).stdout.split("\n")
        assert re.fullmatch(r"[a-zA-Z]+(,[a-zA-Z0-9]+)+", header), command
        assert rows[-1] == "", command
        if command in LISTS:
            assert rows == [""], command


@pytest.fixture
async def stored(repository: StrategyExecutionLogRepository) -> StrategyExecutionLog:
    """A failed run among ok ones, that is one in 40,001."""
    failed = row(
        created_at=NOW - timedelta(minutes=1),
        status="error",
        error_code="=1+1",
        case_name=NASTY,
        points=-3.25,
        trace=[{"node": NASTY}],
    )
    ok = row(created_at=NOW - timedelta(minutes=2), sampled=True, sample_rate=1 / 40_000)
    await repository.insert_rows([failed, ok])
    return failed


def test_csv(dsn: str, stored: StrategyExecutionLog) -> None:
    for command in ("failures", f"show {stored.id}", "tail -n 1", f"export {STRATEGY}"):
        cells = []
        for words in ((), ("--spreadsheet",)):
            done = answer(command, "-o", "csv", *words, dsn=dsn, PYTHONIOENCODING="ascii")
            lines = csv.DictReader(io.StringIO(done.stdout_bytes.decode(), newline=""))
            [found] = [line for line in lines if line["id"] == str(stored.id)]
            cells.append((found["errorCode"], found["points"]))
        assert cells == [("=1+1", "-3.25"), ("'=1+1", "-3.25")], command
    refused = answer("failures", "--spreadsheet", dsn=dsn)
    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.long
def test_nothing_colours_a_pipe(dsn: str, stored: StrategyExecutionLog) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        tabs = answer("failures", dsn=dsn, **{variable: "1"})
        assert tabs.output == answer("failures", dsn=dsn).output
        assert tabs.output.count("\t") == 20
    for command in (*WORDS, f"show {stored.id}", "sql"):
        forced = answer(command, dsn=dsn, FORCE_COLOR="1", TTY_COMPATIBLE="1")
        assert forced.output and "\x1b" not in forced.output, command


@pytest.mark.long
def test_help_into_a_pipe(dsn: str, tmp_path: Path) -> None:
    """Messages go to a terminal."""
    with (tmp_path / "help").open("w+b") as file:
        on_terminal("--help", dsn=dsn, columns=80, into=file, FORCE_COLOR="1", TTY_COMPATIBLE="1")
        file.seek(0)
        assert file.read().startswith(b"Usage: execlog ")


@pytest.mark.long
def test_no_colour_is_no_escape_at_all(
    dsn: str, stored: StrategyExecutionLog, tmp_path: Path
) -> None:
    """Nor bold, nor a bar that moves, nor a frame around a message."""
    for words, code in ((["summary", STRATEGY], 0), (["top", "--nope"], 2)):
        said = on_terminal(*words, dsn=dsn, columns=100, code=code, NO_COLOR="1")
        assert said.strip() and "\x1b" not in said, words
    with (tmp_path / "data").open("w+b") as file:
        said = on_terminal("export", dsn=dsn, columns=80, into=file, NO_COLOR="1")
    assert "\x1b" not in said


async def test_one_failure_of_many_on_the_pages(pool: Pool, stored: StrategyExecutionLog) -> None:
    async with client(create_app(pool)) as pages:
        for path in ("/", f"/strategy?id={STRATEGY}", f"/compare?a={STRATEGY}&b=b"):
            text = (await pages.get(path)).text
            assert "0.0025 %" in text, path
            # All runs of a case may have failed, and all may take as long.
            rest = re.sub(r'(?s)<section id="(cases|histograms)">.*?</section>', "", text)
            assert not re.search(r"\b(0\.00|100\.00) %</a>", rest), path


def test_one_failure_of_many(dsn: str, stored: StrategyExecutionLog) -> None:
    said = answer("summary", dsn=dsn).stdout
    assert "2 runs stored, of 40,001; 99.9975 % ok, 0.0025 % failed" in said
    assert "\t0.0025 %\t" in answer("top", dsn=dsn).stdout
    compared = answer("compare", dsn=dsn).stdout
    assert "\nok\t99.9975 %\t" in compared
    assert "\nerror rate\t0.0025 %\t" in compared
    fine = answer("check", STRATEGY, "--max-error-rate", "1%", "--since", "1d", dsn=dsn)
    assert "  ok: error rate 0.0025 %, failed 0.0025 %, p99 " in fine.stdout


@pytest.fixture
async def nearly_all_failed(repository: StrategyExecutionLogRepository) -> None:
    await repository.insert_rows([row(status="error", sample_rate=1e-9), row()])


def test_nearly_all_failed(dsn: str, nearly_all_failed: None) -> None:
    breach = answer("check", STRATEGY, "--max-error-rate", "1%", "--since", "1h", dsn=dsn)
    assert breach.exit_code == 3
    assert breach.stdout.startswith(f"{STRATEGY}  error rate 99.9999999")
