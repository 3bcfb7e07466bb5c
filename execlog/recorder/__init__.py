"""The recorder: an engine hands over its executions, and never waits for the log."""

from execlog.recorder.recorder import ExecutionRecorder

__all__ = ["ExecutionRecorder"]
