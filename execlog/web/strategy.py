"""The page of a strategy: how it does, what changed and why, over time and by what its runs are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display import explained
from execlog.models import PointsCount, StrategyExecutionLog
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
from execlog.web.quiet import Quiet, quiet_strategy
from execlog.web.reading import Reader
from execlog.web.view import View

__all__ = ["strategy"]

_NEWEST = 10
_LINES = (("p50", "duration_p50_ms"), ("p95", "duration_p95_ms"), ("p99", "duration_p99_ms"))


@dataclass
class _Read:
    """What the log answers; None: it is missing, or there is nothing to ask."""

    report: StrategyReport | None = None
    failures: list[StrategyExecutionLog] | None = None
    versions: Dated[Versions] | None = None
    change: Change | None = None
    why: Dated[Explanation] | None = None
    cases: Dated[list[Breakdown]] | None = None
    tenants: Dated[list[Breakdown]] | None = None
    points: Dated[list[PointsCount]] | None = None
    quiet: Quiet | None = None

    @property
    def found(self) -> Explanation | None:
        """What explains the change."""
        return None if self.why is None else self.why.answer

    def as_of(self, now: datetime) -> datetime | None:
        """The time of the oldest detail; None: all are of now."""
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
    read = _Read()
    async with reader.snapshot() as log:
        read.report = await parts.take("numbers", log.report(**window, bucket=view.bucket))
        failures = log.list_executions(**window, status="failed", limit=_NEWEST, payloads=False)
        read.failures = await parts.take("newest failures", failures)
        if read.report is not None and read.report.metrics.status_breakdown.total:
            await _details(reader, log, view, read.report, read, parts)
        elif read.report is not None:
            read.quiet = await quiet_strategy(log, view, asked.id)
        archived = await reader.archived(log, view.since, view.until)
    measure = read.change.measure if read.change else None
    return await parts.page(
        "strategy.html",
        view,
        archived=archived,
        id=asked.id,
        report=read.report,
        failures=read.failures,
        quiet=read.quiet,
        why=read.why,
        words=explained,
        change=read.change,
        link_of=lambda cause: link_of(view, cause, asked.id, {}, measure),
        share_of=share_of,
        **({} if read.report is None else _drawn(view, read.report, read)),
    )


async def _details(
    reader: Reader, log: Reads, view: View, report: StrategyReport, read: _Read, parts: Parts
) -> None:
    """Reads the details of a strategy that ran; one that is late is left out."""
    card, details = report.metrics, reader.details
    asked = (log, view, card.strategy_id, card.status_breakdown.total)
    read.versions = await parts.take("versions", details.versions(*asked, _width(report)))
    levels = await parts.take("changes within the window", details.levels(*asked))
    read.change = change_of(view, report, levels.answer if levels else ())
    begins = dict(_begins(read.versions.answer.series)) if read.versions else {}
    is_tried = read.change is None and bool(begins)
    if is_tried:
        # No change is found: was there one when the newest version ran first?
        read.change = Change("error_rate", begins[max(begins)])
    if read.change is not None:
        found = causes(reader, log, view, card.strategy_id, read.change)
        read.why = await parts.take("causes", found)
    if is_tried and read.change is not None:
        read.change, read.why = _stands(read.change, read.why)
    read.cases = await parts.take("cases", details.cases(*asked))
    realms = view.narrowed()["realm_id"]
    if realms is None or len(realms) > 1:  # a scope of one tenant has nothing to tell apart
        read.tenants = await parts.take("tenants", details.tenants(*asked))
    has_points = card.points_histogram[0].upper_bound or len(card.points_histogram) > 1
    if has_points and card.rows_from is None:  # no row tells the points of what was removed
        read.points = await parts.take("points", details.points(*asked))


def _stands(
    tried: Change, why: Dated[Explanation] | None
) -> tuple[Change | None, Dated[Explanation] | None]:
    """A change that was tried, if chance does not explain it."""
    if why is None or not why.answer.changed:
        return None, None
    return replace(tried, then=why.answer.before, since=why.answer.after), why


def _width(report: StrategyReport) -> timedelta | None:
    """The width of the buckets of the error rate; None: as the report's."""
    buckets = report.timeseries
    width = axes.width_of(buckets)
    runs = report.metrics.status_breakdown.total
    found = axes.readable(width, width * len(buckets), runs)
    return None if found == width else found


def _drawn(view: View, report: StrategyReport, read: _Read) -> dict[str, Any]:
    """The headline; and of a strategy that ran its charts, bars and groups."""
    said = {"headline": headline(report, read.change, read.found, view.clock)}
    if not report.metrics.status_breakdown.total:
        return said
    buckets, card = report.timeseries, report.metrics
    part = charts.has_part(buckets, view.until)
    rates = _rates(view, buckets, read.versions.answer if read.versions else None)
    return {
        **said,
        **rates,
        "buckets": buckets,
        "part": part,
        "volume": charts.volume(buckets, view.clock, part=part),
        "lines": charts.durations(
            [(name, buckets, field) for name, field in _LINES], view.clock, part=part
        ),
        "steps": [step_of(one, read.change, read.found) for one in (rates["rated"], buckets)],
        "durations": bars.durations(card),
        "points": bars.points(card, read.points.answer if read.points else None),
        "cases": {one.value: one for one in read.cases.answer} if read.cases else {},
        "tenants": read.tenants.answer if read.tenants else [],
        "as_of": read.as_of(view.now),
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
