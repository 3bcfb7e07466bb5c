"""Export, import, doctor and plans: the installed command as a process of its own."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.embedded import EmbeddedPostgres
from tests.databases import TABLE
from tests.db.test_cli import COMMAND, run
from tests.db.test_cli_reading import NASTY, in_shell, on_terminal
from tests.oracle import newest_first
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool

LONG_AGO = datetime(1999, 1, 1, tzinfo=UTC)
ODD = [
    row(created_at=None, notes=NASTY, trace=[NASTY, {"é": [1.5, -0.5, None, True]}]),
    row(created_at=datetime.max.replace(tzinfo=UTC), points=-1e300, sample_rate=5e-324),
    row(created_at=datetime.min.replace(tzinfo=UTC), status="", case_name=""),
    row(strategy_id="other", created_at=T0, status="error", error_code="E1", duration_ms=0.1),
]


def imported(text: str, dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "import", "-", *words],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "EXECLOG_DSN": dsn},
        timeout=60,
    )


async def everything(dsn: str) -> list[StrategyExecutionLog]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        return [one async for one in StrategyExecutionLogRepository(pool).stream()]


async def test_what_is_exported_can_be_imported(
    dsn: str, empty_dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    rows = [*ODD, *(row(created_at=T0 + timedelta(seconds=n), points=n / 7) for n in range(400))]
    await repository.insert_rows(rows)
    done = run("export", EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "execlog: 404 executions exported\n")
    ordered = newest_first(rows)
    dumps = [one.model_dump(by_alias=True, mode="json") for one in ordered]
    assert [json.loads(line) for line in done.stdout.split("\n")[:-1]] == dumps
    await execlog.migrate(empty_dsn)
    file = tmp_path / "all.jsonl"
    file.write_text(done.stdout)
    for stored in ("404 executions stored", "0 executions stored, 404 were there already"):
        again = run("import", str(file), EXECLOG_DSN=empty_dsn)
        assert (again.returncode, again.stdout) == (0, "")
        assert again.stderr == f"execlog: {stored}\n"
        assert await everything(empty_dsn) == ordered
    assert run("export", EXECLOG_DSN=empty_dsn).stdout == done.stdout


async def test_export_of_a_strategy_and_a_time(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows(ODD)
    one = run("export", "other", "-o", "csv", EXECLOG_DSN=dsn)
    assert one.stderr == "execlog: 1 executions of other exported\n"
    [found] = csv.DictReader(io.StringIO(one.stdout))
    assert (found["id"], found["createdAt"]) == (str(ODD[3].id), T0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    since = run("export", "--since", T0.isoformat(), "--until", T0.isoformat(), EXECLOG_DSN=dsn)
    assert [json.loads(line)["id"] for line in since.stdout.splitlines()] == [str(ODD[3].id)]
    nobody = run("export", "nobody", "-o", "csv", EXECLOG_DSN=dsn)
    assert (nobody.returncode, nobody.stderr) == (0, "execlog: 0 executions of nobody exported\n")
    assert nobody.stdout.startswith("id,createdAt,strategyId,")
    text = run("export", EXECLOG_DSN=dsn, PYTHONIOENCODING="ascii").stdout
    assert text.isascii()
    assert json.loads(text.splitlines()[-1])["notes"] == NASTY


async def test_export_on_a_terminal(
    dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    """Nothing stored steers it; where the data goes elsewhere, it shows how far that has come."""
    await repository.insert_rows(ODD)
    said = on_terminal("export", dsn=dsn, columns=100)
    assert said.count('{"id"') == 4
    assert not re.search("[\x1b\x7f\x9b\u202e]", said)
    for words in (["export"], ["export", STRATEGY, "-o", "csv"]):
        with (tmp_path / "data").open("w+b") as file:
            said = on_terminal(*words, dsn=dsn, columns=100, into=file)
            file.seek(0)
            lines = file.read().decode().splitlines()
        assert "exporting" in said
        assert '{"id"' not in said
        assert len(lines) >= 4


@pytest.fixture
async def many(repository: StrategyExecutionLogRepository) -> int:
    count = 20_000
    await repository.insert_rows(row() for _ in range(count))
    return count


async def test_ctrl_c_while_exporting(dsn: str, many: int) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "export",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "EXECLOG_DSN": dsn},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, error = await process.communicate()
    assert (process.returncode, b"Traceback" in error) == (130, False)
    lines = out.decode().split("\n")
    assert lines.pop() == ""  # the last line is whole
    assert len(lines) < many - 1
    assert all(json.loads(line) for line in lines)


async def test_a_reader_of_an_export_that_leaves(dsn: str, many: int) -> None:
    said, error = in_shell(f"{COMMAND} export | head -1 | wc -l; echo ${{PIPESTATUS[0]}}", dsn)
    assert (error, said.split()) == ("", ["1", "1"])


async def test_a_server_that_goes_while_exporting(dsn: str, many: int) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "export",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "EXECLOG_DSN": dsn},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        await process.stdout.readline()
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await connection.close()
        _, error = await process.communicate()
    assert process.returncode == 1
    assert error.startswith(b"execlog: stream: ")
    assert len(error.splitlines()) == 1


def as_lines(*lines: object) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def exported(**changes: Any) -> dict[str, Any]:
    dump: dict[str, Any] = row(**changes).model_dump(by_alias=True, mode="json")
    return dump


def bad_lines() -> dict[int, tuple[object, str]]:
    """What can't be stored, by the number of its line, and what is said of it."""
    return {
        2: ("not json", "is not JSON"),
        3: ("[1]", "is not a JSON object"),
        5: (exported() | {"durationMs": -1}, "duration_ms: should be greater than or equal to 0"),
        6: (exported() | {"\x1b[2Jextra": 1}, "\\x1b[2Jextra: is not a field of an execution"),
        7: (exported() | {"trace": ["\0"]}, "trace: holds a NUL character"),
        9: (exported() | {"nodesExecuted": 999}, "the server refuses it: "),
        10: ("[" * 100_000, "is not JSON"),
        12: (exported() | {"id": None}, "id: "),
    }


