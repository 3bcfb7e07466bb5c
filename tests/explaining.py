"""Logs with and without a planted cause, for the tests of `explain` on a server."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from execlog import StrategyExecutionLog
from tests.rows import T0, row

WINDOW = timedelta(hours=1)
WINDOWS: dict[str, Any] = {"since": T0, "until": T0 + WINDOW}
BASE = 0.04
Rate = Callable[[Mapping[str, Any], bool], float]


def runs(
    rate: Rate,
    *,
    seed: int = 1,
    a_minute: int = 50,
    values: Callable[[random.Random, bool], dict[str, Any]] | None = None,
    kept: float = 1.0,
) -> Iterator[StrategyExecutionLog]:
    """Two hours of runs, in which those of a minute fail together.

    Args:
        rate: How often a run with these fields fails, before and after T0, in a usual minute.
        seed: Of the dice.
        a_minute: Runs in a minute.
        values: More fields of a run, from the dice and whether it is after T0.
        kept: The share of ok runs that is stored.
    """
    dice = random.Random(seed)
    for minute in range(-60, 60):
        mood = dice.lognormvariate(0, 0.3)
        for n in range(a_minute):
            after = minute >= 0
            fields: dict[str, Any] = {
                "strategy_version": dice.choice([3, 3, 4]),
                "strategy_type": dice.choice(["DSL_FULL", "DSL_EXTEND"]),
                "realm_id": dice.choice(["acme", "bolt", "core", "dyne"]),
                "external_game_id": f"game-{dice.randrange(6)}",
                "attributes": {"country": dice.choice(["de", "fr", "it"]), "beta": n % 4 == 0},
            }
            fields |= values(dice, after) if values else {}
            failed = dice.random() < min(rate(fields, after) * mood, 1)
            if not failed and dice.random() >= kept:
                continue
            yield row(
                created_at=T0 + timedelta(minutes=minute, seconds=60 * n / a_minute),
                status="error" if failed else "ok",
                error_code="E9" if failed else None,
                points=None if failed else 10.0,
                case_name=None if failed else "rule",
                sample_rate=1.0 if failed else kept,
                sampled=not failed and kept < 1,
                **fields,
            )
