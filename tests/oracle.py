"""What the tests of the reading methods compute in plain Python, and the windows they ask about."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from execlog import StrategyExecutionLog
from tests.rows import TIMES

EXAMPLES = int(os.environ.get("EXECLOG_TEST_EXAMPLES", "10"))
"""How often a server is asked; without one ten times as often."""

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
Window = tuple[datetime | None, datetime | None]


def _ordered(ends: Window) -> Window:
    since, until = ends
    return (until, since) if since and until and since > until else ends


windows = st.tuples(st.sampled_from(TIMES), st.sampled_from(TIMES)).map(_ordered)


def newest_first(rows: Iterable[StrategyExecutionLog]) -> list[StrategyExecutionLog]:
    first = datetime.min.replace(tzinfo=None)
    return sorted(
        rows,
        key=lambda row: (
            row.created_at is not None,
            row.created_at.replace(tzinfo=None) if row.created_at else first,
            row.id,
            row.strategy_id,
        ),
        reverse=True,
    )


def within(rows: list[StrategyExecutionLog], window: Window) -> list[StrategyExecutionLog]:
    since, until = window
    if since is None and until is None:
        return rows
    return [
        row
        for row in rows
        if row.created_at is not None
        and (since is None or row.created_at >= since)
        and (until is None or row.created_at <= until)
    ]


def clamp(limit: int, largest: int) -> int:
    return min(max(limit, 1), largest)


def top(values: Iterable[str | None], limit: int) -> list[tuple[str | None, int]]:
    order: Callable[[tuple[str | None, int]], Any] = lambda item: (  # noqa: E731 - typed
        -item[1],
        item[0] is None,
        (item[0] or "").encode(),
    )
    return sorted(Counter(values).items(), key=order)[: clamp(limit, 50)]


def close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


Realms = str | list[str] | None
realm_choices: st.SearchStrategy[Realms] = st.sampled_from(
    [None, "A", ["A"], ["A", "B"], ["A", "no such", "A"], []]
)
"""What a reading method may be asked for, where realms are called A and B."""


def own_realms(realms: Realms, prefix: str) -> Realms:
    """The same realms as an example calls its own."""
    if realms is None or isinstance(realms, str):
        return None if realms is None else prefix + realms
    return [prefix + realm for realm in realms]


def of_realms(rows: Iterable[StrategyExecutionLog], realms: Realms) -> list[StrategyExecutionLog]:
    wanted = [realms] if isinstance(realms, str) else realms
    return [one for one in rows if wanted is None or one.realm_id in wanted]


def weight(one: StrategyExecutionLog) -> float:
    return 1 / max(one.sample_rate, 1e-9)


def error_rate(rows: list[StrategyExecutionLog]) -> float:
    failed = [one for one in rows if one.status in ("error", "timeout", "limit")]
    return math.fsum(map(weight, failed)) / (math.fsum(map(weight, rows)) or 1)


def weighed_average(rows: list[StrategyExecutionLog], values: Iterable[float]) -> float:
    """The average of a value of each row; one that might leave the range of a double weighs 1."""
    total = math.fsum(map(weight, rows)) or 1
    pairs = zip(rows, values, strict=True)
    return math.fsum(
        value * ((weight(one) if value < 1e290 else 1) / total) for one, value in pairs
    )


def weighed_percentiles(
    rows: list[StrategyExecutionLog], fractions: Sequence[float]
) -> list[float]:
    """Percentiles of the duration, in exact numbers; between the places of rows are lines."""
    if not rows:
        return [0.0] * len(fractions)
    ordered = sorted((Fraction(one.duration_ms), Fraction(weight(one))) for one in rows)
    ends = list(itertools.accumulate(held for _, held in ordered))
    found = []
    for fraction in fractions:
        place = Fraction(fraction) * (ends[-1] - 1)
        index = next(n for n, end in enumerate(ends) if place < end)
        value, over = ordered[index][0], max(place - (ends[index] - 1), Fraction(0))
        if over:
            value += over * (ordered[index + 1][0] - value)
        found.append(float(value))
    return found
