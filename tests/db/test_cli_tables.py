"""Tables on a real terminal: one line a row, whatever its width; and what their short ids find."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.cells import cell_len

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests.command import COMMAND, run
from tests.db.test_cli_reading import HEADER, on_terminal
from tests.rows import row

BEGAN = datetime(2020, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
# Of one millisecond, of two that are next to each other, and of another strategy with the same id.
IDS = [
    UUID("0170964c-6f7a-7000-8000-000000000001"),
    UUID("0170964c-6f7a-7001-8000-000000000002"),
    UUID("0170964c-6f7b-7000-8000-000000000003"),
]


@pytest.fixture
async def rows(repository: StrategyExecutionLogRepository) -> list[StrategyExecutionLog]:
    stored = [
        row(
            id=IDS[0],
            created_at=BEGAN,
            strategy_id="loyalty-of-the-north",
            realm_id="acme",
            external_user_id="user-000000000000000000000001",
            points=12.5,
            case_name="gold",
            trace=[{"node": "a"}],
        ),
        row(
            id=IDS[1],
            created_at=BEGAN + timedelta(milliseconds=1),
            strategy_id="ポイント",
            strategy_version=12,
            status="error",
            error_code="NodeError",
            realm_id="a realm with a long name",
            external_user_id="u2",
            duration_ms=105.4,
        ),
        row(
            id=IDS[2],
            created_at=BEGAN + timedelta(days=1),
            strategy_id="loyalty-of-the-north",
            strategy_version=4,
            status="timeout",
            error_code="TimeoutExceeded",
            realm_id="acme",
            duration_ms=5003.0,
        ),
    ]
    await repository.insert_rows(stored)
    return stored


def table(*words: str, dsn: str, columns: int) -> str:
    """What a command shows on a terminal; no line is too wide."""
    said = on_terminal(*words, "--utc", dsn=dsn, columns=columns, NO_COLOR="1")
    text = said.replace("\r\n", "\n")
    assert "\r" not in text
    assert max(map(cell_len, text.splitlines())) <= columns
    return text


SNAPSHOTS = {
    ("failures", 80): """\
time (UTC)           strategy            status   code             id
────────────────────────────────────────────────────────────────────────────────
2020-03-02 12:00:00  loyalty-of-the-no…  timeout  TimeoutExceeded  0170964c-6f7b
2020-03-01 12:00:00  ポイント            error    NodeError        0170964c-6f7a
execlog: --wide adds version, realm, user, took; cut: strategy
""",
    ("tail", 80): """\
time (UTC)           strategy        status   code            id
────────────────────────────────────────────────────────────────────────────────
2020-03-01 12:00:00  loyalty-of-th…  ok                       0170964c-6f7a-7000
2020-03-01 12:00:00  ポイント        error    NodeError       0170964c-6f7a-7001
2020-03-02 12:00:00  loyalty-of-th…  timeout  TimeoutExceed…  0170964c-6f7b-7000
execlog: --wide adds case, version, realm, user, points, took; cut: strategy,...
""",
    ("top", 80): """\
strategy              runs  not ok  error rate       p95       p99
──────────────────────────────────────────────────────────────────
loyalty-of-the-north     2       1     50.00 %    4.75 s    4.95 s
ポイント                 1       1    100.00 %  105.4 ms  105.4 ms
execlog: --wide adds avg, p50, last
""",
    ("failures", 100): """\
time (UTC)           strategy        status   code        version  realm         took  id
────────────────────────────────────────────────────────────────────────────────────────────────────
2020-03-02 12:00:00  loyalty-of-th…  timeout  TimeoutEx…  v4       acme        5.00 s  0170964c-6f7b
2020-03-01 12:00:00  ポイント        error    NodeError   v12      a realm…  105.4 ms  0170964c-6f7a
execlog: --wide adds user; cut: strategy, code, realm
""",
    ("tail", 100): """\
time (UTC)           strategy        status   code         version  realm         id
────────────────────────────────────────────────────────────────────────────────────────────────────
2020-03-01 12:00:00  loyalty-of-th…  ok                    v3       acme          0170964c-6f7a-7000
2020-03-01 12:00:00  ポイント        error    NodeError    v12      a realm wit…  0170964c-6f7a-7001
2020-03-02 12:00:00  loyalty-of-th…  timeout  TimeoutExc…  v4       acme          0170964c-6f7b-7000
execlog: --wide adds case, user, points, took; cut: strategy, code, realm
""",
    ("top", 100): """\
