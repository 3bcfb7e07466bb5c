"""Answers of the API: models as JSON of any size, and as CSV."""

from __future__ import annotations

import csv
import functools
import io
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from execlog.db.slices import Pace
from execlog.display.format import is_formula
from execlog.models import Model, StrategyExecutionLog
from execlog.web.access import Scope
from execlog.web.cursors import Cursor
from execlog.web.hiding import seen
from execlog.web.queries import Paged
from execlog.web.stored import csv_list, json_list

__all__ = ["csv_of", "json_answer", "page_of", "streamed"]

_JSON = "application/json"
_MESSAGE = 128 * 1024  # bytes


def json_answer(kind: Any, found: Model | Sequence[Model]) -> Response:
    """The models' own dumps. Never raises."""
    return Response(_adapter(kind).dump_json(found, by_alias=True), media_type=_JSON)


async def csv_of(
    kind: type[Model], found: Sequence[Model], name: str, *, spreadsheet: bool
) -> Response:
    """Models as a file of CSV: a header, then a line each; an empty cell is no value.

    Never raises.

    Args:
        kind: Their class, of which the header is.
        found: The models.
        name: The name of the file.
        spreadsheet: Put an apostrophe before each text that a spreadsheet would execute.
    """
    text, pace = io.StringIO(), Pace()
    writer = csv.writer(text)
    writer.writerow(field.alias for field in kind.model_fields.values())
    for one in found:
        await pace.rest()
        cells = one.model_dump(mode="json").values()
        writer.writerow(_safe(cell) if spreadsheet else cell for cell in cells)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


async def page_of(
    request: Request,
    scope: Scope,
    asked: Paged,
    found: list[StrategyExecutionLog],
    since: datetime | None = None,
) -> Response:
    """Rows, with a link to the next page: relative, since an outer application has the path.

    As CSV they have no columns for traces and inputs if the scope has none. Never raises.

    Args:
        request: The request.
        scope: What it may see.
        asked: What it asks for.
        found: The rows.
        since: The window's begin, if the request does not say it.
    """
    if asked.format == "csv":
        lines = csv_list(found, payloads=scope.inputs, spreadsheet=asked.spreadsheet)
        answer = streamed(lines, "text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="executions.csv"'
        rows = found
    else:
        rows = [await seen(scope, one) for one in found]
        answer = streamed(json_list(rows))
    if len(rows) == asked.size:
        following = [pair for pair in request.query_params.multi_items() if pair[0] != "before"]
        if since is not None and not request.query_params.get("since"):
            following.append(("since", since.isoformat()))
        following.append(("before", Cursor.after(rows[-1])))
        answer.headers["Link"] = f'<?{urlencode(following)}>; rel="next"'
    return answer


def streamed(pieces: Iterable[bytes], media_type: str = _JSON) -> Response:
    """An answer of any size; if it fits one message, it is sent as one. Never raises."""
    messages = _messages(pieces)
    first = next(messages)
    if (second := next(messages, None)) is None:
        return Response(first, media_type=media_type)

    async def body() -> AsyncIterator[bytes]:
        pace = Pace()
        for message in itertools.chain((first, second), messages):
            await pace.rest()
            yield message

    return StreamingResponse(body(), media_type=media_type)


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and is_formula(cell) else cell


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


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
