"""The page that opens: what is wrong now, then the strategies, those in trouble first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.db import validation
from execlog.display.lengths import lasting
from execlog.display.timeparse import compact
from execlog.models import StrategyExecutionLog, StrategyRank
from execlog.repository.activity import StrategyActivity
from execlog.repository.repository import Reads
from execlog.web import first_run, queries, sparks
from execlog.web.change import last_hours
from execlog.web.filters import added, chips, filters_of, label
from execlog.web.headline import rate
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.quiet import Quiet, quiet_log
from execlog.web.reading import Reader
from execlog.web.resting import rests
from execlog.web.suggestions import suggested
from execlog.web.trouble import Findings, Silence, Trouble, findings, silence, suspects
from execlog.web.view import View

__all__ = ["overview"]

_STRATEGIES = 50
_NEWEST = 10
_SENTENCES = 5
_FEW = 6  # strategies whose window is cut finely
_FINE, _COARSE = 60, 30
_WIDE = 4
_SUSPECTS = 25  # of more strategies than are ranked, those that are looked at too
_ADDED = ("realm", "strategy_version")
_MARGIN = 20  # of the time since a change, by which it may be earlier
_SHORTEST = timedelta(minutes=15)  # of a window that explains a change


async def overview(reader: Reader, request: Request) -> Response:
    """What is wrong now, the strategies of the realm, and what failed last.

    Raises:
        InvalidArgument: A parameter is malformed, or a filter that it adds is none.
        HTTPException: 403, the realm is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.Overview, request)
    view = View.of(request, "", asked.since, asked.until)
    if (link := added(view, _ADDED)) is not None:
        return Response(status_code=303, headers={"Location": link})
    filters = filters_of(request, view.scope, view.realm)
    window: dict[str, Any] = {
        "since": view.since,
        "until": view.until,
        "strategy_id": view.scope.strategies,
        "realm_id": filters.get("realm_id"),
        "strategy_version": filters.get("strategy_version"),
    }
    parts = Parts()
    quiet = None
    async with reader.snapshot() as log:
        failures = await parts.take(
            "newest failures", log.list_failures(**window, limit=_NEWEST, payloads=False)
        )
        read = await _read(parts, reader, log, view, window, asked.by)
        if read.ranks == []:
            quiet = await quiet_log(log, view, filters)
        silent = await _silence(log, view, window, read)
        archived = await reader.archived(log, view.since, view.until)
    found = findings(*read.series)
    ranks = _ordered(read, found) if asked.by == "trouble" else read.ranks
    rows = validation.limit(asked.limit, _STRATEGIES)
    return await parts.page(
        "overview.html",
        view,
        archived=archived,
        by=asked.by,
        ranks=None if ranks is None else ranks[:rows],
        more=max(len(ranks or ()) - rows, 0),
        most=_STRATEGIES,
        activity={one.strategy_id: one for one in read.activity or ()},
        together=read.together,
        found=found if read.activity is not None else None,
        silent=silent,
        failures=failures,
        quiet=quiet,
        first=first_run.of(reader.schema) if _is_first(view, quiet) else None,
        **_words(view),
        **_filters(view, failures or ()),
    )


@dataclass(frozen=True)
class _Read:
    """What the log answers; None: that part is missing."""

    ranks: Sequence[StrategyRank] | None
    others: Sequence[StrategyRank] | None
    together: StrategyRank | None
    activity: Sequence[StrategyActivity] | None
    recent: Sequence[StrategyActivity] | None

    @property
    def series(self) -> list[Sequence[StrategyActivity]]:
        """The activities that are there, the finest last."""
        return [one for one in (self.activity, self.recent) if one]


async def _read(
    parts: Parts,
    reader: Reader,
    log: Reads,
    view: View,
    window: dict[str, Any],
    by: queries.OverviewBy,
) -> _Read:
    first = "failures" if by == "trouble" else by
    ranks = await parts.take(
        "strategies", log.rank_strategies(**window, by=first, limit=_STRATEGIES)
    )
    others: Sequence[StrategyRank] | None = []
    if ranks and len(ranks) == _STRATEGIES:
        # One that fails more often than it did need not be among those that fail most.
        others = await parts.take("strategies that changed", _others(log, view, window, ranks))
    if not ranks:
        return _Read(ranks, others, None, None, None)
    together = await parts.take("all strategies together", log.rank_together(**window))
    known = {one.strategy_id: one for one in (*ranks, *(others or ()))}
    cut = _FINE if len(known) <= _FEW else _COARSE
    activity = await parts.take(
        "activity",
        _activity(reader, log, view, {**window, "strategy_id": list(known), "buckets": cut}),
    )
    recent: Sequence[StrategyActivity] | None = None
    if (last := last_hours(view)) is not None:
        names = _watched(known.values(), others or ())
        asked = {**window, "strategy_id": names, "since": last, "buckets": _FINE}
        recent = await parts.take("the last hours", _activity(reader, log, view, asked))
    return _Read(ranks, others, together, activity, recent)


