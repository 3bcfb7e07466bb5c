"""How often a steady error rate is said to have changed, and how often one that did is found.

    python -m tests.bench.levels [--pages 1000] [--seed 23]

A page has some strategies, whose runs of eight hours are read in blocks of five minutes. Runs of a
minute fail together: the logit of the error rate has a part of each minute (sd 0.5); or failures
come in bursts too, of five on average within a minute. No server is needed.
"""

from __future__ import annotations

import argparse
import math
import random
from typing import NamedTuple

from execlog.statistics.level import level
from execlog.statistics.multiplicity import stand

MINUTE_SD, BURST = 0.5, 5.0


class Case(NamedTuple):
    """What the runs of a strategy are like.

    Attributes:
        name: As it is shown.
        minutes: How many are read.
        a_minute: The runs of a minute.
        rate: The error rate.
        bursts: Minutes from one burst of failures to the next, on average; 0: there are none.
        broke: For how many minutes it has failed more often, and how often.
    """

    name: str
    minutes: int
    a_minute: float
    rate: float
    bursts: float = 0.0
    broke: tuple[int, float] | None = None


class Trial(NamedTuple):
    """How many pages are looked at, and how many strategies each has."""

    strategies: int
    pages: int


CASES = [
    Case("150 runs an hour", 480, 2.5, 0.01),
    Case("150 runs an hour, a burst an hour", 480, 2.5, 0.003, bursts=60),
    Case("1,200 runs an hour, a burst an hour", 480, 20, 0.003, bursts=60),
    Case("24 runs an hour, a burst an hour", 480, 0.4, 0.003, bursts=60),
    Case("150 runs an hour, 1 % to 5 % for 30 min", 480, 2.5, 0.01, broke=(30, 0.05)),
    Case("150 runs an hour, 1 % to 8.5 % for 90 min", 480, 2.5, 0.01, broke=(90, 0.085)),
    Case("600 runs an hour, 1 % to 5 % for 30 min", 480, 10, 0.01, broke=(30, 0.05)),
    Case("1,500 runs an hour, 1 % to 5 % for 30 min", 480, 25, 0.01, broke=(30, 0.05)),
    Case("150 runs an hour, 1 % to 50 % for 20 min", 480, 2.5, 0.01, broke=(20, 0.5)),
]


def series(dice: random.Random, case: Case, width: int) -> tuple[list[float], list[float]]:
    """The runs and failures of each block of so many minutes."""
    blocks = case.minutes // width
    runs, failed = [0.0] * blocks, [0.0] * blocks
    for minute in range(blocks * width):
        count = _poisson(dice, case.a_minute)
        rate = case.rate
        if case.broke is not None and minute >= case.minutes - case.broke[0]:
            rate = case.broke[1]
        odds = rate / (1 - rate) * math.exp(dice.gauss(0, MINUTE_SD))
        wrong = sum(dice.random() < odds / (1 + odds) for _ in range(count))
        if case.bursts and dice.random() < 1 / case.bursts:
            more = 1 + int(math.log(1 - dice.random()) / math.log(1 - 1 / BURST))
            count, wrong = count + more, wrong + more
        runs[minute // width] += count
        failed[minute // width] += wrong
    return runs, failed


def alarms(dice: random.Random, case: Case, trial: Trial) -> float:
    """The share of pages that say of any strategy that its error rate changed."""
    wrong = 0
    for _ in range(trial.pages):
        found = [level(*series(dice, case, 5)) for _ in range(trial.strategies)]
        wrong += any(stand([one.p_value for one in found if one is not None], 0.05))
    return wrong / trial.pages


def _poisson(dice: random.Random, mean: float) -> int:
    count, reached = 0, dice.expovariate(1.0)
    while reached < mean:
        count += 1
        reached += dice.expovariate(1.0)
    return count


def main() -> None:
    """Prints a line a case."""
    parser = argparse.ArgumentParser(description="How often changes are found, and made up.")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=23)
    options = parser.parse_args()
    print(f"{options.pages} pages; the share of them that says that an error rate changed")
    print(f"{'case':44}" + "".join(f"{count:>8} of" for count in (1, 10, 50)))
    for case in CASES:
        dice = random.Random(options.seed)
        counts = (1,) if case.broke is not None else (1, 10, 50)
        said = (alarms(dice, case, Trial(count, options.pages)) for count in counts)
        print(f"{case.name:44}" + "".join(f"{share:11.1%}" for share in said), flush=True)


if __name__ == "__main__":
    main()
