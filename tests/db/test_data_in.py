"""What an import says of files that others have written, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from execlog.cli import app
from tests.rows import fields


def imported(dsn: str, file: Path, *words: str, lines: list[Any]) -> tuple[int, list[str]]:
    """The code of an import of these lines, and what it says."""
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = CliRunner().invoke(app, ["import", str(file), *words], env={"EXECLOG_DSN": dsn})
    assert done.stdout == ""
    return done.exit_code, done.stderr.splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_a_log_that_was_sampled(dsn: str, file: Path) -> None:
    lines = [fields(sampled=n < 3, status="ok" if n < 3 else "error") for n in range(4)]
    code, (account, warning) = imported(dsn, file, lines=lines)
    assert (code, account) == (0, "execlog: 4 executions stored")
    assert warning == (
        "execlog: warning: 3 sampled executions have no rate, and count as one run each;"
        " --sample-rate says which share was kept"
    )
    others = [fields(strategy_id="told", **line) for line in lines if line.pop("strategy_id")]
    code, said = imported(dsn, file, "--sample-rate", "5%", lines=others)
    assert (code, said) == (0, ["execlog: 4 executions stored"])
    card = CliRunner().invoke(app, ["summary", "told", "--json"], env={"EXECLOG_DSN": dsn})
    assert json.loads(card.stdout)["estimatedTotal"] == 61


@pytest.mark.parametrize("rate", ["0", "0%", "2"])
def test_no_sample_rate(file: Path, rate: str) -> None:
    code, said = imported("postgresql://127.0.0.1:1/", file, "--sample-rate", rate, lines=[])
    assert code == 2
    assert "--sample-rate" in "".join(said)


def test_fields_that_no_execution_has(dsn: str, file: Path) -> None:
    lines = [fields(apiKey="s3cret"), fields()]
    code, said = imported(dsn, file, lines=lines)
    assert (code, said[0]) == (1, "execlog: line 1: apiKey: is not a field of an execution")
    code, said = imported(dsn, file, "--ignore-unknown", lines=lines)
    assert (code, said) == (
        0,
        [
            "execlog: 2 executions stored",
            "execlog: 1 executions had other fields, which were left out",
        ],
    )


def test_an_import_that_stored_nothing(dsn: str, file: Path) -> None:
    skip = ("--on-error", "skip")
    code, said = imported(dsn, file, *skip, lines=[[], {}])
    assert (code, said[2:]) == (
        1,
        [
            "execlog: 0 executions stored, 2 lines could not be stored",
            "execlog: nothing was stored",
        ],
    )
    # Whatever was there already is in the log, however often it is run.
    for _ in range(2):
        assert imported(dsn, file, *skip, lines=[[], fields()])[0] == 0
    assert imported(dsn, file, *skip, lines=[])[0] == 0


def test_lines_as_postgres_writes_them(dsn: str, file: Path) -> None:
    """By COPY of a first file, and where all of it is there already, one by one."""
    lines = [
        fields(created_at=time, trace=trace, strategy_version=1.0)
        for time, trace in (("2026-11-26 10:00:00.123+00", None), ("infinity", "null"))
    ]
    for account in ("2 executions stored", "0 executions stored, 2 were there already"):
        assert imported(dsn, file, lines=lines) == (0, [f"execlog: {account}"])
    done = CliRunner().invoke(app, ["export"], env={"EXECLOG_DSN": dsn})
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["createdAt"], one["trace"]) for one in found] == [
        ("9999-12-31T23:59:59.999999Z", None),
        ("2026-11-26T10:00:00.123000Z", None),
    ]
