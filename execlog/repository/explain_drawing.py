"""Which blocks of two windows are read, as sql/explain.sql draws them: each time the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from execlog.repository.explain_windows import AFTER, Windows

__all__ = ["drawn", "hashed"]

_WORD = 2**32
_BEGUN = 0x9E3779B9 + 4 + 3923095  # of a hash of four bytes
_TURNS = (14, 11, 25, 16, 4, 14, 24)


def drawn(
    runs: Mapping[int, int], spans: Windows, most_runs: int, drawn_runs: int, least_blocks: int
) -> tuple[list[int], int]:
    """The places of the blocks, and how many steps each has. Never raises.

    Args:
        runs: Runs by the places of steps.
        spans: The windows.
        most_runs: Of more runs, narrow blocks are drawn; else all wide ones are read.
        drawn_runs: Up to so many runs.
        least_blocks: Of each window, at least so many blocks.
    """
    total = sum(runs.values())
    steps = spans.narrow if total > most_runs else spans.wide
    blocks: dict[int, dict[int, int]] = {0: {}, AFTER: {}}
    for place, count in runs.items():
        number = place % AFTER // steps
        window = blocks[place // AFTER * AFTER]
        window[number] = window.get(number, 0) + count
    if total <= most_runs:
        return [side + number for side, window in blocks.items() for number in window], steps
    found = []
    for side, window in blocks.items():
        most = max(drawn_runs // 2, drawn_runs - (total - sum(window.values())))
        order = sorted(window, key=lambda number: (_rank(spans, side, number * steps), number))
        upto = accumulate(window[number] for number in order)
        found += [
            side + number
            for rank, (number, read) in enumerate(zip(order, upto, strict=True), 1)
            if rank <= least_blocks or read <= most
        ]
    return sorted(found), steps


def _rank(spans: Windows, side: int, step: int) -> int:
    """The hash of a block's begin."""
    begin = spans.since if side else spans.baseline_since
    return hashed(step * spans.arguments()["step_us"] + round(begin.timestamp()))


def hashed(value: int) -> int:
    """`hashint8extended(value, 0)` of Postgres. Never raises for a bigint.

    Args:
        value: The number.
    """
    high, low = value >> 32, value % _WORD
    a = b = c = _BEGUN % _WORD
    a = (a + (low ^ (high if value >= 0 else ~high) % _WORD)) % _WORD
    for turn in _TURNS:  # Bob Jenkins' final(): each step changes another of the three
        c = ((c ^ b) - (b << turn | b >> 32 - turn)) % _WORD
        c, b, a = a, c, b
    found = a << 32 | b
    return found - 2**64 if found >= 2**63 else found
