"""What `execlog check` finds: the numbers of strategies, and the limits that they exceed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from execlog import StrategyExecutionLogRepository, StrategyRank
from execlog.cli.no_runs import hint_if_no_runs
from execlog.cli.options import before
from execlog.display.format import milliseconds, number, percent
from execlog.models import Model
from execlog.repository.activity import StrategyActivity
from execlog.repository.ranking import RankBy

__all__ = ["Found", "Limits", "Scope", "Verdict", "line", "verdicts"]

_MOST = 50  # strategies of one ranking


class Limits(NamedTuple):
    """What is allowed; None: anything.

    Attributes:
        error_rate: The largest share of errors, timeouts and limits.
        failed_rate: The largest share of all that are not ok.
        p99: The longest 99th percentile.
        silence: The longest time without a run.
        min_runs: The fewest runs whose rates and percentile are judged.
    """

    error_rate: float | None
    failed_rate: float | None
    p99: timedelta | None
    silence: timedelta | None
    min_runs: int

    @property
    def are_none(self) -> bool:
        """Whether anything is allowed. Never raises."""
        return self[:4] == (None,) * 4

    @property
    def p99_ms(self) -> float | None:
        """The longest 99th percentile in milliseconds. Never raises."""
        return None if self.p99 is None else self.p99 / timedelta(milliseconds=1)


@dataclass(frozen=True)
class Scope:
    """Which runs are checked.

    Attributes:
        strategy: The strategy; None: all.
        realm: The tenant; None: all.
        version: The version; None: all.
        since: The window's begin.
        until: The window's end; None: runs after the present belong to it too.
        end: The window's end; the present, if there is none.
    """

    strategy: str | None
    realm: str | None
    version: int | None
    since: datetime
    until: datetime | None
    end: datetime

    @property
    def filters(self) -> dict[str, Any]:
        """The filters, as the methods take them. Never raises."""
        return {"realm_id": self.realm, "strategy_version": self.version}

    @property
    def window(self) -> dict[str, Any]:
        """The window, as the methods take it. Never raises."""
        return {"since": self.since, "until": self.until}

    @property
    def name(self) -> str:
        """What is checked at once. Never raises."""
        of = "all strategies" if self.strategy is None else self.strategy
        realm = "" if self.realm is None else f" of {self.realm}"
        return of + realm + ("" if self.version is None else f", version {self.version}")


class Verdict(Model):
    """One strategy, or all of a scope at once (`strategy_id` None), against the limits.

    Attributes:
        name: What is checked, as it is shown.
        verdict: "breach", "ok", or "too few runs": then rates and p99 were not judged.
        is_silent: Whether nothing ran for longer than is allowed.
        breaches: The limits that are exceeded: "error_rate", "failed_rate", "p99", "silence".
    """

    strategy_id: str | None
    name: str
    verdict: Literal["breach", "ok", "too few runs"]
    runs: int
    error_rate: float
    failed_rate: float
    p99_ms: float
    is_silent: bool
    breaches: list[str]


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
    if each:
        return await _of_each(log, scope, limits)
    numbers = await (_together(log, scope) if scope.strategy is None else _of_one(log, scope))
    is_silent = False
    if limits.silence is not None:
        last = await log.list_executions(
            strategy_id=scope.strategy,
            **scope.filters,
            since=before(scope.end, limits.silence),
            until=scope.until,
            limit=1,
            payloads=False,
        )
        is_silent = not last
    return Found([_verdict(numbers, scope.strategy, scope.name, limits, is_silent=is_silent)])


def line(one: Verdict, limits: Limits) -> str:
    """A verdict as it is shown after its name. Never raises."""
    runs = f"  ({number(one.runs)} runs)" if one.runs != 1 else "  (1 run)"
    said = []
    if "silence" in one.breaches:
        said.append(f"nothing ran for {_length(limits.silence)}")
    for name, words in (("error_rate", "error rate"), ("failed_rate", "failed")):
        if name in one.breaches:
            said.append(f"{words} {_pair(getattr(one, name), getattr(limits, name))}")
    if "p99" in one.breaches:
        said.append(f"p99 {_longer(one.p99_ms, limits.p99_ms or 0.0)}")
    if not one.runs:
        said = said or ["no runs, no verdict"]
    elif one.runs < limits.min_runs:
        said.append(f"fewer than {number(limits.min_runs)} runs: no verdict on rates")
    elif not said:
        rates = f"error rate {percent(one.error_rate)}, failed {percent(one.failed_rate)}"
        said.append(f"ok: {rates}, p99 {milliseconds(one.p99_ms)}")
    return ", ".join(said) + runs


class _Numbers(NamedTuple):
    runs: int = 0
    error_rate: float = 0.0
    failed_rate: float = 0.0
    p99_ms: float = 0.0


async def _of_one(log: StrategyExecutionLogRepository, scope: Scope) -> _Numbers:
    card = await log.metrics(strategy_id=scope.strategy or "", **scope.filters, **scope.window)
    hint_if_no_runs(card)
    runs = card.status_breakdown.total
    failed = 1 - card.success_rate if runs else 0.0
    return _Numbers(runs, card.error_rate, failed, card.duration.p99_ms)


async def _together(log: StrategyExecutionLogRepository, scope: Scope) -> _Numbers:
    found = await log.rank_together(**scope.filters, **scope.window)
    return _Numbers() if found is None else _numbers(found)


async def _of_each(log: StrategyExecutionLogRepository, scope: Scope, limits: Limits) -> Found:
    """The worst by each limit, and the silent ones: each ranking is cut by the server."""
    by: list[RankBy] = []
    if limits.error_rate is not None:
        by.append("error_rate")
    if limits.failed_rate is not None:
        by.append("failed_rate")
    if limits.p99 is not None:
        by.append("p99")
    ranked: dict[str, _Numbers] = {}
    for one in by or ["runs"]:
        found = await log.rank_strategies(
            **scope.filters, **scope.window, by=one, min_runs=limits.min_runs, limit=_MOST
        )
        ranked |= {rank.strategy_id: _numbers(rank) for rank in found}
    ran = await log.activity(**scope.filters, **scope.window, buckets=1)
    silent = await _silent(log, scope, limits, ran)
    few = {
        one.strategy_id: _Numbers(_runs(one))
        for one in ran
        if one.strategy_id not in ranked and (_runs(one) < limits.min_runs)
    }
    asked = {**dict.fromkeys(silent, _Numbers()), **_worst(few), **ranked}
    known = {one.strategy_id: _runs(one) for one in ran}
    made = [
        _verdict(
            numbers if numbers.runs else _Numbers(known.get(name, 0)),
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
        made.append(_verdict(_Numbers(), None, scope.name, limits, is_silent=True))
    made.sort(key=lambda one: (*_badness(one, limits), one.name))
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
    lately = await log.activity(**scope.filters, since=begin, until=scope.until, buckets=1)
    known = {one.strategy_id for one in (*ran, *lately)}
    return known - {one.strategy_id for one in lately if _runs(one)}


def _runs(one: StrategyActivity) -> int:
    return sum(one.runs)


def _worst(few: dict[str, _Numbers]) -> dict[str, _Numbers]:
    """As many as a ranking has, those with the most runs."""
    return dict(sorted(few.items(), key=lambda one: (-one[1].runs, one[0]))[:_MOST])


def _numbers(rank: StrategyRank) -> _Numbers:
    return _Numbers(rank.runs, rank.error_rate, rank.failed_rate, rank.p99_ms)


def _verdict(
    numbers: _Numbers, strategy: str | None, name: str, limits: Limits, *, is_silent: bool
) -> Verdict:
    is_judged = numbers.runs >= limits.min_runs
    values = (
        ("error_rate", numbers.error_rate, limits.error_rate),
        ("failed_rate", numbers.failed_rate, limits.failed_rate),
        ("p99", numbers.p99_ms, limits.p99_ms),
    )
    breaches = ["silence"] if is_silent else []
    breaches += [
        what
        for what, value, limit in values
        if is_judged and limit is not None and _above(value, limit)
    ]
    return Verdict(
        strategy_id=strategy,
        name=name,
        verdict="breach" if breaches else "ok" if is_judged else "too few runs",
        **numbers._asdict(),
        is_silent=is_silent,
        breaches=breaches,
    )


def _badness(one: Verdict, limits: Limits) -> Sequence[float]:
    """The less, the worse: whether a limit is exceeded, and how many times."""
    values = (
        (one.error_rate, limits.error_rate),
        (one.failed_rate, limits.failed_rate),
        (one.p99_ms, limits.p99_ms),
    )
    times = [
        value / limit if limit else math.inf
        for value, limit in values
        if limit is not None and value
    ]
    worst = math.inf if one.is_silent else max(times, default=0.0)
    return (not one.breaches, one.verdict != "ok" and not one.breaches, -worst)


def _above(value: float, limit: float) -> bool:
    """Whether the value is above the limit by more than the noise of a division."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9)


def _pair(rate: float, limit: float) -> str:
    """Both, in as many digits as tell them apart."""
    form = ".2f" if f"{rate * 100:.2f}" != f"{limit * 100:.2f}" else ".6g"
    return f"{percent(rate, form)} > {percent(limit, '.6g')}"


def _longer(p99: float, limit: float) -> str:
    shown, most = milliseconds(p99), milliseconds(limit)
    return f"{shown} > {most}" if shown != most else f"{p99:.6g} ms > {limit:.6g} ms"


def _length(length: timedelta | None) -> str:
    """A length of time as it is given, such as 1h30m."""
    seconds = 0.0 if length is None else length.total_seconds()
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if count := int(seconds // size):
            parts.append(f"{count}{unit}")
            seconds -= count * size
    return "".join([*parts, f"{seconds:g}s"] if seconds or not parts else parts)
