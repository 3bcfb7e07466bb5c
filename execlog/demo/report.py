"""Prints the demo's answers: tables for a person at a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from execlog.demo.run import Answers, Recorded
from execlog.display.format import shown
from execlog.display.tables import Column, print_table, stdout

__all__ = ["print_report"]

_NUMBERS = frozenset({"count", "share", "took", "duration"})


def print_report(recorded: Recorded, answers: Answers) -> None:
    """Prints what was recorded and what the log says about it. Raises OSError."""
    microseconds = recorded.record_seconds / answers.total * 1e6
    stdout().print(
        f"{answers.total:,} executions scored in {recorded.seconds:.1f} s, every one kept in "
        f"{answers.server}: {microseconds:.0f} µs each for the engine, trace included, stored in "
        f"{recorded.stats.batches} transactions meanwhile."
    )
    failed = ("time", "status", "code", "took", "module", "why")
    _print_table("Newest failures of each kind", failed, answers.failures)
    _print_table("By status", ("status", "count", "share"), answers.statuses)
    _print_table("By error code", ("code", "count"), answers.codes)
    _print_table("By rule case", ("case", "count"), answers.cases)
    title = f"Duration percentiles ({answers.method})"
    _print_table(title, ("percentile", "duration"), answers.percentiles)


def _print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    console = stdout()
    console.print()
    console.print(Text(title, style="bold") if console.is_terminal else f"# {title}")
    print_table(
        [Column(name, right=name in _NUMBERS) for name in columns],
        [[shown(value) for value in row] for row in rows],
    )
