"""The recorder's log lines: few, and never written from inside `record`.

The engine's thread must not wait for a log handler, so `record` only counts. Once a second the
reporter compares the account with the last one, and writes at most one line a minute of a kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execlog.recorder.buffer import Buffer
    from execlog.recorder.flusher import Delivery

__all__ = ["Reporter"]

_log = logging.getLogger("execlog.recorder")

_LOOK_SECONDS = 1.0
_QUIET_SECONDS = 60.0


class Reporter:
    """Logs what changes in a recorder's account.

    Args:
        buffer: The buffer, whose account is compared.
        delivery: The delivery, whose errors are logged.
    """

    def __init__(self, buffer: Buffer, delivery: Delivery) -> None:
        """Takes the parts. Never raises."""
        self._buffer = buffer
        self._delivery = delivery
        self._problems: dict[str, str] = {}
        self._said_at: dict[str, float] = {}
        self._rejected: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._hook_failures = self._renewals = 0
        self._away = False
        self._without_account: str | None = None

    def explain(self, reason: str, problem: str) -> None:
        """Gives the problem behind a reason, for the line about that reason. Never raises."""
        self._problems[reason] = problem

    async def run(self) -> None:
        """Reports once a second. Raises CancelledError: its task was cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.report()

    def report(self) -> None:
        """Logs changes that were not logged within the last minute. Never raises."""
        with contextlib.suppress(Exception):  # a log handler may raise
            self._report()

    def _report(self) -> None:
        account = self._buffer.account()
        self._losses(Counter(account.rejected), Counter(account.dropped))
        delivery = self._delivery
        if delivery.stopped is not None:
            if self._may_say("stopped"):
                _log.error("stopped, executions are refused from now on: %s", delivery.stopped)
        elif delivery.failing:
            if self._may_say("away"):
                self._away = True
                waiting = account.pending_rows
                _log.warning("can't store, %d executions wait: %s", waiting, delivery.last_error)
        elif self._away:
            self._away = False
            _log.info("stores again")
        self._account(delivery.without_account())
        if delivery.renewals > self._renewals and self._may_say("renewal"):
            _log.warning("another process had this recorder's identity; it has a new one")
            self._renewals = delivery.renewals
        if delivery.hook_failures > self._hook_failures and self._may_say("hook"):
            new = delivery.hook_failures - self._hook_failures
            _log.error("on_reject failed %d times: %s", new, delivery.hook_error)
            self._hook_failures = delivery.hook_failures
        if self._buffer.is_nearly_full() and self._may_say("nearly full"):
            _log.warning("the buffer is at least 80 %% full: %d executions", account.pending_rows)

    def _account(self, problem: str | None) -> None:
        if problem is None:
            self._without_account = None
        elif problem != self._without_account and self._may_say("account"):
            self._without_account = problem
            _log.warning("stores, but the log does not keep the account: %s", problem)

    def _losses(self, rejected: Counter[str], dropped: Counter[str]) -> None:
        if rejected != self._rejected and self._may_say("rejected"):
            new = rejected - self._rejected
            if "refused_by_store" in new:
                self.explain("refused_by_store", str(self._delivery.last_error))
            said = (f"{n} {why}{self._because(why)}" for why, n in new.most_common())
            _log.warning("refused executions: %s", ", ".join(said))
            self._rejected = rejected
        if dropped != self._dropped and self._may_say("dropped"):
            new = dropped - self._dropped
            _log.warning(
                "dropped executions: %s", ", ".join(f"{n} {why}" for why, n in new.most_common())
            )
            self._dropped = dropped

    def _because(self, reason: str) -> str:
        problem = self._problems.get(reason)
        return f" ({problem})" if problem else ""

    def _may_say(self, kind: str) -> bool:
        now = time.monotonic()
        if now - self._said_at.get(kind, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._said_at[kind] = now
        return True
