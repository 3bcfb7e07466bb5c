"""Export, import, doctor and plans: the installed command as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.db.migration_files import migration_names
from execlog.embedded import EmbeddedPostgres
from tests.command import COMMAND, run
from tests.databases import CLIENTS, TABLE, in_database
from tests.db.test_cli_reading import NASTY, arrived, dumped, in_shell, on_terminal
from tests.oracle import newest_first
from tests.recording import until
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool

pytestmark = pytest.mark.long
LAST = migration_names()[-1]
DAY = timedelta(days=1)
_STORED = re.compile('"storedAt": ?"[^"]*"')
LONG_AGO = datetime(1999, 1, 1, tzinfo=UTC)
ODD = [
    row(created_at=None, notes=NASTY, trace=[NASTY, {"é": [1.5, -0.5, None, True]}]),
    row(created_at=datetime.max.replace(tzinfo=UTC), points=-1e300, sample_rate=5e-324),
    row(created_at=datetime.min.replace(tzinfo=UTC), status="", case_name=""),
    row(strategy_id="other", created_at=T0, status="error", error_code="E1", duration_ms=0.1),
    row(
        created_at=T0 - DAY,
        status="error",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        error_message=NASTY,
        input={"é": [NASTY, 1.5, -0.5, None, True], "none": {}},
        attributes={"region": NASTY, "tries": 3, "share": 0.25, "again": False},
    ),
    row(created_at=T0 - DAY, input="a text", attributes={}),
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
    assert (done.returncode, done.stderr) == (0, "execlog: 406 executions exported\n")
    ordered = newest_first(rows)
    exported = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [arrived(one) for one in exported] == [dumped(one) for one in ordered]
    await execlog.migrate(empty_dsn)
    file = tmp_path / "all.jsonl"
    file.write_text(done.stdout)
    for stored in ("406 executions stored", "0 executions stored, 406 were there already"):
        again = run("import", str(file), EXECLOG_DSN=empty_dsn)
        assert (again.returncode, again.stdout) == (0, "")
        assert again.stderr == f"execlog: {stored}\n"
        assert await everything(empty_dsn) == ordered
    again = run("export", EXECLOG_DSN=empty_dsn)
    before, after = (_STORED.findall(one.stdout) for one in (done, again))
    assert max(before) < min(after)  # as text, to the microsecond
    assert _STORED.sub("", again.stdout) == _STORED.sub("", done.stdout)


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
    assert nobody.stdout.endswith(",traceId,errorMessage,storedAt,input,attributes\n")
    held = [
        json.loads(line["input"])
        for line in csv.DictReader(io.StringIO(run("export", "-o", "csv", EXECLOG_DSN=dsn).stdout))
        if line["errorMessage"]
    ]
    assert held == [ODD[4].input]
    text = run("export", EXECLOG_DSN=dsn, PYTHONIOENCODING="ascii").stdout
    assert text == run("export", EXECLOG_DSN=dsn).stdout
    assert json.loads(text.split("\n")[-2])["notes"] == NASTY


async def test_export_on_a_terminal(
    dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    """Nothing stored steers it; where the data goes elsewhere, it shows how far that has come."""
    await repository.insert_rows(ODD)
    said = on_terminal("export", dsn=dsn, columns=100)
    assert said.count('{"id"') == len(ODD)
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
    assert len(lines) < many - 1
    assert all(json.loads(line) for line in lines[:-8])  # a buffer may be torn


async def test_ctrl_c_where_nothing_moves(dsn: str, many: int) -> None:
    """A pipe that nobody reads, or nobody writes: the first one is enough."""
    for words in (["export"], ["import", "-"]):
        async with one_more_client(dsn):
            process = in_pipes(*words, dsn=dsn)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 20) == 130
        _, error = process.communicate()
        assert b"Traceback" not in error


def in_pipes(*words: str, dsn: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "EXECLOG_DSN": dsn},
    )


@contextlib.asynccontextmanager
async def one_more_client(dsn: str) -> AsyncIterator[None]:
    """Leaves when what the block has started is connected, and has had a moment since."""
    observer = await asyncpg.connect(dsn)

    async def clients() -> int:
        found: int = await observer.fetchval(f"select count(*) from {CLIENTS}")
        return found

    async def more() -> bool:
        return await clients() > before

    before = await clients()
    yield
    await until(more, 30)
    await observer.close()
    await asyncio.sleep(0.7)


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
        2: ("not json", "can't be read as JSON"),
        3: ("[1]", "is not a JSON object"),
        5: (exported() | {"durationMs": -1}, "duration_ms: should be greater than or equal to 0"),
        6: (exported() | {"\x1b[2Jextra": 1}, "\\x1b[2Jextra: is not a field of an execution"),
        7: (exported() | {"trace": ["\0"]}, "trace: holds a NUL character"),
        9: (exported() | {"nodesExecuted": 999}, "is refused by insert_"),
        10: ("[" * 100_000, "can't be read as JSON"),
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
    async with one_more_client(dsn):
        process = await asyncio.create_subprocess_exec(
            COMMAND, "import", "-",
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "EXECLOG_DSN": dsn},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(as_lines(*(exported() for _ in range(10))).encode())
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
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
    health = {field.alias for field in execlog.Health.model_fields.values()}
    assert dump.keys() == health | {"archive", "maintenance", "recorders", "rollups"}
    assert dump["missingMigrations"] == []
    assert dump["rollups"]["enabled"] is True


async def test_doctor_looks_at_the_rollups(dsn: str, pool: Pool) -> None:
    new = "are not made yet: all is read from rows"
    assert diagnosis(dsn, code=0)["rollups"].startswith(f"ok {new}")
    await execlog.migrate(pool, rollups=False)
    assert diagnosis(dsn, code=0)["rollups"] == "ok are switched off: all is read from rows"
    times = [datetime.now(UTC) - timedelta(hours=n) for n in range(3)]
    await StrategyExecutionLogRepository(pool).insert_rows(row(created_at=time) for time in times)
    await execlog.migrate(pool, rollups=True)
    assert diagnosis(dsn, code=0)["rollups"].startswith(f"ok {new}")
    # After an hour somebody should see to it.
    await pool.execute("update execlog.rollup_state set begun_at = now() - interval '2 hours'")
    found = diagnosis(dsn, code=1)["rollups"]
    assert found.startswith(f"!! {new}")
    assert "have a recorder maintain, or cron run `execlog maintain`" in found
    assert run("rollup", "rebuild", EXECLOG_DSN=dsn).returncode == 0
    await execlog.maintain(pool)  # the month may be younger than the runs
    assert diagnosis(dsn, code=0)["rollups"].startswith("ok hold the runs before ")
    await pool.execute(
        "insert into execlog.rollup_mark_of_all (begins, ends)"
        " values ('2026-01-01 12:00Z', '2026-01-01 13:00Z')"
    )
    assert "; 1 times are to be summed up again" in diagnosis(dsn, code=0)["rollups"]


async def test_doctor_finds_what_is_not_well(dsn: str, pool: Pool) -> None:
    assert "run `execlog maintain`" in diagnosis(dsn, "--ahead", "200d", code=1)["partitions"]
    await StrategyExecutionLogRepository(pool).insert_rows([row(created_at=LONG_AGO)])
    await pool.execute("delete from execlog.schema_migration where name = $1", LAST)
    found = diagnosis(dsn, code=1)
    assert found["DEFAULT"].startswith("!! rows that no partition covers: 1; without a time: 0 -> ")
    assert found["migrations"].endswith("-> run `execlog migrate`")
    assert LAST in found["migrations"]


def test_doctor_where_there_is_no_log(empty_dsn: str) -> None:
    missing = ", ".join(migration_names())
    assert diagnosis(empty_dsn, code=1) == {
        "migrations": f"!! missing: {missing} -> run `execlog migrate`"
    }
    away = diagnosis("postgresql://user:s3cret@127.0.0.1:1/db", code=1)
    assert away.keys() == {"server"}
    assert "can't be reached -> is it up?" in away["server"]
    assert "s3cret" not in away["server"]
    json_of_none = run("doctor", "--json", EXECLOG_DSN="postgresql://127.0.0.1:1/db")
    assert (json_of_none.returncode, json_of_none.stdout) == (1, "")
    assert "can't be reached" in json_of_none.stderr
    done = run("doctor", EXECLOG_DSN="nonsense")
    assert (done.returncode, done.stdout) == (2, "")


async def test_doctor_where_something_is_missing(dsn: str, pool: Pool) -> None:
    name = f"guest_{os.getpid()}_{time.time_ns()}"
    await pool.execute(f"create role {name} login password 'right'")
    try:
        await pool.execute(f"grant usage on schema execlog to {name}")
        await pool.execute(f"grant select on {TABLE} to {name}")
        guest = with_user(dsn, name)
        assert diagnosis(guest, code=1)["rights"].startswith("!! health: insufficient privilege")
        # The bar of an export asks for more than the export may need.
        await StrategyExecutionLogRepository(pool).insert_rows(ODD)
        said = on_terminal("export", dsn=guest, columns=80)
        assert said.count('{"id"') == len(ODD)
    finally:
        await pool.execute(f"drop owned by {name}")
        await pool.execute(f"drop role {name}")
    await pool.execute(f"alter table {TABLE} detach partition {TABLE}_default")
    assert diagnosis(dsn, code=1)["DEFAULT"].endswith(f"attach partition {TABLE}_default default")
    await pool.execute("drop table execlog.recorder_progress")
    assert diagnosis(dsn, code=1)["tables"].startswith("!! one is missing, though all ")
    await pool.execute("delete from execlog.schema_migration where name = $1", LAST)
    assert diagnosis(dsn, code=1)["migrations"].startswith(f"!! missing: {LAST}")


def with_user(dsn: str, name: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{name}:right@{parts.netloc.rpartition('@')[2]}").geturl()


def test_many_bad_lines(dsn: str) -> None:
    lines = [exported() | {"trace": ["\0"]} for _ in range(3000)]
    done = imported(as_lines(*lines, exported()), dsn, "--on-error", "skip")
    assert done.returncode == 0
    assert done.stderr.count("trace: holds a NUL character") == 3000
    assert "1 executions stored, 3,000 lines could not be stored" in done.stderr


async def test_many_rows_that_the_server_refuses(dsn: str, pool: Pool) -> None:
    await pool.execute(f"alter table {TABLE} add constraint few check (nodes_executed < 1)")
    lines = [exported(nodes_executed=n % 2) for n in range(400)]
    done = imported(as_lines(*lines), dsn, "--on-error", "skip")
    assert done.returncode == 0
    assert "200 executions stored, 200 lines could not be stored" in done.stderr


async def test_two_imports_of_the_same_rows_in_another_order(
    dsn: str, repository: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    lines = [json.dumps(exported()) for _ in range(12_000)]
    processes = []
    for n in range(2):
        file = tmp_path / f"{n}.jsonl"
        Random(n).shuffle(lines)
        file.write_text("\n".join(lines))
        processes.append(
            await asyncio.create_subprocess_exec(
                COMMAND, "import", file,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "EXECLOG_DSN": dsn},
            )
        )  # fmt: skip
    try:
        async with asyncio.timeout(50):
            said = [(await process.communicate())[1] for process in processes]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum((await repository.count_by_status(strategy_id=STRATEGY)).values()) == 12_000


async def test_a_database_of_bytes(template: str) -> None:
    """SQL_ASCII knows no characters, so that no escape can name one."""
    connection = await asyncpg.connect(template)
    name = f"ascii_{os.getpid()}"
    await connection.execute(
        f"create database {name} encoding 'SQL_ASCII' locale_provider libc locale 'C'"
        " template template0"
    )
    try:
        dsn = in_database(template, name)
        await execlog.migrate(dsn)
        text = as_lines(exported(notes="é", trace=["é"]))
        for stored in ("1 executions stored", "0 executions stored, 1 were there already"):
            assert imported(text, dsn).stderr == f"execlog: {stored}\n"
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


def test_what_is_no_file_of_lines(dsn: str) -> None:
    assert "zcat FILE" in in_shell(f"echo | gzip | {COMMAND} import -", dsn)[1]
    assert in_shell(f"{COMMAND} import - < /dev/null", dsn)[1] == "execlog: 0 executions stored\n"
    assert in_shell(f"{COMMAND} import - <&-", dsn)[1] == "execlog: 0 executions stored\n"


async def test_a_server_that_dies(tmp_path: Path) -> None:
    """What was stored till then, and one line, whatever the driver logs."""
    with EmbeddedPostgres() as server:
        await execlog.migrate(server.dsn)
        process = await asyncio.create_subprocess_exec(
            COMMAND, "import", "-",
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "EXECLOG_DSN": server.dsn},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(as_lines(*[exported() for _ in range(5000)]).encode())
        observer = await asyncpg.connect(server.dsn)
        stored = "select count(*) = 5000 from execlog.strategy_execution_log"
        await until(lambda: observer.fetchval(stored), 30)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGQUIT)
        await until(observer.is_closed, 30)
        async with asyncio.timeout(30):
            _, error = await process.communicate(as_lines(exported()).encode())
    assert process.returncode == 1
    assert len(error.splitlines()) == 2, error


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
