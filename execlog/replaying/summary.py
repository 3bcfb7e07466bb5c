"""The answer of a replay, from what was counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from execlog.replaying.candidate import Candidate
from execlog.replaying.draw import Plan
from execlog.replaying.result import CaseMove, Estimate, PointsDelta, Replay
from execlog.replaying.tally import VERDICTS, Tally

if TYPE_CHECKING:
    from execlog.replaying.going import Asked

__all__ = ["summary"]

_CODES_SHOWN = 50


def summary(
    asked: Asked,
    scope: Mapping[str, Any],
    tally: Tally,
    plan: Plan | None,
    recorder_calls: int,
    notes: Sequence[str],
) -> Replay:
    """The answer. Never raises.

    Args:
        asked: What was asked.
        scope: The strategy and the window that was replayed.
        tally: What was counted.
        plan: Which runs were drawn; None: all.
        recorder_calls: Calls of recorders that recorded nothing.
        notes: What must be said of the calls.
    """
    moves = tally.moves()
    recorded, new, again = (one.times() for one in tally.durations)
    share = tally.share()
    codes = sorted(tally.codes.items(), key=lambda one: (-one[1], one[0]))[:_CODES_SHOWN]
    return Replay(
        strategy_id=scope["strategy_id"],
        since=scope["since"],
        until=scope["until"],
        candidate=asked.candidate.title,
        baseline=asked.baseline and asked.baseline.title,
        replayed=sum(tally.counts[verdict] for verdict in VERDICTS),
        **{verdict: tally.counts[verdict] for verdict in VERDICTS},
        not_replayable=dict(sorted(tally.not_replayable.items())),
        noise=None if asked.baseline is None else tally.counts["noise"],
        cases=_cases(moves),
        moves=moves,
        moves_left_out=tally.moves_left_out,
        points_delta=_points_delta(tally),
        fail_share=share and Estimate(share=share.share, low=share.low, high=share.high),
        failures=dict(codes),
        examples=tally.examples(),
        losing=tally.movers.losing(),
        gaining=tally.movers.gaining(),
        recorded_times=recorded,
        candidate_times=new,
        baseline_times=again,
        recorder_calls=recorder_calls,
        tolerance=asked.tolerance,
        sampling=None if plan is None else plan.sampling,
        notes=[*_notes(asked.candidates, asked.baseline, tally), *notes],
    )


def _cases(moves: Sequence[CaseMove]) -> dict[tuple[str | None, str | None], int]:
    found: dict[tuple[str | None, str | None], int] = {}
    for move in moves:
        key = (move.old_case, move.new_case)
        found[key] = found.get(key, 0) + move.runs
    return found


def _points_delta(tally: Tally) -> PointsDelta | None:
    found = tally.points()
    if found is None:
        return None
    ratio, low, high = found.relative or (None, None, None)
    numbers = (found.before, found.delta, found.low, found.high, ratio, low, high)
    if not all(one is None or math.isfinite(one) for one in numbers):
        return None  # of points of 1e200, no float holds the squares
    return PointsDelta(
        before=found.before,
        after=found.before + found.delta,
        delta=found.delta,
        low=found.low,
        high=found.high,
        relative=ratio,
        relative_low=low,
        relative_high=high,
    )


def _notes(candidates: Sequence[Candidate], baseline: Candidate | None, tally: Tally) -> list[str]:
    notes = [] if baseline else ["noise is unknown"]
    if any(one.is_inside for one in candidates):
        for one in candidates:
            what = one.kind or ("an async function" if one.is_async else "beside one that is")
            if one.is_async:
                notes.append("in this process: an async function")
            else:
                notes.append(f"no time limit: {what}")
    if tally.movers.forgot:
        notes.append("users: the sums of some lack runs, since more than 50,000 users changed")
    return list(dict.fromkeys(notes))
