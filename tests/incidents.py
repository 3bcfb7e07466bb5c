"""Staged incidents, for the tests of the questions that are asked of one.

One version of a strategy breaks for one tenant and one case; another strategy gets slow where its
traces are large.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog import StrategyExecutionLog
from tests.rows import row

RUNS = 1500
REALMS = ("acme", "globex", "initech")
CASES = ("welcome", "bonus", "streak", None)
STRATEGIES = ("loyalty", "referral", "scoring")
HOURS = timedelta(hours=3)


@dataclass(frozen=True)
class Incident:
    """What is wrong, as it was staged.

    Attributes:
        dsn: The log.
        version: The version that breaks.
        realm: The tenant that it breaks for.
        case: The case that it breaks.
        users: Who was hit.
        slow: The strategy that is slow.
        node: The node that takes its time.
    """

    dsn: str
    version: int
    realm: str
    case: str
    users: set[str]
    slow: str
    node: str


def traced(dice: random.Random, node: str, slow_ms: float) -> list[dict[str, Any]]:
    """A trace whose loop is long if the run is slow; the root holds the time of all."""
    steps: list[dict[str, Any]] = [{"node": f"check-{n}", "ms": dice.random()} for n in range(4)]
    steps += [{"node": node, "ms": slow_ms / 20} for _ in range(20 if slow_ms else 1)]
    return [{"node": "root", "ms": sum(one["ms"] for one in steps) + 0.1, "children": steps}]


def made(dice: random.Random, dsn: str) -> Incident:
    """What goes wrong, by the dice."""
    return Incident(
        dsn,
        version=dice.randrange(2, 9),
        realm=dice.choice(REALMS),
        case=dice.choice([case for case in CASES if case]),
        users=set(),
        slow=dice.choice(["referral", "scoring"]),
        node=dice.choice(["expand", "join"]),
    )


def staged(
    dice: random.Random, incident: Incident, runs: int = RUNS
) -> Iterator[StrategyExecutionLog]:
    """The runs of the last three hours; who was hit becomes a part of the incident."""
    now = datetime.now(UTC)
    for n in range(runs):
        at = now - HOURS * (1 - n / runs)
        strategy, realm, case = dice.choice(STRATEGIES), dice.choice(REALMS), dice.choice(CASES)
        version = incident.version if n > runs // 2 else incident.version - 1
        fields: dict[str, Any] = {"status": "ok", "duration_ms": dice.lognormvariate(1.4, 0.5)}
        slow_ms = 0.0
        if (strategy, version) == ("loyalty", incident.version) and (
            (realm, case) == (incident.realm, incident.case) and dice.random() < 0.9
        ):
            user = f"hit-{dice.randrange(30)}"
            incident.users.add(user)
            fields.update(status="error", error_code="E_BONUS", external_user_id=user)
        elif dice.random() < 0.01:
            fields.update(status="timeout", error_code="E_TIMEOUT")
        elif strategy == incident.slow and n > runs * 2 // 3 and dice.random() < 0.3:
            slow_ms = 300 + 500 * dice.random()
            fields["duration_ms"] += slow_ms
        yield row(
            **{
                "created_at": at,
                "strategy_id": strategy,
                "strategy_version": version,
                "realm_id": realm,
                "case_name": case,
                "external_user_id": f"user-{dice.randrange(400)}",
                "nodes_executed": 25 if slow_ms else 6,
                "trace": traced(dice, incident.node, slow_ms),
                "attributes": {"build": f"b{version}", "channel": dice.choice(["app", "web"])},
                **fields,
            }
        )