strategy              runs  not ok  error rate       p50       p95       p99  last (UTC)
─────────────────────────────────────────────────────────────────────────────────────────────────
loyalty-of-the-north     2       1     50.00 %    2.50 s    4.75 s    4.95 s  2020-03-02 12:00:00
ポイント                 1       1    100.00 %  105.4 ms  105.4 ms  105.4 ms  2020-03-01 12:00:00
execlog: --wide adds avg
""",
}


@pytest.mark.parametrize("command", ["failures", "tail", "top"])
@pytest.mark.parametrize("columns", [80, pytest.param(100, marks=pytest.mark.long)])
def test_each_row_is_one_line(
    dsn: str, rows: list[StrategyExecutionLog], command: str, columns: int
) -> None:
    assert table(command, dsn=dsn, columns=columns) == SNAPSHOTS[command, columns]


@pytest.mark.long
@pytest.mark.parametrize("columns", [20, 60, 200])
async def test_any_width(dsn: str, rows: list[StrategyExecutionLog], columns: int) -> None:
    window = ("--since", "2020-03-01T12:00Z", "--until", "2020-03-03T00:00Z")
    commands = (
        ("failures",),
        ("tail",),
        ("top",),
        ("timeline", rows[0].strategy_id, *window),
        ("compare", rows[0].strategy_id, rows[1].strategy_id),
        ("sql",),
    )
    for name, *words in commands:
        utc = [] if name in ("compare", "sql") else ["--utc"]
        said = on_terminal(name, *words, *utc, dsn=dsn, columns=columns, NO_COLOR="1")
        assert max(map(cell_len, said.splitlines())) <= columns, name
        assert ("--wide" in said) <= (columns < 200), name


def test_wide_shows_everything(dsn: str, rows: list[StrategyExecutionLog]) -> None:
    said = on_terminal("failures", "--wide", "--utc", dsn=dsn, columns=80, NO_COLOR="1")
    header, _, *lines = said.splitlines()
    assert header.split() == HEADER
    for one, line in zip(rows[:0:-1], lines, strict=True):
        assert line.endswith(str(one.id))
        assert one.strategy_id in line and str(one.realm_id) in line
        assert one.created_at is not None
        assert line.startswith(one.created_at.isoformat(sep=" ", timespec="milliseconds"))


@pytest.mark.long
async def test_following_stays_in_line(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND, "tail", "-f", "-n", "1",
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "EXECLOG_DSN": dsn, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(theirs)
    said = ""

    async def told(lines: int) -> None:
        nonlocal said
        async with asyncio.timeout(20):
            while said.count("\n") < lines:
                said += (await asyncio.to_thread(os.read, ours, 65536)).decode()

    try:
        await told(4)
        later = row(strategy_id="x" * 200, status="error", error_code="E" * 200)
        await repository.insert_rows([later])
        await told(5)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 130
    finally:
        if process.returncode is None:
            process.kill()
        os.close(ours)
    note, header, _, *lines = said.splitlines()[:5]
    assert note.startswith("execlog: --wide adds ")
    assert max(map(len, (note, header, *lines))) <= 80
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} ", lines[-1])
    assert "xxx… " in lines[-1] and "EEE… " in lines[-1]
    assert str(later.id).startswith(lines[-1][header.index("id") :].strip())


async def test_a_short_id_finds_its_run(
    dsn: str, rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    for one, short in zip(
        rows, ("0170964C-6F7A-7000", "0170964c-6f7a-7001", "0170964c6f7b"), strict=True
    ):
        found = run("show", short, "-o", "jsonl", EXECLOG_DSN=dsn)
        assert (found.returncode, found.stderr) == (0, "")
        assert StrategyExecutionLog.model_validate_json(found.stdout) == one
    several = run("show", "0170964c-6f7a", EXECLOG_DSN=dsn)
    assert several.returncode == 1
    assert several.stderr == "execlog: 2 executions have an id that begins like this\n"
    assert [line.split("\t")[-1] for line in several.stdout.splitlines()[1:]] == [
        str(one) for one in IDS[:2]
    ]
    of_one = run("show", "0170964c-6f7a", "--strategy", "ポイント", "--json", EXECLOG_DSN=dsn)
    assert (of_one.returncode, str(IDS[1]) in of_one.stdout) == (0, True)
    data = run("show", "0170964c", "-o", "jsonl", EXECLOG_DSN=dsn)
    assert (data.returncode, data.stdout) == (1, "")
    none = run("show", "0170964d", EXECLOG_DSN=dsn)
    assert (none.returncode, none.stderr) == (4, "execlog: no execution has this id\n")
    least = run("show", "0170964", EXECLOG_DSN=dsn)
    assert (least.returncode, least.stderr) == (
        2,
        "execlog: id: has fewer than 8 digits of a UUID\n",
    )
    # An id is of one strategy and time; of several, the newest is shown, as for the whole id.
    await repository.insert_rows([row(id=IDS[2], created_at=None, strategy_id="another")])
    both = run("show", "0170964c-6f7b", "--json", EXECLOG_DSN=dsn)
    assert both.returncode == 0
    assert StrategyExecutionLog.model_validate_json(both.stdout) == rows[2]


async def test_the_order_and_the_limit_of_ids_that_begin_alike(
    rows: list[StrategyExecutionLog], repository: StrategyExecutionLogRepository
) -> None:
    again = row(id=IDS[0], created_at=BEGAN, strategy_id="a", trace=["b"])
    await repository.insert_rows([again])
    alike = [again, *rows]
    assert await repository.list_by_prefix(prefix="0170964c") == alike
    assert await repository.list_by_prefix(prefix="0170964c-6f7a-7", limit=2) == alike[:2]
    assert await repository.list_by_prefix(prefix=str(IDS[2]).upper()) == rows[2:]
    assert await repository.list_by_prefix(prefix="0170964c", strategy_id="a") == [again]
    [bare] = await repository.list_by_prefix(prefix="0170964c", strategy_id="a", payloads=False)
    assert bare == again.model_copy(update={"trace": None})
