"""The recorder's maintenance: the work of a cron job, done in the engine's own process."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import asdict

from execlog.admin.maintenance import Maintenance, maintain
from execlog.admin.rollups import roll_up
from execlog.errors import ExeclogError
from execlog.recorder.connection import Link

__all__ = ["Upkeep"]

_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 60.0  # after a failure
_ROLL_UP_SECONDS = 15.0  # a minute closes as late at most
_log = logging.getLogger("execlog.maintenance")


class Upkeep:
    """Maintains the partitions once an hour, and sums up minutes that closed.

    It has a connection of its own.

    One of many processes does it. A failure is logged and tried again. It holds up recording no
    longer than `lock_timeout` allows.

    Args:
        link: The recorder's link, for its target.
        maintenance: How the partitions should be.
        schema: The schema of the log.
    """

    def __init__(self, link: Link, maintenance: Maintenance, schema: str) -> None:
        """Takes the parts. Never raises."""
        self._link = link
        self._maintenance = maintenance
        self._schema = schema

    async def run(self) -> None:
        """Maintains again and again, until it is cancelled.

        Raises:
            CancelledError: Its task was cancelled.
        """
        while True:
            well = await self._maintained()
            # A random delay, so that not all processes of an engine start at once.
            pause = _EVERY_SECONDS if well else _AGAIN_SECONDS
            await self._rolling_up(pause * random.uniform(0.9, 1.1))  # noqa: S311

    async def _rolling_up(self, seconds: float) -> None:
        """Sums up what closes in that time."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds
        pause = _ROLL_UP_SECONDS
        while (left := ends - clock()) > 0:
            await asyncio.sleep(min(pause * random.uniform(0.8, 1.2), left))  # noqa: S311
            pause = _ROLL_UP_SECONDS
            try:
                while target := self._link.target():
                    if not await roll_up(target, schema=self._schema) or clock() > ends:
                        break
            except ExeclogError as error:
                _log.warning("rollups are not made: %s", error)
                pause = _AGAIN_SECONDS

    async def _maintained(self) -> bool:
        """Whether the partitions are as they should be, as far as this process could do it."""
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
