"""The command that scores the standard library and shows its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from execlog import Replay, StrategyExecutionLogRepository, replay
from execlog.cli.options import Wide
from execlog.cli.progress import progress
from execlog.cli.serve import PORT, Port, serve_pages
from execlog.cli.server import ask, dsn_of
from execlog.cli.summary import summary
from execlog.cli.timeline import timeline
from execlog.db.sqltext import SCHEMA
from execlog.display.replay_tables import print_replay
from execlog.display.timeparse import compact

__all__ = ["demo"]

_NEXT = """
What next

execlog demo --serve                 the same as pages
python -m execlog.embedded FOLDER    a Postgres until Ctrl-C, if you have none; it prints:
export EXECLOG_DSN=postgresql://...  then, on a Postgres of your own:
execlog migrate                      makes the log
execlog tail -f                      shows what your engine records: README, "Record in a service"
execlog serve                        its pages
execlog replay --help                what another version of your rules would have decided
execlog doctor                       whether all is well, and what to do if not
"""

# All but what timed out: that run takes five seconds each time.
_REPLAYED = ("ok", "error", "limit")
_RECORDED, _CHANGED = "execlog.demo.engine:evaluate", "execlog.demo.engine:shorter_functions"


def demo(
    dsn: Annotated[
        str | None,
        typer.Option("--dsn", help="Your own server; else a throwaway one is started."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Score this many modules only.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve its dashboard, until Ctrl-C.")
    ] = False,
    port: Port = PORT,
    wide: Wide = False,
) -> None:
    """Score the standard library with a real rules engine, and show its log.

    Ends with the summary and the time line of the strategy, and what a version of it with one
    threshold moved would have decided; or with the dashboard.

    Example: execlog demo -n 200
    """
    try:
        from execlog.demo import report, run
        from execlog.demo.engine import STRATEGY, modules
    except ImportError:
        sys.exit("execlog: the demo needs its extra: pip install 'execlog[demo]'")
    try:
        os.getcwd()
    except FileNotFoundError:  # the folder was removed, and worker processes need one
        os.chdir("/")
    paths = modules(limit)
    with _server(dsn) as server:
        with progress("scoring modules", len(paths)) as advance:
            recorded, answers = asyncio.run(run.run(server, paths, advance))
        report.print_report(recorded, answers, wide=wide)
        print(f"\n$ execlog summary {STRATEGY}\n")
        summary(STRATEGY, since=recorded.since, dsn=server)
        print(f"\n$ execlog timeline {STRATEGY}\n")
        timeline(STRATEGY, since=recorded.since, wide=wide, dsn=server)
        _replay(STRATEGY, recorded.since, server, wide=wide)
        if serve:
            began = recorded.since.replace(microsecond=0)
            ended = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
            window = f"since={compact(began)}&until={compact(ended)}"
            if dsn is None:
                print(f"\nexport EXECLOG_DSN={shlex.quote(server)}  # in another terminal")
            serve_pages(server, port=port, first=f"strategy?id={STRATEGY}&{window}")
        else:
            print(_NEXT, end="")


def _replay(strategy: str, since: datetime, server: str, *, wide: bool) -> None:
    """Replays what was recorded, with one threshold moved: a function is long from 40 lines on."""

    def question(log: StrategyExecutionLogRepository) -> Awaitable[Replay]:
        return replay(
            log,
            _CHANGED,
            baseline=_RECORDED,
            strategy_id=strategy,
            since=since,
            status=_REPLAYED,
            processes=1,
        )

    statuses = " ".join(f"--status {status}" for status in _REPLAYED)
    command = f"execlog replay {strategy} --with {_CHANGED} --baseline {_RECORDED} {statuses}"
    print(f"\n$ {command}\n")
    print_replay(ask(server, SCHEMA, question), wide=wide, brief=True)


@contextlib.contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn_of(dsn)
        return
    from execlog.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server.dsn
