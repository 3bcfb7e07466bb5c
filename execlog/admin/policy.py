"""What is wanted of the partitions, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from execlog.admin.partitions import Interval, Wish
from execlog.archive.place import folder_of
from execlog.db import validation
from execlog.errors import InvalidArgument

__all__ = ["Maintenance"]

_MOST_AHEAD = 1000


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """How the partitions should be.

    Attributes:
        interval: The width of new partitions, "hour", "day", "week" or "month" of UTC.
        ahead: How many partitions there should be after the present one, up to 1000.
        retain: How long runs are kept; None: for ever. A partition goes when all of it is older.
        retain_failures: How long runs whose status is not ok are kept, if that is longer.
        retain_minutes: How long rollups of minutes are kept; None: as long as those of hours.
        retain_rollups: How long rollups of hours are kept, even after their rows are gone; None:
            for ever.
        retain_inputs: How long inputs are kept, what strategies were given; None: as long as their
            runs. They are cleared once all of a partition is older.
        archive: The folder of the archive: what is removed is in a verified file there before.
            None: there is none; if the log has one, what would be removed stays.
        lock_timeout: Seconds that a step may hold up others, half of them while it waits for its
            lock. A step that needs longer is postponed: raise this in a quiet hour.

    Raises:
        InvalidArgument: An attribute is of another type or out of its range.
    """

    interval: Interval = "month"
    ahead: int = 3
    retain: timedelta | None = None
    retain_failures: timedelta | None = None
    retain_minutes: timedelta | None = timedelta(days=30)
    retain_rollups: timedelta | None = None
    retain_inputs: timedelta | None = None
    archive: str | os.PathLike[str] | None = None
    lock_timeout: float = 4.0

    def __post_init__(self) -> None:
        """Checks the attributes. Raises: see the class."""
        validation.one_of("interval", self.interval, get_args(Interval))
        if validation.count("ahead", self.ahead, least=0) > _MOST_AHEAD:
            raise InvalidArgument("ahead", f"must be at most {_MOST_AHEAD}")
        if self.retain is not None:
            validation.length("retain", self.retain)
        if self.retain_failures is not None:
            if self.retain is None:
                raise InvalidArgument("retain_failures", "without retain all runs are kept")
            validation.length("retain_failures", self.retain_failures)
        if self.retain_minutes is not None:
            validation.length("retain_minutes", self.retain_minutes)
        if self.retain_rollups is not None:
            validation.length("retain_rollups", self.retain_rollups)
        if self.retain_inputs is not None:
            validation.length("retain_inputs", self.retain_inputs)
        if self.archive is not None:
            folder_of(self.archive)
        validation.seconds("lock_timeout", self.lock_timeout)

    def folder(self) -> str | None:
        """The absolute path of the archive's folder; None: there is none. Never raises."""
        return None if self.archive is None else folder_of(self.archive)

    def wish(self) -> Wish:
        """The same as a `Wish`, for a plan. Never raises."""
        failures = self.retain
        if self.retain is not None and self.retain_failures is not None:
            failures = max(self.retain, self.retain_failures)
        return Wish(
            self.interval,
            self.ahead,
            self.retain,
            failures,
            self.retain_minutes,
            self.retain_rollups,
            self.retain_inputs,
        )
