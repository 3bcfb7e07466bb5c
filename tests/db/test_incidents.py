"""Two staged incidents: each question that a breakdown answers is one command, which finds why."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from execlog import StrategyExecutionLogRepository
from tests import databases
from tests.command import run
from tests.incidents import Incident, made, staged
from tests.rows import row
from tests.types import Pool


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.long)])
async def incident(template: str, request: pytest.FixtureRequest) -> AsyncIterator[Incident]:
    dice = random.Random(request.param)
    async with databases.clone(template) as dsn:
        staged_one = made(dice, dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            log = StrategyExecutionLogRepository(pool)
            await log.insert_rows(list(staged(dice, staged_one)))
        yield staged_one


def groups(incident: Incident, *words: str) -> list[dict[str, Any]]:
    done = run("breakdown", *words, "--since", "4h", "-o", "jsonl", "--dsn", incident.dsn)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_what_is_failing(incident: Incident) -> None:
    assert groups(incident, "--by", "strategy")[0]["value"] == "loyalty"
    worst = groups(incident, "--by", "strategy", "--order", "error_rate", "--no-details")[0]
    assert (worst["value"], worst["p99Ms"]) == ("loyalty", None)
    slowest = groups(incident, "--by", "strategy", "--order", "p99")[0]
    assert slowest["value"] == incident.slow


async def test_which_version_which_tenant_which_case(incident: Incident) -> None:
    failed = ("loyalty", "--status", "failed")
    assert groups(incident, *failed, "--by", "version")[0]["value"] == incident.version
    assert groups(incident, *failed, "--by", "realm")[0]["value"] == incident.realm
    assert groups(incident, *failed, "--by", "case")[0]["value"] == incident.case
    assert groups(incident, *failed, "--by", "attr.build")[0]["value"] == f"b{incident.version}"
    # And not by chance: the interval of the next one is below.
    first, second, *_ = groups(incident, "loyalty", "--by", "realm", "--order", "error_rate")
    assert first["value"] == incident.realm
    assert first["errorRateLow"] > second["errorRateHigh"]


async def test_which_codes_over_all_strategies_of_a_realm(incident: Incident) -> None:
    found = groups(incident, "--realm", incident.realm, "--by", "code", "--status", "failed")
    assert [one["value"] for one in found] == ["E_BONUS", "E_TIMEOUT"]
    assert found[0]["users"] == len(incident.users)


async def test_which_tenant_and_strategy_produce_a_code(incident: Incident) -> None:
    words = ("--code", "E_BONUS", "--by", "realm", "--by", "strategy", "--since", "4h")
    done = run("breakdown", *words, "--dsn", incident.dsn)
    lines = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert lines == ["realm", incident.realm, "strategy", "loyalty"]
    assert done.stderr == ""


async def test_who_was_hit(incident: Incident) -> None:
    words = ("loyalty", "--by", "user", "--status", "failed", "--code", "E_BONUS", "--since", "4h")
    done = run("breakdown", *words, "-o", "csv", "--dsn", incident.dsn)
    assert {one["value"] for one in csv.DictReader(io.StringIO(done.stdout))} == incident.users
    assert done.stderr == ""


async def test_which_nodes_are_slow_in_slow_runs(incident: Incident) -> None:
    found = groups(incident, incident.slow, "--by", "node")
    assert found[0]["value"] == incident.node
    # What its nodes took does not count as the root's own time.
    assert found[0]["p99Ms"] > 300
    assert all(one["p99Ms"] < 2 for one in found[1:])
    done = run("breakdown", incident.slow, "--by", "node", "--since", "4h", "--dsn", incident.dsn)
    assert done.stdout.splitlines()[1].startswith(f"{incident.node}\t")
    assert "the newest 2,000 of either at most" in done.stderr
    assert "slow (over " in done.stderr


async def test_a_window_is_the_last_day_and_that_is_said(incident: Incident) -> None:
    done = run("breakdown", "--by", "realm", "--limit", "2", "--dsn", incident.dsn)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == (
        "execlog: the last day; --since goes back further\n"
        "execlog: the first 2; --limit shows more, -o csv all\n"
    )


async def test_what_finds_nothing_says_why(incident: Incident) -> None:
    words = ("loyalty", "--by", "user", "--realm", "typo", "--since", "4h")
    done = run("breakdown", *words, "--dsn", incident.dsn)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "execlog: no execution of loyalty passes these filters;"
        " in this time there is no --realm typo\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--by"),
        (("--by", "colour"), "none of version, realm"),
        (("--by", "attr."), "has a key"),
        (("--by", "realm", "--by", "code", "-o", "csv"), "given once"),
        (("--by", "realm", "--limit", "10001"), "--limit"),
    ],
)
async def test_what_is_wrong(words: tuple[str, ...], said: str) -> None:
    done = run("breakdown", *words, "--dsn", "postgresql://nowhere.invalid")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


@pytest.mark.long
async def test_no_more_than_ten_thousand_groups(pool: Pool, dsn: str) -> None:
    log = StrategyExecutionLogRepository(pool)
    await log.insert_rows(row(external_user_id=f"u{n:05}") for n in range(10_001))
    done = run("breakdown", "--by", "user", "--no-details", "-o", "csv", "--dsn", dsn)
    assert len(done.stdout.splitlines()) == 1 + 10_000
    assert done.stderr.endswith("execlog: the first 10,000, the most; there may be more\n")
