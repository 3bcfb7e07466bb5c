"""Sends executions to an OTLP receiver until all is acknowledged, and keeps how far that is."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from pydantic import ValidationError

from execlog import StoreUnavailable, StrategyExecutionLogRepository
from execlog.cli.server import SECONDS, work
from execlog.cli.state_file import StateUnavailable, held_file, read_file, write_file
from execlog.db.executor import Store
from execlog.display.format import number
from execlog.otel import (
    Delivered,
    Delivery,
    Durations,
    Endpoint,
    Included,
    Position,
    Reader,
    Receiver,
    Temporality,
    endpoint,
    resource_attributes,
)
from execlog.otel.endpoint import Signal

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["Wanted", "send"]

_EVERY_SECONDS = 1.0
_KEPT_SECONDS = 60.0  # a place stays good; an old one makes only the next restore longer

Given = TypeVar("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Wanted:
    """What is asked of the command.

    Attributes:
        endpoint: The receiver's URL; None: that of the environment.
        service_name: The sender's name; None: that of the environment.
        has_logs: Whether log records are sent.
        temporality: That of the histograms; None: none are sent.
        included: What is sent beside the usual, by the names of `Included`.
        seconds: How long a request may take.
        patience: Seconds for which a receiver that is away is tried; None: for ever.
        state: Where the position is kept; None: nowhere.
        since: Runs from this time on are sent first.
        is_once: Whether it ends once all is sent.
    """

    endpoint: str | None
    service_name: str | None
    has_logs: bool
    temporality: str | None
    included: Mapping[str, bool]
    seconds: float
    patience: float | None
    state: Path | None
    since: datetime | None
    is_once: bool


def send(dsn: str | None, schema: str, scope: Mapping[str, Any], wanted: Wanted) -> int:
    """Sends executions; returns how many records and points the receiver has left out.

    Args:
        dsn: The server, as it was given.
        schema: The schema of the log.
        scope: The strategy and the filters.
        wanted: What is asked for.

    Raises:
        InvalidArgument: There is no receiver's URL, or a variable of the environment is wrong.
        StateUnavailable: The state is held by another sender, or can't be read or kept.
        ExeclogError: The server or the receiver is away or refuses.
    """
    endpoints = _endpoints(wanted)
    sender = resource_attributes(wanted.service_name)
    histograms = wanted.temporality and Durations(Temporality(wanted.temporality))

    async def sending(pool: Pool) -> int:
        log = StrategyExecutionLogRepository(pool, timeout=SECONDS, schema=schema)
        reader = Reader(log, Store(pool, SECONDS), scope, schema)
        async with _held(wanted.state), Receiver(endpoints, seconds=wanted.seconds) as receiver:
            delivery = Delivery(
                receiver,
                sender,
                told=_say,
                has_logs=wanted.has_logs,
                durations=histograms or None,
                included=Included(**wanted.included),
                patience=wanted.patience,
            )
            where = next(iter(endpoints.values())).name
            one = _Sending(reader, delivery, wanted.state, where, is_once=wanted.is_once)
            return await one.run(wanted.since)

    return work(dsn, sending)


def _endpoints(wanted: Wanted) -> dict[Signal, Endpoint]:
    found: dict[Signal, Endpoint] = {}
    if wanted.has_logs:
        found["logs"] = endpoint("logs", wanted.endpoint)
    if wanted.temporality is not None:
        found["metrics"] = endpoint("metrics", wanted.endpoint)
    return found


@dataclass
class _Sending:
    """One run of the command."""

    reader: Reader
    delivery: Delivery
    state: Path | None
    where: str
    is_once: bool
    sent: int = 0
    rejected: int = 0
    kept_at: float = 0.0

    async def run(self, since: datetime | None) -> int:
        """Sends until it is interrupted, or all if it is once; returns how many were left out."""
        position = await self._patiently(self._begun, since)
        while True:
            position, has_more = await self._patiently(self._next, position)
            if has_more:
                continue
            if self.is_once:
                break
            await asyncio.sleep(_EVERY_SECONDS)
            await self.delivery.refresh()
        self._keep(position)
        _say(f"{number(self.sent)} executions sent to {self.where}")
        return self.rejected

    async def _begun(self, since: datetime | None) -> Position:
        kept = _read(self.state)
        if kept is not None:
            if since is not None:
                _say("continues from --state, so --since is left aside")
            self.kept_at = time.monotonic()
            return kept
        position = await self.reader.begin(since)
        if since is None:
            _say(f"{self.where} is sent what is stored from now on")
        self._keep(position)
        return position

    async def _next(self, position: Position) -> tuple[Position, bool]:
        batch = await self.reader.read(position)
        if batch.note is not None:
            _say(batch.note)
        self._tell(await self.delivery.deliver(batch.executions), len(batch.executions))
        self.sent += len(batch.executions)
        is_old = time.monotonic() > self.kept_at + _KEPT_SECONDS
        if batch.executions or batch.note is not None or is_old:
            self._keep(batch.position)
        return batch.position, batch.has_more

    def _keep(self, position: Position) -> None:
        if self.state is not None:
            write_file(self.state, position.model_dump_json(by_alias=True, indent=1).encode())
        self.kept_at = time.monotonic()

    def _tell(self, found: Delivered, of: int) -> None:
        if found.rejected_records:
            left = f"{number(found.rejected_records)} of {number(of)} log records"
            _say(f"{self.where} has left out {left}: its own log may say why")
        if found.rejected_points:
            left = f"{number(found.rejected_points)} points of histograms"
            _say(f"{self.where} has left out {left}: its own log may say why")
        self.rejected += found.rejected_records + found.rejected_points

    async def _patiently(self, step: Callable[[Given], Awaitable[Answer]], given: Given) -> Answer:
        """What a step returns, through failures of the server unless it is once."""
        is_away = False
        while True:
            try:
                found = await step(given)
                if is_away:
                    _say("the server is back")
                return found
            except StoreUnavailable as error:
                if self.is_once or not self.kept_at:  # at its very start a person is there
                    raise
                if not is_away:
                    _say(f"{error}; trying again")
                is_away = True
            await asyncio.sleep(_EVERY_SECONDS)


@contextlib.asynccontextmanager
async def _held(state: Path | None) -> AsyncIterator[None]:
    """Nothing else sends by this state. Raises StateUnavailable: something does."""
    if state is None:
        yield
        return
    async with held_file(state, by="another sender", patience=0):
        yield


def _read(state: Path | None) -> Position | None:
    text = None if state is None else read_file(state)
    if text is None:
        return None
    try:
        return Position.model_validate_json(text)
    except ValidationError:
        raise StateUnavailable("--state: the file holds no state of a sender") from None


def _say(text: str) -> None:
    print(f"execlog: {text}", file=sys.stderr, flush=True)
