"""The recorder: an engine hands over its executions, and never waits for the log."""

from execlog.recorder.recorder import ExecutionRecorder
from execlog.recorder.run import Run

__all__ = ["ExecutionRecorder", "Run"]
