"""The collector: the account as Prometheus reads it."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser

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


def told(registry: CollectorRegistry) -> set[tuple[str, str | None]]:
    """Which recorder told what, as the strictest reader of the format has it."""
    text = openmetrics.generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    families = list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.labels["log"], sample.labels.get("outcome"))
        for family in families
        for sample in family.samples
    }


def recorder() -> ExecutionRecorder:
    return ExecutionRecorder("postgresql://127.0.0.1:1/nowhere")


def test_two_recorders_in_one_collector() -> None:
    registry = CollectorRegistry(auto_describe=True)  # as prometheus_client.REGISTRY is made
    both = RecorderCollector(recorder(), {"log": "a"}).add(recorder(), {"log": "b"})
    registry.register(both)
    outcomes = (None, "written", "sampled_out")
    assert told(registry) == {(log, outcome) for log in "ab" for outcome in outcomes}


def test_two_collectors_in_one_registry() -> None:
    """As Prometheus itself reads them: each sample once, by its label."""
    registry = CollectorRegistry(auto_describe=True)
    for log in "ab":
        registry.register(RecorderCollector(recorder(), {"log": log}))
    lines = generate_latest(registry).decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert len(samples) == len(set(samples)) == 2 * 7
    assert {line for line in samples if "alive" in line} == {
        f'execlog_alive{{log="{log}"}} 0.0' for log in "ab"
    }


def test_what_it_is_made_of() -> None:
    with pytest.raises(InvalidArgument, match=r"^recorder: "):
        RecorderCollector(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "labels", [{"reason": "x"}, {"a-b": "x"}, {"__x": "x"}, {"log": 3}, {3: "x"}, ["log"], "log", 7]
)
def test_labels_that_can_not_be(labels: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^labels"):
        RecorderCollector(recorder(), labels)


@pytest.mark.parametrize("labels", [{"log": "a"}, {"other": "b"}, {"log": "b", "x": ""}, None])
def test_labels_that_do_not_tell_two_recorders_apart(labels: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^labels: "):
        RecorderCollector(recorder(), {"log": "a"}).add(recorder(), labels)
