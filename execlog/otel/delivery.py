"""Executions delivered to a receiver: tried again until it has acknowledged all of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from execlog.models import StrategyExecutionLog
from execlog.otel.durations import Durations
from execlog.otel.endpoint import Signal
from execlog.otel.receiver import TOO_LARGE, Receiver, ReceiverAway, ReceiverRefused, Request
from execlog.otel.records import Included, logs_request
from execlog.otel.values import Value
from execlog.recorder.backoff import Backoff

__all__ = ["Delivered", "Delivery"]

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_NOTHING = Included()


@dataclass(frozen=True)
class Delivered:
    """What a receiver has left out of what it acknowledged.

    Attributes:
        rejected_records: Log records that the receiver has left out for ever, as it says.
        rejected_points: Points of histograms that it has left out.
    """

    rejected_records: int = 0
    rejected_points: int = 0


class Delivery:
    """Delivers executions, some at a time.

    Args:
        receiver: Where they are sent.
        sender: What is sent of the sender itself: the attributes of the resource.
        told: Is told in one line that the receiver is away, and that it is back.
        has_logs: Whether log records are sent.
        durations: Makes the histograms; None: none are sent.
        included: What is sent of an execution beside the usual.
        patience: Seconds for which a receiver that is away is tried; None: for ever.
    """

    def __init__(
        self,
        receiver: Receiver,
        sender: Mapping[str, Value],
        *,
        told: Callable[[str], object],
        has_logs: bool = True,
        durations: Durations | None = None,
        included: Included = _NOTHING,
        patience: float | None = None,
    ) -> None:
        """Takes the parts. Never raises."""
        self._receiver = receiver
        self._sender = sender
        self._told = told
        self._has_logs = has_logs
        self._durations = durations
        self._included = included
        self._patience = patience

    async def deliver(self, rows: Sequence[StrategyExecutionLog]) -> Delivered:
        """Returns when the receiver has acknowledged all of them.

        Histograms come last: what is repeated because records were not acknowledged is in none.

        Raises:
            ReceiverAway: It was away for longer than the patience.
            ReceiverRefused: It will never take them.
        """
        if not rows:
            return Delivered()
        records = await self._logs(rows) if self._has_logs else 0
        points = 0
        if self._durations is not None:
            request = self._durations.request(rows, self._sender)
            points = await self._acknowledged("metrics", request)
        return Delivered(records, points)

    async def refresh(self) -> None:
        """Repeats cumulative histograms that were not sent for a minute, or receivers forget them.

        Raises:
            ReceiverAway: As for `deliver`.
            ReceiverRefused: As for `deliver`.
        """
        repeated = self._durations and self._durations.repeated(self._sender)
        if repeated:
            await self._acknowledged("metrics", repeated)

    async def _logs(self, rows: Sequence[StrategyExecutionLog]) -> int:
        """Sends the records, in halves if they are too many for one request."""
        try:
            request = logs_request(rows, self._sender, self._included)
            return await self._acknowledged("logs", request)
        except ReceiverRefused as error:
            if error.status != TOO_LARGE or len(rows) == 1:
                raise
        half = len(rows) // 2
        return await self._logs(rows[:half]) + await self._logs(rows[half:])

    async def _acknowledged(self, signal: Signal, request: Request) -> int:
        backoff = Backoff(_FIRST_SECONDS, _LONGEST_SECONDS, random.SystemRandom())
        began, is_away = time.monotonic(), False
        while True:
            try:
                rejected = await self._receiver.post(signal, request)
                if is_away:
                    self._told("the receiver is back")
                return rejected
            except ReceiverAway as error:
                wait = max(backoff.next(), error.retry_after)
                waited = time.monotonic() - began
                if self._patience is not None and waited + wait > self._patience:
                    raise
                if not is_away:
                    self._told(f"{error}; trying again")
                is_away = True
            await asyncio.sleep(wait)