async def _activity(
    reader: Reader, log: Reads, view: View, asked: dict[str, Any]
) -> Sequence[StrategyActivity]:
    """The activity of some strategies in a scope, a few seconds old at most."""
    scope = (asked["realm_id"], asked["strategy_version"])
    # The window as its texts say it, in the view's zone: a length ends later with each refresh.
    key = (
        *(None if one is None else frozenset(one) for one in scope),
        view.zone,
        tuple(asked["strategy_id"]),
        asked["buckets"],
        asked["since"] == view.since,
        *sorted(view.window.items()),
    )
    return (await reader.levels.get(key, lambda: log.activity(**asked))).answer


async def _others(
    log: Reads, view: View, window: dict[str, Any], ranks: Sequence[StrategyRank]
) -> Sequence[StrategyRank]:
    """The strategies that may have changed, beside those that are ranked."""
    wide = [await log.activity(**window, buckets=_WIDE)]
    if (last := last_hours(view)) is not None:
        wide.append(await log.activity(**{**window, "since": last}, buckets=_WIDE))
    ranked = {one.strategy_id for one in ranks}
    names = [name for name in suspects(*wide, most=_SUSPECTS) if name not in ranked]
    if not names:
        return []
    return await log.rank_strategies(
        **{**window, "strategy_id": names}, by="failures", limit=_STRATEGIES
    )


def _watched(ranks: Collection[StrategyRank], others: Collection[StrategyRank]) -> list[str]:
    """The strategies whose last hours are looked at: all, or those that changed or fail most."""
    by_number = sorted(ranks, key=lambda one: -one.failures)[:_SUSPECTS]
    by_rate = sorted(ranks, key=lambda one: -one.error_rate)[:_SUSPECTS]
    return list({one.strategy_id: None for one in (*others, *by_number, *by_rate)})


def _ordered(read: _Read, found: Findings) -> Sequence[StrategyRank] | None:
    """Those in trouble first, as the sentences have them, then the rest by failures."""
    if read.ranks is None:
        return None
    known = {one.strategy_id: one for one in (*read.ranks, *(read.others or ()))}
    names = [one.strategy_id for one in (*found.worse, *found.better)]
    first = [known[name] for name in names if name in known]
    rest = [one for one in read.ranks if one.strategy_id not in names]
    return [*first, *rest][:_STRATEGIES]


async def _silence(log: Reads, view: View, window: dict[str, Any], read: _Read) -> Silence | None:
    """Whether nothing is stored for longer than is usual, at this time of the day too."""
    if not view.is_live or view.until is None or read.together is None:
        return None
    last = read.together.last_run
    found = silence(last, view.until, *read.series)
    if found is None or last is None:
        return None
    wanted = {name: window[name] for name in ("strategy_id", "realm_id", "strategy_version")}
    return None if await rests(log, last, view.until, **wanted) else found


def _is_first(view: View, quiet: Quiet | None) -> bool:
    """Whether the log is empty, to somebody who sees all of it and asks for all of it."""
    is_all = view.scope.is_whole and view.realm is None and not view.own.get("strategy_version")
    return is_all and quiet is not None and quiet.known is False


def _words(view: View) -> dict[str, Any]:
    """What the template says and links to."""

    def at(time: datetime) -> str:
        """The form of a time that is not exact."""
        is_today = view.now - time < timedelta(hours=20)
        return "%H:%M" if is_today else "%b %d, %H:%M"

    def ago(time: datetime) -> str:
        return lasting(view.now - time)

    return {
        "rate": rate,
        "at": at,
        "ago": ago,
        "lasting": lasting,
        "links": lambda one: _links(view, one),
        "sentences": _SENTENCES,
        "runs_of": sparks.runs,
        "rates_of": sparks.rates,
        "SPARK": sparks.HEIGHT,
    }


def _links(view: View, one: Trouble) -> dict[str, str]:
    """The strategy with as long a time before its change, and what the change is made of."""
    end = view.now if view.until is None else view.until
    # Some time before: a baseline with some of what is wrong explains less than a longer window.
    begin = min(one.changed_at - (end - one.changed_at) / _MARGIN, end - _SHORTEST)
    own: dict[str, Any] = {"id": one.strategy_id}
    if "strategy_version" in view.own:
        own["strategy_version"] = view.own["strategy_version"]
    return {
        "strategy": _from(view, begin - (end - begin)).link("strategy", id=one.strategy_id),
        "why": _from(view, begin).link("explain", **own),
        "failing": _from(view, one.changed_at).link("executions", **own, status="failed"),
    }


def _from(view: View, begin: datetime) -> View:
    """The view from another time on, to the same end."""
    ends = {name: text for name, text in view.window.items() if name == "until"}
    begin = begin.replace(second=0, microsecond=0)
    return replace(view, window={"since": compact(begin), **ends})


def _filters(view: View, failures: Sequence[StrategyExecutionLog]) -> dict[str, Any]:
    """What `filters.html` needs."""
    names = {label(name) for name in _ADDED}
    return {
        "chips": [one for one in chips(view) if one.name in names],
        "ADDED": _ADDED,
        "label": label,
        "suggestions": suggested(view, failures),
    }