async def test_bad_lines_are_skipped_or_stop_it(dsn: str, pool: Pool) -> None:
    await pool.execute(f"alter table {TABLE} add constraint few check (nodes_executed < 999)")
    bad = bad_lines()
    good = {number: exported() for number in (1, 4, 8, 11, 13)}
    text = as_lines(*(bad[n][0] if n in bad else good[n] for n in range(1, 14)), "", "  ")
    skipped = imported(text, dsn, "--on-error", "skip")
    assert (skipped.returncode, skipped.stdout) == (0, "")
    *said, account = skipped.stderr.splitlines()
    assert len(said) == len(bad)
    for number, (_, why) in bad.items():
        [line] = [line for line in said if line.startswith(f"execlog: line {number}: ")]
        assert why in line
    assert account == "execlog: 5 executions stored, 8 lines could not be stored"
    assert {str(one.id) for one in await everything(dsn)} == {one["id"] for one in good.values()}

    await pool.execute(f"delete from {TABLE}")
    for number, (wrong, why) in bad.items():
        await pool.execute(f"delete from {TABLE}")
        stopped = imported(as_lines(good[1], good[4], wrong, good[8]), dsn)
        assert stopped.returncode == 1
        assert stopped.stderr.splitlines()[-1] == (
            "execlog: 2 executions stored, 1 lines could not be stored"
        ), number
        assert why in stopped.stderr
        assert len(await everything(dsn)) == 2


async def test_lines_of_other_hands(dsn: str) -> None:
    """In Python's spelling, without an id or a time, with a byte order mark, without an end."""
    plain = fields(points=1.5)
    text = "\ufeff" + as_lines(plain, plain) + json.dumps(plain | {"created_at": T0.isoformat()})
    for stored in ("3 executions stored", "0 executions stored, 3 were there already"):
        done = imported(text, dsn)
        assert (done.returncode, done.stderr) == (0, f"execlog: {stored}\n")
    found = await everything(dsn)
    assert [one.created_at for one in found] == [T0, None, None]
    assert {one.points for one in found} == {1.5}


async def test_what_is_partly_stored_already(dsn: str, pool: Pool) -> None:
    """Batch after batch, some of it known, some of it bad: each good line is there once."""
    await pool.execute(f"alter table {TABLE} add constraint few check (nodes_executed < 999)")
    dumps = [exported(nodes_executed=999 if n % 5000 == 4999 else n % 9) for n in range(12_000)]
    await StrategyExecutionLogRepository(pool).insert_rows(
        StrategyExecutionLog(**dump) for dump in dumps[3000:4000]
    )
    done = imported(as_lines(*dumps), dsn, "--on-error", "skip")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == (
        "execlog: 10,998 executions stored, 1,000 were there already, 2 lines could not be stored"
    )
    lines = [int(number) for number in re.findall(r"line (\d+):", done.stderr)]
    assert lines == [5000, 10_000]
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 11_998


