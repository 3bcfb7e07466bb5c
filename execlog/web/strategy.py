"""The page of a strategy: how it does, what changed and why, over time and by what its runs are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display import explained
from execlog.models import PointsCount
from execlog.repository.explanation import Explanation
from execlog.repository.groups import Breakdown
from execlog.repository.report import StrategyReport
from execlog.repository.repository import Reads
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import axes, bars, charts, queries
from execlog.web.change import Change, change_of
from execlog.web.details import LINES, Versions
from execlog.web.differences import share_of
from execlog.web.explained import causes, link_of, step_of
from execlog.web.headline import headline
from execlog.web.kept import Dated
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.view import View

__all__ = ["strategy"]

_NEWEST = 10
_LINES = (("p50", "duration_p50_ms"), ("p95", "duration_p95_ms"), ("p99", "duration_p99_ms"))


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
        beside = await _beside(reader, log, view, asked.id, report, parts)
        change, why = await _changed(reader, log, view, report, beside, parts)
    drawn: dict[str, Any] = {}
    if report is not None and report.metrics.status_breakdown.total:
        drawn = _drawn(view, report, beside)
        charted = (drawn["rated"], report.timeseries)
        drawn["steps"] = [step_of(one, change, why.answer if why else None) for one in charted]
    if report is not None:
        drawn["headline"] = headline(report, change, why.answer if why else None, view.clock)
    return await parts.page(
        "strategy.html",
        view,
        id=asked.id,
        report=report,
        failures=failures,
        why=why,
        words=explained,
        change=change,
        link_of=lambda cause: link_of(
            view, cause, asked.id, {}, change.measure if change else None
        ),
        share_of=share_of,
        **drawn,
    )


async def _changed(
    reader: Reader,
    log: Reads,
    view: View,
    report: StrategyReport | None,
    beside: _Beside,
    parts: Parts,
) -> tuple[Change | None, Dated[Explanation] | None]:
    """What changed by more than chance, and what explains it.

    If no change is found, the time at which the newest version ran first is tried too.
    """
    if report is None or not (total := report.metrics.status_breakdown.total):
        return None, None
    name = report.metrics.strategy_id
    levels = await parts.take(
        "changes within the window", reader.details.levels(log, view, name, total)
    )
    change = change_of(view, report, levels.answer if levels else ())
    is_tried = change is None and beside.versions is not None
    if is_tried and beside.versions and (begins := dict(_begins(beside.versions.answer.series))):
        change = Change("error_rate", begins[max(begins)])
    if change is None:
        return None, None
    why = await parts.take("causes", causes(reader, log, view, name, change))
    if is_tried:
        if why is None or not why.answer.changed:
            return None, None
        change = replace(change, then=why.answer.before, since=why.answer.after)
    return change, why


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
        versions=await parts.take("versions", details.versions(*asked, _width(report))),
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


def _width(report: StrategyReport) -> timedelta | None:
    """The width of the buckets of the error rate; None: as the report's."""
    buckets = report.timeseries
    width = axes.width_of(buckets)
    runs = report.metrics.status_breakdown.total
    found = axes.readable(width, width * len(buckets), runs)
    return None if found == width else found


def _drawn(view: View, report: StrategyReport, beside: _Beside) -> dict[str, Any]:
    """The charts, the bars and the groups of a strategy that ran."""
    buckets, card = report.timeseries, report.metrics
    part = charts.has_part(buckets, view.until)
    return {
        "buckets": buckets,
        "part": part,
        "volume": charts.volume(buckets, view.clock, part=part),
        "lines": charts.durations(
            [(name, buckets, field) for name, field in _LINES], view.clock, part=part
        ),
        "durations": bars.durations(card),
        "points": bars.points(card, beside.points.answer if beside.points else None),
        "cases": {one.value: one for one in beside.cases.answer} if beside.cases else {},
        "tenants": beside.tenants.answer if beside.tenants else [],
        "as_of": beside.as_of(view.now),
        **_rates(view, buckets, beside.versions.answer if beside.versions else None),
    }


def _rates(
    view: View, buckets: Sequence[TimeseriesBucket], versions: Versions | None
) -> dict[str, Any]:
    """The chart of error rates, a line for each version if there are several."""
    found: Mapping[int | None, Sequence[TimeseriesBucket]] = {None: buckets}
    if versions and versions.series:
        found = versions.series
    longest = next(iter(found.values()))
    part = charts.has_part(longest, view.until)
    names = [] if None in found else list(found)
    series: list[charts.Series] = [
        (f"v{place}" if names else "rate", one, "error_rate")
        for place, one in enumerate(found.values(), 1)
    ]
    series.reverse()  # so that the newest one is drawn last, above the others
    return {
        "rated": longest,
        "lines_of": list(found.values()),
        "rated_part": part,
        "is_apart": longest is not buckets,
        "versions": names,
        "more_versions": max(len(versions.groups) - LINES, 0) if versions else 0,
        "rates": charts.rates(series, view.clock, part=part),
        "flags": charts.flags(
            longest, [(at, f"v{version} first ran") for version, at in _begins(found)]
        ),
        "width_of": axes.length,
        "widths": [axes.width_of(one) for one in (longest, buckets)],
    }


def _begins(
    series: Mapping[int | None, Sequence[TimeseriesBucket]],
) -> Iterator[tuple[int, datetime]]:
    """When versions ran first, but for those that ran from the begin of the window on."""
    for version, buckets in series.items():
        first = next((place for place, one in enumerate(buckets) if one.total), 0)
        if first and version is not None:
            yield version, buckets[first].start
