"""Replays of the demo's decision graph: what a change of it changes, plain Python says too."""

from __future__ import annotations

import copy
import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
import zen

import execlog
from execlog import Outcome, Replay, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.demo import engine

Rule = dict[str, str]
Ending = tuple[str | None, Fraction]

FIELDS = {"i1": "bareExcepts", "i2": "lines", "i3": "linesPerFunction", "i4": "documentation"}
NEVER_ENDS = "encodings/rot_13.py"  # takes the engine five seconds


def scored(paths: list[str]) -> list[StrategyExecutionLog]:
    """Runs of the demo."""
    return [StrategyExecutionLog(**fields) for fields in engine.score(paths)]


@pytest.fixture(scope="module")
def runs() -> list[StrategyExecutionLog]:
    """Runs of every fourth module, but the one that takes so long."""
    return scored([path for path in engine.modules()[::4] if path != NEVER_ENDS])


def table(graphs: dict[str, Any]) -> list[Rule]:
    """The rules of the decision table, to be changed in place."""
    [found] = [node for node in graphs[engine.STRATEGY]["nodes"] if node["name"] == "grade"]
    rules: list[Rule] = found["content"]["rules"]
    return rules


def changed(dice: random.Random) -> dict[str, Any]:
    """The graphs with a threshold, the order of the rows or the default changed."""
    graphs = copy.deepcopy(engine.graphs())
    rules = table(graphs)
    kind = dice.choice(["threshold", "order", "default"])
    if kind == "threshold":
        held = [(rule, name) for rule in rules for name in FIELDS if rule[name][:1] in ("<", ">")]
        rule, name = dice.choice(held)
        sign, number = rule[name].split()
        rule[name] = f"{sign} {round(int(number) * dice.choice([0.3, 0.7, 0.95, 1.05, 1.6, 4]))}"
    elif kind == "order":
        dice.shuffle(rules)
    else:
        rules.append(
            {"_id": "r7", **dict.fromkeys(FIELDS, ""), "o1": "'other'", "o2": dice.choice("0347")}
        )
    return graphs


def decided(rules: list[Rule], given: dict[str, Any]) -> Ending:
    """What the table says of a module: the case, and the points exactly."""
    lines, functions = given["lines"], given["functions"]
    values = {
        "bareExcepts": Fraction(given["bareExcepts"]),
        "lines": Fraction(lines),
        "linesPerFunction": Fraction(lines, functions) if functions else Fraction(0),
        "documentation": Fraction(0 if given["isTest"] else len(given["docstring"])),
    }
    for rule in rules:
        if all(_holds(rule[name], values[field]) for name, field in FIELDS.items()):
            return rule["o1"].strip("'"), _points(rule["o2"], values)
    return None, Fraction(0)


def _holds(condition: str, value: Fraction) -> bool:
    sign, _, number = condition.rpartition(" ")
    if not number:
        return True
    limit = Fraction(number)
    return value > limit if sign == ">" else value < limit if sign == "<" else value == limit


def _points(text: str, values: dict[str, Fraction]) -> Fraction:
    if text == "documentation / 100":
        return values["documentation"] / 100
    if text == "10 - linesPerFunction / 5":
        return 10 - values["linesPerFunction"] / 5
    return Fraction(text)


def named(
    runs: list[StrategyExecutionLog], graphs: dict[str, Any]
) -> dict[StrategyExecutionLog, tuple[Ending, Ending]]:
    """The runs that the change changes; a run that fails does so before the table."""
    before, after = table(engine.graphs()), table(graphs)
    found = {}
    for run in runs:
        if run.status == "ok":
            given: Any = run.input
            endings = decided(before, given), decided(after, given)
            assert endings[0][0] == run.case_name
            if endings[0] != endings[1]:
                found[run.id] = endings
    return {run: found[run.id] for run in runs if run.id in found}


def candidate(graphs: dict[str, Any]) -> Any:
    """The graphs as a function."""
    own = zen.ZenEngine({"loader": {"type": "static", "content": graphs}})

    def evaluate(execution: StrategyExecutionLog) -> Outcome:
        return engine._outcome(own, execution)

    return evaluate


