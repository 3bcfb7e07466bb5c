"""`execlog account`, and what doctor, the storage page and Prometheus say of all recorders."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import subprocess
from datetime import UTC, datetime

import httpx2
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import execlog
from execlog import ExecutionRecorder
from execlog.prometheus import LogCollector
from execlog.web import create_app
from tests.command import run
from tests.databases import TABLE
from tests.recording import record
from tests.rows import fields
from tests.types import Pool

ACCOUNT = "execlog.recorder_account"


async def told(dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, "account", "--utc", *words, EXECLOG_DSN=dsn)


async def closed(dsn: str, rows: int, refused: int = 0) -> None:
    """A recorder that stores so many rows."""
    async with ExecutionRecorder(dsn, max_rows=rows) as recorder:
        for n in range(rows):
            record(recorder, n)
        for _ in range(refused):
            recorder.record(**fields(points="x"))


async def test_nothing_is_missing(dsn: str) -> None:
    await closed(dsn, 1200, 3)
    await closed(dsn, 34)
    done = await told(dsn)
    assert done.returncode == 0, done.stderr
    first, second, *table = done.stdout.splitlines()
    assert first == "1,237 offered = 1,234 written + 3 rejected (points)"
    assert re.fullmatch(r"in whole hours, from \S+ \d\d:00:00\S*", second)
    assert table[1].split("\t")[:2] == ["host", "process"]
    assert [line.rpartition("\t")[2] for line in table[2:]] == ["closed", "closed"]
    for since in ("1d", "15m"):
        assert (await told(dsn, "--since", since)).stdout.splitlines()[0] == first


async def test_what_was_dropped_is_a_finding(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, max_rows=10) as recorder:
        for n in range(88):
            record(recorder, n)
    await pool.execute(f"update {ACCOUNT} set host = E'b\\x1b[2J'")
    now = datetime.now(UTC)
    done = await told(dsn)
    assert done.returncode == 1
    sentence = done.stdout.splitlines()[0]
    assert sentence.startswith("88 offered = 10 written + 78 dropped (full, ")
    assert sentence.endswith(r", host b\x1b[2J)") or sentence.endswith(r", host b\u001b[2J)")
    clock = re.search(r"full, (\d\d):(\d\d),", sentence)
    assert clock is not None
    minutes = int(clock[1]) * 60 + int(clock[2])
    assert (now.hour * 60 + now.minute - minutes) % 1440 <= 1
    assert "\x1b" not in done.stdout


async def test_one_that_was_killed_is_open(dsn: str, pool: Pool) -> None:
    recorder = ExecutionRecorder(dsn, max_rows=500)
    await recorder.start()
    record(recorder, 1)
    assert await recorder.flush()
    assert (await told(dsn)).returncode == 0
    assert (await told(dsn)).stdout.splitlines()[-1].endswith("alive")
    doctor = await asyncio.to_thread(run, "doctor", EXECLOG_DSN=dsn)
    assert "1 in the last day: 1 offered = 1 written\n" in doctor.stdout
    await pool.execute(f"update {ACCOUNT} set last_seen = now() - interval '3 minutes'")
    done = await told(dsn)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("open: 500 missing at most")
    doctor = await asyncio.to_thread(run, "doctor", EXECLOG_DSN=dsn)
    assert doctor.returncode == 1
    assert "at most 500 executions are missing" in doctor.stdout
    assert "execlog account" in doctor.stdout
    dumped = await asyncio.to_thread(run, "doctor", "--json", EXECLOG_DSN=dsn)
    assert json.loads(dumped.stdout)["recorders"][0]["mostMissing"] == 500
    await recorder.aclose()


async def test_a_log_that_holds_less_than_was_written(dsn: str, pool: Pool) -> None:
    await closed(dsn, 40)
    await pool.execute(f"delete from {TABLE} where nodes_executed % 2 = 0")
    said = "written 40, the log holds 20: 20 are missing"
    done = await told(dsn)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, said)
    done = await told(dsn, "-o", "jsonl")
    assert (done.returncode, done.stderr) == (1, f"execlog: {said}\n")


async def test_as_data(dsn: str) -> None:
    await closed(dsn, 5, 1)
    [one] = json.loads((await told(dsn, "--json")).stdout)
    assert (one["offered"], one["written"], one["rejected"]) == (6, 5, {"points": 1})
    assert (one["state"], one["mostMissing"], one["pending"]) == ("closed", 0, 0)
    assert json.loads((await told(dsn, "-o", "jsonl")).stdout) == one
    [row] = csv.DictReader(io.StringIO((await told(dsn, "-o", "csv")).stdout))
    assert (row["written"], row["rejected"]) == ("5", '{"points": 1}')


async def test_none_was_seen(dsn: str) -> None:
    done = await told(dsn)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "execlog: no recorder was seen\n"
    doctor = await asyncio.to_thread(run, "doctor", EXECLOG_DSN=dsn)
    assert "none was seen in the last day" in doctor.stdout


async def test_the_storage_page(dsn: str, pool: Pool) -> None:
    await closed(dsn, 5, 1)
    app = create_app(pool)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        page = (await client.get("/storage")).text
    assert "6 offered = 5 written + 1 rejected (points)" in page


@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_prometheus(dsn: str, pool: Pool, by: str) -> None:
    collector = LogCollector(dsn if by == "dsn" else pool, {"log": "scores"})
    registry = CollectorRegistry()
    registry.register(collector)
    assert generate_latest(registry) == b""
    await closed(dsn, 5, 1)
    await closed(dsn, 7)
    await pool.execute(f"update {ACCOUNT} set closed_at = null, last_seen = now() - interval '1h'")
    await collector.read()
    lines = generate_latest(registry).decode().splitlines()
    samples = {line for line in lines if not line.startswith(("#", "execlog_day_read_seconds"))}
    assert samples == {
        'execlog_day_executions{log="scores",outcome="written",reason=""} 12.0',
        'execlog_day_executions{log="scores",outcome="sampled_out",reason=""} 0.0',
        'execlog_day_executions{log="scores",outcome="pending",reason=""} 0.0',
        'execlog_day_executions{log="scores",outcome="rejected",reason="points"} 1.0',
        'execlog_day_offered{log="scores"} 13.0',
        'execlog_day_recovered{log="scores"} 0.0',
        'execlog_day_open_recorders{log="scores"} 2.0',
        'execlog_day_most_missing{log="scores"} 12.0',
    }


async def test_labels_that_are_the_metrics_own(dsn: str) -> None:
    with pytest.raises(execlog.InvalidArgument, match="labels"):
        LogCollector(dsn, {"reason": "x"})
