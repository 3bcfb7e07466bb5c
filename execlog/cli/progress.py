"""How far a long command has come: a bar on standard error, where a person looks at that."""

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

_SECONDS = 0.1  # between two looks: to show each step would cost as much as the step


class _Steps(ProgressColumn):
    """How many steps were done, of how many, and how many in a second."""

    def render(self, task: Task) -> Text:
        """The text. Never raises."""
        of = "" if task.total is None else f"/{task.total:,.0f}"
        speed = "" if task.speed is None else f"  {task.speed:,.0f}/s"
        return Text(f"{task.completed:,.0f}{of}{speed}")


def is_seen() -> bool:
    """Whether somebody looks at a bar while the data goes elsewhere. Never raises."""
    return _can_show() and not sys.stdout.isatty()


def _can_show() -> bool:
    return sys.stderr.isatty() and not is_colourless()


@contextlib.contextmanager
def progress(
    doing: str, total: float | None, *, shown: bool = True
) -> Iterator[Callable[[float], None]]:
    """A bar until the block ends, and what tells it of so many more steps. Never raises.

    Args:
        doing: What is done, before the bar.
        total: How many steps there are; None if that is unknown.
        shown: Off a terminal it is not shown at all, nor under NO_COLOR: it moves by escapes.
    """
    if not (shown and _can_show()):
        yield lambda _: None
        return
    columns = (TextColumn(doing), BarColumn(), _Steps(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=plain(sys.stderr),
        transient=True,
        redirect_stdout=False,  # what is printed there is data
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
