"""A check that tells a webhook what fires and what is over, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import SystemRandom

from execlog import StrategyExecutionLogRepository
from execlog.cli.alert_message import message
from execlog.cli.alert_state import AlertState
from execlog.cli.alerts import Firing, changes, check_id
from execlog.cli.verdict import Limits, Numbers, Verdict, judged
from execlog.cli.verdicts import Found, Scope, verdicts
from execlog.cli.webhook import WebhookRefused, post

__all__ = ["verdicts_told"]

_MOST_ASKED = 100  # strategies that fire, and are not among the worst


async def verdicts_told(
    log: StrategyExecutionLogRepository,
    scope: Scope,
    limits: Limits,
    *,
    each: bool,
    window: Sequence[timedelta | None],
    state: AlertState,
    url: str,
) -> Found:
    """The verdicts on a scope, after the webhook has taken what they change.

    What it did not take is told by the next check. If it is not known whether it took a message
    (it did not answer, or this process ended), the next check tells what is then: a message may
    come twice, with the same id, and none is missing.

    Args:
        log: The repository.
        scope: What is checked.
        limits: The limits.
        each: Whether each strategy is checked by itself.
        window: How long ago it begins and ends; None: at a time that was given, or the present.
        state: Keeps what fires.
        url: The webhook.

    Raises:
        WebhookFailed: The webhook did not take them.
        StateUnavailable: The state can't be held or kept.
        ExeclogError: The server is away or refuses.
        OSError: Standard error can't be written.
    """
    check = _check_id(scope, limits, window, each=each)
    async with state(check) as held:
        found = await verdicts(log, scope, limits, each=each)
        more = await _verdicts_on(log, scope, limits, _unjudged(held.firing, found.verdicts))
        judged_all = [*found.verdicts, *more]
        if all(one.strategy_id is not None for one in judged_all) and judged_all:
            # The silence of all strategies at once is over if any of them is judged by itself.
            judged_all.append(judged(Numbers(), None, scope.name, limits, is_silent=False))
        now = datetime.now(UTC)
        changed = changes(check, held.firing, judged_all, limits, now)
        if changed.alerts:
            await held.keep(changed.sent)
            try:
                await post(url, message(scope.name, changed.alerts, len(changed.firing), now))
            except WebhookRefused:
                await held.keep(changed.refused)
                raise
        if list(changed.firing) != list(held.firing):
            await held.keep(changed.firing)
    return found


def _check_id(
    scope: Scope, limits: Limits, window: Sequence[timedelta | None], *, each: bool
) -> str:
    return check_id(
        {
            "strategy": scope.strategy,
            "each": each,
            "filters": dict(scope.filters),
            "window": [None if one is None else one.total_seconds() for one in window],
            "limits": limits,
        }
    )


def _unjudged(firing: Sequence[Firing], found: Sequence[Verdict]) -> list[str]:
    """The strategies that fire, and are not among the worst any more; of too many, some by chance.

    Else those that never run again would keep the others from being asked for.
    """
    judged = {one.strategy_id for one in found}
    names = {one.strategy_id for one in firing} - judged - {None}
    known = sorted(name for name in names if name is not None)
    return SystemRandom().sample(known, min(len(known), _MOST_ASKED))


async def _verdicts_on(
    log: StrategyExecutionLogRepository, scope: Scope, limits: Limits, names: Sequence[str]
) -> list[Verdict]:
    found: list[Verdict] = []
    for name in names:
        one = await verdicts(log, replace(scope, strategy=name), limits, each=False)
        found += [verdict.model_copy(update={"name": name}) for verdict in one.verdicts]
    return found
