"""Where a page of executions begins, as a parameter of a query."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from uuid import UUID

from pydantic import BaseModel

from execlog.display import timeparse
from execlog.models import StrategyExecutionLog

__all__ = ["Cursor", "cursor", "moment"]

_ZONE = re.compile(r" (\d\d:?\d\d)$")  # a + that was not escaped


class Cursor(BaseModel):
    """The beginning of a page: after the execution of this time, id and strategy."""

    created_at: datetime | None
    id: UUID
    strategy_id: str

    @classmethod
    def after(cls, row: StrategyExecutionLog) -> str:
        """The cursor of the rows after a row, as `before` takes it. Never raises."""
        time = "" if row.created_at is None else row.created_at.isoformat()
        return f"{time},{row.id},{row.strategy_id}"

    def row(self) -> StrategyExecutionLog:
        """A row of these, which has no other value. Never raises."""
        return StrategyExecutionLog.model_construct(**dict(self))


def cursor(value: object) -> Cursor:
    """The cursor of a query. Raises ValueError: it is none.

    Args:
        value: The parameter.
    """
    if not isinstance(value, str):
        raise ValueError("must be a text")
    time, comma, rest = value.partition(",")
    identity, _, strategy = rest.partition(",")
    if not comma:
        raise ValueError("is no cursor: a time, an id and a strategy, with commas")
    try:
        return Cursor(
            created_at=moment(time) if time else None, id=UUID(identity), strategy_id=strategy
        )
    except ValueError:
        raise ValueError("is no cursor: a time, an id and a strategy, with commas") from None


def moment(text: str, zone: tzinfo = UTC) -> datetime:
    """The time of a query. Raises ValueError: it is none.

    Args:
        text: The parameter.
        zone: The zone of a time without an offset.
    """
    return timeparse.moment(_ZONE.sub(r"+\1", text), datetime.now(UTC), zone)
