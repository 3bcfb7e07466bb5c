"""What changed in a strategy, and since when: in its window, or since the window before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from execlog.repository.activity import StrategyActivity
from execlog.repository.report import ReportIntervals, StrategyReport
from execlog.repository.repository import Reads
from execlog.web.trouble import findings
from execlog.web.view import View

__all__ = ["Change", "change_of", "last_hours", "levels"]

_BUCKETS = 60
_RECENT = timedelta(hours=2)


@dataclass(frozen=True)
class Change:
    """What changed by more than chance.

    Attributes:
        measure: What it is, as `explain` measures it.
        at: When, within the window; None: since the window before.
        then: The error rate before; None: that of the window before.
        since: The error rate since; None: that of the window.
    """

    measure: str
    at: datetime | None = None
    then: float | None = None
    since: float | None = None

    def baseline(self, view: View) -> datetime | None:
        """The begin of the time that it is compared with; None: as long a time as the window.

        It is the window's begin, or so early that it is as long as the time since then.

        Args:
            view: The page.

        Never raises.
        """
        if self.at is None or view.since is None or view.until is None:
            return None
        try:
            return min(view.since, self.at - (view.until - self.at))
        except OverflowError:  # the begin of the calendar
            return view.since


def change_of(
    view: View, report: StrategyReport, series: Sequence[Sequence[StrategyActivity]]
) -> Change | None:
    """What changed; None: nothing by more than chance. Never raises.

    Args:
        view: The page.
        report: The report of the strategy.
        series: Its activities, that with the finest buckets last.
    """
    found = findings(*series).of(report.metrics.strategy_id)
    if found is not None and view.since is not None and found.changed_at > view.since:
        return Change("error_rate", found.changed_at, found.then, found.since)
    measure = _measure(report.intervals)
    return None if measure is None else Change(measure)


async def levels(log: Reads, view: View, strategy: str) -> list[list[StrategyActivity]]:
    """The activities in which a change of the error rate is looked for.

    Args:
        log: The page's snapshot.
        view: The page.
        strategy: The strategy, which is in the scope.

    Raises:
        HTTPException: 403, the realm is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = {**view.narrowed(), "strategy_id": [strategy], "buckets": _BUCKETS}
    found = [await log.activity(**asked)]
    if (last := last_hours(view)) is not None:
        found.append(await log.activity(**asked | {"since": last}))
    return found


def last_hours(view: View) -> datetime | None:
    """The begin of the last hours, which are cut more finely; None: the window has no others.

    Never raises.

    Args:
        view: The page.
    """
    if not view.is_live or view.since is None or view.until is None:
        return None
    return view.until - _RECENT if view.until - view.since > _RECENT else None


def _measure(found: ReportIntervals) -> str | None:
    """What changed since the window before, as `explain` measures it; None: nothing."""
    if found.error_rate.significant:
        return "error_rate"
    slower = (found.p50_ms, found.p95_ms, found.p99_ms)
    return "duration" if any(one.significant for one in slower) else None
