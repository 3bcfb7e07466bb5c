"""What a replay says, in words: on the command line and in a document."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from execlog.display.format import number, percent, points, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from execlog.replaying.result import CaseMove, PointsDelta, Replay, ReplayedOutcome, Times

__all__ = [
    "KINDS",
    "REASONS",
    "change_of",
    "duration_of",
    "ending_of",
    "extent_of",
    "filters_of",
    "headline_of",
    "is_over",
    "is_weighed",
    "moved",
    "noise_of",
    "notes_of",
    "outcome_of",
    "points_of",
    "reasons_of",
    "relative_of",
    "sampling_of",
    "sentences_of",
    "share_of",
    "unchanged_of",
    "value_of",
    "verdict_of",
]

KINDS = {
    "same": "same",
    "changed": "changed",
    "newly_failing": "newly failing",
    "newly_passing": "newly passing",
    "noise": "noise",
}
"""The words of verdicts."""

REASONS = {
    "no_input": "no input",
    "too_large": "too large",
    "masked": "masked",
    "expired": "expired",
    "erased": "erased",
}
"""The words of reasons why a run can't be replayed."""

_NOISE_IS_UNKNOWN = "noise is unknown"  # the note of a replay without a baseline
_FINEST = 0.095  # percent; less has two digits, whatever comes before them


def sentences_of(found: Replay) -> list[str]:
    """All that is said of a replay but its notes, the counts first. Never raises."""
    more = [noise_of(found), points_of(found), share_of(found)]
    return [headline_of(found), " ".join(one for one in more if one)]


def headline_of(found: Replay) -> str:
    """How many runs were replayed, and how each ended. Never raises."""
    if not found.runs:
        return "Nothing was replayed: the log has no such runs."
    if found.sampling and not found.replayed:
        return f"None of {_runs(found.runs)} was drawn: the sample is too small."
    left_out = reasons_of(found.not_replayable)
    if not found.replayed:
        return f"None of {_runs(found.runs)} can be replayed ({left_out})."
    counts = ", ".join(
        f"{number(getattr(found, kind))} {word}" for kind, word in KINDS.items() if kind != "noise"
    )
    without = sum(found.not_replayable.values())
    rest = f"; {number(without)} can't be replayed ({left_out})" if without else ""
    return f"{_extent_of(found)}; {counts}{rest}."


def extent_of(found: Replay) -> str:
    """How many runs were replayed, of how many. Never raises."""
    return f"{_extent_of(found)}." if found.replayed else headline_of(found)


def verdict_of(found: Replay) -> str:
    """The one sentence for a reader in a hurry. Never raises."""
    if not found.replayed:
        return "Nothing was replayed."
    differ = found.changed + found.newly_failing + found.newly_passing
    runs = _runs(found.replayed)
    if not differ:
        all_runs = "The only run is" if found.replayed == 1 else f"All {runs} are"
        return f"{all_runs} decided as in the log."
    verb = "is" if differ == 1 else "are"
    said = f"{number(differ)} of {runs} {verb} decided differently"
    if found.newly_failing:
        fail = "fails" if found.newly_failing == 1 else "fail"
        return f"{said}, and {number(found.newly_failing)} of them {fail} newly."
    return f"{said}; none fails newly."


def sampling_of(found: Replay) -> str:
    """Which runs were drawn. Never raises."""
    drawn = found.sampling
    if drawn is None:
        return "all that can be replayed"
    if not drawn.failures:
        return "drawn by case; none failed"
    failed = "the one" if drawn.failures == 1 else f"all {number(drawn.failures)}"
    if drawn.failures_are_whole:
        return f"{failed} that failed, the rest drawn by case"
    return f"drawn by status and case, {number(drawn.failures)} of all failed"


def reasons_of(reasons: Mapping[str, int]) -> str:
    """Why runs can't be replayed, the most frequent reason first. Never raises."""
    order = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    said = ((REASONS.get(reason, shown(reason)), number(runs)) for reason, runs in order)
    return ", ".join(f"{word} {runs}" for word, runs in said)


def noise_of(found: Replay) -> str:
    """In how many runs the recorded version differs from the log. Never raises."""
    if found.noise is None or found.baseline is None:
        return "Noise is unknown without a baseline."
    if not found.noise:
        return f"No noise: {shown(found.baseline)} answers as in the log."
    return f"Noise: {shown(found.baseline)} itself answers differently in {number(found.noise)}."


def points_of(found: Replay) -> str:
    """The change of points, with its interval if runs were sampled. Never raises."""
    delta, share = found.points_delta, found.fail_share
    if delta is None:
        return f"Points: {'too large to be added up' if share else 'nothing was compared'}."
    if not delta.delta and not delta.low and not delta.high:
        is_sampled = share is not None and share.low < share.high
        return f"Points are unchanged{' in these runs' if is_sampled else ''}."
    return f"Points {relative_of(delta)}."


