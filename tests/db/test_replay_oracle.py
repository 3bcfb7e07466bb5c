"""A replay against a plain count in Python, for random changes of a decision graph."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

import execlog
from execlog import Outcome, StrategyExecutionLog, StrategyExecutionLogRepository
from tests import databases
from tests.rows import STRATEGY, T0, row

RUNS = 600


class Rule(NamedTuple):
    """From which amount on, for which kind: points and case."""

    least: float
    kind: str
    points: float
    case: str


class Graph(NamedTuple):
    """The first rule that holds decides; else the default. A negative amount is an error."""

    rules: Sequence[Rule]
    default: float

    def decide(self, given: dict[str, Any]) -> Outcome:
        if given["amount"] < 0:
            raise ValueError("negative")
        for rule in self.rules:
            if given["amount"] >= rule.least and given["kind"] == rule.kind:
                if rule.points < 0:
                    raise OverflowError
                return Outcome("ok", rule.points * given["amount"], rule.case)
        return Outcome("ok", self.default, None)

    def evaluate(self, execution: StrategyExecutionLog) -> Outcome:
        given: Any = execution.input
        return self.decide(given)

    def outcome(self, given: dict[str, Any]) -> Outcome:
        try:
            return self.decide(given)
        except Exception as error:
            return Outcome("error", None, None, type(error).__name__)


OLD = Graph(
    [
        Rule(80, "a", 2, "high"),
        Rule(50, "a", 1, "mid"),
        Rule(50, "b", 1.5, "b"),
        Rule(5, "c", -1, ""),
    ],
    default=0.5,
)


def changed(dice: random.Random) -> Graph:
    """The graph with a threshold, the order of its rows, points or its default changed."""
    rules = [*OLD.rules]
    what = dice.choice(("threshold", "order", "points", "default", "all"))
    if what in ("threshold", "all"):
        place = dice.randrange(len(rules))
        rules[place] = rules[place]._replace(least=dice.randrange(0, 110))
    if what in ("order", "all"):
        dice.shuffle(rules)
    if what in ("points", "all"):
        place = dice.randrange(len(rules))
        rules[place] = rules[place]._replace(points=dice.choice((-1, 0, 1, 3)))
    return Graph(rules, dice.choice((0.0, 1.0, -5.0)) if what in ("default", "all") else 0.5)


def executions(dice: random.Random, *, is_sampled: bool) -> list[StrategyExecutionLog]:
    found = []
    for number in range(RUNS):
        given = {"amount": dice.randrange(-5, 100), "kind": dice.choice("aabc")}
        outcome = OLD.outcome(given)
        keeps = is_sampled and outcome.status == "ok"
        found.append(
            row(
                created_at=T0 + timedelta(seconds=number // 3),
                input=None if number % 50 == 0 else given,
                status=outcome.status,
                points=outcome.points,
                case_name=outcome.case_name,
                error_code=outcome.error_code,
                external_user_id=f"u{number % 20}",
                sample_rate=dice.choice((0.1, 0.25)) if keeps else 1.0,
            )
        )
    return found


class Log(NamedTuple):
    repository: StrategyExecutionLogRepository
    rows: list[StrategyExecutionLog]


@pytest.fixture(scope="module", params=[False, True], ids=["all", "sampled"])
async def log(request: pytest.FixtureRequest, template: str) -> AsyncIterator[Log]:
    rows = executions(random.Random(28), is_sampled=request.param)
    async with databases.filled(template, rows) as pool:
        yield Log(StrategyExecutionLogRepository(pool), rows)


def kind_of(one: StrategyExecutionLog, new: Outcome) -> str:
    if (one.status, one.points, one.case_name, one.error_code) == (
        new.status,
        new.points,
        new.case_name,
        new.error_code,
    ):
        return "same"
    if (one.status == "ok") == (new.status == "ok"):
        return "changed"
    return "newly_failing" if one.status == "ok" else "newly_passing"


def assert_as_counted(found: execlog.Replay, rows: list[StrategyExecutionLog], new: Graph) -> None:
    able = [one for one in rows if one.input is not None]
    outcomes = {one.id: new.outcome(one.input) for one in able if isinstance(one.input, dict)}
    kinds = {one.id: kind_of(one, outcomes[one.id]) for one in able}
    counts = Counter(kinds.values())
    for kind in ("same", "changed", "newly_failing", "newly_passing"):
        assert getattr(found, kind) == counts[kind], kind
    assert found.not_replayable == {"no_input": len(rows) - len(able)}
    moves = Counter(
        (one.status, one.case_name, outcomes[one.id].status, outcomes[one.id].case_name)
        for one in able
    )
    told = {
        (one.old_status, one.old_case, one.new_status, one.new_case): one.runs
        for one in found.moves
    }
    assert told == moves
    assert found.cases == Counter((one.case_name, outcomes[one.id].case_name) for one in able)
    for move in found.moves:
        assert all(kinds[one.id] == one.kind != "same" for one in move.examples)
    weight = {one.id: 1 / one.sample_rate for one in able}
    hits = sum(weight[key] for key, kind in kinds.items() if kind in ("changed", "newly_failing"))
    total = sum(weight.values())
    before = sum(weight[one.id] * (one.points or 0.0) for one in able)
    after = sum(weight[key] * (one.points or 0.0) for key, one in outcomes.items())
    assert found.fail_share is not None and found.points_delta is not None
    assert found.fail_share.share == pytest.approx(hits / total)
    assert found.points_delta.delta == pytest.approx((after - before) / total)
    assert found.points_delta.low <= found.points_delta.delta <= found.points_delta.high
    if total == len(able):
        assert found.fail_share.low == found.fail_share.share == found.fail_share.high
    losses: Counter[str | None] = Counter()
    for one in able:
        change = (outcomes[one.id].points or 0.0) - (one.points or 0.0)
        losses[one.external_user_id] += change * weight[one.id]  # type: ignore[assignment]
    least = min(losses.values())
    assert (found.losing[0].delta if found.losing else 0.0) == pytest.approx(min(least, 0.0))


async def test_the_same_graph_changes_nothing(log: Log) -> None:
    found = await execlog.replay(
        log.repository, OLD.evaluate, baseline=OLD.evaluate, strategy_id=STRATEGY
    )
    assert_as_counted(found, log.rows, OLD)
    assert (found.same, found.noise) == (found.replayed, 0)


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 21))]
)
async def test_a_changed_graph_changes_what_an_oracle_names(log: Log, seed: int) -> None:
    new = changed(random.Random(seed))
    found = await execlog.replay(log.repository, new.evaluate, strategy_id=STRATEGY)
    assert_as_counted(found, log.rows, new)


async def test_a_draw_takes_failures_whole_and_the_same_runs_each_time(log: Log) -> None:
    asked = {"strategy_id": STRATEGY, "sample": 400}
    found = await execlog.replay(log.repository, OLD.evaluate, **asked)  # type: ignore[arg-type]
    failed = sum(one.status != "ok" and one.input is not None for one in log.rows)
    assert sum(one.runs for one in found.moves if one.old_status != "ok") == failed
    assert found.sampling is not None and found.sampling.failures_are_whole
    assert found.runs == RUNS and found.not_replayable == {"no_input": RUNS // 50}
    assert 340 <= found.replayed <= 460
    again = await execlog.replay(log.repository, OLD.evaluate, **asked)  # type: ignore[arg-type]
    assert again.moves == found.moves
    new = changed(random.Random(7))
    drawn = await execlog.replay(log.repository, new.evaluate, **asked)  # type: ignore[arg-type]
    whole = await execlog.replay(log.repository, new.evaluate, strategy_id=STRATEGY)
    assert drawn.fail_share is not None and whole.fail_share is not None
    assert drawn.fail_share.low < whole.fail_share.share < drawn.fail_share.high


async def test_what_the_baseline_answers_differently_is_noise(log: Log) -> None:
    """The log was made with another default: these runs say nothing about the candidate."""
    drifted, new = OLD._replace(default=0.75), OLD._replace(default=0.75, rules=OLD.rules[1:])
    found = await execlog.replay(
        log.repository, new.evaluate, baseline=drifted.evaluate, strategy_id=STRATEGY
    )
    able = [one for one in log.rows if isinstance(one.input, dict)]
    noise = [one for one in able if one.status == "ok" and one.case_name is None]
    assert found.noise == len(noise) > 0
    high = [one for one in able if one.case_name == "high"]
    assert (found.changed, found.same) == (len(high), len(able) - len(high))
    weights = {one.id: 1 / one.sample_rate for one in able if one not in noise}
    assert found.fail_share is not None
    assert found.fail_share.share == pytest.approx(
        sum(weights[one.id] for one in high) / sum(weights.values())
    )
