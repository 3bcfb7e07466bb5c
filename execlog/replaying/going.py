"""The work of a replay: pages in, batches out to the candidate, answers counted in their order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from execlog.replaying.candidate import Candidate
from execlog.replaying.draw import Plan, planned
from execlog.replaying.inside import Inside
from execlog.replaying.outcome import Answer
from execlog.replaying.pool import Pool
from execlog.replaying.result import Replay
from execlog.replaying.source import Cursor, Run, Source
from execlog.replaying.state import State, code_of, readable
from execlog.replaying.summary import summary
from execlog.replaying.tally import VERDICTS, Tally
from execlog.repository.filters import Conditions
from execlog.repository.questions import Questions

__all__ = ["Asked", "Progress", "replayed"]

Progress = Callable[[int, int], object]
"""Called with the number of runs since the last call, and the number of all."""

# Between two writes of the state, which is written whole: a second, or more if that takes long.
_STATE_SECONDS, _STATE_TIMES = 1.0, 20


@dataclass(frozen=True)
class Asked:
    """What is asked, checked.

    Attributes:
        candidate: What is called.
        baseline: What it is called beside.
        scope: The strategy and the window, by the names of the parameters.
        wanted: The filters, as the statements take them.
        filters: The filters as they were given.
        sample: About how many runs; None: all.
        processes: How many workers.
        time_limit: Seconds that a call may take.
        tolerance: By how much points may differ.
    """

    candidate: Candidate
    baseline: Candidate | None
    scope: Mapping[str, Any]
    wanted: Conditions
    filters: Mapping[str, Any]
    sample: int | None
    processes: int
    time_limit: float
    tolerance: float

    @property
    def candidates(self) -> list[Candidate]:
        """What is called for each run, in this order. Never raises."""
        return [self.candidate] if self.baseline is None else [self.candidate, self.baseline]

    def key(self) -> dict[str, Any]:
        """What two replays must have in common for one to go on with the other. Never raises."""
        filters = sorted((name, str(value)) for name, value in self.filters.items())
        return {
            "strategy": self.scope["strategy_id"],
            "candidate": self.candidate.title,
            "candidate (its file was edited)": code_of(self.candidate),
            "baseline": self.baseline and self.baseline.title,
            "baseline (its file was edited)": code_of(self.baseline),
            "filter": filters,
            "sample": self.sample,
            "tolerance": self.tolerance,
            "time limit": self.time_limit,
        }


class Evaluator(Protocol):
    """Calls the candidates."""

    depth: int

    @property
    def notes(self) -> Sequence[str]:
        """What must be said of the calls. Never raises."""

    def size(self) -> int:
        """How many runs a batch has now. Never raises."""

    async def answers(self, runs: Sequence[Run]) -> Sequence[Sequence[Answer]]:
        """The answers for each run, one for each candidate. Raises InvalidArgument."""

    async def aclose(self) -> None:
        """Ends it. Never raises."""


class _Batch(NamedTuple):
    runs: Sequence[Run]
    place: Cursor
    answers: asyncio.Task[Sequence[Sequence[Answer]]]


async def replayed(
    log: Questions,
    asked: Asked,
    *,
    state: State | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replays. Arguments and errors: see `execlog.replay`.

    Raises:
        ExeclogError: As there.
    """
    schema = log._statements["get"].schema
    kept = None if state is None else state.load({**asked.key(), "schema": schema})
    scope = asked.scope if kept is None else {**asked.scope, **_window(kept)}
    source = Source(log, scope, asked.wanted)
    going = _Going(asked, source, scope, state, progress)
    await going.begin(kept)
    away = await source.away()
    evaluator = _evaluator(asked)
    try:
        await going.work(evaluator)
    finally:
        # Shielded from a second Ctrl-C: processes must not be left.
        await asyncio.shield(asyncio.ensure_future(evaluator.aclose()))
    if state is not None:
        state.remove()
    notes = [*evaluator.notes, *away]
    return summary(asked, scope, going.tally, going.plan, going.calls, notes)


def _evaluator(asked: Asked) -> Evaluator:
    """What calls the candidates: workers, unless one of them can't be called there."""
    if any(one.is_inside for one in asked.candidates):
        return Inside(asked.candidates, asked.time_limit)
    return Pool(asked.candidates, processes=asked.processes, time_limit=asked.time_limit)


