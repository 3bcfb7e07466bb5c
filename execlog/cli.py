"""The command `execlog`. Only data goes to standard output; messages go to standard error.

Exit codes: 0 done, 1 a failure that is explained in one line, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine, Iterator
from typing import Annotated, Any, TypeVar

from execlog.errors import ExeclogError
from execlog.schema import check_migrations, dump_migrations
from execlog.schema import migrate as apply_migrations

try:
    import typer
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
except ImportError:  # the core works without them
    sys.exit("execlog: the command line needs its extra: pip install 'execlog[cli]'")

__all__ = ["app", "main"]

Answer = TypeVar("Answer")
Dsn = Annotated[
    str | None,
    typer.Option("--dsn", help="The server; else EXECLOG_DSN, else libpq's own variables."),
]

app = typer.Typer(
    help="The execution log of a scoring engine, from a terminal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command of this process's arguments. Raises SystemExit with the exit code."""
    try:
        try:
            app()
        finally:
            # Here, where a full disk can still be said; at exit nobody would hear of it.
            sys.stdout.flush()
    except ExeclogError as error:
        sys.exit(_say(error, 1))
    except OSError as error:
        # What is left in the buffer would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that left (head, less) has seen enough, and needs no message.
        sys.exit(1 if isinstance(error, BrokenPipeError) else _say(error.strerror or error, 1))


def _say(problem: object, code: int) -> int:
    print(f"execlog: {problem}", file=sys.stderr)
    return code


@app.callback()
def _root() -> None:
    """The execution log of a scoring engine, from a terminal."""


@app.command()
def migrate(
    dsn: Dsn = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL, touch no server.")] = False,
) -> None:
    """Bring a database up to date; with --check, exit 1 where it is not."""
    if sql:
        print(dump_migrations(), end="")
        return
    missing_or_applied = _wait(
        check_migrations(_dsn(dsn)) if check else apply_migrations(_dsn(dsn))
    )
    for name in missing_or_applied:
        print(name)
    if check and missing_or_applied:
        print("execlog: not up to date; run `execlog migrate`", file=sys.stderr)
        raise typer.Exit(1)
    if not missing_or_applied:
        print("execlog: up to date", file=sys.stderr)


@app.command()
def demo(
    dsn: Annotated[
        str | None,
        typer.Option("--dsn", help="Your own server; else a throwaway one is started."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Score so many modules only.")
    ] = None,
) -> None:
    """Score the standard library with a real rules engine, and show its log."""
    try:
        from execlog.demo import report, run
        from execlog.demo.engine import modules
    except ImportError:
        sys.exit("execlog: the demo needs its extra: pip install 'execlog[demo]'")
    paths = modules(limit)
    with _server(dsn) as server, _progress(len(paths)) as progress:
        recorded, answers = _wait(run.run(server, paths, progress))
    report.print_report(Console(), recorded, answers)


def _dsn(given: str | None) -> str:
    if given == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--dsn")
    # Without host and database asyncpg reads PGHOST, PGUSER, ..., as libpq does.
    return given or os.environ.get("EXECLOG_DSN") or "postgresql://"


@contextlib.contextmanager
def _server(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield _dsn(dsn)
        return
    from execlog.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server.dsn


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (TextColumn("scoring modules"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda recorded: bar.advance(task, recorded)


def _wait(work: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(work)
