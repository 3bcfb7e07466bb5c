"""The collector: the account as Prometheus reads it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from execlog import ExecutionRecorder, InvalidArgument
from execlog.prometheus import RecorderCollector
from tests.rows import fields


def test_a_scrape() -> None:
    recorder = ExecutionRecorder("postgresql://127.0.0.1:1/nowhere", max_rows=2)
    for _ in range(4):
        recorder.record(**fields())
    recorder.record(**fields(points="x"))
    recorder.record(**fields(status="error", notes="a\0b"))
    registry = CollectorRegistry()
    registry.register(RecorderCollector(recorder, {"log": "audit"}))
    lines = generate_latest(registry).decode().splitlines()
    samples = {line for line in lines if not line.startswith("#")}
    assert samples == {
        'execlog_executions_total{log="audit",outcome="written",reason=""} 0.0',
        'execlog_executions_total{log="audit",outcome="sampled_out",reason=""} 0.0',
        'execlog_executions_total{log="audit",outcome="rejected",reason="points"} 1.0',
        'execlog_executions_total{log="audit",outcome="dropped",reason="full"} 3.0',
        'execlog_altered_total{log="audit",reason="text_repaired"} 1.0',
        'execlog_batches_total{log="audit"} 0.0',
        'execlog_retries_total{log="audit"} 0.0',
        'execlog_pending_executions{log="audit"} 2.0',
        f'execlog_pending_bytes{{log="audit"}} {recorder.stats().pending_bytes}.0',
        'execlog_alive{log="audit"} 0.0',
    }
    recorder._buffer.clear("test")


def test_what_it_is_made_of() -> None:
    with pytest.raises(InvalidArgument, match=r"^recorder: "):
        RecorderCollector(None)  # type: ignore[arg-type]
