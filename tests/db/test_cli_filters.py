"""The filters on the command line: what they leave, what is said if nothing is left."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import typer

from execlog import StrategyExecutionLogRepository
from execlog.cli.filters import _OPTIONS, filtered
from execlog.repository.filters import Filters
from tests.command import run
from tests.rows import row

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
ROWS = [
    row(
        created_at=NOW - n * MINUTE - (timedelta(days=3) if n == 9 else timedelta()),
        strategy_id="loyalty" if n % 2 else "second",
        strategy_version=1 + n % 2,
        realm_id="acme" if n < 8 else "globex",
        status="ok" if n % 3 else "error",
        error_code=None if n % 3 else "E1",
        case_name=None if n == 4 else f"case {n}",
        external_user_id=f"u{n % 4}",
        external_game_id=f"g{n}",
        trace_id=UUID(int=n + 1),
        attributes={"plan": "gold" if n % 2 else "free", "size": n},
        duration_ms=float(n),
        nodes_executed=n,
        trace=[{"node": f"n{n}"}],
        id=UUID(int=n + 1),
    )
    for n in range(10)
]


@pytest.fixture
async def server(repository: StrategyExecutionLogRepository, dsn: str) -> str:
    await repository.insert_rows(ROWS)
    return dsn


def found(*arguments: str) -> list[int]:
    """The numbers of the rows that a command prints, and that nothing was said."""
    done = run(*arguments, "-o", "jsonl")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [UUID(json.loads(line)["id"]).int - 1 for line in done.stdout.splitlines()]


async def test_filters_of_a_list(server: str) -> None:
    at = ("--dsn", server)
    assert found("tail", "loyalty", "--status", "failed", *at) == [9, 3]
    assert found("tail", "--status", "ok", "--user", "u1", "--user", "u2", *at) == [5, 2, 1]
    assert found("tail", "--attr", "size=5", "--attr", "plan=gold", "--since", "4d", *at) == [5]
    assert found("failures", "--realm", "acme", *at) == [0, 3, 6]
    assert found("failures", "--max-nodes", "0", "--max-ms", "0", *at) == [0]


@pytest.mark.long
async def test_each_option_leaves_out_what_it_says(server: str) -> None:
    at = ("--dsn", server)
    assert found("tail", *at) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    since = ("--since", "4d", *at)
    assert found("tail", "--realm", "globex", *since) == [9, 8]
    assert found("tail", "--version", "2", "--min-ms", "5", *since) == [9, 7, 5]
    assert found("tail", "--no-case", *since) == [4]
    assert found("tail", "--case", "case 1", "--case", "case 2", *since) == [2, 1]
    assert found("tail", "--game", "g3", "--code", "E1", "--type", "DSL_FULL", *since) == [3]
    assert found("tail", "--trace-id", f"{4:032x}", *since) == [3]
    assert found("tail", "--min-nodes", "7", "--max-nodes", "8", "--max-ms", "7", *since) == [7]
    assert found("tail", "--until", "2d", *at) == [9]
    assert found("failures", "--attr", "plan=gold", *at) == [3, 9]


async def test_export_takes_them_without_a_window(server: str) -> None:
    done = run("export", "--realm", "globex", "--no-case", "--dsn", server)
    assert (done.returncode, done.stdout) == (0, "")
    done = run("export", "--realm", "globex", "-o", "csv", "--dsn", server)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [one["externalGameId"] for one in rows] == ["g8", "g9"]
    assert done.stderr == "execlog: 2 executions exported\n"


async def test_what_no_index_finds_is_searched_in_the_last_day(server: str) -> None:
    done = run("tail", "--realm", "globex", "--dsn", server)
    _, only = done.stdout.splitlines()
    assert "\tcase 8\t" in only
    assert done.stderr == (
        "execlog: the last day is searched, since no index finds these; --since goes back further\n"
    )
    for arguments in (("loyalty", "--attr", "size=9"), ("--user", "u1", "--game", "g9")):
        done = run("tail", *arguments, "--dsn", server)
        assert "case 9" in done.stdout
        assert done.stderr == ""


async def test_what_the_window_does_not_hold_is_named(server: str) -> None:
    at = ("--dsn", server)
    done = run("tail", "loyalty", "--realm", "acme", "--realm", "typo", "--version", "7", *at)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stderr == (
        "execlog: no execution of loyalty passes these filters;"
        " the log has no --realm typo, no --version 7\n"
    )
    done = run("tail", "second", "--status", "limit", "--code", "E\x1b", "--since", "1d", *at)
    assert done.stderr.endswith("; in this time there is no --code E\\x1b, no --status limit\n")
    # Each occurs, but not together.
    done = run("tail", "loyalty", "--version", "1", *at)
    assert done.stderr == "execlog: no execution of loyalty passes these filters\n"
    done = run("failures", "--case", "none such", *at)
    assert done.stderr == "execlog: nothing failed; the log has no --case none such\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tail", "--attr", "plan"), "KEY=VALUE"),
        (("tail", "--attr", "a=1", "--attr", "a=2"), "has a key twice"),
        (("tail", "--case", "a", "--no-case"), "no_case: "),
        (("failures", "--min-ms", "2", "--max-ms", "1"), "min_duration_ms: is above"),
        (("export", "--trace-id", "7"), "trace_id: "),
        (("export", "--version", "x"), "--version"),
        (("tail", "-f", "--until", "1h"), "--until"),
    ],
)
async def test_what_is_wrong(server: str, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, "--dsn", server)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in re.sub(r"\s+", " ", done.stderr)


def test_the_options_are_filters() -> None:
    assert _OPTIONS.keys() <= Filters.__annotations__.keys()

    def plain(dsn: str) -> None:
        raise typer.Exit

    with pytest.raises(KeyError):
        filtered(plain)
