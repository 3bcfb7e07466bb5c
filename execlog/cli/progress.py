"""The progress of a long command: a bar on standard error, if that is a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from execlog.display.tables import is_colourless, plain

__all__ = ["is_seen", "progress"]

_SECONDS = 0.1  # between two updates: showing each step would cost as much as the step


class _Steps(ProgressColumn):
    """The steps done, their total, and the steps in a second."""

    def render(self, task: Task) -> Text:
        """The text. Never raises."""
        of = "" if task.total is None else f"/{task.total:,.0f}"
        speed = "" if task.speed is None else f"  {task.speed:,.0f}/s"
        return Text(f"{task.completed:,.0f}{of}{speed}")


def is_seen() -> bool:
    """Whether the bar is on a terminal and the data elsewhere. Never raises."""
    return _can_show() and not sys.stdout.isatty()


def _can_show() -> bool:
    return sys.stderr.isatty() and not is_colourless()


@contextlib.contextmanager
def progress(
    doing: str, total: float | None, *, shown: bool = True
) -> Iterator[Callable[[float], None]]:
    """A bar until the block ends; yields a function that adds steps. Never raises.

    Args:
        doing: The text before the bar.
        total: The number of steps; None if it is unknown.
        shown: Whether to show it; off a terminal and under NO_COLOR it never is.
    """
    if not (shown and _can_show()):
        yield lambda _: None
        return
    columns = (TextColumn(doing), BarColumn(), _Steps(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=plain(sys.stderr),
        transient=True,
        redirect_stdout=False,  # standard output is data
    ) as bar:
        task = bar.add_task("", total=total)
        waiting, shown_at = 0.0, time.monotonic()

        def advance(steps: float) -> None:
            nonlocal waiting, shown_at
            waiting += steps
            now = time.monotonic()
            if now - shown_at >= _SECONDS:
                bar.advance(task, waiting)
                waiting, shown_at = 0.0, now

        yield advance
