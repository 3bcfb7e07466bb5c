"""The method: replays the executions of a window through another version of their strategy."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Unpack

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog
from execlog.replaying.candidate import Candidate, found
from execlog.replaying.going import Asked, Progress, replayed
from execlog.replaying.result import Replay
from execlog.replaying.state import State
from execlog.repository.filters import Filters, conditions
from execlog.repository.questions import Questions

__all__ = ["asked", "replay"]

_USUAL_PROCESSES, _MOST_PROCESSES = 8, 1024

Evaluate = Callable[[StrategyExecutionLog], Any]


async def replay(
    log: Questions,
    evaluate: Evaluate | str,
    *,
    strategy_id: str,
    since: datetime | None = None,
    until: datetime | None = None,
    baseline: Evaluate | str | None = None,
    sample: int | None = None,
    processes: int | None = None,
    time_limit: float = 10.0,
    tolerance: float = 0.0,
    state: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **filters: Unpack[Filters],
) -> Replay:
    """What a candidate would have decided for the executions of a window, beside the log.

    A candidate takes a `StrategyExecutionLog` (without its trace) and returns an `Outcome`, or a
    mapping with its names. What it raises is its outcome: "timeout" for a TimeoutError, else
    "error", with the class as the error code. It must have no effects: see
    `execlog/replaying/README.md`. A plain function that can be imported runs in worker processes;
    any other, and an async one, in this process.

    Args:
        log: The repository; rows that its role does not see are not replayed. With the folder of an
            archive, runs of its files are; without it `notes` says that there are some.
        evaluate: The candidate: a function, or its import path `package.module:function`.
        strategy_id: The strategy.
        since: The window's begin.
        until: The window's end.
        baseline: The version that the log was made with: runs in which it differs from the log
            are noise.
        sample: About how many runs are replayed, failures and rare cases whole; None: all.
        processes: How many workers; None: one for each processor, 8 at most.
        time_limit: Seconds that a call may take; a plain function in this process has no limit.
        tolerance: By how much points may differ and count as equal.
        state: A file that keeps how far the replay came: begun with it again after an end before
            its time, it goes on from there. It is removed once the replay is complete.
        progress: Called with the number of runs since the last call, and of all runs.
        filters: See `Filters`.

    Raises:
        InvalidArgument: As for `list_executions`; a candidate can't be called or imported, or ended
            its worker a hundred times in a row; the log may not read inputs; or the state is
            another replay's or can't be written.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away or out of time.
        QueryRejected: The server refuses, the role may not read inputs, or it is subject to row
            level security, and files hold runs of the window.
        ArchiveError: A file that holds runs of the window is missing or damaged.
    """
    wanted = asked(
        log,
        found("evaluate", evaluate),
        None if baseline is None else found("baseline", baseline),
        strategy_id=strategy_id,
        since=since,
        until=until,
        sample=sample,
        processes=processes,
        time_limit=time_limit,
        tolerance=tolerance,
        filters=filters,
    )
    kept = None
    if state is not None:
        if not isinstance(state, str | os.PathLike):
            raise InvalidArgument("state", validation.must_be("a path", state))
        begin, end = wanted.scope["since"], wanted.scope["until"]
        kept = State(
            state,
            {
                "since": begin and begin.isoformat(),
                "until": end and end.isoformat(),
            },
        )
    return await replayed(log, wanted, state=kept, progress=progress)


def asked(
    log: object,
    candidate: Candidate,
    baseline: Candidate | None,
    *,
    strategy_id: object,
    since: object,
    until: object,
    sample: object,
    processes: object,
    time_limit: object,
    tolerance: object,
    filters: Filters,
) -> Asked:
    """What is asked, checked. Arguments and errors: see `replay`.

    Raises:
        InvalidArgument: One of the arguments is wrong.
    """
    if not isinstance(log, Questions):
        raise InvalidArgument("log", validation.must_be("a StrategyExecutionLogRepository", log))
    spread = validation.number("tolerance", tolerance)
    if spread is None or spread < 0:
        raise InvalidArgument("tolerance", "must be a number of 0 or more")
    return Asked(
        candidate=candidate,
        baseline=baseline,
        scope=validation.scope(strategy_id, since, until),
        wanted=conditions("replay", filters),
        filters=dict(filters),
        sample=None if sample is None else validation.count("sample", sample),
        processes=_workers(processes),
        time_limit=validation.seconds("time_limit", time_limit),
        tolerance=spread,
    )


def _workers(processes: object) -> int:
    """How many there are, at most."""
    if processes is None:
        return min(len(_processors()), _USUAL_PROCESSES)
    found = validation.count("processes", processes)
    if found > _MOST_PROCESSES:
        raise InvalidArgument("processes", f"must be at most {_MOST_PROCESSES}")
    return found


def _processors() -> set[int]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
