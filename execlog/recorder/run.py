"""A run that is measured and recorded whichever way it ends: the `with` block and the decorator."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from execlog.errors import InvalidArgument
from execlog.ids import uuid7

if TYPE_CHECKING:
    from typing import Self
    from uuid import UUID

    from execlog.recorder.buffer import Buffer

__all__ = ["Run", "recorded"]

P = ParamSpec("P")
T = TypeVar("T")


class Run:
    """One run of a strategy, from `ExecutionRecorder.run`; it is recorded when its block ends.

        with recorder.run(strategy_id="loyalty", strategy_version=3, strategy_type="DSL") as run:
            found = engine.evaluate(event)
            run.points, run.trace = found.points, found.trace

    A block that raises is recorded as status "error" ("timeout" for a TimeoutError), with the class
    of the exception as `error_code` and its text as `error_message`, without points and case; the
    exception goes on. So does one that ends the block from outside, such as CancelledError,
    KeyboardInterrupt, SystemExit and GeneratorExit. Async code uses the same `with`.

    Whether an ok run is kept by `sample_rate` is decided at its end; failures always are. Nothing
    is encoded before: an input or a trace that the engine changes is stored as it is at the end. A
    value or a name that can't be stored is counted as by `record`. Blocks may be nested, each for
    a run of its own; a run whose block is entered twice is recorded once.

    Attributes:
        id: The execution's id, if it will be stored.
        status: "ok", unless the engine says otherwise without raising.
        points: Points awarded.
        case_name: The rule case that fired.
        trace: One entry for each node.
        nodes_executed: Rule nodes visited; 0 unless it is set.
        error_code: Why it failed.
        error_message: Why it failed, in words, or the error itself.
        input: What the strategy was given.
        attributes: The caller's own keys to text, numbers or booleans.
        external_user_id: Coordinate of the event; so are the game and the task.
        external_game_id: Coordinate of the event.
        external_task_id: Coordinate of the event.
        realm_id: Tenant.
        notes: Free text.
    """

    # What is set on it, and no more, is the instance's `__dict__`: the fields of the execution.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_began",
        "_buffer",
        "_is_recorded",
        "_record",
        "_unexpected",
    )

    _began: float
    _buffer: Buffer
    _is_recorded: bool
    _record: Callable[..., object]
    _unexpected: tuple[object, ...]

    id: UUID
    status: str = "ok"
    points: float | None = None
    case_name: str | None = None
    trace: list[Any] | None = None
    nodes_executed: int = 0
    error_code: str | None = None
    error_message: str | BaseException | None = None
    input: Any = None
    attributes: dict[str, Any] | None = None
    external_user_id: str | None = None
    external_game_id: str | None = None
    external_task_id: str | None = None
    realm_id: str | None = None
    notes: str | None = None

    def __init__(
        self,
        record: Callable[..., object],
        buffer: Buffer,
        unexpected: tuple[object, ...],
        fields: dict[str, Any],
    ) -> None:
        """Takes what is known before it begins, and keeps that dict. Never raises."""
        self._record = record
        self._buffer = buffer
        self._unexpected = unexpected
        self._is_recorded = False
        self._began = time.perf_counter()
        if "status" not in fields:
            fields["status"] = "ok"
        if "nodes_executed" not in fields:
            fields["nodes_executed"] = 0
        if fields.get("id") is None:
            fields["id"] = uuid7()
        self.__dict__ = fields

    def __enter__(self) -> Self:
        """Starts the clock. Never raises."""
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Records it.

        Never raises; if the recorder is strict and the block did not raise, `InvalidArgument`.
        """
        ended = time.perf_counter()
        if self._is_recorded:
            return
        self._is_recorded = True
        try:
            fields = self.__dict__
            fields["duration_ms"] = (ended - self._began) * 1000
            if kind is not None:
                # Not in the run itself: its error's traceback holds the run, a cycle.
                fields = fields | {
                    "status": "timeout" if issubclass(kind, TimeoutError) else "error",
                    "error_code": kind.__name__,
                    "error_message": error,
                    "points": None,
                    "case_name": None,
                }
            self._record(*self._unexpected, **fields)
        except InvalidArgument as problem:  # the recorder is strict
            if error is None:
                raise
            error.add_note(f"The run is not recorded: {problem}")
        except Exception:  # the stack is too deep to call it
            self._buffer.uncalled += 1


def recorded(run: Callable[..., Run], fields: Any) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: each call of the function is a run.

        @recorder.recorded(strategy_id="loyalty", strategy_version=3, strategy_type="DSL")
        async def score(event: Event, *, run: Run | None = None) -> float:
            ...

    A function that has a keyword-only parameter named `run` is given the `Run`. Callers leave it
    out: its default is for type checkers only, and the signature that a framework reads at run
    time lacks it.

    Args:
        run: Makes a run of these fields.
        fields: What is known of each run.

    Raises:
        InvalidArgument: What is decorated is a generator, or no function.
    """
    # Each run has its own: what a function adds to its attributes must not be in the next run's.
    own = {name: value for name, value in fields.items() if type(value) in (dict, list)}
    common = {name: value for name, value in fields.items() if name not in own}

    def begin() -> Run:
        return run(**common, **{name: value.copy() for name, value in own.items()})

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        _check(function)
        signature = inspect.signature(function)
        parameter = signature.parameters.get("run")
        takes_run = parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin() as begun:
                    if takes_run:
                        kwargs["run"] = begun
                    return await function(*args, **kwargs)
        else:

            @functools.wraps(function)
            def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin() as begun:
                    if takes_run:
                        kwargs["run"] = begun
                    return function(*args, **kwargs)

        if takes_run:  # a framework that reads the signature must not ask its caller for it
            others = [one for name, one in signature.parameters.items() if name != "run"]
            wrapper.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return cast("Callable[P, T]", wrapper)

    return decorate


def _check(function: object) -> None:
    """Raises InvalidArgument: a call of it does not run the strategy, or it can't be called."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        problem = "is a generator, which runs after the call: use recorder.run in it"
        raise InvalidArgument("function", problem)
    if not inspect.isfunction(function):
        problem = "must be a function; @staticmethod and @classmethod go above the decorator"
        raise InvalidArgument("function", problem)
