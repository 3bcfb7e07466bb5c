"""Prints the demo's answers: tables for a person at a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from execlog.demo.run import Answers, Recorded

__all__ = ["print_report"]

_NUMBERS = frozenset({"count", "share", "took", "duration"})


def print_report(console: Console, recorded: Recorded, answers: Answers) -> None:
    """What went in and what the log says about it. Never raises."""
    microseconds = recorded.record_seconds / answers.total * 1e6
    console.print(
        f"{answers.total:,} executions scored in {recorded.seconds:.1f} s, every one kept in "
        f"{answers.server}: {microseconds:.0f} µs each for the engine, trace included, stored in "
        f"{recorded.stats.batches} transactions meanwhile.",
        highlight=False,
        soft_wrap=True,
    )
    failed = ("time", "status", "code", "took", "module", "why")
    _print_table(console, "Newest failures of each kind", failed, answers.failures)
    _print_table(console, "By status", ("status", "count", "share"), answers.statuses)
    _print_table(console, "By error code", ("code", "count"), answers.codes)
    _print_table(console, "By rule case", ("case", "count"), answers.cases)
    title = f"Duration percentiles ({answers.method})"
    _print_table(console, title, ("percentile", "duration"), answers.percentiles)


def _print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    cells = [[str(value) for value in row] for row in rows]
    if not console.is_terminal:
        # No box and no wrapping: rich would cut the lines at 80 columns.
        for line in (["", f"# {title}", "\t".join(columns)], map("\t".join, cells)):
            console.file.write("\n".join(line) + "\n")
        return
    console.print(f"\n[bold]{title}[/bold]", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column in _NUMBERS
        table.add_column(column, justify="right" if right else "left", overflow="ellipsis")
    for line in cells:
        table.add_row(*line)
    console.print(table)
