"""What type checkers see of `record` and `run`: each mistake in a call is found before it runs.

At run time both take any argument, because scoring must not fail: what they can't store is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Unpack
    from uuid import UUID

    from execlog.recorder.recorder import ExecutionRecorder
    from execlog.recorder.run import Run

__all__ = ["ExecutionFields", "RunFields", "as_checked", "record_checked", "run_checked"]

P = ParamSpec("P")
T = TypeVar("T")


class _Strategy(TypedDict):
    strategy_id: str
    strategy_version: int
    strategy_type: str


class RunFields(_Strategy, total=False):
    """What may be said of a run before it begins."""

    realm_id: str | None
    external_game_id: str | None
    external_task_id: str | None
    external_user_id: str | None
    points: float | None
    case_name: str | None
    trace: list[Any] | None
    parent_strategy_id: str | None
    notes: str | None
    id: UUID | None
    sampled: bool | None
    sample_rate: float | None
    trace_id: UUID | str | int | None
    input: Any
    attributes: dict[str, Any] | None


class _Outcome(TypedDict):
    status: str
    duration_ms: float
    nodes_executed: int


class ExecutionFields(RunFields, _Outcome, total=False):
    """What may be said of an execution."""

    error_code: str | None
    error_message: str | BaseException | None
    created_at: datetime | None
    stored_at: datetime | None


def record_checked(self: ExecutionRecorder, **fields: Unpack[ExecutionFields]) -> UUID | None:
    """The signature of `record`. Raises NotImplementedError: it is no more than that."""
    raise NotImplementedError


def run_checked(self: ExecutionRecorder, **fields: Unpack[RunFields]) -> Run:
    """The signature of `run`. Raises NotImplementedError: it is no more than that."""
    raise NotImplementedError


def as_checked(signature: Callable[P, T]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Shows type checkers this signature of a method, which itself is not changed. Never raises."""

    def unchanged(method: Callable[..., T]) -> Callable[P, T]:
        return method

    return unchanged