def assert_names(found: Replay, runs: list[StrategyExecutionLog], graphs: dict[str, Any]) -> None:
    """Exactly the runs that the oracle names, by their cases and examples; and their weight."""
    wanted = named(runs, graphs)
    assert (found.changed, found.newly_failing, found.newly_passing) == (len(wanted), 0, 0)
    assert found.same == found.replayed - len(wanted)
    moves = Counter((old[0], new[0]) for old, new in wanted.values())
    counted = {(move.old_case, move.new_case): move.changed for move in found.moves}
    assert {cases: count for cases, count in counted.items() if count} == moves
    shown = {one.id for one in found.examples}
    shown |= {one.id for move in found.moves for one in move.examples}
    assert shown <= {run.id for run in wanted}
    assert len(shown) >= min(len(wanted), 10)
    able = [run for run in runs if run.input is not None]
    weight = sum(1 / run.sample_rate for run in able)
    share = sum(1 / run.sample_rate for run in wanted) / weight
    assert found.fail_share is not None
    assert found.fail_share.share == pytest.approx(share)
    points = sum(float(new[1] - old[1]) / run.sample_rate for run, (old, new) in wanted.items())
    assert found.points_delta is not None
    assert found.points_delta.delta * weight == pytest.approx(points, abs=1e-6)


async def test_the_same_graph_changes_nothing(repository: StrategyExecutionLogRepository) -> None:
    runs = scored(engine.modules()[:40])
    await repository.insert_rows(runs)
    same = "execlog.demo.engine:evaluate"
    found = await execlog.replay(
        repository, same, baseline=same, strategy_id=engine.STRATEGY, processes=1
    )
    assert found.replayed == found.same == sum(run.input is not None for run in runs) > 30
    assert found.total == len(runs)
    assert (found.noise, found.not_replayable) == (0, {})


async def test_a_moved_threshold(repository: StrategyExecutionLogRepository) -> None:
    runs = scored(engine.modules()[90:150])
    await repository.insert_rows(runs)
    found = await execlog.replay(
        repository, engine.shorter_functions, strategy_id=engine.STRATEGY, processes=1
    )
    graphs = engine.graphs()
    [rule] = [rule for rule in table(graphs) if rule["o1"] == "'long functions'"]
    rule["i3"] = "> 40"
    assert_names(found, runs, graphs)
    assert found.changed > 0


@pytest.mark.long
async def test_the_same_graph_on_all_kinds_of_runs(
    repository: StrategyExecutionLogRepository, runs: list[StrategyExecutionLog]
) -> None:
    everything = [*runs, *scored([NEVER_ENDS])]
    assert {run.status for run in everything} == {"ok", "error", "timeout", "limit"}
    await repository.insert_rows(everything)
    found = await execlog.replay(
        repository, engine.evaluate, strategy_id=engine.STRATEGY, processes=2
    )
    without = sum(run.input is None for run in everything)
    assert found.not_replayable == {"no_input": without}
    assert without > 0
    assert (found.replayed, found.same) == (len(everything) - without,) * 2


@pytest.mark.long
@pytest.mark.parametrize("is_sampled", [False, True])
async def test_random_changes(
    repository: StrategyExecutionLogRepository, runs: list[StrategyExecutionLog], is_sampled: bool
) -> None:
    dice = random.Random(28)
    runs = [run for number, run in enumerate(runs) if run.status == "ok" or number % 5 == 0]
    if is_sampled:  # as a recorder does: each ok run is kept or not
        rated = [run.model_copy(update={"sample_rate": dice.choice([0.5, 0.8])}) for run in runs]
        runs = [run for run in rated if dice.random() < run.sample_rate]
    await repository.insert_rows(runs)
    changes = 0
    for _ in range(20):
        graphs = changed(dice)
        found = await execlog.replay(repository, candidate(graphs), strategy_id=engine.STRATEGY)
        assert_names(found, runs, graphs)
        changes += found.changed > 0
    assert changes > 10
