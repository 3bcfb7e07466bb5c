"""What the page of a strategy shows beside its report, which need not be as fresh.

All viewers of a process share it: of few runs for some seconds, less than a page takes to refresh
itself, and of many for a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

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

_SOON, _LATER, _MOST = 5.0, 60.0, 100
_FEW = 5_000  # runs that are counted anew with each refresh, which takes milliseconds
_GROUPS = 50
_TENANTS = 10

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Versions:
    """The versions that ran.

    Attributes:
        groups: All of them, the highest number first.
        series: The time series of those that a chart has lines for, in the same order; if only one
            version ran, that of all runs, or none if the report has it.
    """

    groups: Sequence[Breakdown]
    series: Mapping[int | None, Sequence[TimeseriesBucket]]


class _Kept(Generic[Answer]):
    """Answers about few runs and about many."""

    def __init__(self) -> None:
        self._few = Kept[Answer](seconds=_SOON, most=_MOST)
        self._many = Kept[Answer](seconds=_LATER, most=_MOST)

    async def get(
        self, key: Hashable, runs: int, ask: Callable[[], Awaitable[Answer]]
    ) -> Dated[Answer]:
        kept = self._few if runs <= _FEW else self._many
        return await kept.get(key, ask)


class Details:
    """Asks for the details of strategies, and keeps them for a while."""

    def __init__(self) -> None:
        """Keeps nothing yet. Never raises."""
        self._versions = _Kept[Versions]()
        self._groups = _Kept[list[Breakdown]]()
        self._levels = _Kept[list[list[StrategyActivity]]]()
        self._points = _Kept[list[PointsCount]]()

    async def versions(
        self, log: Reads, view: View, strategy: str, runs: int, width: timedelta | None
    ) -> Dated[Versions]:
        """The versions, and the time series of the highest one and of those with the most runs.

        Args:
            log: The page's snapshot.
            view: The page.
            strategy: The strategy, which is in the scope.
            runs: How many runs it has in the window.
            width: The width of the buckets; None: as the report's.

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
                if version is not None or width is not None:
                    series[version] = await log.timeseries(
                        strategy_version=version, bucket=width or view.bucket, **asked
                    )
            return Versions(groups, series)

        # Buckets begin with the window: a whole minute, unless it is short.
        key = (view.since, width, *_key(view, strategy))
        return await self._versions.get(key, runs, ask)

    async def levels(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[list[StrategyActivity]]]:
        """The activities in which a change is looked for. Arguments and Raises: see `versions`."""
        key = _key(view, strategy)
        return await self._levels.get(key, runs, lambda: levels(log, view, strategy))

    async def cases(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[Breakdown]]:
        """The cases with the most runs. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        return await self._groups.get(
            ("case_name", *_key(view, strategy)),
            runs,
            lambda: log.breakdown(
                by="case_name", order="runs", limit=_GROUPS, details=False, **asked
            ),
        )

    async def tenants(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[Breakdown]]:
        """The tenants with the most failures. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        return await self._groups.get(
            ("realm_id", *_key(view, strategy)),
            runs,
            lambda: log.breakdown(by="realm_id", limit=_TENANTS, details=False, **asked),
        )

    async def points(
        self, log: Reads, view: View, strategy: str, runs: int
    ) -> Dated[list[PointsCount]]:
        """The bars of whole points. Arguments and Raises: see `versions`."""
        asked = {"strategy_id": strategy, **view.narrowed()}
        key = _key(view, strategy)
        return await self._points.get(key, runs, lambda: log.count_by_points(**asked))


def _key(view: View, strategy: str) -> tuple[Hashable, ...]:
    """A question with the scope that it is asked in; the window as its texts say it."""
    realms = view.narrowed()["realm_id"]
    scope = None if realms is None else frozenset(realms)
    return (strategy, scope, view.zone, *sorted(view.window.items()))


def _drawn(groups: Sequence[Breakdown]) -> list[int | None]:
    """The versions that get lines: the highest number, and others with the most runs."""
    if len(groups) < 2:
        return [None]
    newest, *others = groups
    most = sorted(others, key=lambda one: one.runs, reverse=True)[: LINES - 1]
    return [one.value for one in groups if one in (newest, *most) and isinstance(one.value, int)]
