"""What is wrong now: the strategies whose error rate changed by more than chance, the worst first.

It was found in the window and the one before, and in the last hours, whose buckets are finer. All
that is looked at for one page is judged together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from execlog.repository.activity import StrategyActivity
from execlog.statistics.multiplicity import stand
from execlog.statistics.verdicts import LEVEL

__all__ = ["Findings", "Silence", "Trouble", "findings", "silence", "suspects", "usual_gap"]

_SHORTEST = timedelta(minutes=3)  # a log that is silent for less is not
_GAPS = 2  # times the longest gap so far
_USUAL = 4  # buckets with runs; of a log with fewer nothing is usual


@dataclass(frozen=True)
class Trouble:
    """The error rate of a strategy that changed.

    Attributes:
        strategy_id: The strategy.
        changed_at: About when.
        then: The error rate before.
        since: The error rate since.
        runs: How many runs of the window there were since, about.
    """

    strategy_id: str
    changed_at: datetime
    then: float
    since: float
    runs: int

    @property
    def is_worse(self) -> bool:
        """Whether it fails more often. Never raises."""
        return self.since > self.then

    @property
    def weight(self) -> float:
        """By how many runs more have failed, or fewer. Never raises."""
        return abs(self.since - self.then) * self.runs


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        worse: The strategies that fail more often, the worst first.
        better: Those that fail less often.
        judged: How many strategies had enough runs to tell.
        unjudged: How many had too few.
    """

    worse: Sequence[Trouble]
    better: Sequence[Trouble]
    judged: int
    unjudged: int

    def of(self, strategy_id: str) -> Trouble | None:
        """What was found of a strategy. Never raises."""
        both = (*self.worse, *self.better)
        return next((one for one in both if one.strategy_id == strategy_id), None)


@dataclass(frozen=True)
class Silence:
    """A log that usually stores runs and has not for a while.

    Attributes:
        lasts: For how long.
        usual: The longest time without a run that the series show, in whole buckets.
    """

    lasts: timedelta
    usual: timedelta


def findings(*series: Sequence[StrategyActivity]) -> Findings:
    """What changed by more than chance, false alarms held at 5 % over all series. Never raises.

    Args:
        series: Activities of the same strategies, those with the finest buckets last.
    """
    tried = [(one, one.level_change) for several in series for one in several if one.level_change]
    stands = stand([change.p_value for _, change in tried], LEVEL)
    changed: dict[str, Trouble] = {}
    for (one, change), is_sure in zip(tried, stands, strict=True):
        if is_sure:
            ends = zip(one.starts, one.runs, strict=True)
            changed[one.strategy_id] = Trouble(
                one.strategy_id,
                change.changed_at,
                change.error_rate_then,
                change.error_rate_since,
                sum(runs for start, runs in ends if start >= change.changed_at),
            )
    ranked = sorted(changed.values(), key=lambda one: (-one.weight, one.strategy_id))
    judged = {one.strategy_id for one, _ in tried}
    known = {one.strategy_id for several in series for one in several}
    return Findings(
        [one for one in ranked if one.is_worse],
        [one for one in ranked if not one.is_worse],
        len(judged),
        len(known - judged),
    )


def suspects(*series: Sequence[StrategyActivity], most: int) -> list[str]:
    """The strategies whose error rate may have changed, the most likely first. Never raises.

    Args:
        series: Activities with a few wide buckets, of all strategies of a log.
        most: How many to name.
    """
    scores: dict[str, float] = {}
    for several in series:
        for one in several:
            score = max(_score(one), scores.get(one.strategy_id, 0.0))
            scores[one.strategy_id] = score
    return sorted(scores, key=lambda name: (-scores[name], name))[:most]


def _score(one: StrategyActivity) -> float:
    """The square of how far the rates before and after the best of all splits are apart."""
    weights = [float(one.runs_before), *one.weights]
    failed = [one.runs_before * one.error_rate_before]
    failed += [weight * rate for weight, rate in zip(one.weights, one.error_rates, strict=True)]
    total, wrong = sum(weights), sum(failed)
    best = n = y = 0.0
    for weight, outcome in zip(weights, failed, strict=True):
        n, y = n + weight, y + outcome
        if 0 < n < total and 0 < wrong < total:
            apart = (y * total - n * wrong) ** 2 / (n * (total - n))
            best = max(best, apart * total / (wrong * (total - wrong)))
    return best


def silence(
    last: datetime | None, now: datetime, *series: Sequence[StrategyActivity]
) -> Silence | None:
    """Whether a log is silent for longer than it usually is; None: it is not. Never raises.

    Args:
        last: When its newest run finished.
        now: The present, which is the end of the window of all series.
        series: Activities of its strategies.
    """
    lasts = timedelta(0) if last is None else now - last
    if lasts < _SHORTEST:
        return None
    usual = usual_gap(*series)
    return None if usual is None or lasts <= _GAPS * usual else Silence(lasts, usual)


def usual_gap(*series: Sequence[StrategyActivity]) -> timedelta | None:
    """The longest time without a run but for the last one; None: too few runs. Never raises.

    Args:
        series: Activities of the strategies of a log.
    """
    usual, known = timedelta(0), 0
    for several in series:
        gap, busy = _longest_gap(several)
        usual, known = max(usual, gap), max(known, busy)
    return None if known < _USUAL else usual


def _longest_gap(several: Sequence[StrategyActivity]) -> tuple[timedelta, int]:
    """The longest time without a run, but for the last one, and how many buckets have runs."""
    if not several or len(several[0].starts) < 3:
        return timedelta(0), 0
    starts = several[0].starts
    runs = [sum(column) for column in zip(*(one.runs for one in several), strict=True)]
    busy = [place for place, count in enumerate(runs) if count]
    if not busy:
        return timedelta(0), 0
    gaps = [starts[b] - starts[a + 1] for a, b in pairwise(busy)]
    if any(one.runs_before for one in several):  # else the log may be as young as its first run
        gaps.append(starts[busy[0]] - starts[0])
    longest = max(gaps, default=timedelta(0))
    width = starts[2] - starts[1]
    # Two runs in neighbouring buckets may be that far apart; of wide buckets it says little.
    return max(longest, min(width, _SHORTEST)), len(busy)
