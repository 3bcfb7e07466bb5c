"""Two slices of the log side by side: the page and the JSON of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display.timeparse import compact
from execlog.errors import InvalidArgument
from execlog.repository.comparison import StrategyComparison
from execlog.repository.repository import Reads
from execlog.repository.slice import Slice
from execlog.repository.timeseries import TimeseriesBucket, before, cut
from execlog.web import axes, bars, charts, queries
from execlog.web.access import scope_of
from execlog.web.answers import json_answer
from execlog.web.differences import cases, codes, is_whole, lead, measures
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.view import View, last_day

__all__ = ["compare", "comparison"]

_KNOWN = 50  # strategies to choose from
_VERSIONS = 50
_INSTANT = timedelta(microseconds=1)
_OWN = ("version", "realm", "since", "until")


@dataclass(frozen=True)
class Side:
    """One of both that are compared.

    Attributes:
        name: "A" or "B".
        id: Its strategy.
        version: Its version; None: all.
        view: The page as if it were about this side alone: its window, its tenant.
        has_own: Whether it has a version, a tenant or a window of its own.
    """

    name: str
    id: str
    version: int | None
    view: View
    has_own: bool

    @property
    def slice(self) -> Slice:
        """What is compared. Raises HTTPException: 403, the tenant is not in the scope."""
        return Slice(self.id, strategy_version=self.version, **self.view.narrowed())

    def link(self, page: str, /, **filters: Any) -> str:
        """A page about its runs. Never raises."""
        version = {} if self.version is None else {"strategy_version": self.version}
        return self.view.link(page, id=self.id, **version, **filters)


async def compare(reader: Reader, request: Request) -> Response:
    """Two strategies side by side, or two versions, tenants or windows of one.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.ComparePage, request)
    view = View.of(request, "compare", asked.since, asked.until)
    parts = Parts()
    given: dict[str, Any] = {"both": None, "sides": [], "known": None, "note": None}
    async with reader.snapshot() as log:
        if asked.preset is not None and asked.a is not None:
            link = await _preset(log, view, asked.a, asked.preset)
            if link is not None:
                return Response(status_code=303, headers={"Location": link})
            given["note"] = "Fewer than two versions of it ran in this window."
        if asked.a is None or asked.b is None:
            ranking = log.rank_strategies(
                **view.narrowed(), strategy_id=view.scope.strategies, by="runs", limit=_KNOWN
            )
            given["known"] = await parts.take("names", ranking)
        else:
            sides = [_side(view, asked, "a", asked.a), _side(view, asked, "b", asked.b)]
            given |= await _compared(log, view, sides, parts)
    return await parts.page("compare.html", view, asked=asked, own=_OWN, **given)


