"""`execlog account`, and what doctor, the storage page and Prometheus say of all recorders."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

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


async def page_of(pool: Pool) -> str:
    """The text of the storage page."""
    transport = httpx2.ASGITransport(app=create_app(pool))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/storage")).text


async def test_the_storage_page(dsn: str, pool: Pool) -> None:
    await closed(dsn, 5, 1)
    assert "6 offered = 5 written + 1 rejected (points)" in await page_of(pool)


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


async def test_those_that_say_something_are_shown_first(dsn: str, pool: Pool) -> None:
    """The sum is over all recorders, however few are shown; data has all of them."""
    async with ExecutionRecorder(dsn, max_rows=3) as recorder:
        for n in range(5):
            record(recorder, n)
    await pool.execute(f"update {ACCOUNT} set host = 'lossy'")
    await closed(dsn, 4)
    copied = (
        "earlier, application, started_at, offered, recovered, sampled_out, rejected, dropped,"
        " written, pending, capacity, first_xid, last_xid, hour"
    )
    await pool.execute(
        f"insert into {ACCOUNT} ({copied}, recorder_id, host, pid, last_seen, closed_at)"
        f" select {copied}, gen_random_uuid(), case when n = 9 then 'open' else 'idle' end, n,"
        "  last_seen - (10 + n) * interval '1 minute', case when n <> 9 then last_seen end"
        f" from {ACCOUNT}, generate_series(1, 60) as n where host <> 'lossy'"
    )
    done = await told(dsn)
    assert done.returncode == 1
    first, *lines = done.stdout.splitlines()
    assert first.startswith("249 offered = 247 written + 2 dropped (full, ")
    rows = [line.split("\t") for line in lines[3:-1]]
    assert len(rows) == 50
    assert lines[-1] == "written 247, the log holds 7: 240 are missing"
    assert [row[0] for row in rows[:2]] == ["open", "lossy"]
    assert [int(row[1]) for row in rows[3:]] == list(range(1, 9)) + list(range(10, 49))
    assert done.stderr == (
        "execlog: 12 more recorders are in the sum; --limit shows more, -o csv all\n"
    )
    done = await told(dsn, "--limit", "100")
    assert (len(done.stdout.splitlines()), done.stderr) == (5 + 62, "")
    assert len((await told(dsn, "-o", "jsonl")).stdout.splitlines()) == 62
    done = await told(dsn, "-n", "1", "--json")
    assert [one["host"] for one in json.loads(done.stdout)] == ["open"]
    assert "61 more" in done.stderr
    for odd in ("0", "10001"):
        assert (await told(dsn, "--limit", odd)).returncode == 2


@pytest.mark.usefixtures("within_an_hour")
async def test_what_is_said_of_rows_that_were_removed(dsn: str, pool: Pool) -> None:
    """They are counted by when they ran, so the number may be off."""
    old, days = datetime.now(UTC) - timedelta(days=3), timedelta(days=2)
    await execlog.maintain(dsn, interval="day", ahead=1)
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(5):
            record(recorder, n)
        for n in range(7):
            record(recorder, n, created_at=old)
    done = await told(dsn)
    assert (done.returncode, done.stderr) == (0, "")
    for _ in range(2):
        await execlog.maintain(dsn, interval="day", ahead=1, retain=days)
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 5
    done = await told(dsn)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        1,
        "written 12, the log holds 5: 7 are missing",
    )
    assert re.fullmatch(
        r"execlog: rows of runs before \S+ \S+ were removed:"
        r" those that were stored in these hours count as missing\n",
        done.stderr,
    )
    done = await told(dsn, "--since", "4d")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "12 offered = 12 written")
    assert "counted are those that ran in these hours or in the one before" in done.stderr


async def test_a_log_that_has_no_accounts_yet(dsn: str, pool: Pool) -> None:
    await pool.execute(
        f"drop table {ACCOUNT}; drop function execlog.keep_account;"
        " delete from execlog.schema_migration where name >= '0013'"
    )
    done = await told(dsn)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("execlog: recorder_account: ")
    assert "run `execlog migrate`" in done.stderr
    doctor = await asyncio.to_thread(run, "doctor", EXECLOG_DSN=dsn)
    assert doctor.returncode == 1
    assert "missing: 0013_recorder_account" in doctor.stdout
    assert (await page_of(pool)).count("run `execlog migrate`") == 2
    with pytest.raises(execlog.SchemaOutdated, match="execlog migrate"):
        await LogCollector(pool).read()
