"""The recorder's maintenance: what cron would do, in the engine's own process, now and then."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import asdict

from execlog.admin.maintenance import Maintenance, maintain
from execlog.errors import ExeclogError
from execlog.recorder.connection import Link

__all__ = ["Upkeep"]

_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 60.0  # after a failure
_log = logging.getLogger("execlog.maintenance")


class Upkeep:
    """Maintains the partitions once an hour, on a second connection.

    Of many processes one does it. What can't be done is logged and tried again. It holds up what is
    recorded no longer than `lock_timeout` says.

    Args:
        link: The recorder's, for where to connect to.
        maintenance: How the partitions should be.
        schema: Where the log is.
    """

    def __init__(self, link: Link, maintenance: Maintenance, schema: str) -> None:
        """Takes the wishes down. Never raises."""
        self._link = link
        self._maintenance = maintenance
        self._schema = schema

    async def run(self) -> None:
        """Maintains, again and again, until it is cancelled.

        Raises:
            CancelledError: Somebody cancelled its task.
        """
        while True:
            well = await self._maintained()
            # Not all processes of an engine at the same moment.
            pause = _EVERY_SECONDS if well else _AGAIN_SECONDS
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311

    async def _maintained(self) -> bool:
        """Whether all is as it should be, as far as we could do it."""
        target = self._link.target()
        if target is None:
            return True
        try:
            run = await maintain(target, **asdict(self._maintenance), schema=self._schema)
        except ExeclogError as error:
            _log.warning("maintenance is not possible: %s", error)
            return False
        if run.is_overdue():
            held = f"{run.held_by} holds it up" if run.held_by else "steps are put off"
            _log.warning("maintenance is overdue since %s: %s", run.maintained_at or "ever", held)
        for step in run:
            level = logging.INFO if step.outcome == "done" else logging.WARNING
            problem = f": {step.problem}" if step.problem else ""
            _log.log(level, "%s %s %s%s", step.action, step.partition, step.outcome, problem)
        return not run.is_overdue() and all(step.outcome == "done" for step in run)
