"""The command `execlog`. Only data goes to standard output; messages go to standard error.

Exit codes: 0 done (an empty answer is one too), 1 a failure that is explained in one line, 2 wrong
usage, 3 a limit was breached, 4 not found, 5 maintenance is held up and overdue, 130 interrupted.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated

from execlog import __version__
from execlog.errors import ArchiveError, ExeclogError, InvalidArgument

try:
    import rich  # noqa: F401 - to say at once what is missing
    import typer
except ImportError:  # the core works without them
    sys.exit("execlog: the command line needs its extra: pip install 'execlog[cli]'")

from execlog.cli import (
    account,
    archive,
    breakdown,
    check,
    compare,
    demo,
    distribute,
    doctor,
    erase,
    explain,
    export,
    failures,
    grafana,
    import_,
    maintain,
    migrate,
    otlp,
    replay,
    roles,
    rollup,
    serve,
    show,
    spool,
    sql,
    summary,
    tail,
    timeline,
    top,
)
from execlog.display import tables

__all__ = ["app", "main"]

_WHERE = " (--dsn, EXECLOG_DSN or PGHOST name it)"


def _may_draw() -> bool:
    """Whether help and messages go to a terminal: typer itself obeys FORCE_COLOR and the like."""
    to_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return to_terminal and not tables.is_colourless()


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Off a terminal, and if escapes are unwanted, no boxes are drawn, around messages neither.
    rich_markup_mode="rich" if _may_draw() else None,
)
# In the order of the help. A file has the name of its command; `import` is a keyword: import_.py.
for command in (
    tail,
    failures,
    show,
    summary,
    timeline,
    top,
    breakdown,
    compare,
    explain,
    replay,
    check,
    export,
    import_,
    erase,
    sql,
    serve,
    grafana,
    otlp,
    migrate,
    maintain,
    doctor,
    account,
    spool,
    roles,
    distribute,
    demo,
):
    name = command.__name__.rpartition(".")[2]
    app.command(name.removesuffix("_").replace("_", "-"))(getattr(command, name))
app.add_typer(rollup.rollup, name="rollup")
app.add_typer(archive.archive, name="archive")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"execlog {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """The execution log of a scoring engine, from a terminal."""


def main() -> None:
    """Runs the command of this process's arguments. Raises SystemExit with the exit code."""
    _prepare_streams()
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # its errors are printed in one line
    try:
        try:
            app()
        finally:
            # Here a full disk can still be reported; at exit it would be lost.
            sys.stdout.flush()
    except InvalidArgument as error:
        sys.exit(_say(error, 2))
    except ExeclogError as error:
        # The user may have forgotten to name the server; a disk that refuses is none.
        is_away = isinstance(error.__cause__, OSError) and not isinstance(error, ArchiveError)
        hint = _WHERE if is_away else ""
        sys.exit(_say(f"{error}{hint}", 1))
    except OSError as error:
        # The rest of the buffer would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has left (head, less) needs no message.
        sys.exit(1 if isinstance(error, BrokenPipeError) else _say(error.strerror or error, 1))


def _prepare_streams() -> None:
    """Replaces closed streams by empty ones; escapes what an encoding lacks."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _say(problem: object, code: int) -> int:
    print(f"execlog: {problem}", file=sys.stderr)
    return code
