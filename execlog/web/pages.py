"""The pages: what each reads from the log, and passes to its template.

A page reads its parts one after the other in one snapshot; it says which of them are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog.db.slices import finished
from execlog.db.traces import read_object
from execlog.display import explained
from execlog.display.columns import others
from execlog.display.json_head import head
from execlog.display.trace_tree import compact
from execlog.web import charts, queries
from execlog.web.explained import causes, changed_measure, explain, link_of, step_of
from execlog.web.filtered import breakdown, executions
from execlog.web.overview import overview
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.rendering import render
from execlog.web.storage import storage
from execlog.web.stored import text_of, trace_of
from execlog.web.view import View
from execlog.web.waterfall import waterfall

__all__ = ["PAGES", "Page"]

Page = Callable[[Reader, Request], Awaitable[Response]]

_STRATEGIES = 50
_NEWEST = 10
_LONGEST_INPUT = 20_000  # characters that are shown
_LINES = (("p50", "duration_p50_ms"), ("p95", "duration_p95_ms"), ("p99", "duration_p99_ms"))


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
        drawn["volume"] = charts.volume(report.timeseries)
        drawn["lines"] = charts.durations(
            [(name, report.timeseries, field) for name, field in _LINES]
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
        given["runs"] = charts.counts([("a", one, "total"), ("b", two, "total")])
        of = "duration_p95_ms"
        given["p95"] = charts.durations([("a", one, of), ("b", two, of)])
    return await parts.page("compare.html", view, **{**given, "both": both})


async def execution(reader: Reader, request: Request) -> Response:
    """One execution, with the waterfall of its trace."""
    asked = query(queries.ExecutionPage, request)
    view = View.of(request, "execution", asked.since, asked.until)
    scope = view.scope
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.get(id=asked.id)
    # An execution out of scope is reported as missing.
    if found is None or not scope.sees(found.strategy_id, found.realm_id):
        raise HTTPException(404, "No execution has this id.")
    trace = await finished(
        waterfall(trace_of(found), found.duration_ms, values=scope.inputs),
    )
    given = text_of(found, "input") if scope.inputs else None
    return await render(
        "execution.html",
        view,
        missing=[],
        one=found,
        others=others(found),
        trace=trace,
        attributes=_attributes(text_of(found, "attributes")),
        given=None if given is None else head(given, _LONGEST_INPUT),
    )


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


def _attributes(text: str | None) -> list[tuple[str, str]]:
    """Names and values; as a whole if another client stored more than the recorder lets through."""
    if text is None:
        return []
    if len(text) > _LONGEST_INPUT:
        return [("attributes", text)]
    return [(name, compact(value)) for name, value in read_object(text).items()]
