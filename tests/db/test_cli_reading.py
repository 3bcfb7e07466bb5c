"""The commands that read, as processes of their own, on stored executions that are not nice."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import pytest
from typer.testing import CliRunner

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli import app
from tests.command import COMMAND, run
from tests.rows import STRATEGY, row

# What would clear a terminal, turn its text, or be read as markup.
NASTY = "[red]x\x1b[2J\r\n\t\x7f\x9b1m\u202etxt"
SHOWN = "[red]x\\x1b[2J\\r\\n\\t\\x7f\\x9b1m\\u202etxt"
HEADER = "time strategy status code case version realm user points took id".split()
ESCAPED = "[red]x\\u001b[2J\r\n\t\x7f\\u009b1m\\u202etxt"


@pytest.fixture
async def rows(repository: StrategyExecutionLogRepository) -> list[StrategyExecutionLog]:
    """Nine ok runs and a failed one, newest last, a minute apart."""
    now = datetime.now(UTC)
    stored = [
        row(
            created_at=now - timedelta(minutes=10 - n),
            realm_id="acme",
            points=float(n),
            case_name=NASTY if n % 2 else None,
            duration_ms=10.0 * (n + 1),
            trace=[
                {"node": "rule-1", "ms": 0.25, "input": {"text": NASTY}, NASTY: 1},
                {"name": "zen", "performance": "314.1µs", "output": None},
                "bare",
            ],
        )
        for n in range(9)
    ]
    stored.append(
        row(
            created_at=now - timedelta(minutes=1),
            realm_id="acme",
            status="error",
            error_code=NASTY,
            duration_ms=500.0,
            notes=NASTY,
        )
    )
    await repository.insert_rows(stored)
    return stored


def lines(*words: str, dsn: str) -> list[list[str]]:
    """The cells of what a command prints into a pipe."""
    done = run(*words, EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return [line.split("\t") for line in done.stdout.splitlines()]


def on_terminal(
    *words: str,
    dsn: str,
    columns: int,
    into: IO[bytes] | None = None,
    code: int = 0,
    **environment: str,
) -> str:
    """What a command writes to a terminal of so many columns; its data `into` a file, if given."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *words],
        stdout=into or theirs,
        stderr=theirs,
        env={
            **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
            "EXECLOG_DSN": dsn,
            "COLUMNS": str(columns),
            "TERM": "xterm-256color",
            **environment,
        },
    )
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the terminal's other side has gone
            break
    os.close(ours)
    assert process.wait(20) == code
    return said.decode()


