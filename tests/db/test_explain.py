"""`explain` names what was planted, and nothing if nothing was; a tenant gets its own rows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from execlog import (
    Cause,
    Explanation,
    InvalidArgument,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.db.executor import Store
from execlog.repository import explain
from tests.explaining import BASE, WINDOWS, runs
from tests.rows import STRATEGY, T0, row

Fields = Mapping[str, Any]


def planted(**wanted: object) -> Any:
    """Fails 20 points more often after T0 if it has these values."""

    def rate(fields: Fields, after: bool) -> float:
        hit = all(fields[name] == value for name, value in wanted.items())
        return BASE + 0.2 * (after and hit)

    return rate


def nothing(fields: Fields, after: bool) -> float:
    return BASE


@pytest.fixture
async def unreachable() -> StrategyExecutionLogRepository:
    """A repository whose pool was never opened: what it refuses, it refused before sending."""
    return StrategyExecutionLogRepository(asyncpg.create_pool("postgresql://", min_size=0))


async def explained(
    log: StrategyExecutionLogRepository, rows: Any, **arguments: Any
) -> Explanation:
    await log.insert_rows(rows)
    return await log.explain(strategy_id=STRATEGY, **{**WINDOWS, **arguments})


def named(found: Explanation) -> list[dict[str, Any]]:
    return [cause.attributes for cause in found.causes]


async def test_what_was_planted_is_named_and_leads_to_its_runs(
    repository: StrategyExecutionLogRepository,
) -> None:
    found = await explained(repository, runs(planted(strategy_version=4)))
    assert found.changed
    assert named(found) == [{"strategy_version": 4}]
    [cause] = found.causes
    assert cause.before == pytest.approx(BASE, abs=0.02)
    assert cause.after == pytest.approx(BASE + 0.2, abs=0.05)
    assert cause.share_low is not None and cause.share_high is not None
    assert cause.share_low <= 1 <= cause.share_high
    assert found.unexplained == pytest.approx(1 - (cause.share or 0))
    assert found.since_low is not None and found.since_high is not None
    assert found.since_low <= T0 <= found.since_high
    listed = await repository.list_executions(
        strategy_id=STRATEGY, **WINDOWS, **cause.attributes, limit=200
    )
    assert len(listed) == 200 < cause.runs_after
    assert {"error_code": "E9"} in [one.attributes for one in found.symptoms]
    assert {"no_case": True} in [one.attributes for one in found.symptoms]
    counts = await repository.metrics(strategy_id=STRATEGY, **WINDOWS)
    assert found.after == pytest.approx(counts.error_rate)
    assert found.runs_after == counts.status_breakdown.total


async def test_nothing_planted_nothing_named(repository: StrategyExecutionLogRepository) -> None:
    found = await explained(repository, runs(nothing))
    assert (found.changed, found.causes, found.symptoms) == (False, [], [])
    assert found.since is None and found.unexplained is None
    assert found.tested >= 15 and found.tested_attributes == 6
    assert found.needs is None


async def test_what_changed_for_all_is_explained_by_none(
    repository: StrategyExecutionLogRepository,
) -> None:
    found = await explained(repository, runs(lambda fields, after: BASE + 0.15 * after))
    assert found.changed and found.causes == []
    assert found.unexplained == 1


async def test_a_pair_of_a_column_and_a_key(repository: StrategyExecutionLogRepository) -> None:
    def rate(fields: Fields, after: bool) -> float:
        hit = fields["realm_id"] == "acme" and fields["attributes"]["beta"] is True
        return BASE + 0.5 * (after and hit)

    found = await explained(repository, runs(rate))
    assert named(found) == [{"realm_id": "acme", "attributes": {"beta": True}}]


async def test_a_tenant_gets_its_own_rows_only(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = list(runs(planted(realm_id="acme", strategy_version=4)))
    found = await explained(repository, rows, realm_id="bolt")
    own = [one for one in rows if one.realm_id == "bolt"]
    assert found.runs_before + found.runs_after == len(own)
    assert named(found) == []
    await repository.insert_rows(
        one.model_copy(update={"strategy_id": "alone", "id": row().id}) for one in own
    )
    alone = await repository.explain(strategy_id="alone", **WINDOWS)
    assert alone == found
    acme = await repository.explain(strategy_id=STRATEGY, realm_id="acme", **WINDOWS)
    assert named(acme)[0] == {"strategy_version": 4}


async def test_a_value_that_is_new(repository: StrategyExecutionLogRepository) -> None:
    def values(dice: random.Random, after: bool) -> dict[str, Any]:
        return {"strategy_version": dice.choice([3, 3, 5]) if after else 3}

    rows = runs(
        lambda fields, after: 0.3 if fields["strategy_version"] == 5 else BASE, values=values
    )
    found = await explained(repository, rows)
    assert named(found) == [{"strategy_version": 5}]
    [cause] = found.causes
    assert (cause.before, cause.runs_before) == (None, 0)


@pytest.mark.long
async def test_a_value_that_vanished(repository: StrategyExecutionLogRepository) -> None:
    def values(dice: random.Random, after: bool) -> dict[str, Any]:
        return {"strategy_version": 4 if after else dice.choice([4, 4, 3])}

    rows = runs(
        lambda fields, after: 0.3 if fields["strategy_version"] == 3 else BASE, values=values
    )
    found = await explained(repository, rows)
    assert found.change < 0
    assert named(found) == [{"strategy_version": 3}]
    [cause] = found.causes
    assert (cause.after, cause.runs_after) == (None, 0)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_a_deploy_without_effect(
    repository: StrategyExecutionLogRepository, seed: int
) -> None:
    def values(dice: random.Random, after: bool) -> dict[str, Any]:
        return {"strategy_version": dice.choice([5, 5, 3]) if after else 3}

    found = await explained(repository, runs(nothing, values=values, seed=seed))
    assert found.causes == []


@pytest.mark.long
@pytest.mark.parametrize(("effect", "causes"), [(0.0, []), (0.2, [{"strategy_version": 5}])])
async def test_a_version_that_replaced_the_other_at_once(
    repository: StrategyExecutionLogRepository, effect: float, causes: list[object]
) -> None:
    found = await explained(
        repository,
        runs(
            lambda fields, after: BASE + effect * after,
            values=lambda dice, after: {"strategy_version": 5 if after else 3},
        ),
    )
    assert named(found) == causes


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_simpsons_paradox(repository: StrategyExecutionLogRepository, seed: int) -> None:
    """Version 4 gets the hard realm's runs: it fails more often, as any version would."""

    def values(dice: random.Random, after: bool) -> dict[str, Any]:
        version = dice.choice([3, 4])
        hard = 0.8 if after and version == 4 else 0.1
        return {"strategy_version": version, "realm_id": "hard" if dice.random() < hard else "easy"}

    rows = runs(
        lambda fields, after: 0.3 if fields["realm_id"] == "hard" else 0.02,
        values=values,
        seed=seed,
    )
    found = await explained(repository, rows)
    assert found.changed
    assert not [one for one in named(found) if "strategy_version" in one]


