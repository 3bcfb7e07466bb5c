"""A process whose recorders record nothing: one in which executions are only replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execlog.recorder.recorder import ExecutionRecorder

if TYPE_CHECKING:
    from execlog.models import RecorderStats

__all__ = ["Muted", "mute"]


class Muted:
    """Counts the executions that are not recorded.

    Attributes:
        calls: Calls of `record`.
    """

    def __init__(self) -> None:
        """Has counted none. Never raises."""
        self.calls = 0


def mute() -> Muted:
    """Makes all recorders of this process record nothing, and send nothing, from now on.

    Never raises.
    """
    muted = Muted()

    def record(recorder: ExecutionRecorder, *unexpected: object, **fields: object) -> None:
        muted.calls += 1

    def enter(recorder: ExecutionRecorder) -> ExecutionRecorder:
        return recorder

    async def start(recorder: ExecutionRecorder) -> None:
        pass

    async def flush(recorder: ExecutionRecorder, timeout: float = 10.0) -> bool:  # noqa: ASYNC109
        return True

    def flush_blocking(recorder: ExecutionRecorder, timeout: float = 10.0) -> bool:
        return True

    async def aclose(
        recorder: ExecutionRecorder,
        timeout: float = 10.0,  # noqa: ASYNC109
    ) -> RecorderStats:
        return recorder.stats()

    def close(recorder: ExecutionRecorder, timeout: float = 10.0) -> RecorderStats:
        return recorder.stats()

    replaced = {"__enter__": enter} | {
        one.__name__: one for one in (record, start, flush, flush_blocking, aclose, close)
    }
    for name, function in replaced.items():
        setattr(ExecutionRecorder, name, function)
    return muted
