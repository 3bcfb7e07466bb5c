"""`execlog spool`: what waits in files, of whom, and how it is stored without its program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import ExecutionRecorder
from execlog.recorder.spool.listing import list_spool
from tests import databases
from tests.command import COMMAND, run
from tests.databases import TABLE
from tests.db.test_cli_reading import on_terminal
from tests.db.test_spool import KILLED, killed
from tests.recording import AWAY, record, until
from tests.types import Pool

STORED_SOME = """
import sys, time
import execlog
from tests.recording import record
with execlog.ExecutionRecorder(sys.argv[1], spool=sys.argv[2], linger=30) as recorder:
    record(recorder, 1)
    assert recorder.flush_blocking()
    for n in range(300):
        record(recorder, n)
    time.sleep(0.5)
    print(recorder.stats().spooled_rows, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def alive(script: str, dsn: str, spool: Path, rows: int = 40) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose recorder holds so many rows; it is killed at the end."""
    arguments = [sys.executable, "-c", script, dsn, str(spool), "30", str(rows)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        try:
            yield process
        finally:
            process.kill()


async def told(spool: Path, *words: str, dsn: str = AWAY) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, "spool", str(spool), *words, EXECLOG_DSN=dsn)


async def listed(spool: Path) -> list[dict[str, Any]]:
    done = await told(spool, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def only_folder(spool: Path) -> Path:
    [found] = [path for path in spool.iterdir() if not path.name.startswith(".")]
    return found


@pytest.mark.long
async def test_whose_rows_wait(tmp_path: Path) -> None:
    begun = datetime.now(UTC)
    spool = tmp_path / "spool"
    with alive(KILLED, AWAY, spool) as process:
        [lives] = await listed(spool)
        assert (lives["state"], lives["rows"], lives["pid"]) == ("alive", 40, process.pid)
        assert lives["recorder"] in os.listdir(spool)
        process.send_signal(signal.SIGSTOP)  # it lives, and does not adopt the other one
        assert killed(AWAY, spool, rows=3000) == 3000
        stopped, dead = await listed(spool)
        assert stopped == lives
        assert (dead["state"], dead["rows"]) == ("dead", 3000)
    lives, _ = await listed(spool)
    assert (lives["state"], lives["rows"]) == ("dead", 40)
    assert dead["bytes"] > 3000 * 100
    assert (dead["application"], dead["log"], dead["damagedFiles"]) == ("python", None, 0)
    for time_ in (dead["oldest"], dead["startedAt"]):
        assert begun - timedelta(seconds=1) < datetime.fromisoformat(time_) < datetime.now(UTC)
    done = await told(spool, "--utc")
    header, _, last = [line.split("\t") for line in done.stdout.splitlines()]
    assert header[0] == "recorder"
    assert (last[0], last[4], last[7]) == (dead["recorder"], "3,000", "dead")


def test_a_look_does_not_end_the_lock(tmp_path: Path) -> None:
    spool, link = tmp_path / "spool", tmp_path / "link"
    link.symlink_to(spool)
    with (
        ExecutionRecorder(AWAY, spool=spool) as recorder,
        ExecutionRecorder(AWAY, spool=link) as other,
    ):
        record(recorder, 1)
        for path in (spool, link):
            assert sorted(one.rows or 0 for one in list_spool(path)) == [0, 1]
        done = run("spool", str(spool), "--json")
        assert [one["state"] for one in json.loads(done.stdout)] == ["alive", "alive"]
        assert other.stats().recovered == 0
        recorder.close(0.1)
        other.close(0.1)


async def test_what_is_stored_is_gone(dsn: str, pool: Pool, tmp_path: Path) -> None:
    spool, copied = tmp_path / "spool", tmp_path / "copied"
    for _ in range(2):
        killed(AWAY, spool, rows=2500)
    shutil.copytree(spool, copied)
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, done.stdout) == (0, "stored 5,000 executions\n"), done.stderr
    assert os.listdir(spool) == []
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, done.stdout) == (0, "stored 0 executions\n")
    os.chmod(copied, 0o700)
    done = await told(copied, "--drain", "--json", dsn=dsn)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr == "stored 0 executions, 5,000 stored already\n"
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 5000
    done = await told(spool)
    assert (done.returncode, done.stdout[:9]) == (0, "recorder\t")
    assert done.stderr == "execlog: no recorder has files in this spool\n"


@pytest.mark.long
async def test_a_store_that_is_away(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with alive(KILLED, AWAY, spool) as process:
        process.send_signal(signal.SIGSTOP)
        killed(AWAY, spool, rows=300)
        done = await told(spool, "--drain", "--timeout", "100ms")
        assert done.returncode == 1
        assert done.stdout.startswith("stored 0 executions\nrecorder\t")
        assert done.stdout.count("\n") == 3, "only what is dead is left"
        assert "execlog: 300 wait in their files: record: the server can't be" in done.stderr
        assert "s3cret" not in done.stderr
        done = await told(spool, "--drain", dsn=dsn)
        assert (done.returncode, done.stdout) == (0, "stored 300 executions\n")


@pytest.mark.long
async def test_rows_of_another_log(dsn: str, template: str, pool: Pool, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with alive(STORED_SOME, dsn, spool):
        pass
    async with databases.clone(template) as other:
        connection = await asyncpg.connect(other)
        await connection.execute(
            "create or replace function execlog.log_id() returns uuid language sql"
            " immutable parallel safe as $$ select '3f1e4d8a-0000-4000-8000-000000000000'::uuid $$"
        )
        await connection.close()
        done = await told(spool, "--drain", "-o", "jsonl", dsn=other)
    assert done.returncode == 1
    assert json.loads(done.stdout)["rows"] == 300
    log = await pool.fetchval("select execlog.log_id()")
    assert json.loads(done.stdout)["log"] == str(log)
    assert "execlog: 300 wait in their files: they are for another log\n" in done.stderr
    assert done.stderr.count("is of another log, and is left alone") == 1
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, done.stdout) == (0, "stored 300 executions\n")


async def test_rows_of_another_log_that_die_later(dsn: str, tmp_path: Path) -> None:
    spool, other = tmp_path / "spool", tmp_path / "other"
    killed(AWAY, other, rows=300)
    owner = only_folder(other) / "owner"
    log = "3f1e4d8a-0000-4000-8000-000000000000"
    owner.write_text(json.dumps(json.loads(owner.read_text()) | {"log": log}))
    async with ExecutionRecorder(dsn, spool=spool) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        only_folder(other).rename(spool / only_folder(other).name)
        await asyncio.to_thread(recorder._spool._adopt)  # type: ignore[union-attr]
        assert await recorder.flush()
        stats = recorder.stats()
        assert (stats.recovered, stats.written, stats.pending_rows) == (0, 1, 0)
    [left] = list_spool(spool)
    assert (left.state, left.rows, str(left.log)) == ("dead", 300, log)


async def test_files_that_are_damaged_or_newer(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    killed(AWAY, spool, rows=300)
    [file] = [one for one in only_folder(spool).iterdir() if "000001.rows" in one.name]
    whole = file.read_bytes()
    file.write_bytes(b"execlog2" + whole[8:])
    [found] = await listed(spool)
    assert (found["state"], found["rows"], found["newerFiles"]) == ("newer", 0, 1)
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, file.exists()) == (1, True)
    assert "1 files are of a later version of execlog" in done.stderr
    file.write_bytes(b"x" * 128 + whole[128:])
    for _ in range(2):
        [found] = await listed(spool)
        assert (found["state"], found["rows"], found["damagedFiles"]) == ("damaged", 0, 1)
        done = await told(spool, "--drain", dsn=dsn)
        assert (done.returncode, file.with_suffix(".rows.bad").exists()) == (1, True)
        assert "1 files can't be read" in done.stderr
    file.write_bytes(whole)
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "stored 300 executions")
    owner = only_folder(spool) / "owner"
    told_of = json.loads(owner.read_text()) | {"format": 2, "host": "\x1b[2J", "pid": "x", "log": 1}
    owner.write_text(json.dumps(told_of))
    [found] = await listed(spool)
    assert (found["state"], found["rows"], found["pid"]) == ("newer", None, None)
    assert "\x1b" not in (await told(spool)).stdout


def draining(spool: Path, dsn: str) -> subprocess.Popen[str]:
    words = [str(COMMAND), "spool", str(spool), "--drain", "--dsn", dsn]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
async def test_two_that_drain_at_once(dsn: str, pool: Pool, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for _ in range(3):
        killed(AWAY, spool, rows=5000)
    stored = 0
    with draining(spool, dsn) as one, draining(spool, dsn) as other:
        for process in (one, other):
            told_by, said_by = await asyncio.to_thread(process.communicate)
            assert (process.returncode, said_by) == (0, "")
            stored += int(told_by.split()[1].replace(",", ""))
    assert stored == 15_000
    found = await pool.fetchrow(f"select count(*), count(distinct id) from {TABLE}")
    assert found is not None and tuple(found) == (15_000, 15_000)


@pytest.mark.long
async def test_ctrl_c_leaves_the_files(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    killed(AWAY, spool, rows=300)
    with draining(spool, AWAY) as process:
        await until(lambda: len(list_spool(spool)) == 2, 20)
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait) == 130
    [found] = await listed(spool)
    assert (found["state"], found["rows"]) == ("dead", 300)
    done = await told(spool, "--drain", dsn=dsn)
    assert (done.returncode, done.stdout) == (0, "stored 300 executions\n")


def test_no_spool(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file", tmp_path / "none"):
        for words in ((), ("--drain",)):
            done = run("spool", str(path), *words)
            assert (done.returncode, done.stdout) == (2, ""), path
            assert done.stderr
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]
    done = run("spool", str(tmp_path / "other"), "-o", "csv")
    assert (done.returncode, done.stdout[:14]) == (0, "recorder,host,")


@pytest.mark.long
def test_at_80_columns(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    killed(AWAY, spool, rows=3000)
    lines = on_terminal("spool", str(spool), dsn=AWAY, columns=80, NO_COLOR="1").splitlines()
    assert max(map(len, lines)) <= 80
    assert re.match(r"[0-9a-f]{8}  ", lines[2])
    assert " 3,000 " in lines[2]
    assert " dead" in lines[2]
