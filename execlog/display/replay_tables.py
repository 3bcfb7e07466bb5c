"""Prints a replay: sentences, then tables of what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from execlog.display.format import milliseconds, number, shown
from execlog.display.replayed import (
    change_of,
    duration_of,
    ending_of,
    moved,
    notes_of,
    sentences_of,
    unchanged_of,
    value_of,
)
from execlog.display.tables import Cell, Column, print_table, status_text, stdout

if TYPE_CHECKING:
    from execlog.replaying.result import CaseMove, Mover, Replay

__all__ = ["print_replay"]

_MOST_MOVES = 20
_MOVES = (
    Column("in the log", least=12),
    Column("in the replay", least=12),
    Column("runs", right=True),
    Column("points", right=True, rank=2),
    Column("for example", rank=1),
)
_MOVERS = (
    Column("user", least=12),
    Column("runs", right=True, rank=1),
    Column("before", right=True, rank=3),
    Column("after", right=True, rank=2),
    Column("change", right=True),
)
_TIMES = (
    Column("duration"),
    Column("avg", right=True),
    Column("p50", right=True, rank=2),
    Column("p95", right=True, rank=1),
    Column("p99", right=True, rank=2),
    Column("p50 to the row above", right=True, rank=3),
)


def print_replay(found: Replay, *, wide: bool = False, brief: bool = False) -> None:
    """Prints a replay. Raises OSError.

    Args:
        found: The replay.
        wide: Whether tables may be wider than the terminal.
        brief: Whether to end with what differs.
    """
    for sentence in sentences_of(found):
        print(sentence)
    if not found.replayed:
        return
    differing = moved(found)
    rows = [_move(move) for move in differing[:_MOST_MOVES]]
    _print("What differs", _MOVES, rows, wide=wide)
    if rows:
        print(f"{_further(differing)}{unchanged_of(found)}")
    if brief:
        return
    codes = [(shown(code), number(runs)) for code, runs in found.failures.items()]
    columns = (Column("code", least=12), Column("runs", right=True))
    _print("Why the candidate fails", columns, codes[:_MOST_MOVES], wide=wide)
    for title, movers in (
        ("Users who lose most", found.losing),
        ("Users who gain most", found.gaining),
    ):
        _print(title, _MOVERS, [_mover(one) for one in movers], wide=wide)
    _print("Slower or faster", _TIMES, _times(found), wide=wide)
    notes = notes_of(found)
    if notes:
        print()
    for note in notes:
        print(note)


def _print(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    wide: bool,
) -> None:
    """A table below its title; nothing without rows."""
    if not rows:
        return
    console = stdout()
    console.print()
    console.print(Text(title, style="bold") if console.is_terminal else f"# {title}")
    print_table(columns, rows, wide=wide)


def _move(move: CaseMove) -> Sequence[Cell]:
    return (
        _ending(move.old_status, move.old_case),
        _ending(move.new_status, move.new_case),
        number(move.changed),
        change_of(move.points_after - move.points_before),
        move.examples[0].id if move.examples else None,
    )


def _ending(status: str, case: str | None) -> Text:
    said = ending_of(status, case)
    return Text(said) if status == "ok" else Text(said, style=status_text(status).style)


def _further(differing: Sequence[CaseMove]) -> str:
    rest = differing[_MOST_MOVES:]
    if not rest:
        return ""
    runs = number(sum(move.changed for move in rest))
    pairs = "pair" if len(rest) == 1 else "pairs"
    return f"{number(len(rest))} further {pairs} of cases with {runs} runs: -o json has all. "


def _mover(one: Mover) -> Sequence[Cell]:
    return (
        shown(one.external_user_id),
        number(one.runs),
        value_of(one.points_before),
        value_of(one.points_after),
        change_of(one.delta),
    )


def _times(found: Replay) -> list[Sequence[Cell]]:
    """The log, the baseline and the candidate, each beside the one before it."""
    rows: list[Sequence[Cell]] = []
    base = None
    for name, times in (
        ("in the log", found.recorded_times),
        ("baseline", found.baseline_times),
        ("candidate", found.candidate_times),
    ):
        if times is not None:
            values = (times.avg_ms, times.p50_ms, times.p95_ms, times.p99_ms)
            rows.append((name, *map(milliseconds, values), duration_of(times, base)))
            base = times
    return rows
