"""What all pages share: the window, the scope, and links that keep both."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from execlog.display.timeparse import compact, is_length
from execlog.errors import InvalidArgument
from execlog.web.access import Scope, scope_of
from execlog.web.zones import zone_of

__all__ = ["PRESETS", "View", "last_day"]

PRESETS: Sequence[tuple[str, str]] = (
    ("15m", "15 min"),
    ("1h", "1 h"),
    ("6h", "6 h"),
    ("24h", "24 h"),
    ("7d", "7 days"),
    ("30d", "30 days"),
)
_ENDS: Sequence[str] = ("since", "until")
_OF_ONE_PAGE = ("before", "limit", "all_times", "by", "order", "after")
_USUAL = "24h"
_USUAL_LENGTH = timedelta(hours=24)
_SHORT, _LONG = timedelta(minutes=15), timedelta(days=2)
_DAY, _BUCKETS = timedelta(days=1), 120


@dataclass(frozen=True)
class View:
    """One look at the log.

    Attributes:
        page: The page's name, which is its path too; empty for the overview.
        own: The values of the page's own parameters, as they were given.
        window: The window's parameters, as they were given: a link keeps "24h".
        realm: The tenant; None: all of the scope.
        scope: What may be seen.
        since: The window's start; None: it has none.
        until: The window's end.
        now: The time of the request.
        zone: The name of the zone that times are shown in; None: UTC.
    """

    page: str
    own: Mapping[str, Sequence[str]]
    window: Mapping[str, str]
    realm: str | None
    scope: Scope
    since: datetime | None
    until: datetime | None
    now: datetime
    zone: str | None = None

    @classmethod
    def of(
        cls,
        request: Request,
        page: str,
        since: datetime | None,
        until: datetime | None,
        *,
        all_times: bool = False,
    ) -> View:
        """The view of a request; without a window, the last day.

        A window given as a length starts at a whole minute, unless it is short.

        Raises:
            InvalidArgument: The window ends where the calendar begins, or there is no such zone.
        """
        now = datetime.now(UTC)
        given: dict[str, list[str]] = {}
        for name, text in request.query_params.multi_items():
            if text:
                given.setdefault(name, []).append(text)
        window = {name: given.pop(name)[-1] for name in _ENDS if name in given}
        realm = given.pop("realm", [None])[-1]
        zone = given.pop("zone", [None])[-1]
        zone = None if zone_of(zone) is UTC else zone
        if not all_times:
            since, until = last_day(since, until, now)
            if is_length(window.get("since", _USUAL)) and until - since >= _SHORT:
                # At a whole minute or hour, so that the rollups hold all buckets whole.
                since = since.replace(second=0, microsecond=0)
                since = since.replace(minute=0) if until - since >= _LONG else since
        return cls(page, given, window, realm, scope_of(request), since, until, now, zone)

    @functools.cached_property
    def clock(self) -> tzinfo:
        """The zone that times are shown in. Never raises for the view of a request."""
        return zone_of(self.zone)

    @property
    def preset(self) -> str | None:
        """The preset that equals the window; None: there is none. Never raises."""
        if "until" in self.window:
            return None
        since = self.window.get("since", _USUAL)
        return since if since in dict(PRESETS) else None

    @property
    def is_live(self) -> bool:
        """Whether the window ends now. Never raises."""
        return "until" not in self.window

    @property
    def bucket(self) -> timedelta | None:
        """The width of the buckets of a chart; None: the usual one. Never raises.

        Windows too long for the usual widths are cut into buckets of several days.
        """
        if self.since is None or self.until is None:
            return None
        days = (self.until - self.since) / _DAY
        return None if days <= _BUCKETS else math.ceil(days / _BUCKETS) * _DAY

    @property
    def kept(self) -> dict[str, Sequence[str]]:
        """The page's own parameters, for a link or a form to another page of rows. Never raises."""
        return {name: values for name, values in self.own.items() if name not in _OF_ONE_PAGE}

    def strategies(self, wanted: str | None) -> str | Collection[str] | None:
        """The strategies to query: the wanted one, or those of the scope.

        Raises:
            HTTPException: 403, the strategy is not in the scope.
        """
        return self.scope.strategies if wanted is None else self.scope.strategy(wanted)

    def narrowed(self) -> dict[str, Any]:
        """Realms and window, as the methods of the log take them.

        Raises:
            HTTPException: 403, the realm is not in the scope.
        """
        realms = self.scope.realm(self.realm)
        return {"realm_id": realms, "since": self.since, "until": self.until}

    def link(self, page: str, /, **own: Any) -> str:
        """Another page, over the same window and realm, unless another is given. Never raises."""
        return _url(page, {**own, **self.window, **self._kept(own)})

    def same(self, /, **changed: Any) -> str:
        """This page with other parameters; None removes one. Never raises."""
        kept = {**self.own, **self.window, **self._kept({})}
        kept.pop("before", None)  # a cursor belongs to one question
        return _url(self.page, {**kept, **changed})

    def without(self, name: str, value: str) -> str:
        """This page without one of the values of a parameter. Never raises."""
        return self.same(**{name: [one for one in self.own.get(name, ()) if one != value]})

    def within(self, page: str, since: datetime, until: datetime, /, **own: Any) -> str:
        """A page over another window, of the same realm unless another is given. Never raises."""
        ends = {"since": compact(since), "until": compact(until)}
        return _url(page, {**own, **ends, **self._kept(own)})

    def zoned(self, zone: str | None) -> str:
        """This page at the same times, shown in another zone. Never raises."""
        ends = {
            name: text if is_length(text) or time is None else compact(time)
            for name, text in self.window.items()
            for time in [self.since if name == "since" else self.until]
        }
        return self.same(**ends, zone=zone)

    def _kept(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What all links keep beside the window."""
        return {"realm": own.get("realm", self.realm), "zone": self.zone}


def last_day(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """The window; an end that is missing is now, and a begin a day before the end.

    Raises:
        InvalidArgument: The window ends where the calendar begins.
    """
    end = now if until is None else until
    try:
        return (end - _USUAL_LENGTH if since is None else since), end
    except OverflowError:
        raise InvalidArgument("until", "has no day before it") from None


def _url(page: str, parameters: Mapping[str, Any]) -> str:
    """A relative link: all pages have the same parent, wherever that is."""
    given = {
        name: "true" if value is True else value
        for name, value in parameters.items()
        if value is not None and value is not False
    }
    asked = urlencode(given, doseq=True)
    return f"{page or './'}?{asked}" if asked else page or "./"
