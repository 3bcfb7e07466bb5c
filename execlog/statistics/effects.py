"""By how much some runs changed beyond what all other runs of the same blocks did.

A value that has runs in both windows is measured by the difference of two changes: its own and that
of all other runs. Of rates it must differ both on the scale of differences and on that of
ratios: failures that come to all alike, or that grow by the same factor for all, are no cause of
one value, whichever of the two it is that happened. And it must be these runs that changed, more
than the others: of two values, the one that stayed as it was is no cause.

A value that has no runs before is compared with the other runs of its own blocks; if there are none
(a version that replaced all others at once), with those of all other blocks. One that has no runs
after is compared with the others of the window before; its going is then what changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from execlog.statistics.blocks import Estimate, ratio
from execlog.statistics.cells import Cells, Frame

__all__ = ["LEAST_COUNTED", "LEAST_RUNS", "Effect", "effect", "interaction"]

LEAST_RUNS = 50
"""Fewer runs in a window are none."""
LEAST_COUNTED = 10
"""With fewer outcomes in both windows, or fewer to be expected of the others, chance has no usual
distribution."""

_LEAST_BLOCKS = 5
_PLAUSIBLE = 0.01  # on the scale of ratios: a stricter one costs power, a weaker one names drifts
_LEAST_SHARE = 0.2  # of the runs: fewer others in the same blocks are no comparison
_MOST_ABSENT = 0.02  # of what its share of the other window would make

Kind = Literal["changed", "new", "replaced", "gone"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What some runs did beyond the others.

    Attributes:
        kind: Whether they were there before and after, or only in one of the windows.
        beyond: The difference, in the measure's unit.
        p_value: The probability of one as large by chance; 1.0 if the others changed more.
        strength: The difference in units of its error if all runs were alike and independent.
        blocks: How many blocks have such runs.
    """

    kind: Kind
    beyond: Estimate
    p_value: float
    strength: float
    blocks: int


def effect(part: Cells, rest: Cells, frame: Frame, *, is_rate: bool) -> Effect | None:
    """The effect of runs, compared with the rest; None: too few of either. Never raises.

    Args:
        part: The runs.
        rest: All others.
        frame: The blocks.
        is_rate: Whether an outcome is 0 or 1.
    """
    if sum(part.counted) < LEAST_COUNTED or _expected(part, rest) < LEAST_COUNTED:
        return None
    used = sum(map(bool, part.weights))
    had, has = _blocks(part, frame.before_window), _blocks(part, frame.after_window)
    if min(had, has) >= _LEAST_BLOCKS and _are_there(part, rest):
        own, others = _change(part, frame), _change(rest, frame)
        beyond = own.minus(others)
        p_value = beyond.p_value(used) if abs(own.value) >= abs(others.value) else 1.0
        if is_rate and p_value < _PLAUSIBLE:
            of_ratios = _of_ratios(part, rest, frame).p_value(used)
            p_value = p_value if of_ratios < _PLAUSIBLE else max(p_value, of_ratios)
        return _made("changed", beyond, p_value, (part, rest), frame, used)
    if has >= _LEAST_BLOCKS and part.runs[1] >= LEAST_RUNS and _is_absent(part, rest, 0):
        return _new(part, rest, frame, used)
    if had >= _LEAST_BLOCKS and part.runs[0] >= LEAST_RUNS and _is_absent(part, rest, 1):
        return _gone(part, rest, frame, used)
    return None


def interaction(
    cells: tuple[Cells, Cells, Cells, Cells], frame: Frame, kind: Kind
) -> Effect | None:
    """Whether runs of one kind did something in others that they did not do elsewhere.

    Args:
        cells: The runs with both properties, with the first, with the second, with neither.
        frame: The blocks.
        kind: Of the effect of the first property: what was not there before is compared in the
            window that has both.

    None: there are too few of them. Never raises.
    """
    both, first, second, neither = cells
    used = sum(map(bool, both.weights))
    if kind == "changed":
        beyond = (
            _change(both, frame).minus(_change(first, frame)) if _are_there(both, first) else None
        )
    else:
        window = frame.before_window if kind == "gone" else frame.after_window
        side = 0 if kind == "gone" else 1
        if min(both.runs[side], first.runs[side]) < LEAST_RUNS:
            return None
        beyond = _rate(both, window).minus(_rate(first, window))
        if min(sum(second.runs), sum(neither.runs)) >= LEAST_RUNS:
            usual = _rate(second, frame.both).minus(_rate(neither, frame.both))
            beyond = beyond.minus(usual)
        if kind == "gone":
            beyond = beyond.times(-1)
    if beyond is None:
        return None
    return _made(kind, beyond, beyond.p_value(used), (both, first), frame, used)


