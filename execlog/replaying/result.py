"""The answer of a replay."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field, field_serializer

from execlog.models import Model

__all__ = [
    "CaseMove",
    "Estimate",
    "Example",
    "Mover",
    "PointsDelta",
    "Replay",
    "ReplayedOutcome",
    "Sampling",
    "Times",
]


class ReplayedOutcome(Model):
    """How a run ended, in the log or in the replay."""

    status: str
    points: float | None = None
    case_name: str | None = None
    error_code: str | None = None


class Example(Model):
    """One run whose outcome is another than in the log.

    Attributes:
        id: The execution.
        created_at: When it finished; None: unknown.
        external_user_id: Its user.
        kind: "changed", "newly_failing", "newly_passing", or "noise".
        old: The outcome in the log.
        new: The outcome of the candidate; of noise, that of the baseline.
        reason: What the candidate raised, or what is wrong with its answer.
    """

    id: UUID
    created_at: datetime | None
    external_user_id: str | None
    kind: str
    old: ReplayedOutcome
    new: ReplayedOutcome
    reason: str | None = None


class CaseMove(Model):
    """Runs of one case in the log and one in the replay, which may be the same.

    Attributes:
        old_status: The status in the log.
        old_case: The case in the log; None: no rule matched, or the run failed.
        new_status: The status in the replay.
        new_case: The case in the replay.
        runs: How many were replayed, noise left out.
        changed: How many of them have another outcome, such as other points in the same case.
        estimated: How many executions they stand for.
        points_before: Their points in the log, of the executions that they stand for.
        points_after: Their points in the replay, likewise.
        examples: Three of those that changed, the newest.
    """

    old_status: str
    old_case: str | None
    new_status: str
    new_case: str | None
    runs: int
    changed: int
    estimated: float
    points_before: float
    points_after: float
    examples: list[Example] = Field(default_factory=list)


class Mover(Model):
    """A user whose points changed.

    Attributes:
        external_user_id: The user.
        runs: How many replayed runs of the user have other points.
        points_before: The points of these in the log, of the executions that they stand for.
        points_after: Their points in the replay, likewise.
        delta: The difference.
    """

    external_user_id: str
    runs: int
    points_before: float
    points_after: float
    delta: float


class Estimate(Model):
    """A share of the executions, with the interval that holds with 95 %.

    Both ends are the share itself if nothing was sampled: then it is exact.
    """

    share: float
    low: float
    high: float


class PointsDelta(Model):
    """Points in the replay less points in the log, of all executions that the runs stand for.

    Attributes:
        before: Points a run in the log; a run without points counts as 0.
        after: Points a run in the replay.
        delta: The difference.
        low: The lower end of its interval of 95 %; the difference itself if nothing was sampled.
        high: The upper end.
        relative: The difference as a share of the points in the log; None: these add up to 0.
        relative_low: The lower end of its interval.
        relative_high: The upper end.
    """

    before: float
    after: float
    delta: float
    low: float
    high: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None


class Times(Model):
    """How long runs took, in milliseconds; each weighs as many executions as it stands for.

    A percentile is at most one percent off. The first call of each worker, which loads what all
    later ones need, is left out, and so is its run.
    """

    avg_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Sampling(Model):
    """Which runs were drawn.

    Attributes:
        asked: How many were asked for; about as many are drawn.
        runs: How many can be replayed.
        whole: How many of these are in groups that were taken whole: failures and rare cases.
        failures: How many of these failed.
        failures_are_whole: Whether all that failed were taken.
    """

    asked: int
    runs: int
    whole: int
    failures: int
    failures_are_whole: bool


class Replay(Model):
    """What a candidate answers for the executions of a window, beside what the log says.

    replayed = same + changed + newly_failing + newly_passing. Counts are of stored runs. What is
    `estimated`, a share or per run weighs each of them by the executions that it stands for.

    Attributes:
        strategy_id: The strategy.
        since: The window's begin; None: open.
        until: The window's end.
        candidate: What was called: an import path, or the name of a function.
        baseline: What it was called beside; None: nothing.
        replayed: Runs that the candidate was called for.
        same: Status, case, error code and points are equal, or the difference is noise.
        changed: Another outcome, neither of the next two.
        newly_failing: ok in the log, and not in the replay.
        newly_passing: ok in the replay, and not in the log.
        not_replayable: Runs without an input, by reason: "no_input", "too_large", "masked",
            "expired", "erased".
        noise: Runs in which the baseline differs from the log. Nothing is said about the candidate
            there: they count as `same`, and are left out of all that follows. None: unknown.
        cases: How many runs went from which case to which: {(old, new): runs}; as JSON a list.
        moves: The same by status and case, with examples; those with most changes first.
        moves_left_out: Runs of further moves than these.
        points_delta: The change of points; None: nothing was compared, or it is beyond a float.
        fail_share: The share of `changed` and `newly_failing`; None: nothing was compared.
        failures: Error codes of the candidate's failed runs, and how many: the most frequent ones.
        examples: Some runs of each kind, the newest; noise among them.
        losing: The users who lose most.
        gaining: The users who gain most.
        recorded_times: Durations in the log, of the runs that ended in the replay.
        candidate_times: Durations of the candidate's calls.
        baseline_times: Durations of the baseline's calls.
        recorder_calls: Calls of `ExecutionRecorder.record` in workers, which recorded nothing.
        tolerance: By how much points may differ and count as equal.
        sampling: Which runs were drawn; None: all.
        notes: What a reader must know: "noise is unknown", "no time limit: a closure", ...
    """

    strategy_id: str
    since: datetime | None
    until: datetime | None
    candidate: str
    baseline: str | None
    replayed: int
    same: int
    changed: int
    newly_failing: int
    newly_passing: int
    not_replayable: dict[str, int]
    noise: int | None
    cases: dict[tuple[str | None, str | None], int]
    moves: list[CaseMove]
    moves_left_out: int
    points_delta: PointsDelta | None
    fail_share: Estimate | None
    failures: dict[str, int]
    examples: list[Example]
    losing: list[Mover]
    gaining: list[Mover]
    recorded_times: Times | None
    candidate_times: Times | None
    baseline_times: Times | None
    recorder_calls: int
    tolerance: float
    sampling: Sampling | None
    notes: list[str]

    @property
    def total(self) -> int:
        """Runs that were looked at: replayed, or not replayable. Never raises."""
        return self.replayed + sum(self.not_replayable.values())

    @property
    def runs(self) -> int:
        """All runs of the window, also those that were not drawn. Never raises."""
        if self.sampling is None:
            return self.total
        return self.sampling.runs + sum(self.not_replayable.values())

    @field_serializer("cases")
    def _listed(self, cases: dict[tuple[str | None, str | None], int]) -> list[dict[str, object]]:
        return [{"old": old, "new": new, "runs": runs} for (old, new), runs in cases.items()]
