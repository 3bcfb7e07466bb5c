"""What is to be sent next, by the order in which it was stored, through restores too."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime

from execlog.db import validation
from execlog.db.executor import Store
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Statement, load_statements
from execlog.errors import NO_RIGHT, QueryRejected
from execlog.models import Model, StrategyExecutionLog
from execlog.repository.following import MOST_AT_ONCE, checked_place
from execlog.repository.listings import LARGEST_PAGE
from execlog.repository.repository import StrategyExecutionLogRepository

__all__ = ["Batch", "LogIdentity", "Position", "Reader"]

_OVERLAP = timedelta(hours=1)
_SET_BACK = "the server was set back to an earlier state"
_ANOTHER = "another log answers than the one that was sent last"


# A file may hold what no call would take. Its times are those of UTC, as a call's become.
_Time = Annotated[AwareDatetime, AfterValidator(functools.partial(validation.time, "at"))]
_Name = Annotated[str, AfterValidator(functools.partial(validation.name, "strategy_id"))]
_Place = Annotated[str, AfterValidator(checked_place)]


class LogIdentity(Model):
    """Which log answers, and which history of its server; None: the role may not know.

    Attributes:
        system: The server, which its standbys share.
        database: The database.
        log: The table.
        timeline: Changes if a backup is restored to a time, or a standby takes over.
        started: When the server was started.
        is_standby: Whether it is a standby, which may be behind.
    """

    system: str | None = None
    database: str | None = None
    log: str | None = None
    timeline: str | None = None
    started: AwareDatetime | None = None
    is_standby: bool | None = None


class Earlier(Model):
    """Runs of before a place that are sent too, the newest first.

    Attributes:
        since: From this time on.
        created_at: That of the last one that was sent, as the next two; None: none was yet.
        strategy_id: Its strategy.
        id: Its id.
    """

    since: _Time
    created_at: _Time | None = None
    strategy_id: _Name | None = None
    id: UUID | None = None


class Position(Model):
    """How far a sender is.

    Attributes:
        log: Of which log.
        place: All that was stored after this place of `list_stored` is still to be sent.
        sure: The place just after the last execution that was sent.
        at: All that was stored before this time is sent, but for what is `earlier`.
        last: The last execution that was sent, of those after the first place.
        earlier: What is still to be sent of before the place; None: nothing.
    """

    log: LogIdentity
    place: _Place
    sure: _Place
    at: _Time
    last: UUID | None = None
    earlier: Earlier | None = None


class Batch(Model):
    """Some executions, and how far a sender is once these are acknowledged.

    Attributes:
        executions: The executions.
        position: The position after them.
        has_more: Whether the next call may find more at once.
        note: What a person should know: why it starts over.
    """

    executions: list[StrategyExecutionLog]
    position: Position
    has_more: bool
    note: str | None = None


class Reader:
    """Finds what is to be sent.

    Args:
        log: The repository.
        store: The same server.
        scope: The strategy and the filters, as `list_executions` takes them.
        schema: The schema of the log.
    """

    def __init__(
        self,
        log: StrategyExecutionLogRepository,
        store: Store,
        scope: Mapping[str, Any],
        schema: str = SCHEMA,
    ) -> None:
        """Takes the parts. Never raises."""
        self._log = log
        self._store = store
        self._scope = {**scope, "payloads": False}
        self._identity = _statements(schema)["log_identity"]

    async def begin(self, since: datetime | None = None) -> Position:
        """The position of a sender that begins now.

        Args:
            since: Runs from this time on are sent too.

        Raises:
            ExeclogError: The server is away or refuses, or the log has no order: it is spread over
                a cluster.
        """
        now = datetime.now(UTC)
        identity = await self._identified()
        page = await self._log.list_stored(after=None, **self._scope)
        earlier = None if since is None else Earlier(since=since)
        return Position(log=identity, place=page.place, sure=page.place, at=now, earlier=earlier)

    async def read(self, position: Position) -> Batch:
        """The executions after a position, 1,000 at most.

        If the server has not come to it, or has another history, or is another one, then the rows
        after the position are not those that are still to be sent. Then runs are read by their
        times, from an hour before the last moment at which all was sent.

        Raises:
            ExeclogError: The server is away or refuses.
        """
        now = datetime.now(UTC)
        identity = await self._identified()
        why = await self._why_over(position, identity)
        if why is not None:
            return await self._started_over(position, why)
        known: dict[str, Any] = {"log": _known(position.log, identity)}
        if _is_restarted(position.log, identity):
            known["place"] = position.sure
        position = position.model_copy(update=known)
        if position.earlier is not None:
            return await self._earlier(position, position.earlier)
        page = await self._log.list_stored(after=position.place, limit=MOST_AT_ONCE, **self._scope)
        if page.is_reset:
            return await self._started_over(position, _SET_BACK)
        change: dict[str, Any] = {"place": page.place}
        is_moved = page.place != position.place  # else a standby may be behind
        # Pages go up to what the first of them saw, however long ago that was.
        has_more = page.has_more or (is_moved and " " in position.place)
        if is_moved and not has_more:
            change["at"] = now
        if page.executions:
            change |= {"last": page.executions[-1].id, "sure": page.place}
        return Batch(
            executions=page.executions,
            position=position.model_copy(update=change),
            has_more=has_more,
        )

    async def _earlier(self, position: Position, earlier: Earlier) -> Batch:
        """A page of the runs of before the place."""
        found = await self._log.list_executions(
            **self._scope, since=earlier.since, before=_row(earlier), limit=LARGEST_PAGE
        )
        rest = None
        if len(found) == LARGEST_PAGE:
            last = found[-1]
            rest = Earlier(
                since=earlier.since,
                created_at=last.created_at,
                strategy_id=last.strategy_id,
                id=last.id,
            )
        after = position.model_copy(update={"earlier": rest})
        return Batch(executions=found, position=after, has_more=True)

    async def _started_over(self, position: Position, why: str) -> Batch:
        """Nothing yet, and a position from which what may be missing is sent."""
        since = position.at - min(_OVERLAP, position.at - datetime.min.replace(tzinfo=UTC))
        if position.earlier is not None:
            since = min(since, position.earlier.since)
        return Batch(
            executions=[],
            position=await self.begin(since),
            has_more=True,
            note=f"{why}; starts over with the runs since {since:%Y-%m-%d %H:%M:%S %Z}",
        )

    async def _why_over(self, position: Position, identity: LogIdentity) -> str | None:
        """Why a position means nothing to this server; None: it does."""
        before = position.log
        if any(_differ(before, identity, one) for one in ("system", "database", "log")):
            return _ANOTHER
        if _differ(before, identity, "timeline"):
            return _SET_BACK  # or a standby took over, which need not have had all
        if position.last is not None and _is_restarted(before, identity):
            if await self._log.get(id=position.last) is None:
                return _SET_BACK
        return None

    async def _identified(self) -> LogIdentity:
        try:
            [found] = await self._store.fetch(self._identity.query())
        except QueryRejected as error:
            if error.sqlstate != NO_RIGHT:
                raise
            return LogIdentity()  # PUBLIC has lost its rights: what is behind is noticed only
        return LogIdentity(**dict(found))


def _is_restarted(before: LogIdentity, now: LogIdentity) -> bool:
    """Whether files of before may have been restored, which nothing else tells.

    If they hold what was sent last, they may still be of before the place that was reached since:
    other work takes numbers of transactions too, and others may have them now.
    """
    return _differ(before, now, "started") and not now.is_standby


def _differ(before: LogIdentity, now: LogIdentity, name: str) -> bool:
    first, second = getattr(before, name), getattr(now, name)
    return first is not None and second is not None and first != second


def _known(before: LogIdentity, now: LogIdentity) -> LogIdentity:
    """What is known now; of a standby, its primary's timeline is kept."""
    return now if now.timeline else now.model_copy(update={"timeline": before.timeline})


def _row(earlier: Earlier) -> StrategyExecutionLog | None:
    """The last row, as far as a page that continues after it must know."""
    if earlier.id is None or earlier.strategy_id is None:
        return None
    return StrategyExecutionLog(
        id=earlier.id,
        created_at=earlier.created_at,
        strategy_id=earlier.strategy_id,
        strategy_version=0,
        strategy_type="",
        status="",
        duration_ms=0.0,
        nodes_executed=0,
    )


@functools.cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "otel", {"log_identity"}, schema)
