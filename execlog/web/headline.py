"""What changed in a strategy, in a sentence: the first thing that its page says."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from typing import NamedTuple

from execlog.display.format import milliseconds, number, percent
from execlog.repository.explanation import Explanation
from execlog.repository.report import StrategyReport

__all__ = ["Headline", "headline"]

_DAY = timedelta(days=1)


class Headline(NamedTuple):
    """What changed.

    Attributes:
        text: The sentences.
        kind: "worse", "better" or "same": what chance does not explain.
    """

    text: str
    kind: str


def headline(report: StrategyReport, why: Explanation | None, zone: tzinfo) -> Headline:
    """What changed since the window before.

    Args:
        report: The report of the strategy.
        why: What explains the change, and since when; None: it is not known.
        zone: The zone of its times.

    Never raises.
    """
    now, before, sure = report.metrics, report.before, report.intervals
    rate = f"Error rate {percent(now.error_rate)}"
    if not now.status_breakdown.total:
        ran = f", {number(before.total)} runs in the window before" if before.total else ""
        return Headline(f"Nothing ran in this window{ran}.", "same")
    if not before.total:
        return Headline(f"{rate}. Nothing ran in the window before to compare with.", "same")
    said, kinds = [], []
    if sure.error_rate.significant:
        since = _since(report, why, zone) if why is not None and why.measure == "error_rate" else ""
        rose = now.error_rate > before.error_rate
        said.append(
            f"Error rate {'rose' if rose else 'fell'} from {percent(before.error_rate)}"
            f" to {percent(now.error_rate)}{since}."
        )
        kinds.append(rose)
    slower = _slower(report)
    if slower is not None:
        name, then, took = slower
        since = _since(report, why, zone) if why is not None and why.measure == "duration" else ""
        rose = took > then
        said.append(
            f"{name} {'rose' if rose else 'fell'} from {milliseconds(then)}"
            f" to {milliseconds(took)}{since}."
        )
        kinds.append(rose)
    if not said:
        if sure.error_rate.significant is None:
            return Headline(f"{rate}. Too few runs to tell whether it changed.", "same")
        text = f"{rate}, {percent(before.error_rate)} in the window before: not significant."
        return Headline(text, "same")
    if not sure.error_rate.significant:
        said.insert(0, f"{rate}.")
    return Headline(" ".join(said), "worse" if any(kinds) else "better")


def _slower(report: StrategyReport) -> tuple[str, float, float] | None:
    """The highest percentile that changed by more than chance: its name, before and now."""
    now, before, sure = report.metrics.duration, report.before, report.intervals
    for name in ("p99", "p95", "p50"):
        if getattr(sure, f"{name}_ms").significant:
            then = getattr(before, f"duration_{name}_ms")
            return name, then, getattr(now, f"{name}_ms")
    return None


def _since(report: StrategyReport, why: Explanation, zone: tzinfo) -> str:
    """At about which time it changed; empty: it is not known."""
    if why.since is None:
        return ""
    card = report.metrics
    at = why.since.astimezone(zone)
    is_long = (
        card.window_from is not None
        and card.window_until is not None
        and card.window_until - card.window_from > _DAY
    )
    return f" at about {at:%H:%M}{f' on {at:%b} {at.day}' if is_long else ''}"
