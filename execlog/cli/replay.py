"""The command that replays executions through another version of their strategy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from execlog import (
    ArchiveError,
    QueryRejected,
    Replay,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.cli.filters import filtered
from execlog.cli.forms import print_model, print_text
from execlog.cli.options import (
    ArchiveToRead,
    Dsn,
    Given,
    Json,
    Output,
    Schema,
    SinceGiven,
    Strategy,
    UntilGiven,
    Wide,
    share,
)
from execlog.cli.progress import progress
from execlog.cli.server import ask
from execlog.db.sqltext import SCHEMA
from execlog.display.format import percent
from execlog.display.replay_tables import print_replay
from execlog.display.replayed import is_over
from execlog.replaying.asking import asked
from execlog.replaying.candidate import Candidate, found
from execlog.replaying.going import Asked, replayed
from execlog.replaying.state import State
from execlog.repository.filters import Filters

__all__ = ["replay"]

_UNKNOWN, _BREACHED = 1, 3


class Form(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The form of the output."""

    table = "table"
    json = "json"
    html = "html"


@filtered
def replay(
    strategy: Strategy,
    with_: Annotated[
        str,
        typer.Option("--with", metavar="MODULE:FUNCTION", help="What is called for each run."),
    ],
    filters: Filters,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="MODULE:FUNCTION",
            help="The recorded version: runs in which it differs from the log are noise.",
        ),
    ] = None,
    since: SinceGiven = None,
    until: UntilGiven = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", min=1, help="About so many runs: failures and rare cases whole; else all."
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="Workers; else one for each processor."),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option("--time-limit", min=0.001, metavar="SECONDS", help="Of one call."),
    ] = 10.0,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="By how much points may differ and be equal.")
    ] = 0.0,
    fail_over: Annotated[
        float | None,
        typer.Option(
            "--fail-over",
            parser=share,
            metavar="SHARE",
            help="Exit 3 if more of the runs change or fail newly, such as 1%.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="A file that keeps how far it came: the same command goes on from it."
        ),
    ] = None,
    output: Annotated[
        Form,
        typer.Option("--output", "-o", help="html: a file to attach to a pull request."),
    ] = Form.table,
    as_json: Json = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Replay executions through another version of the strategy, and compare with the log.

    The function is given an execution and returns an execlog.Outcome. It must have no effects.

    Example: execlog replay loyalty --with rules.v5:evaluate --baseline rules.v4:evaluate --since 7d
    """
    output = Form.json if as_json else output
    write = _html() if output is Form.html else None  # before anything is replayed
    candidate = _candidate("--with", with_)
    compared = None if baseline is None else _candidate("--baseline", baseline)
    words = {"since": _word(since), "until": _word(until)}
    kept = None if state is None else State(state, words)

    async def question(log: StrategyExecutionLogRepository) -> Replay:
        wanted = asked(
            log,
            candidate,
            compared,
            strategy_id=strategy,
            since=since and since.time,
            until=until and until.time,
            sample=sample,
            processes=processes,
            time_limit=time_limit,
            tolerance=tolerance,
            filters=filters,
        )
        try:
            return await _shown(log, wanted, kept)
        except (asyncio.CancelledError, ArchiveError, QueryRejected, StoreUnavailable):
            if state is not None and state.exists():
                print(f"execlog: {state} keeps how far it came", file=sys.stderr)
            raise

    with contextlib.redirect_stdout(sys.stderr):  # what a candidate in this process prints
        answer = ask(dsn, schema, question, archive=archive)
    if write is not None:
        print_text(write(answer, filters, fail_over))
    elif output is Form.json:
        print_model(answer, Output.json)
    else:
        print_replay(answer, wide=wide)
    if fail_over is not None:
        _judge(answer, fail_over)


def _judge(answer: Replay, limit: float) -> None:
    """Ends with 3 over the limit, and with 1 if nothing was compared. Raises Exit."""
    if answer.fail_share is None:
        print("execlog: nothing was compared, so there is no share to judge", file=sys.stderr)
        raise typer.Exit(_UNKNOWN)
    if is_over(answer, limit):
        found_share = percent(answer.fail_share.share)
        said = f"{found_share} changed or fail newly, over the limit of {percent(limit, 'g')}"
        print(f"execlog: {said}", file=sys.stderr)
        raise typer.Exit(_BREACHED)


def _html() -> Callable[[Replay, Filters, float | None], str]:
    try:
        from execlog.web.replayed import replay_document
    except ImportError:
        sys.exit("execlog: -o html needs its extra: pip install 'execlog[web]'")
    return lambda answer, filters, limit: replay_document(answer, filters=filters, limit=limit)


async def _shown(log: StrategyExecutionLogRepository, wanted: Asked, state: State | None) -> Replay:
    """The replay, with a bar on a terminal."""
    with contextlib.ExitStack() as stack:
        advance = None

        def step(runs: int, total: int) -> None:
            nonlocal advance
            if advance is None:
                advance = stack.enter_context(progress("replay", total))
            advance(runs)

        return await replayed(log, wanted, state=state, progress=step)


def _candidate(option: str, path: str) -> Candidate:
    """What is at a path, from the working folder on; what it prints is no data."""
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with contextlib.redirect_stdout(sys.stderr):
        return found(option, path)


def _word(time: Given | None) -> str | None:
    """What a window's end is named by: how long ago, as it was given, or the time."""
    if time is None:
        return None
    return time.time.isoformat() if time.ago is None else f"{time.ago} ago"
