"""What `execlog check` finds: the numbers of strategies, judged, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from execlog import StrategyExecutionLogRepository, StrategyRank
from execlog.cli.options import before
from execlog.cli.verdict import Limits, Numbers, Verdict, badness, judged
from execlog.repository.activity import StrategyActivity
from execlog.repository.breakdown import MOST_GROUPS
from execlog.repository.filters import Filters
from execlog.repository.groups import Breakdown
from execlog.repository.ranking import RankBy

__all__ = ["OF_CARDS", "Found", "Scope", "verdicts"]

OF_CARDS = frozenset({"realm_id", "strategy_version"})
"""The filters that cards and rankings take."""

_MOST = 50  # strategies of one ranking


@dataclass(frozen=True)
class Scope:
    """Which runs are checked.

    Attributes:
        strategy: The strategy; None: all.
        filters: The filters.
        since: The window's begin.
        until: The window's end; None: runs after the present belong to it too.
        end: The window's end; the present, if there is none.
    """

    strategy: str | None
    filters: Filters
    since: datetime
    until: datetime | None
    end: datetime

    @property
    def of_cards(self) -> dict[str, Any]:
        """The filters that cards take. Never raises."""
        return {name: self.filters.get(name) for name in sorted(OF_CARDS)}

    @property
    def is_of_cards(self) -> bool:
        """Whether cards take all of the filters. Never raises."""
        return self.filters.keys() <= OF_CARDS

    @property
    def window(self) -> dict[str, Any]:
        """The window, as the methods take it. Never raises."""
        return {"since": self.since, "until": self.until}

    @property
    def name(self) -> str:
        """What is checked at once. Never raises."""
        of = "all strategies" if self.strategy is None else self.strategy
        realms, versions = (_listed(self.filters.get(name)) for name in sorted(OF_CARDS))
        more = "" if self.is_of_cards else ", filtered"
        return f"{of}{realms and f' of {realms}'}{versions and f', version {versions}'}{more}"


class Found(NamedTuple):
    """The verdicts, the worst first, and how many other strategies ran."""

    verdicts: list[Verdict]
    others: int = 0


async def verdicts(
    log: StrategyExecutionLogRepository, scope: Scope, limits: Limits, *, each: bool
) -> Found:
    """The verdicts on a scope.

    Args:
        log: The repository.
        scope: What is checked.
        limits: The limits.
        each: Whether each strategy is checked by itself.

    Raises:
        ExeclogError: The server is away or refuses.
        OSError: Standard error can't be written.
    """
    if not scope.is_of_cards:
        return await _filtered(log, scope, limits)
    if each:
        return await _of_each(log, scope, limits)
    numbers = await (_together(log, scope) if scope.strategy is None else _of_one(log, scope))
    is_silent = await _is_silent(log, scope, limits)
    return Found([judged(numbers, scope.strategy, scope.name, limits, is_silent=is_silent)])


async def _is_silent(log: StrategyExecutionLogRepository, scope: Scope, limits: Limits) -> bool:
    if limits.silence is None:
        return False
    return not await log.list_executions(
        strategy_id=scope.strategy,
        **scope.filters,
        since=before(scope.end, limits.silence),
        until=scope.until,
        limit=1,
        payloads=False,
    )


async def _filtered(log: StrategyExecutionLogRepository, scope: Scope, limits: Limits) -> Found:
    """By filters that no card takes: the strategy, or each that has such runs in the window."""
    groups = await log.breakdown(
        by="strategy_id",
        strategy_id=scope.strategy,
        **scope.filters,
        **scope.window,
        limit=MOST_GROUPS,
    )
    found = {str(one.value): one for one in groups}
    if scope.strategy is not None or not found:
        is_silent = await _is_silent(log, scope, limits)
        numbers = _of_group(found[scope.strategy]) if scope.strategy in found else Numbers()
        return Found([judged(numbers, scope.strategy, scope.name, limits, is_silent=is_silent)])
    begin = None if limits.silence is None else before(scope.end, limits.silence)
    made = [
        judged(
            _of_group(one),
            name,
            name,
            limits,
            is_silent=begin is not None and (one.last_seen is None or one.last_seen < begin),
        )
        for name, one in found.items()
    ]
    made.sort(key=lambda one: (*badness(one, limits), one.name))
    return Found(made[:_MOST], len(made[_MOST:]))


def _of_group(one: Breakdown) -> Numbers:
    return Numbers(one.runs, one.error_rate, one.failed_rate or 0.0, one.p99_ms or 0.0)


def _listed(held: Any) -> str:
    """A value, or several, as text."""
    if held is None:
        return ""
    return ", ".join(map(str, [held] if isinstance(held, str | int) else held))


async def _of_one(log: StrategyExecutionLogRepository, scope: Scope) -> Numbers:
    card = await log.metrics(strategy_id=scope.strategy or "", **scope.of_cards, **scope.window)
    runs = card.status_breakdown.total
    failed = 1 - card.success_rate if runs else 0.0
    return Numbers(runs, card.error_rate, failed, card.duration.p99_ms)


async def _together(log: StrategyExecutionLogRepository, scope: Scope) -> Numbers:
    found = await log.rank_together(**scope.of_cards, **scope.window)
    return Numbers() if found is None else _numbers(found)


async def _of_each(log: StrategyExecutionLogRepository, scope: Scope, limits: Limits) -> Found:
    """The worst by each limit, and the silent ones: each ranking is cut by the server."""
    by: list[RankBy] = []
    if limits.error_rate is not None:
        by.append("error_rate")
    if limits.failed_rate is not None:
        by.append("failed_rate")
    if limits.p99 is not None:
        by.append("p99")
    ranked: dict[str, Numbers] = {}
    for one in by or ["runs"]:
        found = await log.rank_strategies(
            **scope.of_cards, **scope.window, by=one, min_runs=limits.min_runs, limit=_MOST
        )
        ranked |= {rank.strategy_id: _numbers(rank) for rank in found}
    ran = await log.activity(**scope.of_cards, **scope.window, buckets=1)
    silent = await _silent(log, scope, limits, ran)
    few = {
        one.strategy_id: Numbers(_runs(one))
        for one in ran
        if one.strategy_id not in ranked and (_runs(one) < limits.min_runs)
    }
    asked = {**dict.fromkeys(silent, Numbers()), **_worst(few), **ranked}
    known = {one.strategy_id: _runs(one) for one in ran}
    made = [
        judged(
            numbers if numbers.runs else Numbers(known.get(name, 0)),
            name,
            name,
            limits,
            is_silent=name in silent,
        )
        for name, numbers in asked.items()
        if numbers.runs or name in silent
    ]
    if limits.silence is not None and not known and not silent:
        # What is silent for longer than both windows must not look well again.
        made.append(judged(Numbers(), None, scope.name, limits, is_silent=True))
    made.sort(key=lambda one: (*badness(one, limits), one.name))
    others = {name for name, runs in known.items() if runs} - asked.keys()
    return Found(made, len(others))


async def _silent(
    log: StrategyExecutionLogRepository,
    scope: Scope,
    limits: Limits,
    ran: Iterable[StrategyActivity],
) -> set[str]:
    """The strategies that ran lately, but not within the time that is allowed."""
    if limits.silence is None:
        return set()
    begin = before(scope.end, limits.silence)
    lately = await log.activity(**scope.of_cards, since=begin, until=scope.until, buckets=1)
    known = {one.strategy_id for one in (*ran, *lately)}
    return known - {one.strategy_id for one in lately if _runs(one)}


def _runs(one: StrategyActivity) -> int:
    return sum(one.runs)


def _worst(few: dict[str, Numbers]) -> dict[str, Numbers]:
    """As many as a ranking has, those with the most runs."""
    return dict(sorted(few.items(), key=lambda one: (-one[1].runs, one[0]))[:_MOST])


def _numbers(rank: StrategyRank) -> Numbers:
    return Numbers(rank.runs, rank.error_rate, rank.failed_rate, rank.p99_ms)