async def test_ctrl_c_while_importing(dsn: str) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "import", "-",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "EXECLOG_DSN": dsn},
    )  # fmt: skip
    assert process.stdin is not None
    async with asyncio.timeout(30):
        process.stdin.write(as_lines(*(exported() for _ in range(10))).encode())
        await process.stdin.drain()
        await asyncio.sleep(1.5)
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        _, error = await process.communicate()
    assert (process.returncode, b"Traceback" in error) == (130, False)


def test_import_where_nothing_can_be_stored(empty_dsn: str) -> None:
    done = imported(as_lines(exported()), empty_dsn)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run `execlog migrate`" in done.stderr


def diagnosis(dsn: str, *words: str, code: int) -> dict[str, str]:
    """What is said about each thing, the remedy after it."""
    done = run("doctor", *words, EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (code, "")
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        mark, about, said = line[:2], line[4:17].strip(), line[17:]
        if about:
            last = about
            found[about] = f"{mark} {said}"
        else:
            found[last] += f" -> {said}"
    return found


async def test_doctor(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    await repository.insert_rows(row(created_at=datetime.now(UTC)) for _ in range(3))
    found = diagnosis(dsn, code=0)
    assert {said[:2] for said in found.values()} == {"ok"}
    assert found["migrations"] == "ok all are applied"
    assert found["partitions"].startswith("ok 4, for the next ")
    dump = json.loads(run("doctor", "--json", EXECLOG_DSN=dsn).stdout)
    assert dump.keys() == {field.alias for field in execlog.Health.model_fields.values()}
    assert dump["missingMigrations"] == []


async def test_doctor_finds_what_is_not_well(dsn: str, pool: Pool) -> None:
    assert "run `execlog maintain`" in diagnosis(dsn, "--ahead", "200d", code=1)["partitions"]
    await StrategyExecutionLogRepository(pool).insert_rows([row(created_at=LONG_AGO)])
    await pool.execute("delete from execlog.schema_migration where name like '0002%'")
    found = diagnosis(dsn, "--skew", "0.001ms", code=1)
    assert found["DEFAULT"].startswith("!! 1 rows that no partition covers, 0 without a time -> ")
    assert found["migrations"].endswith("-> run `execlog migrate`")
    assert "0002_recorder_progress" in found["migrations"]
    assert "NTP" in found["clock"]


def test_doctor_where_there_is_no_log(empty_dsn: str) -> None:
    assert diagnosis(empty_dsn, code=1) == {
        "migrations": "!! none of ours is here -> run `execlog migrate`"
    }
    away = diagnosis("postgresql://user:s3cret@127.0.0.1:1/db", "--json", code=1)
    assert away.keys() == {"server"}
    assert "can't be reached -> is it up?" in away["server"]
    assert "s3cret" not in away["server"]
    done = run("doctor", EXECLOG_DSN="nonsense")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[str]:
    """The folder of the socket of a server that asks its guest for a password."""
    with EmbeddedPostgres() as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("set password_encryption = 'scram-sha-256'")
        await connection.execute("create role guest login password 'right'")
        rules = await connection.fetchval("show hba_file")
        with open(rules, "r+") as file:  # noqa: ASYNC230 - a few lines
            others = file.read()
            file.seek(0)
            file.write(f"local all guest scram-sha-256\n{others}")
        await connection.execute("select pg_reload_conf()")
        await connection.close()
        yield server.dsn.rpartition("=")[2]


@pytest.mark.parametrize("words", [("tail",), ("export",), ("migrate",), ("doctor",)])
def test_a_wrong_password(guarded: str, words: tuple[str, ...]) -> None:
    done = run(*words, EXECLOG_DSN=f"postgresql://guest:s3cret@/postgres?host={guarded}")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "invalid password (28P01)" in said
    assert "s3cret" not in said
    assert "Traceback" not in said


def test_plans(dsn: str) -> None:
    plan = run("sql", "count_by_status", "--explain", "strategy_id=s", "since=1d", EXECLOG_DSN=dsn)
    assert (plan.returncode, plan.stderr) == (0, "")
    assert "cost=" in plan.stdout
    assert "actual time" not in plan.stdout
    done = run("sql", "health", "--analyze", EXECLOG_DSN=dsn)
    assert "actual time" in done.stdout
    assert "Buffers" in done.stdout
    stored = run("sql", "insert_missing", "--explain", "rows=[]", EXECLOG_DSN=dsn)
    assert "Insert on" in stored.stdout
    odd = run("sql", "list_for_strategy", "--explain", f"strategy_id={NASTY}", "limit=3",
              EXECLOG_DSN=dsn)  # fmt: skip
    assert odd.returncode == 0
    assert "\x1b" not in odd.stdout
    assert STRATEGY not in odd.stdout
