"""What the answers mean to who reads them: names, orders, rates, and the keys of their JSON."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from execlog import StrategyExecutionLogRepository
from execlog.db.executor import Store
from execlog.repository.breakdown import OF_ROLLUPS
from execlog.repository.metrics import StrategyMetrics
from execlog.repository.repository import Reads, statements
from tests.oracle import close, newest_first
from tests.rows import T0, row
from tests.types import Pool

EDGES = [5, 10, 25, 50, 100, 150, 200, 250, 500, 1000, 2500, 5000]
SECOND = timedelta(seconds=1)


async def test_a_report_and_what_it_is_as_json(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """It defaults to the last day, and is read in a session with its own ways as in any other."""
    now = datetime.now(UTC)
    await repository.insert_rows(
        row(strategy_id="page", created_at=now - n * timedelta(hours=1), status=status)
        for n, status in ((1, "ok"), (2, "error"), (25, "ok"), (47, "error"), (50, "error"))
    )
    found = await repository.report(strategy_id="page")
    assert (found.metrics.status_breakdown.ok, found.metrics.status_breakdown.total) == (1, 2)
    assert (found.before.total, found.before.error_rate) == (2, 0.5)
    assert sum(bucket.total for bucket in found.timeseries) == 2
    assert found.metrics.window_until is not None
    assert found.metrics.window_from == found.timeseries[0].start
    assert list(found.model_dump(by_alias=True)) == [
        "metrics",
        "before",
        "timeseries",
        "intervals",
    ]
    assert type(found).model_validate(found.model_dump(by_alias=True, mode="json")) == found
    [one] = await repository.activity(strategy_id="page")
    assert (sum(one.runs), sum(one.failures)) == (2, 1)
    assert (one.runs_before, one.error_rate_before) == (2, 0.5)
    assert len(one.runs) in (24, 25)
    assert {start.minute for start in one.starts[1:]} == {0}
    assert list(one.model_dump(by_alias=True)) == [
        "strategyId",
        "starts",
        "runs",
        "failures",
        "weights",
        "errorRates",
        "runsBefore",
        "errorRateBefore",
        "errorRateChange",
        "levelChange",
    ]


async def test_what_a_reader_alone_has(pool: Pool) -> None:
    """All that reads, and nothing that writes."""
    reader = Reads(Store(pool, 5.0), statements())
    assert (await reader.health()).missing_migrations == []
    assert not [name for name in dir(Reads) if name.startswith("insert") or name == "erase"]
    writing = {name for name, statement in statements().items() if statement.writes}
    assert {name for name in statements() if not hasattr(reader, name)} == {*writing, OF_ROLLUPS}


async def test_all_realms_and_none(pool: Pool) -> None:
    repository = StrategyExecutionLogRepository(pool)
    realms = ["acme", "other", None]
    rows = [
        row(
            strategy_id=f"s{n % 4}",
            realm_id=realms[n % 3],
            status="error" if n % 2 else "ok",
            duration_ms=float(n % 4),
            created_at=None if n % 5 == 0 else T0 + n * SECOND,
        )
        for n in range(60)
    ]
    await repository.insert_rows(rows)
    failed = newest_first(one for one in rows if one.status != "ok")
    assert await repository.list_failures() == failed
    assert await repository.list_failures(realm_id="acme") == [
        one for one in failed if one.realm_id == "acme"
    ]
    since = T0 + 30 * SECOND
    assert await repository.list_failures(since=since) == [
        one for one in failed if one.created_at and one.created_at >= since
    ]
    ranked = await repository.rank_strategies(by="p99")
    assert [(one.strategy_id, one.runs) for one in ranked] == [(f"s{n}", 15) for n in (3, 2, 1, 0)]
    ranked = await repository.rank_strategies(by="failures", since=since)
    assert [one.strategy_id for one in ranked] == ["s1", "s3", "s0", "s2"]
    assert {one.error_rate for one in ranked} == {0.0, 1.0}


async def test_rates_of_a_sample_are_those_of_the_truth_it_was_drawn_from(
    repository: StrategyExecutionLogRepository,
) -> None:
    """5 % of the ok runs are kept and all failures: the stored rows alone say 17 % failures."""
    dice = random.Random(5)
    shares = {"sampled": 0.01, "other-sampled": 0.02}
    truth = [
        (name, "error" if dice.random() < share else "ok")
        for name, share in shares.items()
        for _ in range(100_000)
    ]
    await repository.insert_rows(
        row(
            strategy_id=name,
            realm_id="sampled",
            status=status,
            points=10.0 if status == "ok" else None,
            sampled=status == "ok",
            sample_rate=0.05 if status == "ok" else 1.0,
        )
        for name, status in truth
        if status != "ok" or dice.random() < 0.05
    )
    both = await repository.compare(a="sampled", b="other-sampled")
    for card, name in ((both.a, "sampled"), (both.b, "other-sampled")):
        failed = truth.count((name, "error")) / 100_000
        # The standard deviation of what 5 % say of 100,000 runs is 1.4 %; five of them are allowed.
        assert card.estimated_total == pytest.approx(100_000, rel=0.07)
        assert card.error_rate == pytest.approx(failed, rel=0.07)
        assert card.success_rate == pytest.approx(1 - failed, rel=0.002)
        stored_rate = card.status_breakdown.error / card.status_breakdown.total
        assert stored_rate > 10 * card.error_rate
    assert both.delta.error_rate == pytest.approx(0.01, rel=0.15)
    # Nine and a half points a run or more, not the eight and seven of the stored rows.
    assert both.delta.points_avg == pytest.approx(-0.1, rel=0.15)
    ranked = await repository.rank_strategies(realm_id="sampled", by="error_rate")
    assert [one.strategy_id for one in ranked] == ["other-sampled", "sampled"]
    assert close(ranked[1].error_rate, both.a.error_rate)


async def test_a_comparison_of_a_strategy_with_itself(
    repository: StrategyExecutionLogRepository,
) -> None:
    await repository.insert_rows([row(strategy_id="twin", points=3.0)] * 1)
    both = await repository.compare(a="twin", b="twin")
    assert both.a == both.b
    assert set(both.delta.model_dump().values()) == {0.0}


async def test_json_has_the_keys_of_the_contract(
    repository: StrategyExecutionLogRepository,
) -> None:
    at = T0.replace(microsecond=0)
    await repository.insert_rows(
        [
            row(
                strategy_id="json",
                realm_id="json",
                created_at=at,
                points=p,
                duration_ms=d,
                case_name=c,
                **more,
            )
            for p, d, c, more in (
                (0.0, 4.0, "gold", {}),
                (10.0, 6.0, None, {"sample_rate": 0.5, "sampled": True}),
                (None, 7000.0, None, {"status": "error", "error_code": "E1"}),
                (None, 5.0, "gold", {"status": "odd"}),
            )
        ]
    )
    both = await repository.compare(a="json", b="json", since=at, until=at)
    card = both.model_dump(by_alias=True, mode="json")["a"]
    durations = [2, 1, *[0] * 10, 1]
    labels = [*(f"≤{edge}ms" for edge in EDGES), ">5000ms"]
    assert card == {
        "strategyId": "json",
        "windowFrom": "2026-11-20T12:00:00Z",
        "windowUntil": "2026-11-20T12:00:00Z",
        "statusBreakdown": {"ok": 2, "error": 1, "timeout": 0, "limit": 0, "other": 1, "total": 4},
        "successRate": 0.6,
        "errorRate": 0.2,
        "duration": {
            "avgMs": 1404.2,
            "p50Ms": 6.0,
            "p95Ms": pytest.approx(5601.2),
            "p99Ms": pytest.approx(6720.24),
            "maxMs": 7000.0,
            "sampleSize": 4,
            "method": "exact",
            "relativeError": 0.0,
        },
        "durationHistogram": [
            {"label": label, "upperBound": edge, "count": count}
            for label, edge, count in zip(labels, [*EDGES, None], durations, strict=True)
        ],
        "topErrors": [{"code": "E1", "count": 1}],
        "topCases": [{"caseName": "gold", "count": 2}, {"caseName": None, "count": 2}],
        "pointsHistogram": [
            {"label": f"{n}\u2013{n + 1}", "upperBound": n + 1.0, "count": int(n in (0, 9))}
            for n in range(10)
        ],
        "pointsSum": 10.0,
        "nodesAvg": 4.0,
        "nodesMax": 4,
        "estimatedTotal": 5.0,
        "otherErrors": 0,
        "otherCases": 0,
        "rowsFrom": None,
        "versionsFrom": None,
    }
    assert StrategyMetrics.model_validate(card) == both.a
    assert list(both.model_dump(by_alias=True)) == ["a", "b", "delta", "intervals"]
    assert both.delta.model_dump(by_alias=True) == dict.fromkeys(
        ["successRate", "errorRate", "p95Ms", "avgMs", "pointsAvg"], 0.0
    )
    assert both.intervals.model_dump(by_alias=True) == {
        measure: {"low": None, "high": None, "significant": None}
        for measure in ("successRate", "errorRate", "p95Ms", "avgMs", "pointsAvg")
    }
    [bucket] = await repository.timeseries(strategy_id="json", since=at, until=at, bucket=0.5)
    assert bucket.model_dump(by_alias=True, mode="json") == {
        "start": "2026-11-20T12:00:00Z",
        "total": 4,
        "ok": 2,
        "error": 1,
        "timeout": 0,
        "limit": 0,
        "other": 1,
        "errorRate": pytest.approx(0.2),
        "durationAvgMs": 1404.2,
        "durationP50Ms": 6.0,
        "durationP95Ms": pytest.approx(5601.2),
        "durationP99Ms": pytest.approx(6720.24),
        "durationMaxMs": 7000.0,
        "pointsSum": 10.0,
        "method": "exact",
        "relativeError": 0.0,
    }
    [rank] = await repository.rank_strategies(realm_id="json")
    assert rank.model_dump(by_alias=True, mode="json") == {
        "strategyId": "json",
        "runs": 4,
        "failures": 2,
        "errorRate": 0.2,
        "failedRate": 0.4,
        "avgMs": 1404.2,
        "p50Ms": 6.0,
        "p95Ms": pytest.approx(5601.2),
        "p99Ms": pytest.approx(6720.24),
        "lastRun": "2026-11-20T12:00:00Z",
        "method": "exact",
        "relativeError": 0.0,
    }


@pytest.mark.parametrize(
    ("points", "first", "last"),
    [
        ((0.0, 10.0), "0\u20131", "9\u201310"),
        ((-0.0, 10.0), "0\u20131", "9\u201310"),
        ((1234567.0, 1234568.0), "1234567\u20131234567.1", "1234567.9\u20131234568"),
        ((-1e300, 1e300), "-1e+300\u2013-8e+299", "8e+299\u20131e+300"),
        ((-0.0, -0.0), "0", "0"),
    ],
)
async def test_labels_of_points_tell_the_bars_apart(
    repository: StrategyExecutionLogRepository,
    points: tuple[float, float],
    first: str,
    last: str,
) -> None:
    name = f"labels {points}"
    await repository.insert_rows(row(strategy_id=name, points=value) for value in points)
    labels = [bar.label for bar in (await repository.metrics(strategy_id=name)).points_histogram]
    assert (labels[0], labels[-1]) == (first, last)
    assert len(set(labels)) == len(labels)


async def test_the_ten_most_frequent_of_more(repository: StrategyExecutionLogRepository) -> None:
    """Ties at the end go by code or name, and those of no case are last among them."""
    names = [f"c{n:02}" for n in range(14)]
    rows = [
        row(strategy_id="top", error_code=name, case_name=None if name == "c00" else name)
        for n, name in enumerate(names)
        for _ in range(9 if n in (12, 13) else 3)
    ]
    await repository.insert_rows(rows)
    card = await repository.metrics(strategy_id="top")
    errors = [(found.code, found.count) for found in card.top_errors]
    assert errors == [("c12", 9), ("c13", 9), *((name, 3) for name in names[:8])]
    cases = [(found.case_name, found.count) for found in card.top_cases]
    assert cases == [("c12", 9), ("c13", 9), *((name, 3) for name in names[1:9])]


async def test_an_empty_card(repository: StrategyExecutionLogRepository) -> None:
    card = await repository.metrics(strategy_id="nobody")
    dump = card.model_dump(by_alias=True, mode="json")
    assert dump["pointsHistogram"] == [{"label": "0", "upperBound": 0.0, "count": 0}]
    assert (dump["topErrors"], dump["topCases"]) == ([], [])
    assert (dump["successRate"], dump["errorRate"], dump["estimatedTotal"]) == (0, 0, 0)
    assert (dump["windowFrom"], dump["windowUntil"]) == (None, None)
    assert dump["duration"] == {
        "avgMs": 0.0,
        "p50Ms": 0.0,
        "p95Ms": 0.0,
        "p99Ms": 0.0,
        "maxMs": 0.0,
        "sampleSize": 0,
        "method": "exact",
        "relativeError": 0.0,
    }