def relative_of(delta: PointsDelta) -> str:
    """The change as a share of the points in the log, or else of a run. Never raises."""
    low, high = delta.relative_low, delta.relative_high
    if delta.relative is None or low is None or high is None:
        ends = _interval(value_of(delta.low), value_of(delta.high), delta.low < delta.high)
        return f"{change_of(delta.delta)} a run{ends}"
    return f"{_percent(delta.relative)} %{_interval(_percent(low), _percent(high), low < high)}"


def share_of(found: Replay) -> str:
    """The share that a limit is compared with; empty if nothing was compared. Never raises."""
    share = found.fail_share
    if share is None:
        return ""
    is_sampled = share.low < share.high
    ends = f" [{points(share.low)}, {points(share.high)}]" if is_sampled else ""
    return f"Changed or newly failing: {percent(share.share)}{ends}."


def is_over(found: Replay, limit: float) -> bool:
    """Whether the share is above a limit; what rounding adds to an equal one is not. Never raises.

    Args:
        found: The replay.
        limit: The share of changed and newly failing runs that is allowed.
    """
    share = found.fail_share.share if found.fail_share else 0.0
    return share > limit and not math.isclose(share, limit, rel_tol=1e-9)


def unchanged_of(found: Replay) -> str:
    """How many runs the list of differences leaves out. Never raises."""
    noise = f", {number(found.noise)} of them noise" if found.noise else ""
    return f"{_runs(found.same)} {'is' if found.same == 1 else 'are'} as in the log{noise}."


def is_weighed(found: Replay) -> bool:
    """Whether a run stands for more executions than itself. Never raises."""
    return any(move.estimated != move.runs for move in found.moves)


def notes_of(found: Replay) -> list[str]:
    """What a reader must know, as sentences. Never raises."""
    notes = [shown(note) for note in found.notes if note != _NOISE_IS_UNKNOWN]
    if is_weighed(found):
        notes.append("points of cases and users are of all executions that the runs stand for")
    if found.recorder_calls:
        calls = "call" if found.recorder_calls == 1 else "calls"
        notes.append(f"{number(found.recorder_calls)} {calls} of a recorder recorded nothing")
    if found.moves_left_out:
        notes.append(f"{_runs(found.moves_left_out)} of further pairs of cases are not listed")
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


def moved(found: Replay) -> Sequence[CaseMove]:
    """The moves with a difference, those with most runs first. Never raises."""
    return [move for move in found.moves if move.changed]


def ending_of(status: str, case: str | None) -> str:
    """How runs of a move end: their case, or the status if they fail. Never raises."""
    if status == "ok":
        return "(no rule matched)" if case is None else shown(case) or "(empty)"
    return shown(status) if case is None else f"{shown(status)} in {shown(case) or '(empty)'}"


def outcome_of(outcome: ReplayedOutcome) -> str:
    """An outcome in one line. Never raises."""
    parts = [ending_of(outcome.status, outcome.case_name)]
    if outcome.error_code is not None:
        parts.append(shown(outcome.error_code))
    if outcome.points is not None:
        parts.append(f"{value_of(outcome.points)} {'point' if outcome.points == 1 else 'points'}")
    return ", ".join(parts)


def value_of(value: float) -> str:
    """Points, to six digits. Never raises."""
    return f"{value + 0.0:,.6g}"


def change_of(value: float) -> str:
    """A difference of points, with its sign. Never raises."""
    return f"{value:+,.6g}" if value else "0"


def duration_of(times: Times, base: Times | None) -> str:
    """How the median compares with another one; empty without it. Never raises.

    The average would be that of the first calls, which load and compile.
    """
    if base is None or base.p50_ms <= 0 or times.p50_ms <= 0:
        return ""
    ratio = times.p50_ms / base.p50_ms
    return f"{ratio:,.2f} times" if ratio >= 0.01 else f"{ratio:.1g} times"


def filters_of(filters: Mapping[str, Any]) -> list[str]:
    """The filters that are set, each as `name value, value`. Never raises."""
    parts = []
    for name, value in filters.items():
        if value is None:
            continue
        if isinstance(value, dict):
            parts += [f"{shown(key)} {shown(held)}" for key, held in value.items()]
            continue
        many = value if isinstance(value, list | tuple | set | frozenset) else [value]
        said = ", ".join(sorted(shown(one) or "(empty)" for one in many))
        parts.append("no case" if value is True else f"{name.replace('_', ' ')} {said}")
    return parts


def _extent_of(found: Replay) -> str:
    if found.sampling is None and found.replayed == found.total:
        said = "The only run was" if found.total == 1 else f"All {_runs(found.total)} were"
    else:
        said = f"{number(found.replayed)} of {_runs(found.runs)}"
    drawn = f" ({sampling_of(found)})" if found.sampling else ""
    return f"{said} replayed{drawn}"


def _runs(count: int) -> str:
    return f"{number(count)} {'run' if count == 1 else 'runs'}"


def _percent(rate: float) -> str:
    value = rate * 100
    if not value:
        return "0"
    return f"{value:+,.1f}" if abs(value) >= _FINEST else f"{value:+.2g}"


def _interval(low: str, high: str, is_open: bool) -> str:
    return f" [{low}, {high}]" if is_open else ""
