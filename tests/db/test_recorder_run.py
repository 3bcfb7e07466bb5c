"""`run` and `recorded` store a run whichever way it ends, and never fail because of the log."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.recorder import Run
from tests.databases import TABLE
from tests.recording import AWAY, Hostile, balanced, unstarted
from tests.rows import fields
from tests.types import Pool

STRATEGY: Any = {"strategy_id": "loyalty", "strategy_version": 3, "strategy_type": "DSL"}


async def stored(
    repository: StrategyExecutionLogRepository, run: Run
) -> StrategyExecutionLog | None:
    return await repository.get(id=run.id)


async def test_what_a_run_is_told_is_stored(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        with recorder.run(**STRATEGY, external_user_id="u1", input={"n": 1}) as outer:
            with recorder.run(**STRATEGY, parent_strategy_id="loyalty") as inner:
                inner.status, inner.error_code, inner.error_message = "limit", "E7", "too many"
            await asyncio.sleep(0.02)
            outer.points, outer.case_name, outer.nodes_executed = 2.5, "gold", 4
            outer.trace, outer.attributes = [{"node": "a"}], {"channel": "web"}
    found = await stored(repository, outer)
    assert found is not None and found.duration_ms >= 20
    assert (found.status, found.points, found.case_name) == ("ok", 2.5, "gold")
    assert (found.nodes_executed, found.trace) == (4, [{"node": "a"}])
    assert (found.input, found.attributes) == ({"n": 1}, {"channel": "web"})
    assert (found.external_user_id, found.error_code) == ("u1", None)
    nested = await stored(repository, inner)
    assert nested is not None
    assert (nested.status, nested.error_code, nested.error_message) == ("limit", "E7", "too many")
    assert (nested.nodes_executed, nested.parent_strategy_id) == (0, "loyalty")


class Special(TimeoutError):
    pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyError("gold"), "error"),
        (TimeoutError("slow"), "timeout"),
        (Special("slow"), "timeout"),
        (asyncio.CancelledError(), "error"),
        (KeyboardInterrupt(), "error"),
        (SystemExit(3), "error"),
        (GeneratorExit(), "error"),
        (RecursionError("deep"), "error"),
        (ExceptionGroup("both", [KeyError("a")]), "error"),
    ],
)
async def test_a_run_that_raises_is_stored_and_the_error_goes_on(
    dsn: str, repository: StrategyExecutionLogRepository, error: BaseException, status: str
) -> None:
    async with ExecutionRecorder(dsn, sample_rate=0.001) as recorder:
        with pytest.raises(type(error)) as caught:
            with recorder.run(**STRATEGY, input={"n": 1}) as run:
                run.points, run.case_name, run.trace = 9.0, "gold", [{"node": "a"}]
                raise error
        assert caught.value is error
    found = await stored(repository, run)
    assert found is not None
    assert (found.status, found.error_code) == (status, type(error).__name__)
    assert (found.error_message or "") == str(error)
    assert (found.points, found.case_name) == (None, None)
    assert (found.trace, found.input, found.sample_rate) == ([{"node": "a"}], {"n": 1}, 1.0)


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("s3cret")


def test_an_error_without_a_text_is_recorded() -> None:
    recorder = unstarted(AWAY)
    with pytest.raises(Silent), recorder.run(**STRATEGY):
        raise Silent
    assert recorder.stats().pending_rows == 1
    recorder._buffer.clear("test")


def test_runs_within_runs_until_the_stack_is_full() -> None:
    recorder = unstarted(AWAY)
    ended = 0

    def descend() -> None:
        nonlocal ended
        with recorder.run(**STRATEGY):
            try:
                descend()
            finally:
                ended += 1

    with pytest.raises(RecursionError):
        descend()
    stats = recorder.stats()
    assert balanced(stats) and ended - 2 <= stats.offered <= ended + 2
    assert stats.pending_rows > ended - 40
    recorder._buffer.clear("test")


def test_a_generator_that_is_left_is_recorded() -> None:
    recorder = unstarted(AWAY)

    def steps() -> Iterator[int]:
        with recorder.run(**STRATEGY):
            yield 1

    for _ in steps():
        break
    assert recorder.stats().pending_rows == 1
    recorder._buffer.clear("test")


def test_a_run_is_recorded_once() -> None:
    recorder = unstarted(AWAY)
    run = recorder.run(**STRATEGY)
    for _ in range(2):
        with run, run:
            pass
    assert (recorder.stats().offered, recorder.stats().pending_rows) == (1, 1)
    recorder._buffer.clear("test")


def test_what_can_not_be_stored_is_counted_as_by_record() -> None:
    recorder = unstarted(AWAY)
    changes: list[tuple[str, Any]] = [
        ("points", "many"),
        ("status", Hostile()),
        ("pionts", 1.0),
        ("_record", 1.0),
    ]
    for name, value in changes:
        with recorder.run(**STRATEGY) as run:
            vars(run)[name] = value
    misspelt = STRATEGY | {"realmid": "x"}
    with recorder.run(**misspelt), recorder.run("loyalty", **STRATEGY):  # type: ignore[call-arg]
        pass
    stats = recorder.stats()
    assert (stats.offered, stats.pending_rows) == (6, 0) and balanced(stats)
    assert stats.rejected == {"points": 1, "status": 1, "unknown_field": 4}


async def test_recorded_functions(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn) as recorder:

        class Engine:
            @recorder.recorded(**STRATEGY, case_name="method")
            def evaluate(self, points: float, *, run: Run | None = None) -> float:
                """Scores."""
                assert run is not None
                run.points = points
                return points * 2

            @staticmethod
            @recorder.recorded(**STRATEGY, case_name="static")
            def check(points: float) -> float:
                return 1 / points

        @recorder.recorded(**STRATEGY, case_name="async")
        async def slow(points: float) -> float:
            await asyncio.sleep(0.02)
            return points

        assert Engine().evaluate(1.5) == 3.0
        assert (Engine.evaluate.__name__, Engine.evaluate.__doc__) == ("evaluate", "Scores.")
        assert list(inspect.signature(Engine.evaluate).parameters) == ["self", "points"]
        with pytest.raises(ZeroDivisionError):
            Engine.check(0)
        assert inspect.iscoroutinefunction(slow) and await slow(7) == 7
        cancelled = asyncio.create_task(slow(8))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
    rows = await pool.fetch(
        f"select case_name, status, points, error_code, duration_ms >= 20 from {TABLE} order by id"
    )
    assert [tuple(row) for row in rows] == [
        ("method", "ok", 1.5, None, False),
        (None, "error", None, "ZeroDivisionError", False),
        ("async", "ok", None, None, True),
        (None, "error", None, "CancelledError", False),
    ]


async def test_each_call_has_attributes_of_its_own(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        runs = []

        @recorder.recorded(**STRATEGY, attributes={"channel": "web"})
        def score(n: int, *, run: Run | None = None) -> None:
            assert run is not None and run.attributes is not None
            run.attributes[f"n{n}"] = n
            runs.append(run)

        score(1)
        score(2)
    found = [await stored(repository, run) for run in runs]
    expected: list[Any] = [{"channel": "web", "n1": 1}, {"channel": "web", "n2": 2}]
    assert [row and row.attributes for row in found] == expected


def test_a_parameter_of_the_functions_own_is_left_alone() -> None:
    recorder = unstarted(AWAY)

    @recorder.recorded(**STRATEGY)
    def score(run: str, n: int) -> str:
        return run * n

    assert score("a", 2) == score(run="a", n=2) == "aa"
    assert list(inspect.signature(score).parameters) == ["run", "n"]
    assert recorder.stats().pending_rows == 2
    recorder._buffer.clear("test")


def test_a_failed_run_is_freed_with_its_error() -> None:
    recorder = unstarted(AWAY)

    def fail() -> weakref.ref[Run]:
        with recorder.run(**STRATEGY) as run:
            freed = weakref.ref(run)
            with suppress(KeyError), run:
                raise KeyError
        return freed

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()
    recorder._buffer.clear("test")


def test_what_a_decorator_can_not_record_is_refused() -> None:
    recorder = unstarted(AWAY)

    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    for wrong in (generator, asynchronous, staticmethod(len), Run, 7):
        with pytest.raises(InvalidArgument, match="function: "):
            recorder.recorded(**STRATEGY)(wrong)  # type: ignore[arg-type]


def test_the_share_that_is_kept_may_be_set_while_it_runs() -> None:
    recorder = unstarted(AWAY, seed=1)
    for rate in (1.0, 0.5, 0.001, 1):
        recorder.sample_rate = rate
        assert recorder.sample_rate == rate
        for _ in range(100):
            with recorder.run(**STRATEGY):
                pass
    stats = recorder.stats()
    assert balanced(stats) and 200 + 30 < stats.pending_rows < 200 + 70
    for bad in (0, -1, 1.5, float("nan"), True, "1", None):
        with pytest.raises(InvalidArgument, match=r"0\.001 keeps the numbers true"):
            recorder.sample_rate = bad  # type: ignore[assignment]
    assert recorder.sample_rate == 1.0
    recorder._buffer.clear("test")


async def test_a_trace_without_a_limit(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    async with ExecutionRecorder(dsn, trace_limit=None) as recorder:
        with recorder.run(**STRATEGY) as run:
            run.trace = list(range(5000))
        odd = recorder.record(**fields(trace=tuple(range(5000))))
    found = await stored(repository, run)
    assert found is not None and found.trace == list(range(5000)) and found.notes is None
    assert odd is not None
    again = await repository.get(id=odd)
    assert again is not None and again.trace == list(range(5000)) and again.notes is None


def test_a_strict_recorder_raises_instead_of_counting() -> None:
    recorder = unstarted(AWAY, strict=True)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("strategy_id", {}),
        ("points", fields(points="s3cret")),
        ("durationms", fields(durationms=1.0)),
        ("trace_limit", fields(trace_limit=1)),
    ]
    for argument, given in calls:
        with pytest.raises(InvalidArgument) as caught:
            recorder.record(**given)
        assert caught.value.argument == argument and "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
    with pytest.raises(InvalidArgument, match="points"):
        with recorder.run(**STRATEGY) as run:
            run.points = "s3cret"  # type: ignore[assignment]
    with pytest.raises(KeyError) as raised:
        with recorder.run(**STRATEGY) as run:
            run.nodes_executed = -1
            raise KeyError
    [note] = raised.value.__notes__
    assert note.startswith("The run is not recorded: nodes_executed: ")
    with pytest.raises(InvalidArgument, match="positional"):
        recorder.record("loyalty", **fields())  # type: ignore[call-arg]
    assert recorder.record(**fields(notes="a\0b", trace=[float("nan")])) is not None  # repaired
    stats = recorder.stats()
    assert (stats.offered, stats.rejected, stats.pending_rows) == (1, {}, 1)
    recorder._buffer.clear("test")
