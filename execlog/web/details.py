"""What the page of a strategy shows beside its report, which need not be as fresh.

Of few runs it is asked for each time; of many at most once a minute for all viewers of a process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from execlog.models import PointsCount
from execlog.repository.activity import StrategyActivity
from execlog.repository.groups import Breakdown
from execlog.repository.repository import Reads
from execlog.repository.timeseries import TimeseriesBucket
from execlog.web.change import levels
from execlog.web.kept import Dated, Kept
from execlog.web.view import View

__all__ = ["LINES", "Details", "Versions"]

LINES = 4
"""The most versions that a chart has lines for."""

_SECONDS, _MOST = 60.0, 100
_FEW = 5_000  # runs that are counted anew each time, which takes milliseconds
_GROUPS = 50
_TENANTS = 10

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Versions:
    """The versions that ran.

    Attributes:
        groups: All of them, the highest number first.
        series: The time series of those that a chart has lines for, in the same order; if only one
            version ran, that of all runs.
    """

    groups: Sequence[Breakdown]
    series: Mapping[int | None, Sequence[TimeseriesBucket]]


class Details:
    """Asks for the details of strategies, and keeps those of many runs for a minute."""

    def __init__(self) -> None:
        """Keeps nothing yet. Never raises."""
        self._versions = Kept[Versions](seconds=_SECONDS, most=_MOST)
        self._groups = Kept[list[Breakdown]](seconds=_SECONDS, most=_MOST)
        self._levels = Kept[list[list[StrategyActivity]]](seconds=_SECONDS, most=_MOST)
        self._points = Kept[list[PointsCount]](seconds=_SECONDS, most=_MOST)

    async def versions(
        self, log: Reads, view: View, strategy: str, runs: int, width: timedelta
    ) -> Dated[Versions]:
        """The versions, and the time series of the highest one and of those with the most runs.

        Args:
            log: The page's snapshot.
            view: The page.
            strategy: The strategy, which is in the scope.
            runs: How many runs it has in the window.
            width: The width of the buckets.

        Raises:
            HTTPException: 403, the realm is not in the scope.
            ExeclogError: The log can't be read.
        """

        async def ask() -> Versions:
            asked = {"strategy_id": strategy, **view.narrowed()}
            found = await log.breakdown(
                by="strategy_version", order="runs", limit=_GROUPS, details=False, **asked
            )
            groups = [one for one in found if isinstance(one.value, int)]
            groups.sort(key=lambda one: one.value or 0, reverse=True)
            series = {}
            for version in _drawn(groups):
                series[version] = await log.timeseries(
                    strategy_version=version, bucket=width, **asked
                )
            return Versions(groups, series)

        # Buckets begin with the window: a whole minute, unless it is short.
        key = (view.since, width, *_key(view, strategy))
        return await _answer(self._versions, key, ask, runs)

    async def levels(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[list[StrategyActivity]]]:
        """The activities in which a change is looked for. Arguments and Raises: see `versions`."""
        key = _key(view, strategy)
        return await _answer(self._levels, key, lambda: levels(log, view, strategy), runs)

    async def cases(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[Breakdown]]:
        """The cases with the most runs. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        return await _answer(
            self._groups,
            ("case_name", *_key(view, strategy)),
            lambda: log.breakdown(
                by="case_name", order="runs", limit=_GROUPS, details=False, **asked
            ),
            runs,
        )

    async def tenants(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[Breakdown]]:
        """The tenants with the most failures. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        return await _answer(
            self._groups,
            ("realm_id", *_key(view, strategy)),
            lambda: log.breakdown(by="realm_id", limit=_TENANTS, details=False, **asked),
            runs,
        )

    async def points(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[PointsCount]]:
        """The bars of whole points. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        key = _key(view, strategy)
        return await _answer(self._points, key, lambda: log.count_by_points(**asked), runs)


async def _answer(
    kept: Kept[Answer], key: Hashable, ask: Callable[[], Awaitable[Answer]], runs: int
) -> Dated[Answer]:
    if runs <= _FEW:
        return Dated(await ask(), datetime.now(UTC))
    return await kept.get(key, ask)


def _key(view: View, strategy: str) -> tuple[Hashable, ...]:
    """A question with the scope that it is asked in; the window as its texts say it."""
    realms = view.narrowed()["realm_id"]
    scope = None if realms is None else frozenset(realms)
    return (strategy, scope, *sorted(view.window.items()))


def _drawn(groups: Sequence[Breakdown]) -> list[int | None]:
    """The versions that get lines: the highest number, and others with the most runs."""
    if len(groups) < 2:
        return [None]
    newest, *others = groups
    most = sorted(others, key=lambda one: one.runs, reverse=True)[: LINES - 1]
    return [one.value for one in groups if one in (newest, *most) and isinstance(one.value, int)]