def _new(part: Cells, rest: Cells, frame: Frame, used: int) -> Effect | None:
    """The effect of runs that were not there before."""
    own = _rate(part, frame.after_window)
    beside = _within(rest, part)
    others = sum(beside.weights[frame.after :])
    if others >= _LEAST_SHARE * sum(part.weights) and _runs(others, rest) >= LEAST_RUNS:
        beyond = own.minus(_rate(beside, frame.after_window))
        return _made("new", beyond, beyond.p_value(used), (part, rest), frame, used)
    first = next(n for n, weight in enumerate(part.weights) if weight > 0)
    if sum(rest.weights[first:]) > _LEAST_SHARE * sum(part.weights) or rest.runs[0] < LEAST_RUNS:
        return None
    beyond = own.minus(_rate(rest, frame.both))
    blocks = sum(a + b > 0 for a, b in zip(part.weights, rest.weights, strict=True))
    return _made("replaced", beyond, beyond.p_value(blocks), (part, rest), frame, blocks)


def _gone(part: Cells, rest: Cells, frame: Frame, used: int) -> Effect | None:
    """The effect of runs that are not there any more."""
    beside = _within(rest, part)
    others = sum(beside.weights[: frame.after])
    if others < _LEAST_SHARE * sum(part.weights) or _runs(others, rest) < LEAST_RUNS:
        return None
    beyond = _rate(beside, frame.before_window).minus(_rate(part, frame.before_window))
    return _made("gone", beyond, beyond.p_value(used), (part, rest), frame, used)


def _is_absent(part: Cells, rest: Cells, side: int) -> bool:
    """Whether a window has next to none of these runs, compared with the other window."""
    share = part.runs[1 - side] / (part.runs[1 - side] + rest.runs[1 - side])
    return part.runs[side] <= _MOST_ABSENT * share * (part.runs[side] + rest.runs[side])


def _expected(part: Cells, rest: Cells) -> float:
    """How many of the others would have the outcome if both had it equally often.

    How many do have it decides nothing: if none of them fails, that is what tells them apart.
    """
    runs, others = sum(part.runs), sum(rest.runs)
    return (sum(part.counted) + sum(rest.counted)) * others / max(runs + others, 1)


def _blocks(cells: Cells, window: range) -> int:
    return sum(map(bool, cells.weights[window.start : window.stop]))


def _runs(weight: float, cells: Cells) -> float:
    """About how many of the cells' rows have this weight."""
    return weight * sum(cells.runs) / sum(cells.weights)


def _within(rest: Cells, part: Cells) -> Cells:
    """The other runs of those blocks that have some of the runs."""
    return Cells(
        rest.runs,
        rest.counted,
        [one if own else 0.0 for one, own in zip(rest.weights, part.weights, strict=True)],
        [one if own else 0.0 for one, own in zip(rest.outcomes, part.weights, strict=True)],
    )


def _made(
    kind: Kind,
    beyond: Estimate,
    p_value: float,
    sides: tuple[Cells, Cells],
    frame: Frame,
    used: int,
) -> Effect | None:
    if used < _LEAST_BLOCKS:
        return None
    places = {"gone": (0,), "new": (1,)}.get(kind, (0, 1))
    parts = [
        sum(one.weights[: frame.after]) if place == 0 else sum(one.weights[frame.after :])
        for one in sides
        for place in places
    ]
    spread = math.sqrt(sum(1 / one for one in parts if one > 0))
    return Effect(kind, beyond, p_value, abs(beyond.value) / spread, used)


def _are_there(*cells: Cells) -> bool:
    return min(runs for one in cells for runs in one.runs) >= LEAST_RUNS


def _rate(cells: Cells, window: range) -> Estimate:
    return ratio(cells.outcomes, cells.weights, window)


def _change(cells: Cells, frame: Frame) -> Estimate:
    return _rate(cells, frame.after_window).minus(_rate(cells, frame.before_window))


def _of_ratios(part: Cells, rest: Cells, frame: Frame) -> Estimate:
    """The change of the odds of an outcome beyond that of the others, as a logarithm."""
    found = [
        _log_rate(cells, window)
        for cells in (part, rest)
        for window in (frame.after_window, frame.before_window)
    ]
    return found[0].minus(found[1]).minus(found[2].minus(found[3]))


def _log_rate(cells: Cells, window: range) -> Estimate:
    """The logarithm of a rate; half an outcome is added, so that there is one."""
    rate = _rate(cells, window)
    weight = sum(cells.weights[window.start : window.stop])
    half = 0.5 / weight
    return Estimate(rate.value + half, rate.influences).log()
