"""The peer: the same repository as an application on SQLAlchemy's async ORM would have it.

Written after the description of the system that execlog comes from: one audit table, an index on
each column that is filtered by, one INSERT and one commit a row, six queries for the dashboard. Its
observer, which takes an execution down while the engine waits, builds the row as an SQLModel.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Column, DateTime, MetaData, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry
from sqlmodel import Field, SQLModel

SCHEMA = "peer"


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA)


class Execution(Base):
    """One row of the peer's table: the columns that execlog has, without its partitions."""

    __tablename__ = "strategy_execution_log"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
    strategy_id: Mapped[str] = mapped_column(index=True)
    strategy_version: Mapped[int]
    strategy_type: Mapped[str]
    realm_id: Mapped[str | None] = mapped_column(index=True)
    external_game_id: Mapped[str | None]
    external_task_id: Mapped[str | None]
    external_user_id: Mapped[str | None]
    status: Mapped[str] = mapped_column(index=True)
    error_code: Mapped[str | None]
    points: Mapped[float | None]
    case_name: Mapped[str | None]
    duration_ms: Mapped[float]
    nodes_executed: Mapped[int]
    trace: Mapped[list[Any] | None] = mapped_column(JSONB)
    sampled: Mapped[bool]
    sample_rate: Mapped[float]
    parent_strategy_id: Mapped[str | None]
    notes: Mapped[str | None]


class _Observer(SQLModel, registry=registry()):
    """Keeps the model below out of the registry that all SQLModels share."""


class ObservedRow(_Observer, table=True):
    """The row that the peer's observer builds after each run; its table is never made."""

    __tablename__ = "observed"
    __table_args__ = {"schema": SCHEMA}

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    created_at: datetime = Field(
        default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True), index=True
    )
    strategy_id: str = Field(index=True)
    strategy_version: int
    strategy_type: str
    realm_id: str | None = Field(default=None, index=True)
    external_game_id: str | None = None
    external_task_id: str | None = None
    external_user_id: str | None = None
    status: str = Field(index=True)
    error_code: str | None = None
    points: float | None = None
    case_name: str | None = None
    duration_ms: float
    nodes_executed: int
    trace: list[Any] | None = Field(default=None, sa_column=Column(JSONB))
    sampled: bool = False
    sample_rate: float = 1.0
    parent_strategy_id: str | None = None
    notes: str | None = None


class PeerRepository:
    """The peer's repository: sessions, ORM objects, one query after the other."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def insert_row(self, fields: dict[str, Any]) -> None:
        async with self._sessions() as session:
            session.add(Execution(**fields))
            await session.commit()

    async def list_for_strategy(
        self, strategy_id: str, status: str | None = None, limit: int = 50
    ) -> Sequence[Execution]:
        query = (
            select(Execution)
            .where(Execution.strategy_id == strategy_id)
            .order_by(Execution.created_at.desc().nulls_last())
        )
        if status is not None:
            query = query.where(Execution.status == status)
        async with self._sessions() as session:
            return (await session.execute(query.limit(limit))).scalars().all()

    async def count_by(
        self, column: Any, strategy_id: str, since: datetime, until: datetime, limit: int = 10
    ) -> list[tuple[Any, int]]:
        query = select(column, func.count()).group_by(column).order_by(func.count().desc())
        rows = await self._rows(_windowed(query, strategy_id, since, until).limit(limit))
        return [(value, int(count)) for value, count in rows]

    async def count_by_error_code(
        self, strategy_id: str, since: datetime, until: datetime
    ) -> list[tuple[Any, int]]:
        query = (
            select(Execution.error_code, func.count())
            .where(Execution.error_code.is_not(None))
            .group_by(Execution.error_code)
            .order_by(func.count().desc())
        )
        rows = await self._rows(_windowed(query, strategy_id, since, until).limit(10))
        return [(code, int(count)) for code, count in rows]

    async def summary(self, strategy_id: str, since: datetime, until: datetime) -> Any:
        query = select(
            func.count(),
            func.avg(Execution.duration_ms),
            func.min(Execution.duration_ms),
            func.max(Execution.duration_ms),
            func.sum(Execution.duration_ms),
            func.avg(Execution.nodes_executed),
            func.max(Execution.nodes_executed),
            func.sum(Execution.points),
        )
        return (await self._rows(_windowed(query, strategy_id, since, until)))[0]

    async def dashboard(self, strategy_id: str, since: datetime, until: datetime) -> object:
        """The peer's card: six queries one after the other, and lists of its samples sorted."""
        scope = (strategy_id, since, until)
        return (
            await self.count_by(Execution.status, *scope),
            await self.count_by_error_code(*scope),
            await self.count_by(Execution.case_name, *scope),
            await self.summary(*scope),
            await self.sample_percentiles(*scope),
            sorted(await self._sample(Execution.points, *scope)),
        )

    async def _sample(
        self, column: Any, strategy_id: str, since: datetime, until: datetime
    ) -> list[float]:
        query = (
            select(column)
            .where(column.is_not(None))
            .order_by(Execution.created_at.desc().nulls_last())
        )
        rows = await self._rows(_windowed(query, strategy_id, since, until).limit(1000))
        return [float(row[0]) for row in rows]

    async def sample_percentiles(
        self, strategy_id: str, since: datetime, until: datetime
    ) -> list[float]:
        values = sorted(await self._sample(Execution.duration_ms, strategy_id, since, until))
        return [values[int(fraction * (len(values) - 1))] for fraction in (0.5, 0.95, 0.99)]

    async def _rows(self, query: Any) -> Sequence[Any]:
        async with self._sessions() as session:
            rows: Sequence[Any] = (await session.execute(query)).all()
            return rows


def _windowed(query: Any, strategy_id: str, since: datetime, until: datetime) -> Any:
    return query.where(
        Execution.strategy_id == strategy_id,
        Execution.created_at >= since,
        Execution.created_at <= until,
    )
