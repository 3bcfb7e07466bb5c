"""Strategies as Prometheus reads them: what rows and rollups hold since midnight, and no more."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser

from execlog import InvalidArgument, StoreUnavailable, StrategyExecutionLogRepository
from execlog.prometheus import StrategyCollector
from tests.rows import row
from tests.types import Pool

STATUSES = ["ok", "ok", "ok", "error", "timeout", "limit", "odd"]


def read(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """The samples, as the strictest reader of the format has them; labels by their names' order."""
    text = openmetrics.generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    families = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("exact_runs", [100_000, -1])
async def test_what_ran_since_midnight(
    pool: Pool, repository: StrategyExecutionLogRepository, exact_runs: int
) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [
        row(
            strategy_id=["a", 'b "c"\n'][n % 2],
            created_at=midnight + (now - midnight) * (n / 300),
            status=STATUSES[n % 7],
            duration_ms=float(n),
            external_user_id=f"user {n}",
        )
        for n in range(300)
    ]
    old = row(strategy_id="old", created_at=midnight - timedelta(microseconds=1))
    await repository.insert_rows([*rows, old])
    while await pool.fetchval("select execlog.roll_up()") == "more":
        pass
    await pool.execute("update execlog.rollup_state set exact_runs = $1", exact_runs)
    collector = StrategyCollector(repository, {"log": "scores"})
    registry = CollectorRegistry(auto_describe=True)
    registry.register(collector)
    assert read(registry) == {}
    await collector.read()
    found = read(registry)
    expected = Counter(
        (one.strategy_id, one.status if one.status != "odd" else "other") for one in rows
    )
    runs = {
        (key[3], key[2]): count for key, count in found.items() if key[0].endswith("runs_total")
    }
    assert runs == expected
    for name in ("a", 'b "c"\n'):
        own = [one.duration_ms for one in rows if one.strategy_id == name]
        bars = {
            key[1]: count
            for key, count in found.items()
            if key[0].endswith("seconds_bucket") and key[3] == name
        }
        assert bars["0.05"] == sum(took <= 50 for took in own)
        assert (
            bars["+Inf"]
            == len(own)
            == found["execlog_strategy_duration_seconds_count", "scores", name]
        )
        total = found["execlog_strategy_duration_seconds_sum", "scores", name]
        assert total == pytest.approx(sum(own) / 1000)
    assert "user" not in generate_latest(registry).decode()
    assert 0 <= found["execlog_strategy_read_seconds", "scores"] < 60


async def test_a_sampled_strategy_has_no_sum(repository: StrategyExecutionLogRepository) -> None:
    """An average of what rows stand for, times the number of rows, would fall at times."""
    now = datetime.now(UTC)
    whole = [row(strategy_id="whole", created_at=now, duration_ms=1000.0) for _ in range(3)]
    part = row(strategy_id="part", created_at=now, duration_ms=1.0, sampled=True, sample_rate=0.01)
    await repository.insert_rows([*whole, part])
    collector, registry = StrategyCollector(repository), CollectorRegistry()
    registry.register(collector)
    await collector.read()
    found = read(registry)
    name = "execlog_strategy_duration_seconds"
    assert found[f"{name}_sum", "whole"] == pytest.approx(3.0)
    assert (f"{name}_sum", "part") not in found
    assert found[f"{name}_bucket", "+Inf", "part"] == 1


async def test_a_failed_read_leaves_what_there_was(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await repository.insert_rows([row(created_at=datetime.now(UTC))])
    collector = StrategyCollector(StrategyExecutionLogRepository(pool, timeout=0.5))
    registry = CollectorRegistry()
    registry.register(collector)
    await collector.read()
    before = set(read(registry))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table execlog.strategy_execution_log")
        with pytest.raises(StoreUnavailable):
            await collector.read()
    assert set(read(registry)) == before


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"log": "dsn"}, "log"),
        ({"most": 0}, "most"),
        ({"most": 51}, "most"),
        ({"labels": {"status": "x"}}, "labels"),
        ({"labels": {"1": "x"}}, "labels"),
        ({"labels": "x"}, "labels"),
    ],
)
async def test_bad_arguments(
    repository: StrategyExecutionLogRepository, given: dict[str, Any], argument: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        StrategyCollector(**{"log": repository, **given})
    assert error.value.argument == argument
