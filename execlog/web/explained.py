"""Why a strategy changed: the page and the JSON of an explanation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display import explained
from execlog.repository.explain import MEASURES
from execlog.repository.explanation import Cause, Explanation
from execlog.repository.repository import Reads
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web import charts, queries
from execlog.web.access import scope_of
from execlog.web.answers import json_answer
from execlog.web.change import Change
from execlog.web.filtered import values_of
from execlog.web.filters import ADDED, added, chips, filter_of, filters_of, label
from execlog.web.kept import Dated
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.view import View, last_day

__all__ = ["causes", "explain", "explanation", "link_of", "step_of"]

_OWN = ("id", "measure")  # what no filter is


async def explain(reader: Reader, request: Request) -> Response:
    """What changed in a strategy since the window before, since when, and what explains it.

    Raises:
        InvalidArgument: A parameter is malformed, or a filter that it adds is none.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.Explained, request)
    view = View.of(request, "explain", asked.since, asked.until)
    if (link := added(view)) is not None:
        return Response(status_code=303, headers={"Location": link})
    filters = filters_of(request, view.scope, view.realm)
    strategy = view.scope.strategy(asked.id)
    parts = Parts()
    async with reader.snapshot() as log:
        found = await parts.take(
            "explanation",
            log.explain(
                strategy_id=strategy,
                since=view.since,
                until=view.until,
                measure=asked.measure,
                **filters,
            ),
        )
        archived = await reader.archived(log, view.since, view.until)
        known = await values_of(log, view, filters, asked.id)
    own = {name: values for name, values in view.kept.items() if name not in _OWN}
    return await parts.page(
        "explain.html",
        view,
        archived=archived,
        id=asked.id,
        measure=asked.measure,
        measures=_measures(asked.measure),
        found=found,
        words=explained,
        own=own,
        link_of=lambda cause: link_of(view, cause, asked.id, own, asked.measure),
        chips=[one for one in chips(view) if one.name != label("id")],
        ADDED=[name for name in ADDED if name != "id"],
        label=label,
        suggestions=known,
    )


async def explanation(reader: Reader, request: Request) -> Response:
    """The answer of the API.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked, scope = query(queries.Explained, request), scope_of(request)
    since, until = last_day(asked.since, asked.until, datetime.now(UTC))
    async with reader.snapshot() as log:
        found = await log.explain(
            strategy_id=scope.strategy(asked.id),
            since=since,
            until=until,
            measure=asked.measure,
            **filters_of(request, scope, asked.realm),
        )
    return json_answer(Explanation, found)


async def causes(
    reader: Reader, log: Reads, view: View, strategy: str, change: Change
) -> Dated[Explanation]:
    """What explains a change, on a page that refreshes itself: up to a minute old.

    Args:
        reader: Keeps the answers.
        log: The page's snapshot.
        view: The page.
        strategy: The strategy, which is in the scope.
        change: What changed.

    Raises:
        HTTPException: 403, the realm is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = view.narrowed()
    realms = asked["realm_id"]
    # The window as its texts say it: a length of time ends later with each refresh.
    scope = None if realms is None else frozenset(realms)
    window = sorted(view.window.items())
    key = (strategy, change.measure, change.at, scope, view.zone, *window)
    if change.at is not None:
        asked |= {"since": change.at, "baseline_since": change.baseline(view)}
    return await reader.causes.get(
        key, lambda: log.explain(strategy_id=strategy, measure=change.measure, **asked)
    )


def _measures(measure: str) -> list[str]:
    """The measures to choose from, with the one that was asked for."""
    return [*MEASURES, *([] if measure in MEASURES else [measure])]


def step_of(
    buckets: Sequence[TimeseriesBucket], change: Change | None, found: Explanation | None
) -> charts.Step | None:
    """The mark of since when, for charts of these buckets; None: it is not known. Never raises.

    Args:
        buckets: The buckets.
        change: What changed; None: nothing.
        found: What explains it; None: it is not known.
    """
    if found is not None and found.since and found.since_low and found.since_high:
        return charts.step(buckets, found.since_low, found.since, found.since_high)
    if change is not None and change.at is not None:
        return charts.step(buckets, change.at, change.at, change.at)
    return None


def link_of(
    view: View, cause: Cause, strategy: str, own: Mapping[str, Any], measure: str | None
) -> str | None:
    """The executions of a cause in the window; None: no query says one of its values.

    Args:
        view: The page.
        cause: The cause.
        strategy: The strategy.
        own: The filters that the page has.
        measure: What changed: of the error rate only runs that failed, unless the page or the
            cause has a status.

    Never raises.
    """
    filters: dict[str, Any] = {}
    if measure == "error_rate" and "status" not in own:
        filters["status"] = "failed"
    for name, value in cause.attributes.items():
        if name == "attributes":
            texts = [f"{key}={_text(held)}" for key, held in value.items()]
            filters["attr"] = [*own.get("attr", ()), *texts]
        elif name == "no_case":
            filters[name] = True
        elif (one := filter_of(name, value)) is not None:
            filters.update(one)
        else:
            return None
    return view.link("executions", **{**own, "id": strategy, **filters})


def _text(value: object) -> str:
    """A value of an attribute as a text, as Postgres has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
