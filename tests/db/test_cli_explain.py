"""`execlog explain`: its sentence, its forms and its exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execlog import StrategyExecutionLogRepository
from tests.command import run
from tests.db.test_explain import named, nothing, planted
from tests.explaining import WINDOW, WINDOWS, runs
from tests.rows import STRATEGY, T0

WORDS = ["--since", T0.isoformat(), "--until", (T0 + WINDOW).isoformat(), "--utc"]


async def test_it_says_what_changed_and_fails_if_it_is_worse(
    repository: StrategyExecutionLogRepository, dsn: str
) -> None:
    await repository.insert_rows(runs(planted(realm_id="acme", strategy_version=4)))
    done = run("explain", STRATEGY, *WORDS, "--fail-on-worse", "--dsn", dsn)
    assert (done.returncode, done.stderr) == (3, "")
    first, cause, *_ = done.stdout.splitlines()
    assert first.startswith("Error rate rose from ") and "(3,000 runs, 3,000 before)" in first
    assert cause.startswith("realm acme in version 4 explains ") and " %" in cause
    assert "false alarms held at 5 %." in done.stdout
    assert "symptom\tbefore\tafter" in done.stdout and "code E9" in done.stdout
    better = ["--since", "2026-11-20T11:00Z", "--until", "2026-11-20T11:59Z"]
    done = run("explain", STRATEGY, *better, "--fail-on-worse", "--dsn", dsn)
    assert done.returncode == 0 and "Too few runs to tell" in done.stdout


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (-1, "Error rate is 4.20 % (3,001 runs, 0 before)"),
        (1, "Error rate was 4.63 % (0 runs, 3,000 before)"),
        (3, "Error rate is not known (0 runs, 0 before)"),
    ],
)
async def test_a_rate_of_no_runs_is_none(
    repository: StrategyExecutionLogRepository, dsn: str, windows: int, said: str
) -> None:
    await repository.insert_rows(runs(nothing))
    begin = T0 + windows * WINDOW
    words = ["--since", begin.isoformat(), "--until", (begin + WINDOW).isoformat()]
    done = run("explain", STRATEGY, *words, "--dsn", dsn)
    assert done.stdout.startswith(said), done.stdout


async def test_json_has_all_and_filters_are_those_of_the_method(
    repository: StrategyExecutionLogRepository, dsn: str
) -> None:
    await repository.insert_rows(runs(nothing))
    words = ["--realm", "bolt", "--by", "version", "--by", "attr.country", "-o", "json"]
    done = run("explain", STRATEGY, *WORDS, *words, "--fail-on-worse", "--dsn", dsn)
    assert done.returncode == 0
    expected: Any = await repository.explain(
        strategy_id=STRATEGY,
        realm_id="bolt",
        by=["strategy_version", "attributes.country"],
        **WINDOWS,
    )
    assert json.loads(done.stdout) == expected.model_dump(by_alias=True, mode="json")
    assert named(expected) == []
    done = run("explain", STRATEGY, *WORDS, "--dsn", dsn)
    assert "Chance alone could explain this change." in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--baseline", "2h"],
        ["--baseline", "..1h"],
        ["--baseline", "soon..later"],
        ["--by", "status"],
        ["--by", "attr."],
        ["--measure", "p95"],
        ["--measure", "points", "--fail-on-worse"],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    assert run("explain", STRATEGY, *words, "--dsn", "postgresql://127.0.0.1:1").returncode == 2
