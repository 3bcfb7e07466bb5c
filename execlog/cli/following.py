"""What follows the newest executions: those that are stored from then on, each once."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from rich.text import Text

from execlog import QueryRejected, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.display.tables import plain

__all__ = ["ByCommit", "ByTime", "Follower", "following"]

_PAGE = 200
# Without traces a row is a kilobyte; with them it may be a megabyte.
_LOOKED_AT = {False: 1000, True: _PAGE}
_CALENDAR_BEGINS = datetime.min.replace(tzinfo=UTC)
# A recorder keeps a batch for a fifth of a second, and longer if storing fails.
_LATE = timedelta(seconds=10)


class Follower(Protocol):
    """Finds the newest executions, and then those that are new since."""

    async def begin(self, limit: int) -> list[StrategyExecutionLog]:
        """The newest executions, the newest last, as the start. Raises ExeclogError."""

    def new(self) -> AsyncIterator[list[StrategyExecutionLog]]:
        """The executions since the last call, some at a time. Raises ExeclogError."""


async def following(
    log: StrategyExecutionLogRepository,
    scope: Mapping[str, Any],
    since: datetime | None,
    late: timedelta | None,
) -> Follower:
    """The follower for this log.

    Args:
        log: The repository.
        scope: The strategy, the filters and `payloads`, as `list_executions` takes them.
        since: The begin of the window of the first executions.
        late: For `ByTime`; None: 10 s.

    Raises:
        ExeclogError: The server is away or refuses.
    """
    try:
        page = await log.list_stored(after=None, **scope)
    except QueryRejected:  # a cluster, or a role that may not read the column
        note = "execlog: new ones are looked for by their times: later than --late they are missed"
        plain(sys.stderr).print(Text(note, style="dim"))
        return ByTime(log, scope, since, _LATE if late is None else late)
    return ByCommit(log, scope, since, page.place)


class ByCommit:
    """Finds executions by the order in which they were stored, whatever their times are.

    Each is found once, and what was found is not read again.
    """

    def __init__(
        self,
        log: StrategyExecutionLogRepository,
        scope: Mapping[str, Any],
        since: datetime | None,
        place: str,
    ) -> None:
        """Takes the arguments of `following`, and a place of before the first. Never raises."""
        self._log = log
        self._scope = scope
        self._since = since
        self._place = place
        # Stored between the place and the first read: they are found twice.
        self._first: set[UUID] = set()

    async def begin(self, limit: int) -> list[StrategyExecutionLog]:
        """The newest executions, the newest last. Raises ExeclogError."""
        newest = await self._log.list_executions(**self._scope, since=self._since, limit=limit)
        self._first = {one.id for one in newest}
        return newest[::-1]

    async def new(self) -> AsyncIterator[list[StrategyExecutionLog]]:
        """The executions that were stored since the last call, some at a time.

        Raises:
            ExeclogError: The server is away or refuses; the next call continues.
            OSError: Standard error can't be written.
        """
        most = _LOOKED_AT[bool(self._scope["payloads"])]
        while True:
            page = await self._log.list_stored(after=self._place, **self._scope, limit=most)
            if page.is_reset:
                print(
                    "execlog: the server was set back to an earlier state; shown from now on",
                    file=sys.stderr,
                )
            self._place = page.place
            found = [one for one in page.executions if one.id not in self._first]
            self._first.difference_update(one.id for one in page.executions)
            yield found
            if not page.has_more:
                return


class ByTime:
    """Finds executions by their times, in a log that does not keep the order in which it stores.

    They are not stored in the order in which they ended: recorders keep batches, and each process
    has its own. So each poll reads back by `late`, and leaves out what was returned before.
    """

    def __init__(
        self,
        log: StrategyExecutionLogRepository,
        scope: Mapping[str, Any],
        since: datetime | None,
        late: timedelta,
    ) -> None:
        """Takes the arguments of `following`. Never raises."""
        self._log = log
        self._scope = scope
        self._since = since
        self._late = late
        self._seen: dict[UUID, datetime] = {}
        self._last = _CALENDAR_BEGINS  # the newest time that was read

    async def begin(self, limit: int) -> list[StrategyExecutionLog]:
        """The newest executions, the newest last. Raises ExeclogError."""
        first = await self._page(1)
        self._see(first)
        # In this order: what is stored in between is on the page, or comes with the next poll.
        if first:
            self._see(await self._recent())
        newest = await self._page(limit)
        self._see(newest)
        return newest[::-1]

    async def new(self) -> AsyncIterator[list[StrategyExecutionLog]]:
        """The executions stored since the last poll, the newest last. Raises ExeclogError."""
        found = [one for one in await self._recent() if one.id not in self._seen]
        self._see(found)
        horizon = self._horizon()
        self._seen = {id: time for id, time in self._seen.items() if time >= horizon}
        yield found[::-1]

    async def _recent(self) -> list[StrategyExecutionLog]:
        """All executions down to the horizon, newest first."""
        horizon = self._horizon()
        found: list[StrategyExecutionLog] = []
        page: list[StrategyExecutionLog] = []
        while True:
            page = await self._page(_PAGE, before=page[-1] if page else None, since=horizon)
            recent = [one for one in page if one.created_at and one.created_at >= horizon]
            found += recent
            if len(recent) < _PAGE:
                return found

    async def _page(
        self,
        limit: int,
        before: StrategyExecutionLog | None = None,
        since: datetime | None = None,
    ) -> list[StrategyExecutionLog]:
        begins = max((one for one in (since, self._since) if one is not None), default=None)
        return await self._log.list_executions(
            **self._scope, since=begins, limit=limit, before=before
        )

    def _horizon(self) -> datetime:
        # One clock that is ahead must not hide the rows of others.
        newest = min(self._last, datetime.now(UTC))
        return newest - min(self._late, newest - _CALENDAR_BEGINS)

    def _see(self, rows: Sequence[StrategyExecutionLog]) -> None:
        times = {one.id: one.created_at for one in rows if one.created_at}
        self._seen |= times
        self._last = max([self._last, *times.values()])