def test_failures(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    header, failed = lines("failures", "--realm", "acme", "--utc", dsn=dsn)
    assert header == HEADER
    time = rows[-1].created_at
    assert time is not None
    shown = time.isoformat(sep=" ", timespec="milliseconds")
    what = [STRATEGY, "error", SHOWN, "", "v3", "acme", "", "", "500.0 ms"]
    assert failed == [shown, *what, str(rows[-1].id)]
    assert run("failures", "--since", "30s", EXECLOG_DSN=dsn).stdout == ""
    local = lines("failures", dsn=dsn)[1][0]
    assert datetime.fromisoformat(local) == time.replace(
        microsecond=time.microsecond // 1000 * 1000
    )


def dumped(one: StrategyExecutionLog) -> dict[str, Any]:
    return one.model_dump(by_alias=True, mode="json", exclude={"stored_at"})


def arrived(dump: dict[str, Any]) -> dict[str, Any]:
    """Without the time of its arrival, which is now."""
    stored_at = datetime.fromisoformat(dump.pop("storedAt"))
    assert abs(datetime.now(UTC) - stored_at) < timedelta(minutes=5)
    return dump


def test_forms_of_output(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    dump = dumped(rows[-1])
    for words in (("-o", "json"), ("--json",)):
        [one] = json.loads(run("failures", *words, EXECLOG_DSN=dsn).stdout)
        assert arrived(one) == dump
    line = run("failures", "-o", "jsonl", EXECLOG_DSN=dsn).stdout
    assert arrived(json.loads(line)) == dump
    assert line.count("\n") == 1
    found = list(csv.DictReader(io.StringIO(run("failures", "-o", "csv", EXECLOG_DSN=dsn).stdout)))
    assert [(one["id"], one["errorCode"]) for one in found] == [
        (str(rows[-1].id), ESCAPED.replace("\r\n", "\n"))  # as text is read here
    ]


def test_tail(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    header, *found = lines("tail", STRATEGY, "-n", "3", dsn=dsn)
    assert header == HEADER
    assert [line[-1] for line in found] == [str(one.id) for one in rows[-3:]]
    failed = run("tail", STRATEGY, "--status", "error", "-o", "jsonl", EXECLOG_DSN=dsn)
    assert json.loads(failed.stdout)["id"] == str(rows[-1].id)
    everybody = lines("tail", "--status", "error", dsn=dsn)
    assert [line[1:3] for line in everybody[1:]] == [[STRATEGY, "error"]]
    nobody = run("tail", "nobody", EXECLOG_DSN=dsn)
    assert (nobody.returncode, len(nobody.stdout.splitlines())) == (0, 1)
    assert nobody.stderr == "execlog: no execution of nobody\n"
    assert run("tail", STRATEGY, "-f", "--json", EXECLOG_DSN=dsn).returncode == 2


@pytest.mark.parametrize(
    "of", [pytest.param([STRATEGY], id="one"), pytest.param([], id="all", marks=pytest.mark.long)]
)
async def test_following(
    dsn: str,
    rows: list[StrategyExecutionLog],
    repository: StrategyExecutionLogRepository,
    of: list[str],
) -> None:
    """Whatever is stored meanwhile is shown once, also what ended before what was shown already."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "tail", *of, "-f", "-n", "2",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "EXECLOG_DSN": dsn},
    )  # fmt: skip
    assert process.stdout is not None

    async def shown(count: int) -> set[str]:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            return {
                (await process.stdout.readline()).decode().rstrip("\n").rpartition("\t")[2]
                for _ in range(count)
            }

    try:
        assert await shown(3) == {"id", *(str(one.id) for one in rows[-2:])}
        now = datetime.now(UTC)
        fresh = [row(created_at=now + timedelta(milliseconds=n)) for n in range(450)]
        late = [row(created_at=now - timedelta(minutes=n)) for n in (2, 3)]
        ahead = row(created_at=now + timedelta(hours=1))
        for batch in ([ahead], fresh[:200], late, fresh[200:]):
            await repository.insert_rows(batch)
            await asyncio.sleep(0.4)
        undated = row(created_at=None)
        await repository.insert_rows([undated])
        assert await shown(454) == {str(one.id) for one in (*fresh, *late, ahead, undated)}
        process.send_signal(signal.SIGINT)
        out, error = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, out, b"Traceback" in error) == (130, b"", False)


def test_show(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    done = run("show", str(rows[1].id), EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:8])
    assert (facts["id"], facts["realm"]) == (str(rows[1].id), "acme")
    assert SHOWN in done.stdout
    assert "rule-1  0.25 ms" in done.stdout
    assert "zen  0.314 ms" in done.stdout
    dump = json.loads(run("show", str(rows[1].id), "--json", EXECLOG_DSN=dsn).stdout)
    assert arrived(dump) == dumped(rows[1])


async def test_show_what_surrounded_a_run(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    """The distributed trace, the reason, the caller's attributes, the input; terminals are safe."""
    one = row(
        status="error",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        error_message="out of coins\x1b[2J",
        attributes={"region": "north\u202e", "tries": 3, "again": True},
        input={"user": {"id": 7, "tags": ["a", "b"]}, "text\u202e": "\x1b[31m", "orders": [[1.50]]},
    )
    large = row(input=["x" * 30_000])
    await repository.insert_rows([one, large])
    shown = run("show", str(one.id), "--utc", EXECLOG_DSN=dsn).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    facts = dict(line.split(maxsplit=1) for line in shown.splitlines() if " " in line.strip())
    assert facts["message"] == r"out of coins\x1b[2J"
    assert "trace id  4bf92f3577b34da6a3ce929d0e0e4736" in shown
    assert datetime.fromisoformat(facts["stored"]) <= datetime.now(UTC)
    for line in (r"── region: north\u202e", "├── tries: 3", "├── again: true"):
        assert line in shown
    for line in ("input", r'    "text\u202e": "\u001b[31m"', '      "tags": ["a", "b"]'):
        assert {line, f"{line},"} & set(shown.splitlines()), line
    cut = run("show", str(large.id), EXECLOG_DSN=dsn).stdout
    assert ("x" * 19_998 in cut, "x" * 19_999 in cut) == (True, False)
    assert "and 10,004 more characters: --json has them all" in cut


async def test_show_odd_numbers(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    odd = row(
        created_at=datetime.max.replace(tzinfo=UTC),
        duration_ms=1e300,
        points=-1e300,
        sample_rate=5e-324,
        trace=[{"node": "n", "ms": 10**400}, {"node": "m", "performance": "9" * 500 + "ms"}],
    )
    await repository.insert_row(odd)
    for words in (("show", str(odd.id)), ("summary", STRATEGY), ("top",), ("tail", STRATEGY)):
        done = run(*words, EXECLOG_DSN=dsn)
        assert (done.returncode, done.stderr) == (0, "")
        assert "1e+297 s" in done.stdout


async def test_show_a_large_trace(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    large = row(trace=[{"node": f"n{n}", "input": "x" * 1000} for n in range(1000)])
    await repository.insert_row(large)
    done = run("show", str(large.id), EXECLOG_DSN=dsn)
    assert done.returncode == 0
    assert done.stdout.count("x" * 1000) == 1000


def test_show_what_is_not_there(dsn: str) -> None:
    done = run("show", str(row().id), EXECLOG_DSN=dsn)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "execlog: no execution has this id\n"
    done = run("show", "nonsense", EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (2, "execlog: id: is not a UUID\n")


async def test_summary(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    done = run("summary", STRATEGY, EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 runs stored, of 10; 90.00 % ok, 10.00 % failed" in done.stdout
    assert "duration (exact, 10 runs)" in done.stdout
    assert SHOWN in done.stdout
    assert "(no rule matched)" in done.stdout
    assert not any(line != line.rstrip() for line in done.stdout.splitlines())
    card = await repository.metrics(strategy_id=STRATEGY)
    dump = run("summary", STRATEGY, "--json", EXECLOG_DSN=dsn).stdout
    assert json.loads(dump) == card.model_dump(by_alias=True, mode="json")


@pytest.mark.parametrize("command", ["summary", "timeline"])
def test_a_strategy_that_nobody_knows(dsn: str, command: str) -> None:
    done = run(command, "nobody", EXECLOG_DSN=dsn)
    assert done.returncode == 0
    assert "nobody" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_timeline(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    header, *buckets = lines("timeline", STRATEGY, "--since", "1h", "--bucket", "5m", dsn=dsn)
    assert header == ["from", "runs", "not ok", "p95", ""]
    assert sum(int(bucket[1]) for bucket in buckets) == 10
    assert [int(bucket[2]) for bucket in buckets if int(bucket[1])][-1] == 1
    assert all(bool(int(bucket[1])) == bool(bucket[4]) for bucket in buckets)


def test_top(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    _, first = lines("top", "--realm", "acme", "--by", "failures", dsn=dsn)
    assert first[:4] == [STRATEGY, "10", "1", "10.00 %"]
    assert run("top", "--realm", "none", EXECLOG_DSN=dsn).stdout == ""


async def test_compare(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows([row(strategy_id="b", points=1.0)])
    verdicts = {fact[0]: fact[-1] for fact in lines("compare", STRATEGY, "b", dsn=dsn)}
    assert verdicts == {
        "": "Verdict",
        "runs": "",
        "ok": "too few runs (1 run in B)",
        "error rate": "too few runs (1 run in B)",
        "other": "the same",
        "p50": "",
        "p95": "too few runs (1 run in B)",
        "p99": "",
        "average": "too few runs (1 run in B)",
        "points per run": "too few runs (1 run in B)",
    }
    back = {fact[0]: fact for fact in lines("compare", "b", STRATEGY, dsn=dsn)}
    assert back["p95"][3].startswith("+")
    assert back["p95"][4] == "too few runs (1 run in A)"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--versions, --realms or --window"),
        (("--window", "1d..now"), "is given twice or not at all"),
        (("--window", "2d..1d", "--window", "1d..now", "--since", "1d"), "is not for --since"),
        (("--window", "yesterday", "--window", "1d..now"), "is no window such as 7d..1d"),
        (("--versions", "3", "four"), "integer"),
    ],
)
def test_what_a_comparison_needs(words: tuple[str, ...], says: str, dsn: str) -> None:
    found = run("compare", STRATEGY, *words, EXECLOG_DSN=dsn)
    assert found.returncode == 2
    assert says in " ".join(found.stderr.replace("\u2502", " ").split())


async def test_what_can_not_be_compared(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    """Nothing is better for not having run, for noise, or for failing in a way of its own."""
    nobody = run("compare", STRATEGY, "nobody", EXECLOG_DSN=dsn)
    assert not re.search("better|worse", nobody.stdout)
    assert "no execution of nobody" in nobody.stderr
    await repository.insert_rows(
        [
            *(row(strategy_id="crash", status="crash") for _ in range(5)),
            *(row(strategy_id="c", status="error", sample_rate=0.1) for _ in range(3)),
            *(row(strategy_id="c", sample_rate=0.1) for _ in range(27)),
            *(row(strategy_id="d", status="error" if n else "ok", sample_rate=0.3) for n in (1,)),
            *(row(strategy_id="d", sample_rate=0.3) for _ in range(9)),
        ]
    )
    crash = {fact[0]: fact[-1] for fact in lines("compare", STRATEGY, "crash", dsn=dsn)}
    assert (crash["ok"], crash["other"]) == ("too few runs (5 runs in B)", "")
    noise = {fact[0]: fact[-1] for fact in lines("compare", "c", "d", dsn=dsn)}
    assert (noise["ok"], noise["error rate"]) == ("the same", "the same")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("failures", "--since", "yesterday"), "15m, 2h30m, 1d"),
        (("failures", "--since", "1000000d"), "lies outside the calendar"),
        (("timeline", "s", "--bucket", "5"), "250ms, 15m"),
        (("check", "s"), "nothing to check"),
        (("check", "s", "--max-error-rate", "200%"), "no share such as 1%"),
        (("top", "--by", "p50"), "p99"),
        (("failures", "-n", "0"), "--limit"),
        (("sql", "nope"), "list_failures"),
        (("sql", "metrics", "--explain"), "takes strategy_id (text), since (timestamptz, may be"),
        (("sql", "metrics", "--explain", "strategy=s"), "no parameter strategy: metrics takes"),
        (("sql", "get", "--explain", "id=7"), "'7' is no uuid"),
        (("sql", "health", "--explain", "now=7"), "health takes none"),
        (("sql", "insert_rows", "--explain"), "is a COPY"),
        (("sql", "insert_missing", "--analyze", "rows=[]"), "would store rows"),
        (("sql", "erase", "--analyze"), "would store rows, or change them"),
        (("sql", "get", "id=7"), "'7' is no uuid"),
        (("sql", "metrics", "sample"), "no parameter sample: metrics takes"),
        (
            ("sql", "list_newest", "before_id=00000000-0000-0000-0000-000000000000"),
            "does not use before_id",
        ),
        (("import", "no such file"), "no such file"),
        (("import", "."), "Is a directory"),
        (("export", "-o", "json"), "jsonl"),
        (("doctor", "--ahead", "soon"), "250ms, 15m"),
        (("summary",), "STRATEGY"),
    ],
)
def test_wrong_usage_is_explained(words: tuple[str, ...], says: str) -> None:
    done = run(*words, EXECLOG_DSN="postgresql://127.0.0.1:1/", COLUMNS="200")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())


def test_a_window_that_is_turned_around(dsn: str) -> None:
    done = run("failures", "--since", "1h", "--until", "2h", EXECLOG_DSN=dsn)
    assert (done.returncode, done.stderr) == (2, "execlog: since: is later than until\n")


@pytest.mark.parametrize(
    "words", [("show", "01234567-89ab-7def-8123-456789abcdef"), ("compare", "a", "b")]
)
def test_a_server_that_is_away_or_not_migrated(words: tuple[str, ...], empty_dsn: str) -> None:
    away = run(*words, EXECLOG_DSN="postgresql://user:s3cret@127.0.0.1:1/db")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("execlog: connect: the server can't be reached (--dsn, ")
    assert len(away.stderr.splitlines()) == 1
    bare = run(*words, EXECLOG_DSN=empty_dsn)
    assert (bare.returncode, bare.stdout) == (1, "")
    assert "run `execlog migrate`" in bare.stderr
    assert len(bare.stderr.splitlines()) == 1


@pytest.mark.long
def test_a_narrow_and_a_wide_terminal(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    wide = on_terminal("failures", dsn=dsn, columns=200)
    assert re.search(r"\x1b\[31merror *\x1b\[0m", wide)
    assert any("time" in line and "strategy" in line for line in wide.splitlines())
    narrow = on_terminal("failures", dsn=dsn, columns=40, NO_COLOR="1")
    header, rule, failed, note = narrow.splitlines()
    assert max(map(len, (header, rule, failed, note))) <= 40
    assert str(rows[-1].id).startswith(failed.split()[-1])
    assert "\x1b" not in narrow
    card = on_terminal("summary", STRATEGY, dsn=dsn, columns=40)
    card = re.sub(r"\x1b\[\d+m", "", card)
    assert max(len(line) for line in card.splitlines() if "█" in line) <= 41
    dump = on_terminal("show", str(rows[1].id), "--json", dsn=dsn, columns=40)
    told = json.loads(dump)
    stored = told["storedAt"]
    assert told == {**rows[1].model_dump(by_alias=True, mode="json"), "storedAt": stored}
    assert not re.search("[\x1b\x7f\x9b\u202e]", dump)
    table = on_terminal("failures", "-o", "csv", dsn=dsn, columns=40)
    assert not re.search("[\x1b\x7f\x9b\u202e]", table)


@pytest.mark.long
def test_the_local_zone_and_an_encoding_that_lacks_much(
    dsn: str, rows: list[StrategyExecutionLog]
) -> None:
    tokyo = run("failures", EXECLOG_DSN=dsn, TZ="Asia/Tokyo").stdout
    assert tokyo.splitlines()[1].split("\t")[0].endswith("+09:00")
    for words in (("summary", STRATEGY), ("show", str(rows[1].id)), ("failures",)):
        done = run(*words, EXECLOG_DSN=dsn, PYTHONIOENCODING="ascii", LC_ALL="C")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()


async def test_a_reader_that_leaves(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    large = row(trace=[{"node": f"n{n}", "input": "x" * 1000} for n in range(1000)])
    await repository.insert_row(large)
    said, error = in_shell(f"{COMMAND} show {large.id} | head -1; echo ${{PIPESTATUS[0]}}", dsn)
    assert (error, said.splitlines()[1:]) == ("", ["1"])


def in_shell(line: str, dsn: str) -> tuple[str, str]:
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        env={**os.environ, "EXECLOG_DSN": dsn},
        timeout=60,
    )
    return done.stdout, done.stderr


@pytest.mark.long
async def test_the_shell_completes_strategies(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    """Only names that a shell takes for nothing else."""
    words = {"_EXECLOG_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    begun = run(EXECLOG_DSN=dsn, COMP_WORDS=f"execlog summary {STRATEGY[:2]}", **words)
    assert begun.stdout.split() == [STRATEGY]
    names = ["ab;touch${IFS}x", "ab$(x)", "ab*", "ab\\", "ab c", "-ab", "ab.v-2"]
    await repository.insert_rows(row(strategy_id=name) for name in names)
    begun = run(EXECLOG_DSN=dsn, COMP_WORDS="execlog summary a", **words)
    assert begun.stdout.split() == ["ab.v-2"]
    away = "postgresql://127.0.0.1:1/"
    assert run(EXECLOG_DSN=away, COMP_WORDS="execlog summary ", **words).stdout.strip() == ""


def test_the_statements() -> None:
    assert "list_failures\tThe newest failed runs" in run("sql").stdout
    assert run("sql", "metrics").stdout.startswith("-- The card of one strategy")
    whole = run("sql", "count_by_status").stdout
    assert "and created_at >= $2::timestamptz  -- if since" in whole
    shape = run("sql", "count_by_status", "until=2020-01-01").stdout
    assert "and created_at <= $2::timestamptz\n" in shape
    assert "since" not in shape


def test_every_help_has_an_example() -> None:
    for found in app.registered_commands:
        assert found.callback is not None
        name = found.name
        assert name is not None
        shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
        assert (shown.exit_code, f"Example: execlog {name}" in shown.stdout) == (0, True)
