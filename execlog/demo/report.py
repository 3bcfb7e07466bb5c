"""Prints the demo's answers: tables for a person at a terminal, tab-separated lines for a pipe."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from execlog.demo.run import Answers, Recorded
from execlog.display.format import shown
from execlog.display.tables import Cell, Column, print_table, stdout

__all__ = ["print_report"]

_FAILURES = (
    Column("time", is_time=True, rank=4),
    Column("status", rank=2),
    Column("code", rank=1, least=10),
    Column("took", right=True, rank=5),
    Column("module", least=20),
    Column("why", rank=3, least=20),
)
_COUNT = Column("count", right=True)
_PERCENTILES = (Column("percentile"), Column("duration", right=True))


def print_report(recorded: Recorded, answers: Answers, *, wide: bool = False) -> None:
    """Prints what was recorded and what the log says about it. Raises OSError.

    Args:
        recorded: What was recorded.
        answers: What the log says.
        wide: Whether tables may be wider than the terminal.
    """
    console = stdout()
    microseconds = recorded.record_seconds / answers.total * 1e6
    console.print(
        f"{answers.total:,} executions scored in {recorded.seconds:.1f} s, every one kept in "
        f"{answers.server}: {microseconds:.0f} µs each for the engine, trace included, stored in "
        f"{recorded.stats.batches} transactions meanwhile."
    )
    tables = (
        ("Newest failures of each kind", _FAILURES, answers.failures),
        ("By status", (Column("status"), _COUNT, Column("share", right=True)), answers.statuses),
        ("By error code", (Column("code", least=14), _COUNT), answers.codes),
        ("By rule case", (Column("case", least=14), _COUNT), answers.cases),
        (f"Duration percentiles ({answers.method})", _PERCENTILES, answers.percentiles),
    )
    for title, columns, rows in tables:
        console.print()
        console.print(Text(title, style="bold") if console.is_terminal else f"# {title}")
        print_table(columns, [[_cell(value) for value in row] for row in rows], wide=wide)


def _cell(value: object) -> Cell:
    return value if isinstance(value, datetime) else shown(value)
