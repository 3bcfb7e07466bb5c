"""The JSON of the log: the repository's answers, as its models dump them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from execlog.db import validation
from execlog.db.slices import Pace
from execlog.models import Model, StrategyExecutionLog, StrategyRank
from execlog.repository.health import Health
from execlog.repository.metrics import StrategyComparison, StrategyMetrics
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import queries
from execlog.web.access import Scope, scope_of
from execlog.web.hiding import seen
from execlog.web.queries import Cursor, query
from execlog.web.reading import Reader
from execlog.web.stored import json_list, json_of

__all__ = ["ENDPOINTS", "Endpoint"]


class _Text(PathConvertor):
    """Matches any name of a strategy: Starlette's own convertor stops at the end of a line."""

    regex = r"[\s\S]*"


# The registry of names is shared by the whole process, so the name has our prefix.
register_url_convertor("execlog_text", _Text())

Read = Callable[[Reader, Request], Awaitable[Response]]

_JSON = "application/json"
_MESSAGE = 128 * 1024  # bytes


@dataclass(frozen=True)
class Endpoint:
    """One path of the API.

    Attributes:
        path: As Starlette matches it, below `/api`.
        path: Its path in Starlette's form, below `/api`.
        question: What it answers, in a sentence.
        query: The model of its parameters; None: it has none.
        answer: The type of its answer.
        read: Answers a request.
        is_paged: Whether a Link header points to the next page.
    """

    path: str
    question: str
    query: type[Any] | None
    answer: Any
    read: Read
    is_paged: bool = False


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
    return _json(list[StrategyRank], found)


async def _metrics(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Metrics, request), scope_of(request)
    async with reader.snapshot() as log:
        found = await log.metrics(
            strategy_id=_strategy(request),
            realm_id=scope.realm(asked.realm),
            since=asked.since,
            until=asked.until,
        )
    return _json(StrategyMetrics, found)


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
    return _json(list[TimeseriesBucket], found)


async def _executions(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Executions, request), scope_of(request)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.list_executions(
            strategy_id=_strategy(request),
            realm_id=scope.realm(asked.realm),
            since=asked.since,
            until=asked.until,
            **asked.filters(),
            before=asked.after(),
            limit=asked.limit,
        )
    return await _page(request, scope, found, validation.limit(asked.limit, 200))


async def _failures(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Failures, request), scope_of(request)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.list_failures(
            realm_id=scope.realm(asked.realm),
            strategy_id=scope.strategies,
            since=asked.since,
            until=asked.until,
            before=asked.after(),
            limit=asked.limit,
        )
    return await _page(request, scope, found, validation.limit(asked.limit, 200))


async def _compare(reader: Reader, request: Request) -> Response:
    asked, scope = query(queries.Comparison, request), scope_of(request)
    async with reader.snapshot() as log:
        found = await log.compare(
            a=scope.strategy(asked.a),
            b=scope.strategy(asked.b),
            realm_id=scope.realm(asked.realm),
            since=asked.since,
            until=asked.until,
        )
    return _json(StrategyComparison, found)


async def _execution(reader: Reader, request: Request) -> Response:
    scope = scope_of(request)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.get(id=request.path_params["id"])
    # An execution out of scope is reported as missing.
    if found is None or not scope.sees(found.strategy_id, found.realm_id):
        raise HTTPException(404, "No execution has this id.")
    return _streamed(json_of(await seen(scope, found)))


async def _health(reader: Reader, request: Request) -> Response:
    if not scope_of(request).is_whole:
        raise HTTPException(403, "The log itself is not yours to see.")
    async with reader.snapshot() as log:
        found = await log.health()
    return _json(Health, found)


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
    ),
    Endpoint(
        "/compare",
        "Two strategies over the same window.",
        queries.Comparison,
        StrategyComparison,
        _compare,
    ),
    Endpoint(
        "/failures",
        "The newest failed executions of all strategies, a page at a time.",
        queries.Failures,
        list[StrategyExecutionLog],
        _failures,
        is_paged=True,
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


async def _page(
    request: Request, scope: Scope, found: list[StrategyExecutionLog], size: int
) -> Response:
    """Rows, with a link to the next page: relative, since an outer application has the path."""
    rows = [await seen(scope, one) for one in found]
    answer = _streamed(json_list(rows))
    if len(rows) == size:
        following = {**request.query_params, "before": Cursor.after(rows[-1])}
        answer.headers["Link"] = f'<?{urlencode(following)}>; rel="next"'
    return answer


def _json(kind: Any, found: Model | Sequence[Model]) -> Response:
    return Response(_adapter(kind).dump_json(found, by_alias=True), media_type=_JSON)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _streamed(pieces: Iterable[bytes]) -> Response:
    """JSON of any size; if it fits one message, it is sent as one."""
    messages = _messages(pieces)
    first = next(messages)
    if (second := next(messages, None)) is None:
        return Response(first, media_type=_JSON)

    async def body() -> AsyncIterator[bytes]:
        pace = Pace()
        for message in itertools.chain((first, second), messages):
            await pace.rest()
            yield message

    return StreamingResponse(body(), media_type=_JSON)


def _messages(pieces: Iterable[bytes]) -> Iterator[bytes]:
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= _MESSAGE:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)