async def comparison(reader: Reader, request: Request) -> Response:
    """The answer of the API.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked, scope = query(queries.Comparison, request), scope_of(request)
    slices = []
    for name, strategy in (("a", asked.a), ("b", asked.b)):
        since, until = _times(asked, name)
        if since is None and until is None:
            since, until = asked.since, asked.until
        slices.append(
            Slice(
                scope.strategy(strategy),
                strategy_version=getattr(asked, f"{name}_version"),
                realm_id=scope.realm(getattr(asked, f"{name}_realm") or asked.realm),
                since=since,
                until=until,
            )
        )
    async with reader.snapshot() as log:
        found = await log.compare(*slices)
    return json_answer(StrategyComparison, found)


async def _preset(log: Reads, view: View, strategy: str, preset: str) -> str | None:
    """The link to a comparison of a strategy with itself; None: only one version ran.

    Raises InvalidArgument: no window lies before the one that is asked for.
    """
    asked = {"strategy_id": view.scope.strategy(strategy), **view.narrowed()}
    both: dict[str, Any] = {"preset": None, "a": strategy, "b": strategy}
    both |= {f"{side}_{name}": None for side in ("a", "b") for name in _OWN}
    if preset == "windows":
        since, until = asked["since"], asked["until"].replace(microsecond=0)
        try:
            ends = (before(since, until), since - _INSTANT), (since, until)
        except OverflowError:  # an end of the calendar
            raise InvalidArgument("since", "has no window before it") from None
        for side, (begin, end) in zip(("a", "b"), ends, strict=True):
            both |= {f"{side}_since": compact(begin), f"{side}_until": compact(end)}
        return view.same(**both)
    found = await log.breakdown(
        by="strategy_version", order="runs", limit=_VERSIONS, details=False, **asked
    )
    versions = sorted((one.value for one in found if isinstance(one.value, int)), reverse=True)
    if len(versions) < 2:
        return None
    return view.same(**both | {"a_version": versions[1], "b_version": versions[0]})


def _side(view: View, asked: queries.Sides, name: str, strategy: str) -> Side:
    version, realm = getattr(asked, f"{name}_version"), getattr(asked, f"{name}_realm")
    since, until = _times(asked, name)
    own = replace(view, realm=realm or view.realm)
    if since is not None or until is not None:
        since, until = last_day(since, until, view.now)
        window = {"since": compact(since), "until": compact(until)}
        own = replace(own, window=window, since=since, until=until)
    return Side(
        name=name.upper(),
        id=view.scope.strategy(strategy),
        version=version,
        view=own,
        has_own=any(getattr(asked, f"{name}_{one}") is not None for one in _OWN),
    )


def _times(asked: queries.Sides, name: str) -> tuple[datetime | None, datetime | None]:
    """The window of one side alone. Raises InvalidArgument: it ends before it begins."""
    since, until = getattr(asked, f"{name}_since"), getattr(asked, f"{name}_until")
    end = datetime.now(UTC) if until is None else until
    if since is not None and since > end:
        raise InvalidArgument(f"{name}_since", f"is later than {name}_until")
    return since, until


async def _compared(log: Reads, view: View, sides: list[Side], parts: Parts) -> dict[str, Any]:
    """What the page shows of both sides."""
    both = await parts.take("numbers", log.compare(*(side.slice for side in sides)))
    width = _width(sides, both)
    found = [
        await parts.take(
            f"time series of {side.name}",
            log.timeseries(
                strategy_id=side.id,
                strategy_version=side.version,
                bucket=width,
                **side.view.narrowed(),
            ),
        )
        for side in sides
    ]
    given: dict[str, Any] = {"sides": sides, "both": both, "swapped": _swapped(view)}
    if both is not None:
        given |= {
            "lead": lead(both),
            "is_sampled": not (is_whole(both.a) and is_whole(both.b)),
            "measures": measures(both),
            "codes": codes(both),
            "cases": cases(both),
            "durations": bars.pair(both.a, both.b),
        }
    one, two = found
    return given if one is None or two is None else {**given, **_drawn(view, sides, one, two)}


def _swapped(view: View) -> str:
    """The page with A in the place of B, and B in the place of A."""
    names = ["", *(f"_{one}" for one in _OWN)]
    others = {f"{a}{name}": view.own.get(f"{b}{name}") for a, b in ("ab", "ba") for name in names}
    return view.same(**others)


def _width(sides: list[Side], both: StrategyComparison | None) -> timedelta:
    """The width of the buckets of both: for the longer window, and the side with fewer runs."""
    longest = max((side.view for side in sides), key=_length)
    usual = longest.bucket or cut(longest.since, longest.until, None).width
    if both is None:
        return usual
    runs = min(card.status_breakdown.total for card in (both.a, both.b))
    return axes.readable(usual, max(_length(longest), usual), runs)


def _length(view: View) -> timedelta:
    if view.since is None or view.until is None:
        return timedelta()
    return view.until - view.since


def _drawn(
    view: View, sides: list[Side], one: list[TimeseriesBucket], two: list[TimeseriesBucket]
) -> dict[str, Any]:
    """The charts of both time series, and the table of their numbers."""
    is_same = len({(side.view.since, side.view.until) for side in sides}) == 1
    part = len(one) == len(two) and charts.has_part(one, sides[0].view.until)
    zone = view.clock if is_same else None

    def lines(field: str) -> list[charts.Series]:
        return [("a", one, field), ("b", two, field)]

    return {
        "series": list(zip_longest(one, two)),
        "is_same": is_same,
        "part": part,
        "width": axes.length(axes.width_of(max(one, two, key=len))),
        "rates": charts.rates(lines("error_rate"), zone, part=part),
        "p95": charts.durations(lines("duration_p95_ms"), zone, part=part),
        "runs": charts.counts(lines("total"), zone, part=part),
    }
