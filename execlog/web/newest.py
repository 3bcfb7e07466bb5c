"""The new rows of a list of executions, as an open page asks for them once a second."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from execlog.errors import ExeclogError, QueryRejected
from execlog.models import StrategyExecutionLog
from execlog.repository.repository import Reads
from execlog.web import queries
from execlog.web.filters import filters_of
from execlog.web.live import MOST_SHOWN, Question, Ring
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.rendering import render
from execlog.web.view import View

__all__ = ["follow", "newest"]

_AFTER = "after"
_MOST_ANSWERS = 20  # of a ring: texts of up to 25 kB


async def follow(reader: Reader, log: Reads, view: View, question: Question) -> str | None:
    """The place of a page from which `newest` goes on; None: it can't.

    It must be asked before the page's rows are: of these none is missed, some may come twice.

    Args:
        reader: The reader.
        log: The page's snapshot.
        view: The page.
        question: What its list asks for.

    Never raises: without it the page loads itself again.
    """
    if not view.is_live:
        return None
    if (ring := reader.live.ring(question)) is not None:
        return ring.token if ring.error is None else None
    try:
        begun = await reader.live.begin(log, question)
    except ExeclogError:
        return None
    if begun is None:
        return None
    ring, is_from_here = begun
    return ring.token if is_from_here else ""  # no place yet: then the page is loaded once more


async def newest(reader: Reader, request: Request) -> Response:
    """The rows since the viewer's places, as a table; 204: there are none; 501: no order is kept.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.ExecutionsPage, request)
    view = View.of(request, "executions", asked.since, asked.until, all_times=asked.all_times)
    places = "".join(view.own.get(_AFTER, ())[-1:]).split(",")
    filters = filters_of(request, view.scope, view.realm)
    question = Question(view.strategies(asked.id), filters)
    ring = await _ring(reader, question)
    if ring is None or isinstance(ring.error, QueryRejected):
        return Response(status_code=501)
    if ring.error is not None:
        raise ring.error
    found = ring.after(places)
    if not found.rows and not found.is_reset:
        return Response(status_code=204)
    # Those who look at the same page were answered the same since the last read.
    look = sorted(pair for pair in request.query_params.multi_items() if pair[0] != _AFTER)
    key = (tuple(look), view.scope, ring.token, len(found.rows), found.more, found.is_reset)
    if (known := ring.answers.get(key)) is not None:
        return Response(known, media_type="text/html")
    answer = await render(
        "live.html",
        view,
        id=asked.id,
        rows=[one for one in found.rows if _is_within(view, one)],
        place=ring.token,
        more=MOST_SHOWN if found.more else None,
        is_reset=found.is_reset,
    )
    if len(ring.answers) < _MOST_ANSWERS:
        ring.answers[key] = answer.body
    return answer


async def _ring(reader: Reader, question: Question) -> Ring | None:
    """The question's ring, begun now if there is none; None: the log has no order to follow."""
    found = reader.live.ring(question)
    if found is not None:
        return found
    try:
        async with reader.snapshot() as log:
            begun = await reader.live.begin(log, question)
    except QueryRejected:
        return None
    return begun[0] if begun else None


def _is_within(view: View, one: StrategyExecutionLog) -> bool:
    """Whether the page's window has the row: what was stored now may be of any time."""
    return one.created_at is not None and (view.since is None or one.created_at >= view.since)
