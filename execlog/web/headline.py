"""What changed in a strategy, in a sentence: the first thing that its page says."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from execlog.display.format import milliseconds, number, percent
from execlog.repository.explanation import Explanation
from execlog.repository.report import StrategyReport
from execlog.web.change import Change

__all__ = ["Headline", "headline", "rate"]

_DAY = timedelta(days=1)


class Headline(NamedTuple):
    """What changed.

    Attributes:
        text: The sentences.
        kind: "worse" or "better"; "same" if chance explains what changed.
    """

    text: str
    kind: str


def headline(
    report: StrategyReport, change: Change | None, why: Explanation | None, zone: tzinfo
) -> Headline:
    """What changed in the window, or since the one before.

    Args:
        report: The report of the strategy.
        change: What changed by more than chance; None: nothing.
        why: What explains it, and since when; None: it is not known.
        zone: The zone of its times.

    Never raises.
    """
    now, before = report.metrics, report.before
    if not now.status_breakdown.total:
        ran = f", {number(before.total)} runs in the window before" if before.total else ""
        return Headline(f"Nothing ran in this window{ran}.", "same")
    if change is None:
        return Headline(_calm(report), "same")
    at = change.at or (None if why is None else why.since)
    since = "" if at is None else _at(report, at, zone)
    if change.measure == "error_rate":
        ends = change.then, change.since
        if ends[0] is None or ends[1] is None:
            ends = before.error_rate, now.error_rate
        return _moved("Error rate", ends[0] or 0.0, ends[1] or 0.0, since)
    name = next(
        name
        for name in ("p99", "p95", "p50")
        if getattr(report.intervals, f"{name}_ms").significant
    )
    then, took = getattr(before, f"duration_{name}_ms"), getattr(now.duration, f"{name}_ms")
    verb = "rose" if took > then else "fell"
    moved = f"{name} {verb} from {milliseconds(then)} to {milliseconds(took)}{since}."
    text = f"{moved} Error rate {rate(now.error_rate)}."
    return Headline(text, "worse" if took > then else "better")


def _moved(name: str, then: float, since: float, at: str) -> Headline:
    verb = "rose" if since > then else "fell"
    text = f"{name} {verb} from {rate(then)} to {rate(since)}{at}."
    return Headline(text, "worse" if since > then else "better")


def _calm(report: StrategyReport) -> str:
    """What is said of a strategy that did not change by more than chance."""
    now = f"Error rate {rate(report.metrics.error_rate)}"
    if not report.before.total:
        return f"{now}, no change within this window; nothing ran in the window before."
    if report.intervals.error_rate.significant is None:
        return f"{now}; too few runs to tell whether it changed since the window before."
    return f"{now}, not significantly other than {rate(report.before.error_rate)} before."


def rate(value: float) -> str:
    """An error rate in a sentence, such as "5.4 %". Never raises."""
    return percent(value, ".1f") if value else "0 %"


def _at(report: StrategyReport, at: datetime, zone: tzinfo) -> str:
    """At about which time it changed."""
    begin, end = report.metrics.window_from, report.metrics.window_until
    here = at.astimezone(zone)
    is_long = begin is not None and end is not None and end - begin > _DAY
    return f" at about {here:%H:%M}{f' on {here:%b} {here.day}' if is_long else ''}"
