"""The JSON of the log: the repository's answers, as its models dump them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog.models import StrategyExecutionLog, StrategyRank
from execlog.repository.breakdown import MOST_GROUPS
from execlog.repository.comparison import StrategyComparison
from execlog.repository.explanation import Explanation
from execlog.repository.filters import needs_window
from execlog.repository.groups import Breakdown
from execlog.repository.health import Health
from execlog.repository.metrics import StrategyMetrics
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import queries
from execlog.web.access import scope_of
from execlog.web.answers import csv_of, json_answer, page_of, streamed
from execlog.web.archived import no_execution
from execlog.web.compared import comparison
from execlog.web.explained import explanation
from execlog.web.filters import filters_of
from execlog.web.hiding import seen
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.stored import json_of
from execlog.web.view import last_day

__all__ = ["ENDPOINTS", "Endpoint"]


class _Text(PathConvertor):
    """Matches any name of a strategy: Starlette's own convertor stops at the end of a line."""

    regex = r"[\s\S]*"


# The registry of names is shared by the whole process, so the name has our prefix.
register_url_convertor("execlog_text", _Text())

Read = Callable[[Reader, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """One path of the API.

    Attributes:
        path: Its path in Starlette's form, below `/api`.
        question: What it answers, in a sentence.
        query: The model of its parameters; None: it has none.
        answer: The type of its answer.
        read: Answers a request.
        is_paged: Whether a Link header points to the next page.
        is_filtered: Whether it takes the filters of executions too.
        has_csv: Whether it has the answer as CSV too.
    """

    path: str
    question: str
    query: type[Any] | None
    answer: Any
    read: Read
    is_paged: bool = False
    is_filtered: bool = False
    has_csv: bool = False


async def _strategies(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Ranking, request), scope_of(request)
    async with reader.snapshot() as log:
        found = await log.rank_strategies(
            realm_id=scope.realm(asked.realm),
            strategy_id=scope.strategies,
            since=asked.since,
            until=asked.until,
            by=asked.by,
            limit=asked.limit,
        )
    return json_answer(list[StrategyRank], found)


async def _metrics(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Metrics, request), scope_of(request)
    async with reader.snapshot() as log:
        found = await log.metrics(
            strategy_id=_strategy(request),
            realm_id=scope.realm(asked.realm),
            since=asked.since,
            until=asked.until,
        )
    return json_answer(StrategyMetrics, found)


async def _timeseries(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Series, request), scope_of(request)
    async with reader.snapshot() as log:
        found = await log.timeseries(
            strategy_id=_strategy(request),
            realm_id=scope.realm(asked.realm),
            since=asked.since,
            until=asked.until,
            bucket=asked.bucket,
        )
    return json_answer(list[TimeseriesBucket], found)


async def _executions(reader: Reader, request: Request) -> Response:
    asked = query(queries.Executions, request)
    return await _listed(reader, request, asked, _strategy(request), asked.since)


async def _all_executions(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.AllExecutions, request), scope_of(request)
    strategies = scope.strategies if asked.id is None else scope.strategy(asked.id)
    since = asked.since
    filters = filters_of(request, scope, asked.realm)
    if since is None and needs_window(filters, strategy_id=strategies):
        since, _ = last_day(None, asked.until, datetime.now(UTC))
    return await _listed(reader, request, asked, strategies, since)


async def _failures(reader: Reader, request: Request) -> Response:
    asked = query(queries.Failures, request)
    strategies = scope_of(request).strategies
    return await _listed(reader, request, asked, strategies, asked.since, failures=True)


async def _listed(
    reader: Reader,
    request: Request,
    asked: queries.Paged,
    strategies: str | Collection[str] | None,
    since: datetime | None,
    *,
    failures: bool = False,
) -> Response:
    scope = scope_of(request)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await (log.list_failures if failures else log.list_executions)(
            strategy_id=strategies,
            since=since,
            until=asked.until,
            **filters_of(request, scope, asked.realm),
            before=asked.after(),
            limit=asked.limit,
            payloads=asked.has_payloads(scope.inputs),
        )
    return await page_of(request, scope, asked, found, since)


async def _breakdown(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Breakdown, request), scope_of(request)
    since, until = last_day(asked.since, asked.until, datetime.now(UTC))
    is_csv = asked.format == "csv"
    async with reader.snapshot() as log:
        found = await log.breakdown(
            by=asked.column,
            strategy_id=scope.strategies if asked.id is None else scope.strategy(asked.id),
            since=since,
            until=until,
            order=asked.ranked,
            limit=(MOST_GROUPS if is_csv else 50) if asked.limit is None else asked.limit,
            details=asked.details,
            **filters_of(request, scope, asked.realm),
        )
    if is_csv:
        return await csv_of(Breakdown, found, "breakdown.csv", spreadsheet=asked.spreadsheet)
    return json_answer(list[Breakdown], found)


async def _execution(reader: Reader, request: Request) -> Response:
    scope = scope_of(request)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.get(id=request.path_params["id"])
        # An execution out of scope is reported as missing.
        if found is None or not scope.sees(found.strategy_id, found.realm_id):
            raise HTTPException(404, no_execution(await reader.archived(log, None, None)))
    return streamed(json_of(await seen(scope, found)))


async def _health(reader: Reader, request: Request) -> Response:
    if not scope_of(request).is_whole:
        raise HTTPException(403, "The log itself is not yours to see.")
    async with reader.snapshot() as log:
        found = await log.health()
    return json_answer(Health, found)


ENDPOINTS: Sequence[Endpoint] = (
    Endpoint(
        "/strategies",
        "The strategies, ranked.",
        queries.Ranking,
        list[StrategyRank],
        _strategies,
    ),
    Endpoint(
        "/strategies/{id:execlog_text}/metrics",
        "The card of a strategy.",
        queries.Metrics,
        StrategyMetrics,
        _metrics,
    ),
    Endpoint(
        "/strategies/{id:execlog_text}/timeseries",
        "How a strategy ran over time; without a window, the last day.",
        queries.Series,
        list[TimeseriesBucket],
        _timeseries,
    ),
    Endpoint(
        "/strategies/{id:execlog_text}/executions",
        "The newest executions of a strategy, a page at a time.",
        queries.Executions,
        list[StrategyExecutionLog],
        _executions,
        is_paged=True,
        is_filtered=True,
        has_csv=True,
    ),
    Endpoint(
        "/executions",
        "The newest executions of all strategies; of the last day if no index finds them.",
        queries.AllExecutions,
        list[StrategyExecutionLog],
        _all_executions,
        is_paged=True,
        is_filtered=True,
        has_csv=True,
    ),
    Endpoint(
        "/breakdown",
        "How executions do by the values of a column; without a window, those of the last day.",
        queries.Breakdown,
        list[Breakdown],
        _breakdown,
        is_filtered=True,
        has_csv=True,
    ),
    Endpoint(
        "/explain",
        "What changed since the window before, since when, and which values explain it.",
        queries.Explained,
        Explanation,
        explanation,
        is_filtered=True,
    ),
    Endpoint(
        "/compare",
        "Two strategies, or two versions, tenants or windows of one.",
        queries.Comparison,
        StrategyComparison,
        comparison,
    ),
    Endpoint(
        "/failures",
        "The newest failed executions of all strategies, a page at a time.",
        queries.Failures,
        list[StrategyExecutionLog],
        _failures,
        is_paged=True,
        is_filtered=True,
        has_csv=True,
    ),
    Endpoint(
        "/executions/{id}",
        "One execution whole, with its input and its trace.",
        None,
        StrategyExecutionLog,
        _execution,
    ),
    Endpoint("/health", "The health of the log itself.", None, Health, _health),
)


def _strategy(request: Request) -> str:
    return scope_of(request).strategy(request.path_params["id"])
