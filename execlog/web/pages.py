"""The pages: what each reads from the log, and passes to its template.

A page reads its parts one after the other in one snapshot; it says which of them are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog.admin.doctor import examined
from execlog.display import explained
from execlog.web import charts, queries
from execlog.web.execution import execution
from execlog.web.explained import causes, changed_measure, explain, link_of, step_of
from execlog.web.filtered import breakdown, executions
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.view import View

__all__ = ["PAGES", "Page"]

Page = Callable[[Reader, Request], Awaitable[Response]]

_STRATEGIES = 50
_NEWEST = 10
_LINES = (("p50", "duration_p50_ms"), ("p95", "duration_p95_ms"), ("p99", "duration_p99_ms"))


async def overview(reader: Reader, request: Request) -> Response:
    """The strategies of the realm, ranked, and what failed last."""
    asked = query(queries.Ranking, request)
    view = View.of(request, "", asked.since, asked.until)
    parts = Parts()
    window = view.narrowed()
    strategies = view.scope.strategies
    async with reader.snapshot() as log:
        failures = await parts.take(
            "newest failures",
            log.list_failures(**window, strategy_id=strategies, limit=_NEWEST, payloads=False),
        )
        ranks = await parts.take(
            "strategies",
            log.rank_strategies(**window, strategy_id=strategies, by=asked.by, limit=_STRATEGIES),
        )
        activity = None
        if ranks:
            names = [rank.strategy_id for rank in ranks]
            activity = await parts.take("activity", log.activity(**window, strategy_id=names))
    return await parts.page(
        "overview.html",
        view,
        by=asked.by,
        ranks=ranks,
        most=_STRATEGIES,
        activity={one.strategy_id: one for one in activity or ()},
        spark=charts.spark,
        failures=failures,
    )


async def strategy(reader: Reader, request: Request) -> Response:
    """The card of a strategy, its time series and its newest failures."""
    asked = query(queries.Page, request)
    view = View.of(request, "strategy", asked.since, asked.until)
    parts = Parts()
    window = {"strategy_id": view.scope.strategy(asked.id), **view.narrowed()}
    async with reader.snapshot() as log:
        failures = await parts.take(
            "newest failures",
            log.list_executions(**window, status="failed", limit=_NEWEST, payloads=False),
        )
        report = await parts.take("numbers", log.report(**window, bucket=view.bucket))
        why = None
        if report is not None and (measure := changed_measure(report.intervals)) is not None:
            found = causes(reader, log, view, asked.id, measure)
            why = await parts.take("causes", found)
    drawn: dict[str, Any] = {"why": why, "words": explained, "step": None}
    if report is not None:
        drawn["step"] = step_of(report.timeseries, why.answer if why else None)
        drawn["link_of"] = lambda cause: link_of(view, cause, asked.id, {})
        drawn["volume"] = charts.volume(report.timeseries, view.clock)
        drawn["lines"] = charts.durations(
            [(name, report.timeseries, field) for name, field in _LINES], view.clock
        )
    return await parts.page(
        "strategy.html", view, id=asked.id, report=report, failures=failures, **drawn
    )


async def compare(reader: Reader, request: Request) -> Response:
    """Two strategies side by side."""
    asked = query(queries.ComparePage, request)
    view = View.of(request, "compare", asked.since, asked.until)
    parts = Parts()
    window = view.narrowed()
    given: dict[str, Any] = {"a": asked.a, "b": asked.b, "both": None, "known": None}
    if asked.a is None or asked.b is None:
        async with reader.snapshot() as log:
            strategies = view.scope.strategies
            known = log.rank_strategies(
                **window, strategy_id=strategies, by="runs", limit=_STRATEGIES
            )
            given["known"] = await parts.take("names", known)
        return await parts.page("compare.html", view, **given)
    a, b = view.scope.strategy(asked.a), view.scope.strategy(asked.b)
    async with reader.snapshot() as log:
        both = await parts.take("numbers", log.compare(a=a, b=b, **window))
        series = [
            await parts.take(
                f"time series of {name}",
                log.timeseries(strategy_id=one, **window, bucket=view.bucket),
            )
            for name, one in (("A", a), ("B", b))
        ]
    one, two = series
    if one is not None and two is not None:
        given["series"] = list(zip(one, two, strict=True))
        given["runs"] = charts.counts([("a", one, "total"), ("b", two, "total")], view.clock)
        of = "duration_p95_ms"
        given["p95"] = charts.durations([("a", one, of), ("b", two, of)], view.clock)
    return await parts.page("compare.html", view, **{**given, "both": both})


async def storage(reader: Reader, request: Request) -> Response:
    """The log itself: partitions, sizes, health."""
    asked = query(queries.StoragePage, request)
    view = View.of(request, "storage", asked.since, asked.until)
    if not view.scope.is_whole:
        raise HTTPException(403, "The log itself is not yours to see.")
    parts = Parts()
    async with reader.snapshot() as log:
        health = await parts.take("health", log.health())
        rollups = await parts.take("rollups", log.rollup_state())
        upkeep = await parts.take("maintenance", log.maintenance_state())
        tables = await parts.take("tables", log.list_tables())
        day = log.recorder_account(since=datetime.now(UTC) - timedelta(days=1))
        accounts = await parts.take("recorders", day)
    found = examined(health, rollups, upkeep, accounts, schema=reader.schema) if health else ()
    findings = list(found)
    return await parts.page("storage.html", view, health=health, findings=findings, tables=tables)


PAGES: Sequence[tuple[str, Page]] = (
    ("/", overview),
    ("/strategy", strategy),
    ("/executions", executions),
    ("/breakdown", breakdown),
    ("/explain", explain),
    ("/compare", compare),
    ("/execution", execution),
    ("/storage", storage),
)
