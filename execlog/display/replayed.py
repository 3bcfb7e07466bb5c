"""What a replay says, in words: on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from execlog.display.format import milliseconds, number, percent, shown

if TYPE_CHECKING:
    from execlog.replay.result import CaseMove, Mover, PointsDelta, Replay, Sampling

__all__ = ["lines"]

_MOVES = 20


def lines(found: Replay) -> list[str]:
    """All that is said of a replay, the verdict first. Never raises.

    Args:
        found: The replay.
    """
    said = [_verdict(found)]
    if found.not_replayable:
        reasons = ", ".join(
            f"{reason.replace('_', ' ')} {number(runs)}"
            for reason, runs in found.not_replayable.items()
        )
        said.append(f"{number(sum(found.not_replayable.values()))} can't be replayed ({reasons}).")
    if found.noise is not None:
        said.append(f"Noise: the baseline itself answers differently in {number(found.noise)}.")
    if found.fail_share is not None:
        share = found.fail_share
        between = f"[{percent(share.low)}, {percent(share.high)}]"
        said.append(f"Changed or newly failing: {percent(share.share)} {between} of all.")
    if found.points_delta is not None:
        said.append(_points(found.points_delta))
    said += _times(found)
    said += [f"{note[:1].upper()}{note[1:]}." for note in found.notes]
    said += _moves([one for one in found.moves if one.changed])
    said += _movers("lose most", found.losing)
    said += _movers("gain most", found.gaining)
    if found.failures:
        said += ["", "failures of the candidate"]
        said += [f"  {shown(code)}  {number(runs)}" for code, runs in found.failures.items()]
    return said


def _verdict(found: Replay) -> str:
    of = number(found.replayed)
    if found.sampling is not None or found.not_replayable:
        of += f" of {number(found.runs)}"
    return (
        f"{of} runs replayed{_drawn(found.sampling)}: {number(found.same)} same,"
        f" {number(found.changed)} changed, {number(found.newly_failing)} newly failing,"
        f" {number(found.newly_passing)} newly passing."
    )


def _drawn(sampling: Sampling | None) -> str:
    if sampling is None:
        return ""
    if not sampling.failures:
        return " (drawn by case)"
    if sampling.failures_are_whole:
        return f" (all {number(sampling.failures)} that failed, the rest drawn by case)"
    return " (drawn by case, those that failed too)"


def _points(delta: PointsDelta) -> str:
    if delta.relative is None or delta.relative_low is None or delta.relative_high is None:
        return f"Points {delta.delta:+.4g} a run [{delta.low:+.4g}, {delta.high:+.4g}]."
    ends = f"[{percent(delta.relative_low, '+.2f')}, {percent(delta.relative_high, '+.2f')}]"
    return f"Points {percent(delta.relative, '+.2f')} {ends}."


def _times(found: Replay) -> Iterator[str]:
    beside = found.baseline_times or found.recorded_times
    if found.candidate_times is None or beside is None:
        return
    name = "the baseline" if found.baseline_times else "the log, which may have measured more"
    yield (
        f"A call took {milliseconds(found.candidate_times.avg_ms)} on average,"
        f" p95 {milliseconds(found.candidate_times.p95_ms)};"
        f" {milliseconds(beside.avg_ms)} and {milliseconds(beside.p95_ms)} in {name}."
    )


def _moves(moves: list[CaseMove]) -> Iterator[str]:
    if not moves:
        return
    yield ""
    yield "what changed"
    for one in moves[:_MOVES]:
        old = _outcome(one.old_status, one.old_case)
        new = _outcome(one.new_status, one.new_case)
        example = f"  for example {one.examples[0].id}" if one.examples else ""
        yield f"  {old} -> {new}  {number(one.changed)} of {number(one.runs)}{example}"
    if len(moves) > _MOVES:
        yield f"  and {number(len(moves) - _MOVES)} more: -o json has all"


def _outcome(status: str, case: str | None) -> str:
    name = "(no rule matched)" if case is None else shown(case)
    return name if status == "ok" else shown(status)


def _movers(title: str, movers: list[Mover]) -> Iterator[str]:
    if not movers:
        return
    yield ""
    yield f"users who {title}"
    for one in movers:
        user, runs = shown(one.external_user_id), number(one.runs)
        yield f"  {user}  {one.delta:+,.6g} points in {runs} runs"
