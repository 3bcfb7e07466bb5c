"""What fires and what is over: the verdicts of a check beside those of the checks before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from execlog.cli.verdict import Breach, Limits, Verdict
from execlog.models import Model

__all__ = ["Alert", "Changes", "Firing", "changes", "check_id"]

_LIMITS = {"error_rate": "error_rate", "failed_rate": "failed_rate", "p99": "p99_ms"}


class Firing(Model):
    """A limit that is exceeded, as it is kept from one check to the next.

    Attributes:
        strategy_id: The strategy; None: all of the check at once.
        breach: The limit: "error_rate", "failed_rate", "p99" or "silence".
        since: When a check found it first.
        is_told: Whether the webhook has taken the message of it.
        is_sent: Whether a message was sent, and it is not known whether it was taken.
    """

    strategy_id: Annotated[str, Field(min_length=1, pattern=r"\A[^\x00]*\z")] | None
    breach: Breach
    since: AwareDatetime
    is_told: bool = False
    is_sent: bool = False


class Alert(Model):
    """What is told of a limit, once when it is exceeded and once when it no longer is.

    Attributes:
        id: The same for both messages and for each repetition of one, and for no other.
        state: "firing" or "over".
        strategy_id: The strategy; None: all of the check at once.
        name: What is checked, as it is shown.
        breach: The limit: "error_rate", "failed_rate", "p99" or "silence".
        value: What was found: a share, milliseconds, or None for silence.
        limit: What is allowed: a share, milliseconds, or seconds of silence.
        runs: How many runs the verdict is of.
        since: When a check found it first.
        seconds: For how long it has been exceeded; 0 if the clock was set back meanwhile.
    """

    id: str
    state: Literal["firing", "over"]
    strategy_id: str | None
    name: str
    breach: Breach
    value: float | None
    limit: float | None
    runs: int
    since: datetime
    seconds: float


class Changes(NamedTuple):
    """What a check has to tell, and what it keeps.

    Attributes:
        alerts: What fires and was not told yet, then what is over and may have been told.
        sent: What is kept while they are told: what fires, and what is over.
        refused: What is kept if the webhook refuses them.
        firing: What is kept once they are told.
    """

    alerts: Sequence[Alert]
    sent: Sequence[Firing]
    refused: Sequence[Firing]
    firing: Sequence[Firing]


def check_id(asked: Mapping[str, object]) -> str:
    """What tells a check from others: 32 hexadecimal digits. Never raises for JSON.

    Args:
        asked: Its scope, its limits and how long ago its window begins and ends.
    """
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def changes(
    check: str, before: Iterable[Firing], found: Iterable[Verdict], limits: Limits, now: datetime
) -> Changes:
    """Compares verdicts with what fired before.

    What has no verdict (too few runs, or a strategy that was not judged) goes on as it was.

    Args:
        check: The check's id.
        before: What fired after the check before.
        found: The verdicts, one of a strategy.
        limits: The limits of the check.
        now: The time of the check.

    Never raises.
    """
    verdicts = {one.strategy_id: one for one in found}
    known = {(one.strategy_id, one.breach): one for one in before}
    for verdict in verdicts.values():
        for breach in verdict.breaches:
            one = Firing(strategy_id=verdict.strategy_id, breach=breach, since=now)
            known.setdefault((verdict.strategy_id, breach), one)
    firing, over, alerts = [], [], []
    for one in known.values():
        last = verdicts.get(one.strategy_id)
        if last is None or not _is_over(one, last, limits):
            firing.append(one)
            if last is not None and not one.is_told and one.breach in last.breaches:
                alerts.append(_alert(check, "firing", one, last, limits, now))
        elif one.is_told or one.is_sent:
            over.append(one)
            alerts.append(_alert(check, "over", one, last, limits, now))
    alerts.sort(key=lambda one: one.state)
    told = {(one.strategy_id, one.breach) for one in alerts}
    refused = [*firing, *over]
    return Changes(
        alerts,
        sent=_marked(refused, told, is_told=False, is_sent=True),
        refused=refused,
        firing=_marked(firing, told, is_told=True, is_sent=False),
    )


def _marked(held: Iterable[Firing], told: Container[object], **marks: bool) -> list[Firing]:
    """What is held, with other marks on that which is told."""
    return [
        one.model_copy(update=marks) if (one.strategy_id, one.breach) in told else one
        for one in held
    ]


def _is_over(one: Firing, verdict: Verdict, limits: Limits) -> bool:
    is_judged = one.breach == "silence" or verdict.runs >= limits.min_runs
    return is_judged and one.breach not in verdict.breaches


def _alert(
    check: str,
    state: Literal["firing", "over"],
    one: Firing,
    verdict: Verdict,
    limits: Limits,
    now: datetime,
) -> Alert:
    if one.breach == "silence":
        value = None
        limit = None if limits.silence is None else limits.silence.total_seconds()
    else:
        value = getattr(verdict, _LIMITS[one.breach])
        limit = getattr(limits, _LIMITS[one.breach])
    key = [check, one.strategy_id, one.breach, one.since.isoformat()]
    return Alert(
        id=hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32],
        state=state,
        strategy_id=one.strategy_id,
        name=verdict.name,
        breach=one.breach,
        value=value,
        limit=limit,
        runs=verdict.runs,
        since=one.since,
        seconds=max((now - one.since).total_seconds(), 0.0),
    )
