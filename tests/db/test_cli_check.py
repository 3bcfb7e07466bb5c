"""`execlog check`: which limits are exceeded, by which strategies, and what it exits with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from tests import databases
from tests.command import run
from tests.rows import row

MINUTE = timedelta(minutes=1)


def runs(strategy: str, count: int, failed: int = 0, **more: Any) -> list[StrategyExecutionLog]:
    """So many runs of half a minute ago, some of which end with an error, or another status."""
    status = more.pop("status", "error")
    end = datetime.now(UTC) - more.pop("ago", MINUTE / 2)
    return [
        row(
            strategy_id=strategy,
            created_at=end - timedelta(milliseconds=n),
            status=status if n < failed else "ok",
            **{"duration_ms": 10.0, "realm_id": "acme", **more},
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
async def filled(template: str) -> AsyncIterator[str]:
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool,
    ):
        await StrategyExecutionLogRepository(pool).insert_rows(
            [
                *runs("fine", 200, 1),
                *runs("bad", 100, 10),
                *runs("crash", 40, 40, status="crash"),
                *runs("slow", 50, duration_ms=900.0),
                *runs("few", 3, 3),
                *runs("gone", 30, ago=20 * MINUTE),
                *runs("late", 30, ago=10 * MINUTE),
                *runs("sampled", 20, sample_rate=0.05),
                *runs("sampled", 20, 20),
                *runs("versions", 50, strategy_version=1, realm_id="globex"),
                *runs("versions", 50, 25, strategy_version=2, realm_id="globex"),
                *runs("games", 40, 20, external_game_id="chess", realm_id="games"),
                *runs(
                    "games",
                    40,
                    external_game_id="go",
                    realm_id="games",
                    attributes={"channel": "web"},
                ),
                # A strategy that would be told from others only by what a terminal must not see.
                *runs("\x1b[2J", 10, 1, realm_id="odd\n"),
            ]
        )
        yield dsn


def checked(dsn: str, *words: str) -> tuple[int, list[str]]:
    done = run("check", *words, EXECLOG_DSN=dsn)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("fine --max-failed 1%", 0, "error rate 0.50 %, failed 0.50 %, p99 10.0 ms  (200 runs)"),
        ("bad --max-error-rate 10%", 0, "ok: error rate 10.00 %, failed 10.00 %"),
        ("bad --max-error-rate 9.9999%", 3, "error rate 10 % > 9.9999 %  (100 runs)"),
        ("bad --max-error-rate 0.09 --max-p99 5ms", 3, "10.00 % > 9 %, p99 10.0 ms > 5 ms"),
        ("crash --max-error-rate 1%", 0, "ok: error rate 0.00 %, failed 100.00 %"),
        ("crash --max-failed 2%", 3, "failed 100.00 % > 2 %  (40 runs)"),
        ("sampled --max-failed 5%", 0, "ok: error rate 4.76 %, failed 4.76 %"),
        ("slow --max-p99 250ms", 3, "p99 900.0 ms > 250.0 ms  (50 runs)"),
        ("few --max-failed 1% --min-runs 20", 0, "fewer than 20 runs: no verdict on rates"),
        ("few --max-failed 1% --min-runs 3", 3, "failed 100.00 % > 1 %  (3 runs)"),
        ("late --max-silence 5m", 3, "nothing ran for 5m  (30 runs)"),
        ("late --max-silence 14m", 0, "ok: error rate 0.00 %"),
        ("versions --version 1 --max-failed 1%", 0, "ok: error rate 0.00 %"),
        ("versions --version 2 --realm globex --max-failed 1%", 3, "failed 50.00 % > 1 %"),
        ("--realm globex --max-failed 20%", 3, "failed 25.00 % > 20 %  (100 runs)"),
        ("--realm globex --version 2 --max-failed 50%", 0, "failed 50.00 %"),
        ("--max-silence 5m", 0, "ok: error rate "),
        ("--realm nowhere --max-silence 1m", 3, "nothing ran for 1m  (0 runs)"),
        ("--each --realm nowhere --max-silence 1m", 3, "nothing ran for 1m  (0 runs)"),
    ],
)  # fmt: skip
def test_one_verdict(filled: str, words: str, code: int, says: str) -> None:
    found, lines = checked(filled, *words.split(), "--since", "15m")
    assert (found, len(lines)) == (code, 1)
    assert says in lines[0]
    first = words.split()[0]
    assert lines[0].startswith("all strategies" if first.startswith("--") else first)


def test_by_filters_that_no_card_takes(filled: str) -> None:
    """Of one strategy, or of each that has such runs."""
    code, [said] = checked(filled, "games", "--max-failed", "20%", "--game", "chess")
    assert (code, said) == (3, "games, filtered  failed 50.00 % > 20 %  (40 runs)")
    code, [said] = checked(filled, "games", "--max-failed", "20%", "--attr", "channel=web")
    assert (code, said.startswith("games, filtered  ok: error rate 0.00 %")) == (0, True)
    code, found = checked(
        filled, "--each", "--max-p99", "1s", "--max-silence", "5m", "--game", "go"
    )
    assert (code, [one.partition("  ")[0] for one in found]) == (0, ["games"])
    code, [said] = checked(filled, "games", "--max-silence", "5m", "--game", "hex")
    assert (code, said) == (3, "games, filtered  nothing ran for 5m  (0 runs)")
    done = run("check", "--max-failed", "1%", "--game", "go", EXECLOG_DSN=filled)
    assert (done.returncode, "name one or give --each" in done.stderr) == (2, True)


def test_what_never_ran(filled: str) -> None:
    done = run("check", "typo", "--max-p99", "1ms", "--max-failed", "1%", EXECLOG_DSN=filled)
    assert (done.returncode, done.stdout) == (
        0,
        "typo  no runs, no verdict  (0 runs)\n",
    )
    assert "no execution of typo" in done.stderr
    done = run("check", "typo", "--max-silence", "1h30m", EXECLOG_DSN=filled)
    assert (done.returncode, done.stdout[:30]) == (3, "typo  nothing ran for 1h30m  (")


def test_each_strategy_the_worst_first(filled: str) -> None:
    words = ["--each", "--realm", "acme", "--max-failed", "2%", "--max-p99", "250ms"]
    code, lines = checked(filled, *words, "--min-runs", "20", "--max-silence", "5m")
    assert (code, [line.split()[0] for line in lines]) == (
        3,
        ["gone", "late", "crash", "bad", "slow", "sampled", "fine", "few"],
    )
    assert lines[0] == "gone     nothing ran for 5m  (0 runs)"
    assert lines[1] == "late     nothing ran for 5m  (30 runs)"
    assert lines[2] == "crash    failed 100.00 % > 2 %  (40 runs)"
    assert lines[4] == "slow     p99 900.0 ms > 250.0 ms  (50 runs)"
    code, lines = checked(filled, "--each", "--realm", "globex", "--max-failed", "25%")
    assert (code, len(lines)) == (0, 1)
    code, lines = checked(
        filled, "--each", "--realm", "globex", "--version", "2", "--max-failed", "25%"
    )
    assert (code, lines) == (3, ["versions  failed 50.00 % > 25 %  (50 runs)"])
    assert checked(filled, "--each", "--realm", "nowhere", "--max-failed", "1%") == (
        0,
        ["nothing ran"],
    )
    code, lines = checked(filled, "--each", "--realm", "odd\n", "--max-failed", "1%")
    assert (code, lines) == (3, ["\\x1b[2J  failed 10.00 % > 1 %  (10 runs)"])


async def test_more_strategies_than_one_ranking_has(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    """A bad one is found among many that fail more often, and run less."""
    rows = [one for n in range(60) for one in runs(f"rare {n}", 2, 2)]
    rows += [one for n in range(60) for one in runs(f"usual {n:02}", 10)]
    await repository.insert_rows([*rows, *runs("bad", 10, 1)])
    code, lines = checked(dsn, "--each", "--max-failed", "5%", "--min-runs", "10")
    assert (code, lines[0].split()[0]) == (3, "bad")
    assert lines[0].rstrip().endswith("failed 10.00 % > 5 %  (10 runs)")
    assert len(lines) == 101
    assert lines[-1] == "21 more are within the limits, or have fewer runs"


@pytest.mark.parametrize(
    "words",
    [
        "--max-silence 999999d",
        "--each --max-silence 999999d",
        "--each --max-failed 1% --until 0001-01-01T00:10:00Z",
        "--each --max-failed 1% --min-runs 99999999999999999999",
    ],
)
def test_lengths_and_counts_that_are_too_large(filled: str, words: str) -> None:
    done = run("check", *words.split(), EXECLOG_DSN=filled)
    assert done.returncode == 0


def test_forms_of_output(filled: str) -> None:
    words = ["check", "--each", "--realm", "acme", "--max-failed", "2%", "--min-runs", "20"]
    done = run(*words, "--json", EXECLOG_DSN=filled)
    found = json.loads(done.stdout)
    assert (done.returncode, found[0]) == (
        3,
        {
            "strategyId": "crash",
            "name": "crash",
            "verdict": "breach",
            "runs": 40,
            "errorRate": 0.0,
            "failedRate": 1.0,
            "p99Ms": 10.0,
            "isSilent": False,
            "breaches": ["failed_rate"],
        },
    )
    assert {one["strategyId"]: one["verdict"] for one in found}["few"] == "too few runs"
    lines = run(*words, "-o", "jsonl", EXECLOG_DSN=filled).stdout.splitlines()
    assert [json.loads(one) for one in lines] == found
    table = list(csv.DictReader(io.StringIO(run(*words, "-o", "csv", EXECLOG_DSN=filled).stdout)))
    assert [one["strategyId"] for one in table] == [one["strategyId"] for one in found]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("s", "nothing to check"),
        ("s --min-runs 5", "nothing to check"),
        ("s --each --max-failed 1%", "--each"),
        ("s --max-failed 101%", "no share such as 1%"),
        ("s --max-failed -1%", "no share such as 1%"),
        ("s --max-failed nan", "no share such as 1%"),
        ("s --max-error-rate nan%", "no share such as 1%"),
        ("s --max-error-rate snan", "no share such as 1%"),
        ("s --max-error-rate inf", "no share such as 1%"),
        ("s --max-silence 5", "250ms, 15m"),
        ("s --max-failed 1% --min-runs 0", "--min-runs"),
        ("s --max-failed 1% --since 1h --until 2h", "--since"),
    ],
)  # fmt: skip
def test_wrong_usage(words: str, says: str) -> None:
    done = run("check", *words.split(), EXECLOG_DSN="postgresql://nowhere.invalid/x")
    assert done.returncode == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())
