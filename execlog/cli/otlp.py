"""The command that sends executions to an OTLP receiver."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from execlog import ExeclogError, StoreUnavailable, StrategyExecutionLogRepository
from execlog.cli.filters import filtered
from execlog.cli.options import AnyStrategy, Dsn, Schema, Since, length_option
from execlog.cli.server import SECONDS, work
from execlog.cli.state_file import StateUnavailable, held_file, read_file, write_file
from execlog.db.executor import Store
from execlog.db.sqltext import SCHEMA
from execlog.display.format import number
from execlog.repository.filters import Filters

if TYPE_CHECKING:
    from execlog.otel import Delivered, Delivery, Endpoint, Position, Reader

__all__ = ["otlp"]

_EVERY_SECONDS = 1.0
_ONCE_SECONDS = 60.0
_KEPT_SECONDS = 60.0  # a place stays good; an old one makes only the next restore longer


class _Temporality(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    delta = "delta"
    cumulative = "cumulative"


@filtered
def otlp(
    filters: Filters,
    strategy: AnyStrategy = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="The receiver, such as http://127.0.0.1:4318; else OTEL_EXPORTER_OTLP_ENDPOINT.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            dir_okay=False,
            help="Where it is kept how far it has come; else it begins at the present.",
        ),
    ] = None,
    since: Since = None,
    once: Annotated[bool, typer.Option("--once", help="Send what there is, and end.")] = False,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Log records.")] = True,
    metrics: Annotated[
        bool, typer.Option("--metrics/--no-metrics", help="Histograms of durations.")
    ] = True,
    temporality: Annotated[
        _Temporality, typer.Option("--temporality", help="What each histogram counts.")
    ] = _Temporality.delta,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Send the runs' own attributes too.")
    ] = False,
    error_messages: Annotated[
        bool, typer.Option("--error-messages", help="Send error messages too.")
    ] = False,
    users: Annotated[bool, typer.Option("--users", help="Send users' ids too.")] = False,
    service_name: Annotated[
        str,
        typer.Option("--service-name", envvar="OTEL_SERVICE_NAME", help="The sender's name."),
    ] = "execlog",
    patience: Annotated[
        timedelta | None,
        length_option(
            "--patience",
            "How long a receiver that is away is tried; else for ever, with --once 1m.",
        ),
    ] = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Send executions to an OTLP receiver as they are stored: log records, and a histogram.

    Each is sent at least once, in the order in which it was stored: what was not acknowledged is
    sent again, and its execlog.id tells. Inputs and traces are never sent. The variables
    OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and so on are those of all OTLP exporters.

    Example: execlog otlp --endpoint http://127.0.0.1:4318 --state /var/lib/execlog/otlp.json
    """
    if not logs and not metrics:
        raise typer.BadParameter("leave nothing to send", param_hint="--no-logs, --no-metrics")
    if once and state is None and since is None:
        raise typer.BadParameter(
            "needs --state or --since, or nothing is sent", param_hint="--once"
        )
    otel = _otel()
    signals = [signal for signal, is_sent in (("logs", logs), ("metrics", metrics)) if is_sent]
    endpoints: dict[Any, Endpoint] = {one: otel.endpoint(one, endpoint) for one in signals}
    sender = otel.resource_attributes(service_name)
    seconds = patience.total_seconds() if patience is not None else None
    if once and seconds is None:
        seconds = _ONCE_SECONDS
    included = otel.Included(attributes=attributes, error_messages=error_messages, users=users)

    async def sending(pool: Any) -> int:
        log = StrategyExecutionLogRepository(pool, timeout=SECONDS, schema=schema)
        scope = {"strategy_id": strategy, **filters}
        reader = otel.Reader(log, Store(pool, SECONDS), scope, schema)
        async with _held(state), otel.Receiver(endpoints) as receiver:
            delivery = otel.Delivery(
                receiver,
                sender,
                told=_say,
                has_logs=logs,
                durations=otel.Durations(otel.Temporality(temporality.value)) if metrics else None,
                included=included,
                patience=seconds,
            )
            where = next(iter(endpoints.values())).name
            return await _Sending(reader, delivery, state, where, is_once=once).run(since)

    if work(dsn, sending):
        raise typer.Exit(1)


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

    async def _patiently(self, step: Callable[[Any], Awaitable[Any]], given: Any) -> Any:
        """What a step returns, through failures of the server unless it is once."""
        is_away = False
        while True:
            try:
                return await step(given)
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
        found: Position = _otel().Position.model_validate_json(text)
    except ValidationError:
        raise StateUnavailable("--state: the file holds no state of a sender") from None
    return found


def _otel() -> Any:
    """The package, which takes longer to load than most commands to run."""
    try:
        from execlog import otel
    except ImportError as error:
        raise ExeclogError(str(error)) from None
    return otel


def _say(text: str) -> None:
    print(f"execlog: {text}", file=sys.stderr, flush=True)
