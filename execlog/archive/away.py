"""Runs that are in files and not in the log: from when to when, and where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from execlog.db.rows import aware_fields

__all__ = ["Away", "away_of"]


class Away(NamedTuple):
    """Runs that only files hold.

    Attributes:
        folder: The folder of the files, as the last maintainer named it.
        host: The machine of the last maintainer.
        first_at: The time of the oldest run.
        last_at: The time of the newest run.
    """

    folder: str | None
    host: str | None
    first_at: datetime
    last_at: datetime

    def is_in(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether a window reaches into these times. Never raises.

        Args:
            since: The window's begin; None: open.
            until: Its end.
        """
        begins_before = since is None or since <= self.last_at
        return begins_before and (until is None or until >= self.first_at)


def away_of(found: Sequence[asyncpg.Record]) -> Away | None:
    """What the statement `archived/away.sql` tells; None: no file. Never raises for its rows."""
    return Away(**aware_fields(found[0])) if found else None
