"""Counts what a candidate answers: one run after the other, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from execlog.replaying.draw import OTHERS, Plan
from execlog.replaying.durations import Durations
from execlog.replaying.estimate import Delta, Group, Share, delta_of, share_of
from execlog.replaying.movers import Movers
from execlog.replaying.outcome import Answer, Outcome
from execlog.replaying.result import CaseMove, Example, ReplayedOutcome
from execlog.replaying.source import Run

__all__ = ["VERDICTS", "Tally", "is_same"]

VERDICTS = ("same", "changed", "newly_failing", "newly_passing")
_MOST_MOVES, _MOST_RATES, _MOST_CODES = 2000, 200, 1000
_EXAMPLES_OF_MOVE, _EXAMPLES_OF_KIND = 3, 10


def is_same(old: Outcome, new: Outcome, tolerance: float) -> bool:
    """Whether two outcomes are equal, but for points within the tolerance. Never raises."""
    if (old.status, old.case_name, old.error_code) != (new.status, new.case_name, new.error_code):
        return False
    if old.points is None or new.points is None:
        return old.points is new.points
    return abs(old.points - new.points) <= tolerance


@dataclass
class _Move:
    runs: int = 0
    changed: int = 0
    estimated: float = 0.0
    before: float = 0.0
    after: float = 0.0
    examples: list[Example] = field(default_factory=list)

    def dump(self) -> list[Any]:
        numbers = [self.runs, self.changed, self.estimated, self.before, self.after]
        return [*numbers, _plain(self.examples)]

    @classmethod
    def load(cls, state: list[Any]) -> _Move:
        runs, changed, estimated, before, after, examples = state
        return cls(runs, changed, estimated, before, after, _read(examples))


class Tally:
    """What was counted so far.

    Args:
        tolerance: By how much points may differ.
        plan: Which runs are drawn; None: all.

    Attributes:
        counts: Runs by verdict, and of noise.
        not_replayable: Runs by reason.
        moves_left_out: Runs of moves beyond those that are kept.
        codes: Failed runs of the candidate by error code.
        movers: Users whose points changed.
        durations: Of the log, the candidate and the baseline.
    """

    def __init__(self, tolerance: float, plan: Plan | None) -> None:
        """Has counted nothing. Never raises."""
        self._tolerance, self._plan = tolerance, plan
        self.counts = dict.fromkeys((*VERDICTS, "noise"), 0)
        self.not_replayable: dict[str, int] = {}
        self.moves_left_out = 0
        self.codes: dict[str, int] = {}
        self.movers = Movers()
        self.durations = (Durations(), Durations(), Durations())
        self._moves: dict[tuple[str, str | None, str, str | None], _Move] = {}
        self._examples: dict[str, list[Example]] = {}
        self._groups: dict[tuple[str, float], Group] = {}
        if plan is not None:
            for stratum, rate, rows in plan.rows:
                self._groups[stratum, rate] = Group(rows=rows)

    def leave_out(self, reason: str, runs: int = 1) -> None:
        """Counts runs that can't be replayed. Never raises."""
        self.not_replayable[reason] = self.not_replayable.get(reason, 0) + runs

    def add(self, run: Run, new: Answer, again: Answer | None) -> None:
        """Counts a run.

        Args:
            run: The run of the log.
            new: The candidate's answer.
            again: The baseline's; None: there is no baseline.

        Never raises.
        """
        old = Outcome(run.status, run.points, run.case_name, run.error_code)
        weight = 1 / max(run.sample_rate, 1e-9)
        stands_for = weight if self._plan is None else weight / self._plan.part(run.stratum)
        if new.took_ms is not None:
            self._time(run, new.took_ms, again, stands_for)
        if new.outcome.status != "ok":
            self._count_code(new.outcome.error_code or new.outcome.status)
        if again is not None and not is_same(old, again.outcome, self._tolerance):
            self.counts["same"] += 1
            self.counts["noise"] += 1
            self._group(run).noise += 1
            self._keep("noise", run, old, again)
            return
        verdict = self._verdict(old, new.outcome)
        self.counts[verdict] += 1
        example = None if verdict == "same" else self._keep(verdict, run, old, new)
        before, after = old.points or 0.0, new.outcome.points or 0.0
        is_hit = verdict in ("changed", "newly_failing")
        delta = 0.0 if verdict == "same" else after - before
        self._group(run).add(weight, is_hit, before, delta)
        self._move(old, new.outcome, example, stands_for)
        if delta and run.external_user_id is not None:
            self.movers.add(run.external_user_id, before * stands_for, after * stands_for)

    def share(self) -> Share | None:
        """The share of what changed or fails newly. Never raises."""
        return share_of(self._groups.values())

    def points(self) -> Delta | None:
        """The change of points. Never raises."""
        return delta_of(self._groups.values())

    def moves(self) -> list[CaseMove]:
        """The moves, those with most changes first. Never raises."""
        order = sorted(
            self._moves.items(),
            key=lambda one: (-one[1].changed, -one[1].runs, *map(_sortable, one[0])),
        )
        return [
            CaseMove(
                old_status=old_status,
                old_case=old_case,
                new_status=new_status,
                new_case=new_case,
                runs=move.runs,
                changed=move.changed,
                estimated=move.estimated,
                points_before=move.before,
                points_after=move.after,
                examples=move.examples,
            )
            for (old_status, old_case, new_status, new_case), move in order
        ]

    def examples(self) -> list[Example]:
        """Some runs of each kind, the worst kind first. Never raises."""
        order = ("newly_failing", "changed", "newly_passing", "noise")
        return [one for kind in order for one in self._examples.get(kind, ())]

    def dump(self) -> dict[str, Any]:
        """The state as JSON. Never raises."""
        return {
            "counts": self.counts,
            "not_replayable": self.not_replayable,
            "moves_left_out": self.moves_left_out,
            "codes": self.codes,
            "movers": self.movers.dump(),
            "durations": [one.dump() for one in self.durations],
            "groups": [[*key, *group.dump()] for key, group in self._groups.items()],
            "examples": {kind: _plain(some) for kind, some in self._examples.items()},
            "moves": [[key, one.dump()] for key, one in self._moves.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes a dumped state. Raises KeyError, TypeError or ValueError: it is none."""
        self.counts, self.not_replayable = state["counts"], state["not_replayable"]
        self.moves_left_out, self.codes = state["moves_left_out"], state["codes"]
        self.movers.load(state["movers"])
        recorded, new, again = (Durations.load(one) for one in state["durations"])
        self.durations = (recorded, new, again)
        self._groups = {(one[0], one[1]): Group(*one[2:]) for one in state["groups"]}
        self._examples = {kind: _read(some) for kind, some in state["examples"].items()}
        self._moves = {
            (key[0], key[1], key[2], key[3]): _Move.load(move) for key, move in state["moves"]
        }

    def _verdict(self, old: Outcome, new: Outcome) -> str:
        if is_same(old, new, self._tolerance):
            return "same"
        if (old.status == "ok") == (new.status == "ok"):
            return "changed"
        return "newly_failing" if old.status == "ok" else "newly_passing"

    def _group(self, run: Run) -> Group:
        key = (run.stratum or OTHERS, run.sample_rate)
        found = self._groups.get(key)
        if found is None:
            if self._plan is not None or len(self._groups) >= _MOST_RATES:
                key = (OTHERS, 0.0)
            found = self._groups.setdefault(key, Group())
        return found

    def _time(self, run: Run, took_ms: float, again: Answer | None, weight: float) -> None:
        recorded, new, baseline = self.durations
        recorded.add(run.duration_ms, weight)
        new.add(took_ms, weight)
        if again is not None and again.took_ms is not None:
            baseline.add(again.took_ms, weight)

    def _count_code(self, code: str) -> None:
        if code in self.codes or len(self.codes) < _MOST_CODES:
            self.codes[code] = self.codes.get(code, 0) + 1

    def _move(self, old: Outcome, new: Outcome, example: Example | None, weight: float) -> None:
        key = (old.status, old.case_name, new.status, new.case_name)
        move = self._moves.get(key)
        if move is None:
            if len(self._moves) >= _MOST_MOVES:
                self.moves_left_out += 1
                return
            move = self._moves[key] = _Move()
        move.runs += 1
        move.estimated += weight
        move.before += (old.points or 0.0) * weight
        move.after += (new.points or 0.0) * weight
        if example is not None:
            move.changed += 1
            if len(move.examples) < _EXAMPLES_OF_MOVE:
                move.examples.append(example)

    def _keep(self, kind: str, run: Run, old: Outcome, new: Answer) -> Example:
        example = Example(
            id=run.id,
            created_at=run.created_at,
            external_user_id=run.external_user_id,
            kind=kind,
            old=_told(old),
            new=_told(new.outcome),
            reason=new.reason,
        )
        some = self._examples.setdefault(kind, [])
        if len(some) < _EXAMPLES_OF_KIND:
            some.append(example)
        return example


def _told(outcome: Outcome) -> ReplayedOutcome:
    return ReplayedOutcome(
        status=outcome.status,
        points=outcome.points,
        case_name=outcome.case_name,
        error_code=outcome.error_code,
    )


def _sortable(text: str | None) -> tuple[bool, str]:
    return text is None, text or ""


def _plain(examples: Iterable[Example]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in examples]


def _read(state: Iterable[dict[str, Any]]) -> list[Example]:
    return [Example(**one) for one in state]
