"""Whether a log that is silent now was so at this time of other days too: at night, on Sundays."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from execlog.errors import ExeclogError, InvalidArgument
from execlog.repository.repository import Reads

__all__ = ["rests"]

_DAYS = 7
_MARGIN = 4  # of a silence, at each of its ends: it need not begin on the same minute each day
_OLDER = timedelta(days=7)  # how far back a run shows that the log was in use already
_SECONDS = 2.0


async def rests(log: Reads, last: datetime, now: datetime, **wanted: Any) -> bool:
    """Whether a silence is usual: on one of the days before, nothing ran in the middle half of it.

    Only of days on which the log was in use already. Without an answer in time it is not.

    Args:
        log: The page's snapshot.
        last: When the newest run finished.
        now: The present.
        wanted: The filters of what is silent, within the scope.

    Raises:
        InvalidArgument: A filter is none.
    """
    margin = (now - last) / _MARGIN
    try:
        async with asyncio.timeout(_SECONDS):
            for day in range(1, _DAYS + 1):
                begin, end = last + margin - timedelta(days=day), now - margin - timedelta(days=day)
                # Of a silence of several days the day before is a part.
                if end >= last or await _ran(log, begin, end, wanted):
                    continue
                return await _ran(log, begin - _OLDER, begin, wanted)
    except InvalidArgument:
        raise
    except (ExeclogError, TimeoutError):
        pass  # then it is told
    return False


async def _ran(log: Reads, since: datetime, until: datetime, wanted: dict[str, Any]) -> bool:
    rows = await log.list_executions(**wanted, since=since, until=until, limit=1, payloads=False)
    return bool(rows)
