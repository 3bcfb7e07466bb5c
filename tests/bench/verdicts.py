"""How often healthy strategies are called better or worse, and how often a broken one is.

    python -m tests.bench.verdicts [--logs 300] [--seed 23]

A log has 12 strategies. Runs of a minute fail together: the logit of a strategy's error rate has a
part of each minute (sd 0.5), and if a case says so, of each hour (sd 0.25); no other strategy
shares them. What whole hours have in common can't be told from a change by windows of an hour: that
case is shown for it. Counts go through the functions that the overview uses after its statement. No
server is needed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from execlog.repository.activity import activity_buckets, counted
from execlog.repository.verdicts import intervals
from execlog.statistics.distributions import normal_cdf
from execlog.statistics.multiplicity import stand

STRATEGIES = 12
MINUTE_SD, HOUR_SD = 0.5, 0.25
END = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BASE = 0.04
DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)


class Case(NamedTuple):
    """What a log is like.

    Attributes:
        name: As it is shown.
        length: Of the window, and of the one before.
        a_minute: The runs of a minute.
        hour_sd: Of the part of each hour.
        more: By how much more often one of the strategies fails in the window.
    """

    name: str
    length: timedelta
    a_minute: float
    hour_sd: float = 0.0
    more: float = 0.0


CASES = [
    Case("a day, 4 runs a minute", DAY, 4),
    Case("a day, 4 runs a minute, hours differ", DAY, 4, HOUR_SD),
    Case("a day, 60 runs a minute, hours differ", DAY, 60, HOUR_SD),
    Case("a day, a run in 3 minutes", DAY, 1 / 3),
    Case("an hour, 60 runs a minute", HOUR, 60),
    Case("a quarter of an hour, 60 runs a minute", QUARTER, 60),
    Case("an hour, 60 runs a minute, hours differ", HOUR, 60, HOUR_SD),
    Case("a day, 4 runs a minute, one +2 points", DAY, 4, 0.0, 0.02),
    Case("an hour, 60 runs a minute, one +5 points", HOUR, 60, 0.0, 0.05),
]


def minutes(dice: random.Random, count: int, hour_sd: float) -> list[float]:
    """The error rate of each minute, of a strategy that stays as it is."""
    base = math.log(BASE / (1 - BASE))
    hours = [dice.gauss(0, hour_sd) for _ in range(-(-count // 60))]
    logits = [base + hours[n // 60] + dice.gauss(0, MINUTE_SD) for n in range(count)]
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def failures(dice: random.Random, runs: int, rate: float) -> int:
    """How many of the runs fail: from each to the next one is a geometric distance."""
    found, place = -1, 0
    while place <= runs:
        found += 1
        place += 1 + int(math.log(1 - dice.random()) / math.log(1 - rate))
    return found


def record(dice: random.Random, case: Case, more: float) -> dict[str, Any]:
    """A row of sql/activity.sql, whose buckets are whole numbers of half minutes."""
    cuts = activity_buckets(END - case.length, END, 30)
    first = cuts.starts()[1]
    half = timedelta(seconds=30)
    counts: dict[int, list[float]] = {}
    length = case.length // (2 * half)
    for n, rate in enumerate(minutes(dice, 2 * length, case.hour_sd), -length):
        for part in (0, 1):
            runs = int(case.a_minute / 2 + dice.random())
            failed = failures(dice, runs, rate + (more if n >= 0 else 0.0))
            place = (cuts.since + (2 * n + part) * half - first) // cuts.width
            number = place + 1 if n >= 0 else place
            one = counts.setdefault(number, [0, 0, 0.0, 0.0])
            for column, value in enumerate((runs, failed, failed, runs)):
                one[column] += value
    held = [[number, *one] for number, one in sorted(counts.items()) if one[0]]
    return {"buckets": json.dumps(held)}


def by_rows(found: dict[str, Any]) -> float:
    """The p-value of a test that takes runs for independent."""
    sides = [[0.0, 0.0], [0.0, 0.0]]
    for number, runs, _, failed, _ in json.loads(found["buckets"]):
        sides[number >= 0][0] += runs
        sides[number >= 0][1] += failed
    (runs_a, failed_a), (runs_b, failed_b) = sides
    if not runs_a or not runs_b:
        return 1.0
    rate = (failed_a + failed_b) / (runs_a + runs_b)
    error = math.sqrt(rate * (1 - rate) * (1 / runs_a + 1 / runs_b))
    moved = failed_b / runs_b - failed_a / runs_a
    return 2 * (1 - normal_cdf(abs(moved) / error)) if error else 1.0


def tried(seed: int, case: Case) -> tuple[bool, bool, bool]:
    """Whether a healthy strategy got a verdict, whether by rows, and whether the broken one did."""
    dice = random.Random(seed)
    cuts = activity_buckets(END - case.length, END, 30)
    rows: list[Any] = [record(dice, case, case.more * (n == 0)) for n in range(STRATEGIES)]
    said = [one.significant for one in intervals(cuts.change(counted(one)) for one in rows)]
    rough = stand([by_rows(one) for one in rows], 0.05)
    healthy = slice(1 if case.more else 0, None)
    return any(said[healthy]), any(rough[healthy]), bool(said[0])


def main() -> None:
    """Prints a line a case."""
    parser = argparse.ArgumentParser(description="How often verdicts are wrong.")
    parser.add_argument("--logs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=23)
    options = parser.parse_args()
    print(f"{options.logs} logs, seeds from {options.seed * 1000} on; pages with a false verdict")
    print(f"{'case':44}{'by blocks':>12}{'by rows':>12}{'found':>12}")
    seeds = range(options.seed * 1000, options.seed * 1000 + options.logs)
    for case in CASES:
        found = [tried(seed, case) for seed in seeds]
        wrong, rough, right = (sum(column) / len(found) for column in zip(*found, strict=True))
        shown = f"{right:12.1%}" if case.more else ""
        print(f"{case.name:44}{wrong:12.1%}{rough:12.1%}{shown}", flush=True)


if __name__ == "__main__":
    main()
