"""The page of a strategy: how it does, what changed and why, over time and by what its runs are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display import explained
from execlog.models import PointsCount
from execlog.repository.groups import Breakdown
from execlog.repository.metrics import StrategyMetrics
from execlog.repository.report import StrategyReport
from execlog.repository.repository import Reads
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import axes, bars, charts, queries
from execlog.web.details import LINES, Versions
from execlog.web.explained import causes, changed_measure, link_of, step_of
from execlog.web.headline import headline
from execlog.web.kept import Dated
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.view import View

__all__ = ["share_of", "strategy"]

_NEWEST = 10
_LINES = (("p50", "duration_p50_ms"), ("p95", "duration_p95_ms"), ("p99", "duration_p99_ms"))
_RATE = "error_rate"


@dataclass(frozen=True)
class _Beside:
    """What the page shows beside its report; None: it is missing, or there is nothing to ask."""

    versions: Dated[Versions] | None = None
    cases: Dated[list[Breakdown]] | None = None
    tenants: Dated[list[Breakdown]] | None = None
    points: Dated[list[PointsCount]] | None = None

    def as_of(self, now: datetime) -> datetime | None:
        """The time of the oldest of them; None: all are of now. Never raises."""
        found = (self.versions, self.cases, self.tenants, self.points)
        return min((one.at for one in found if one is not None and one.at < now), default=None)


async def strategy(reader: Reader, request: Request) -> Response:
    """How a strategy does, what changed, and why.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.Page, request)
    view = View.of(request, "strategy", asked.since, asked.until)
    parts = Parts()
    window = {"strategy_id": view.scope.strategy(asked.id), **view.narrowed()}
    async with reader.snapshot() as log:
        report = await parts.take("numbers", log.report(**window, bucket=view.bucket))
        failures = await parts.take(
            "newest failures",
            log.list_executions(**window, status="failed", limit=_NEWEST, payloads=False),
        )
        measure = None if report is None else changed_measure(report.intervals)
        why = None
        if measure is not None:
            why = await parts.take("causes", causes(reader, log, view, asked.id, measure))
        beside = await _beside(reader, log, view, asked.id, report, parts)
    drawn: dict[str, Any] = {}
    if report is not None and report.metrics.status_breakdown.total:
        drawn = _drawn(view, report, beside)
    if report is not None:
        drawn["step"] = step_of(report.timeseries, why.answer if why else None)
        drawn["headline"] = headline(report, why.answer if why else None)
    return await parts.page(
        "strategy.html",
        view,
        id=asked.id,
        report=report,
        failures=failures,
        why=why,
        words=explained,
        link_of=lambda cause: link_of(view, cause, asked.id, {}, measure),
        share_of=share_of,
        **drawn,
    )


async def _beside(
    reader: Reader,
    log: Reads,
    view: View,
    strategy_id: str,
    report: StrategyReport | None,
    parts: Parts,
) -> _Beside:
    """The details; one that is late is left out, and so are all if nothing ran."""
    if report is None or not report.metrics.status_breakdown.total:
        return _Beside()
    card = report.metrics
    asked = (log, view, strategy_id, card.status_breakdown.total)
    details = reader.details
    has_points = card.points_histogram[0].upper_bound or len(card.points_histogram) > 1
    realms = view.narrowed()["realm_id"]
    return _Beside(
        versions=await parts.take("versions", details.versions(*asked)),
        cases=await parts.take("cases", details.cases(*asked)),
        # A scope of one tenant has nothing to tell apart.
        tenants=await parts.take("tenants", details.tenants(*asked))
        if realms is None or len(realms) > 1
        else None,
        # Of what was removed no row tells the points.
        points=await parts.take("points", details.points(*asked))
        if has_points and card.rows_from is None
        else None,
    )


def _drawn(view: View, report: StrategyReport, beside: _Beside) -> dict[str, Any]:
    """The charts, the bars and the groups of a strategy that ran."""
    buckets = report.timeseries
    part = charts.has_part(buckets, view.until)
    series = beside.versions.answer.series if beside.versions else {}
    lined = {version: found for version, found in series.items() if len(found) == len(buckets)}
    rates: list[charts.Series] = [
        (f"v{place}", found, _RATE) for place, found in enumerate(lined.values(), 1)
    ]
    # The newest one is drawn last, above the others.
    rates.reverse()
    return {
        "buckets": buckets,
        "part": part,
        "width": axes.length(axes.width_of(buckets)),
        "versions": lined,
        "more_versions": max(len(beside.versions.answer.groups) - LINES, 0)
        if beside.versions
        else 0,
        "rates": charts.rates(rates or [("rate", buckets, _RATE)], part=part),
        "flags": charts.flags(buckets, list(_begins(lined))),
        "volume": charts.volume(buckets, part=part),
        "lines": charts.durations([(name, buckets, field) for name, field in _LINES], part=part),
        "durations": bars.durations(report.metrics),
        "points": bars.points(report.metrics, beside.points.answer if beside.points else None),
        "cases": {one.value: one for one in beside.cases.answer} if beside.cases else {},
        "tenants": beside.tenants.answer if beside.tenants else [],
        "as_of": beside.as_of(view.now),
    }


def _begins(
    series: dict[int, Sequence[TimeseriesBucket]],
) -> Iterator[tuple[datetime, str]]:
    """When versions ran first, but for those that ran from the begin of the window on."""
    for version, buckets in series.items():
        first = next((place for place, one in enumerate(buckets) if one.total), 0)
        if first:
            yield buckets[first].start, f"v{version} first ran"


def share_of(card: StrategyMetrics, count: int) -> tuple[float, bool]:
    """The share of runs that rows with an error code are of all, and whether it is exact.

    If ok runs were sampled, it is of what the rows stand for, as if all failures weighed the same.

    Args:
        card: The card.
        count: How many rows have the code.

    Never raises.
    """
    total = card.status_breakdown.total
    if not total:
        return 0.0, True
    if abs(card.estimated_total - total) < 0.5:
        return count / total, True
    failures = total - card.status_breakdown.ok
    failed = 1.0 - card.success_rate
    return (min(failed * count / failures, 1.0) if failures else 0.0), False