class _Going:
    """How far a replay is."""

    def __init__(
        self,
        asked: Asked,
        source: Source,
        scope: Mapping[str, Any],
        state: State | None,
        progress: Progress | None,
    ) -> None:
        self._asked, self._source, self._scope = asked, source, scope
        self._state, self._progress = state, progress
        self._total = 0
        self._save_at = time.monotonic() + _STATE_SECONDS
        self._place: Cursor | None = None
        self._is_whole = True  # no batch is counted in part
        self.calls = 0
        self.plan: Plan | None = None
        self.tally = Tally(asked.tolerance, None)

    async def begin(self, kept: dict[str, Any] | None) -> None:
        """Takes what was kept, or makes the plan."""
        if kept is not None:
            self._take(kept)
            self._tell(self._looked_at())
            return
        if self._asked.sample is None and self._progress is None:
            return
        strata = await self._source.strata()
        self._total = int(strata[0].all_runs) if strata else 0
        if self._asked.sample is not None:
            self.plan = planned(strata, self._asked.sample)
        self.tally = Tally(self._asked.tolerance, self.plan)
        if self.plan is not None:
            for one in strata:
                if one.reason is not None:
                    self.tally.leave_out(one.reason, one.runs)
            self._total = round(self.plan.expected())
        self._tell(0)

    def _take(self, kept: Mapping[str, Any]) -> None:
        with readable():
            self.plan = None if kept["plan"] is None else Plan.load(kept["plan"])
            self.tally = Tally(self._asked.tolerance, self.plan)
            self.tally.load(kept["tally"])
            self._place = _read_place(kept["place"])
            self._total, self.calls = int(kept["total"]), int(kept["calls"])

    async def work(self, evaluator: Evaluator) -> None:
        """Replays what is left; whatever ends it, what was counted is kept."""
        waiting = deque[_Batch]()
        bounds = None if self.plan is None else self.plan.bounds()
        try:
            async with contextlib.aclosing(self._source.pages(self._place, bounds)) as pages:
                async for runs, place in pages:
                    for some, after in _batches(runs, place, evaluator.size):
                        able = [run for run in some if run.reason is None]
                        task = asyncio.ensure_future(evaluator.answers(able))
                        waiting.append(_Batch(some, after, task))
                        while len(waiting) >= evaluator.depth:
                            await self._count(waiting[0])
                            waiting.popleft()
            while waiting:
                await self._count(waiting[0])
                waiting.popleft()
        except BaseException:
            self._save()
            raise
        finally:
            for batch in waiting:
                batch.answers.cancel()
            await asyncio.gather(*(batch.answers for batch in waiting), return_exceptions=True)

    async def _count(self, batch: _Batch) -> None:
        """Counts a batch, as soon as it is answered."""
        answers = iter(await batch.answers)
        self._is_whole = False
        for run in batch.runs:
            if run.reason is not None:
                self.tally.leave_out(run.reason)
            else:
                new, *again = next(answers)
                self.tally.add(run, new, again[0] if again else None)
                self.calls += sum(one.recorder_calls for one in (new, *again))
        self._place, self._is_whole = batch.place, True
        self._tell(len(batch.runs))
        if time.monotonic() >= self._save_at:
            self._save()

    def _save(self) -> None:
        if self._state is None or self._place is None or not self._is_whole:
            return
        begin = time.monotonic()
        self._state.save(
            {
                "since": _text(self._scope["since"]),
                "until": _text(self._scope["until"]),
                "plan": None if self.plan is None else self.plan.dump(),
                "tally": self.tally.dump(),
                "place": _dumped_place(self._place),
                "total": self._total,
                "calls": self.calls,
            }
        )
        took = time.monotonic() - begin
        self._save_at = begin + took + max(_STATE_SECONDS, _STATE_TIMES * took)

    def _looked_at(self) -> int:
        """Runs that were read; of those that are drawn, none can't be replayed."""
        left_out = 0 if self.plan else sum(self.tally.not_replayable.values())
        return left_out + sum(self.tally.counts[verdict] for verdict in VERDICTS)

    def _tell(self, runs: int) -> None:
        if self._progress is not None:
            self._progress(runs, self._total)


def _batches(
    runs: Sequence[Run], place: Cursor, size: Callable[[], int]
) -> Iterator[tuple[Sequence[Run], Cursor]]:
    """The runs of a page in batches, each with the place after it."""
    begin = 0
    while begin < len(runs):
        some = runs[begin : begin + size()]
        begin += len(some)
        yield some, Cursor(some[-1].created_at, some[-1].id, place.is_undated)


def _window(kept: Mapping[str, Any]) -> dict[str, datetime | None]:
    with readable():
        ends = {name: kept[name] for name in ("since", "until")}
        return {name: text and datetime.fromisoformat(text) for name, text in ends.items()}


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _dumped_place(place: Cursor) -> list[Any]:
    return [_text(place.created_at), None if place.id is None else str(place.id), place.is_undated]


def _read_place(kept: Sequence[Any]) -> Cursor:
    created_at, key, is_undated = kept
    time = None if created_at is None else datetime.fromisoformat(created_at)
    return Cursor(time, None if key is None else UUID(key), is_undated)
