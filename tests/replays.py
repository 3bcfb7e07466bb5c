"""Replays as an answer, for the tests of what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from execlog import Replay
from execlog.replaying.result import (
    CaseMove,
    Estimate,
    Example,
    Mover,
    PointsDelta,
    ReplayedOutcome,
    Sampling,
    Times,
)

__all__ = ["BEGAN", "EVIL", "empty", "evil", "exact", "example", "sampled"]

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\x1b[31m\u202e'\"&"
GOLD = ReplayedOutcome(status="ok", points=12.5, case_name="gold")
SILVER = ReplayedOutcome(status="ok", points=8.0, case_name="silver")
NONE = ReplayedOutcome(status="ok", points=0.0)
FAILED = ReplayedOutcome(status="error", error_code="ZeroDivisionError")
LATE = ReplayedOutcome(status="timeout", error_code="TimeoutError")


def example(
    kind: str, number: int, old: ReplayedOutcome, new: ReplayedOutcome, why: str
) -> Example:
    """An example, whose id ends in the number."""
    return Example(
        id=UUID(f"0170964c-6f7a-7000-8000-{number:012}"),
        created_at=BEGAN + timedelta(seconds=number),
        external_user_id=f"user-{number}",
        kind=kind,
        old=old,
        new=new,
        reason=why or None,
    )


def _move(runs: int, one: Example, before: float, after: float, changed: int) -> CaseMove:
    return CaseMove(
        old_status=one.old.status,
        old_case=one.old.case_name,
        new_status=one.new.status,
        new_case=one.new.case_name,
        runs=runs,
        changed=changed,
        estimated=float(runs),
        points_before=before,
        points_after=after,
        examples=[one] if changed else [],
    )


def _users(sign: int) -> list[Mover]:
    return [
        Mover(
            external_user_id=f"user-{n}",
            runs=n,
            points_before=100.0 * n,
            points_after=100.0 * n + sign * (60.0 - 4.5 * n),
            delta=sign * (60.0 - 4.5 * n),
        )
        for n in range(1, 11)
    ]


def sampled(**changes: Any) -> Replay:
    """A drawn sample with a baseline: the numbers of the document."""
    examples = [
        example("newly_failing", 1, GOLD, FAILED, "ZeroDivisionError: division by zero"),
        example("newly_failing", 2, SILVER, LATE, "TimeoutError: after 10 s"),
        example("changed", 3, GOLD, SILVER, ""),
        example("changed", 4, SILVER, GOLD, ""),
        example("changed", 5, SILVER, NONE, ""),
        example("newly_passing", 6, LATE, GOLD, ""),
        example("noise", 7, GOLD, SILVER, ""),
    ]
    fails, late, down, up, gone, passes, _ = examples
    same = example("same", 8, GOLD, GOLD, "")
    fields: dict[str, Any] = {
        "strategy_id": "loyalty",
        "since": BEGAN,
        "until": BEGAN + timedelta(days=7),
        "candidate": "rules.v5:evaluate",
        "baseline": "rules.v4:evaluate",
        "replayed": 20_000,
        "same": 19_480,
        "changed": 391,
        "newly_failing": 12,
        "newly_passing": 117,
        "not_replayable": {"masked": 104, "no_input": 1100},
        "noise": 3,
        "cases": {("gold", "gold"): 19_477, ("gold", "silver"): 300},
        "moves": [
            _move(300, down, 3750.0, 2400.0, 300),
            _move(117, passes, 0.0, 1462.5, 117),
            _move(80, up, 640.0, 1000.0, 80),
            _move(11, gone, 88.0, 0.0, 11),
            _move(9, fails, 112.5, 0.0, 9),
            _move(3, late, 24.0, 0.0, 3),
            _move(19_477, same, 243_462.5, 243_462.5, 0),
        ],
        "moves_left_out": 0,
        "points_delta": PointsDelta(
            before=12.31,
            after=12.09,
            delta=-0.22,
            low=-0.26,
            high=-0.18,
            relative=-0.018,
            relative_low=-0.021,
            relative_high=-0.015,
        ),
        "fail_share": Estimate(share=0.0187, low=0.0169, high=0.0207),
        "failures": {"ZeroDivisionError": 9, "TimeoutError": 3},
        "examples": examples,
        "losing": _users(-1),
        "gaining": _users(1)[:3],
        "recorded_times": Times(avg_ms=4.1, p50_ms=3.2, p95_ms=9.8, p99_ms=21.0),
        "candidate_times": Times(avg_ms=1.9, p50_ms=1.4, p95_ms=5.0, p99_ms=11.2),
        "baseline_times": Times(avg_ms=1.5, p50_ms=1.2, p95_ms=3.9, p99_ms=8.4),
        "recorder_calls": 0,
        "tolerance": 0.0,
        "sampling": Sampling(
            asked=20_000, runs=1_203_107, whole=4312, failures=312, failures_are_whole=True
        ),
        "notes": [],
    }
    return Replay(**{**fields, **changes})


def exact(**changes: Any) -> Replay:
    """All runs of a small log, in which nothing differs."""
    nothing: dict[str, Any] = {
        "baseline": None,
        "noise": None,
        "replayed": 900,
        "same": 900,
        "changed": 0,
        "newly_failing": 0,
        "newly_passing": 0,
        "not_replayable": {},
        "moves": sampled().moves[-1:],
        "points_delta": PointsDelta(
            before=12.5,
            after=12.5,
            delta=0.0,
            low=0.0,
            high=0.0,
            relative=0.0,
            relative_low=0.0,
            relative_high=0.0,
        ),
        "fail_share": Estimate(share=0.0, low=0.0, high=0.0),
        "failures": {},
        "examples": [],
        "losing": [],
        "gaining": [],
        "baseline_times": None,
        "sampling": None,
        "notes": ["noise is unknown", "no time limit: a closure"],
    }
    return sampled(**{**nothing, **changes})


def empty(**changes: Any) -> Replay:
    """Of a window without runs."""
    nothing: dict[str, Any] = {
        "replayed": 0,
        "same": 0,
        "points_delta": None,
        "fail_share": None,
        "moves": [],
    }
    times = dict.fromkeys(("recorded_times", "candidate_times"))
    return exact(**{**nothing, **times, **changes})


def evil() -> Replay:
    """Names that would be markup, control a terminal or need more room than there is."""
    long = "w" * 400
    old = ReplayedOutcome(status=EVIL, points=1.0, case_name=EVIL, error_code=long)
    new = ReplayedOutcome(status="ok", points=-2.0, case_name=long, error_code=EVIL)
    one = example("newly_passing", 1, old, new, f"{EVIL} {long}")
    one = one.model_copy(update={"external_user_id": EVIL + long})
    loser: dict[str, Any] = {"runs": 1, "points_before": 1.0, "points_after": -2.0, "delta": -3.0}
    return sampled(
        strategy_id=EVIL,
        candidate=EVIL,
        baseline=f"{long}:{EVIL}",
        moves=[_move(117, one, 117.0, -234.0, 117)],
        failures={EVIL: 4, long: 1},
        examples=[one],
        losing=[Mover(external_user_id=who, **loser) for who in (EVIL, long)],
        not_replayable={EVIL: 3, "masked": 1},
        notes=[EVIL],
    )