@pytest.mark.long
async def test_a_log_that_keeps_a_twentieth_of_its_ok_runs(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = list(runs(planted(realm_id="acme"), a_minute=400, kept=0.05))
    found = await explained(repository, rows)
    assert found.before == pytest.approx(BASE, rel=0.25)
    assert named(found) == [{"realm_id": "acme"}]
    assert found.causes[0].after == pytest.approx(BASE + 0.2, rel=0.25)
    quiet = [
        one.model_copy(update={"strategy_id": "quiet"})
        for one in runs(nothing, a_minute=400, kept=0.05)
    ]
    await repository.insert_rows(quiet)
    assert (await repository.explain(strategy_id="quiet", **WINDOWS)).causes == []


@pytest.mark.long
@pytest.mark.parametrize("measure", ["duration", "points", "case:rare"])
async def test_the_other_measures(repository: StrategyExecutionLogRepository, measure: str) -> None:
    dice = random.Random(5)

    def changed(one: Any) -> Any:
        hit = one.realm_id == "core" and one.created_at >= T0
        return one.model_copy(
            update={
                "duration_ms": dice.lognormvariate(2.5 if hit else 2, 0.5),
                "points": dice.gauss(12 if hit else 10, 3),
                "case_name": "rare" if dice.random() < (0.3 if hit else 0.1) else "rule",
                "status": "ok",
                "error_code": None,
            }
        )

    found = await explained(repository, map(changed, runs(nothing)), measure=measure)
    assert named(found) == [{"realm_id": "core"}]


@pytest.mark.long
async def test_users_only_if_asked_and_only_what_is_asked(
    repository: StrategyExecutionLogRepository,
) -> None:
    def values(dice: random.Random, after: bool) -> dict[str, Any]:
        return {"external_user_id": f"user-{dice.randrange(5)}"}

    rows = runs(planted(external_user_id="user-1"), values=values, seed=2)
    assert named(await explained(repository, rows)) == []
    asked: dict[str, Any] = {"strategy_id": STRATEGY, **WINDOWS}
    found = await repository.explain(by="external_user_id", **asked)
    assert named(found) == [{"external_user_id": "user-1"}]
    assert found.tested_attributes == 1
    assert named(await repository.explain(by=["realm_id", "attributes.country"], **asked)) == []


@pytest.mark.long
async def test_blocks_are_drawn_from_many_runs_and_from_fewer_if_it_takes_too_long(
    repository: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "MOST_RUNS", 5_000)
    rows = runs(planted(strategy_version=4), a_minute=100)
    found = await explained(repository, rows)
    assert named(found) == [{"strategy_version": 4}]
    assert "drawn at random" in found.method
    assert found.runs_after == 6_000 > found.causes[0].runs_after * 3
    assert found == await repository.explain(strategy_id=STRATEGY, **WINDOWS)

    fetch, calls = Store.fetch, []

    async def late(store: Store, query: Any, **limits: Any) -> Any:
        calls.append(query.name)
        if len(calls) == 1:
            error = StoreUnavailable("explain: out of time")
            raise error from TimeoutError()
        return await fetch(store, query, **limits)

    monkeypatch.setattr(explain, "FEWER_RUNS", 4_000)
    monkeypatch.setattr(Store, "fetch", late)
    fewer = await repository.explain(strategy_id=STRATEGY, **WINDOWS)
    assert calls == ["explain", "explain", "combinations"]
    assert "the server was not done in time" in fewer.method
    assert named(fewer) == [{"strategy_version": 4}]


async def test_one_tenant_of_a_strategy_that_never_failed(
    repository: StrategyExecutionLogRepository,
) -> None:
    """The others have no failure that it could be compared with; that is what names it."""

    def rate(fields: Fields, after: bool) -> float:
        return 0.5 if after and fields["realm_id"] == "acme" else 0.0

    found = await explained(repository, runs(rate, a_minute=20))
    assert named(found) == [{"realm_id": "acme"}]


async def test_points_that_no_number_can_hold_if_they_are_weighed(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = [
        row(created_at=T0 + timedelta(minutes=n), points=1e300, sample_rate=1e-9)
        for n in range(-60, 60)
    ]
    found = await explained(repository, rows, measure="points")
    assert found.before == found.after > 0


@pytest.mark.parametrize("count", [0, 1, 40])
async def test_few_runs_say_what_they_would_need(
    repository: StrategyExecutionLogRepository, count: int
) -> None:
    found = await explained(
        repository,
        [row(created_at=T0 + timedelta(seconds=n), status="error") for n in range(count)],
    )
    assert (found.changed, found.causes, found.low) == (False, [], None)
    assert found.needs == "at least 50 runs in each window"


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("measure", {"measure": "p95"}),
        ("measure", {"measure": None}),
        ("by", {"by": "status"}),
        ("by", {"by": ["realm_id", "attributes."]}),
        ("level", {"level": 0}),
        ("level", {"level": 0.5}),
        ("level", {"level": "5 %"}),
        ("baseline_until", {"baseline_until": T0}),
        ("baseline_since", {"baseline_since": T0}),
        ("baseline_since", {"baseline_since": "yesterday"}),
        ("realm_id", {"realm_id": 7}),
    ],
)
async def test_bad_arguments(
    unreachable: StrategyExecutionLogRepository, argument: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.explain(strategy_id=STRATEGY, **{**WINDOWS, **arguments})
    assert caught.value.argument == argument


def test_a_cause_dumps_its_filters_as_they_are() -> None:
    cause = Cause(
        attributes={"strategy_version": 4, "attributes": {"a_b": True}},
        before=None,
        after=0.1,
        runs_before=0,
        runs_after=2,
        share=None,
        share_low=None,
        share_high=None,
        p_value=0.1,
    )
    dumped = cause.model_dump(by_alias=True, mode="json")
    assert dumped["attributes"] == {"strategy_version": 4, "attributes": {"a_b": True}}
    assert (dumped["runsBefore"], dumped["before"]) == (0, None)
