"""The installed command, as a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.main import get_command

import execlog
from execlog import InvalidArgument
from execlog.cli import app
from execlog.db.migration_files import migration_names
from tests.command import COMMAND, run

VERSION = importlib.metadata.version("execlog")
ALL = "".join(f"{name}\n" for name in migration_names())


def test_migrate(empty_dsn: str) -> None:
    missing = run("migrate", "--check", "--dsn", empty_dsn)
    assert (missing.returncode, missing.stdout) == (1, ALL)
    assert "run `execlog migrate`" in missing.stderr
    applied = run("migrate", EXECLOG_DSN=empty_dsn)
    assert (applied.returncode, applied.stdout, applied.stderr) == (0, ALL, "")
    again = run("migrate", "--check", EXECLOG_DSN=empty_dsn)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "execlog: up to date\n")


def test_migrate_sql_is_the_dump(capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*words: str) -> tuple[str, str]:
        command: Any = get_command(app)
        command(["migrate", "--sql", *words], standalone_mode=False)
        return capsys.readouterr()

    third, *_, last = migration_names()[2:]
    whole = "".join(f"{one};\n\n" for one in execlog.dump_migrations())
    rest = "".join(f"{one};\n\n" for one in execlog.dump_migrations(after=third))
    assert run("migrate", "--sql").stdout == whole
    assert printed("--from", third) == (rest, "")
    assert printed("--from", last) == ("", f"execlog: nothing comes after {last}\n")
    with pytest.raises(InvalidArgument, match="'0009_later' is no migration"):
        printed("--from", "0009_later")
    assert run("migrate", "--from", third).returncode == 2


def test_the_version() -> None:
    words = [sys.executable, "-m", "execlog", "--version"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"execlog {VERSION}\n", "")
    assert execlog.__version__ == VERSION


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("postgresql://user:s3cret@127.0.0.1:1/db", "the server can't be reached"),
        ("postgresql://user:s3c/ret@localhost/db", "is not a connection string"),
        ("nonsense", "is not a connection string"),
        ("postgresql://user:p@[::1/s3cret", "is not a connection string"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "demo"])
def test_a_server_that_can_not_be_used_is_one_line(command: str, dsn: str, says: str) -> None:
    done = run(command, "--dsn", dsn)
    assert (done.returncode, done.stdout) == (1 if "reached" in says else 2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "s3c" not in done.stderr


@pytest.mark.parametrize("words", [["--nope"], ["migrate", "--dsn", ""], ["demo", "-n", "0"]])
def test_wrong_usage(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_and_a_reader_that_left(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    full, left = (
        subprocess.run(
            f"{COMMAND} migrate --sql {to}",
            shell=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        for to in ("> /dev/full", "| true")
    )
    assert (full.returncode, full.stderr) == (1, "execlog: No space left on device\n")
    assert left.stderr == ""


@pytest.mark.long
async def test_the_demo_on_ones_own_server(empty_dsn: str) -> None:
    done = run("demo", "-n", "120", "--dsn", empty_dsn, FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert (done.returncode, done.stderr) == (0, "")
    connection = await asyncpg.connect(empty_dsn)
    stored = await connection.fetch(
        "select status, count(*) from execlog.strategy_execution_log group by 1"
    )
    whole = await connection.fetchval(
        "select count(*) from execlog.strategy_execution_log"
        " where jsonb_array_length(trace) > 0 and duration_ms > 0 and external_user_id <> ''"
    )
    await connection.close()
    assert done.stdout.startswith("120 executions scored in ")
    assert whole == 120
    shown = dict(re.findall(r"^(ok|error|timeout|limit)\t(\d+)\t", done.stdout, re.MULTILINE))
    assert shown == {record["status"]: str(record["count"]) for record in stored}
    assert "\x1b" not in done.stdout
    commands = r"^\$ execlog \w+ module_quality.*$"
    _, summary, timeline, replay = re.split(commands, done.stdout, flags=re.M)
    assert "120 runs stored, of 120" in summary
    runs = [line.split("\t")[1] for line in timeline.splitlines() if line.count("\t") == 4]
    assert sum(map(int, runs[1:])) == 120
    assert re.search(
        r"^(All )?\d+ .*runs.* replayed; \d+ same, [1-9]\d* changed, 0 newly", replay, re.M
    )
    assert "No noise" in replay and re.search(r"\tlong functions\t\d+\t", replay)


@pytest.mark.long
@pytest.mark.timeout(150)
def test_the_demo_on_a_server_of_its_own() -> None:
    done = run("demo", "-n", "450")  # as far as the module whose rule never ends, and beyond
    assert (done.returncode, done.stderr) == (0, "")
    [scored] = re.findall(r"^([\d,]+) executions scored", done.stdout)
    shown = re.findall(r"^(ok|error|timeout)\t(\d+)\t", done.stdout, re.MULTILINE)
    assert {status for status, _ in shown} == {"ok", "error", "timeout"}
    assert f"(exact, {scored} rows)" in done.stdout
    assert int(scored.replace(",", "")) > 300
    for code in ("NodeError", "Interrupted"):
        assert re.search(rf"^{code}\t\d+$", done.stdout, re.MULTILINE)


@pytest.mark.long
def test_ctrl_c_in_the_demo() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # the server's own user looks in
        process = subprocess.Popen(
            [COMMAND, "demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": folder},
        )
        deadline = time.monotonic() + 30
        while not any(Path(folder).glob("execlog-pg-*")):  # it is past its imports
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in err) == (130, False)
