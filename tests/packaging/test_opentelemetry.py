"""An execution belongs to the distributed trace of the span that its engine runs it in."""

from __future__ import annotations

import subprocess
import sys

from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from execlog.recorder.span import current_trace_id
from tests.extras import needs
from tests.rows import fields

pytestmark = needs("opentelemetry.sdk")


async def test_the_current_span(dsn: str, repository: StrategyExecutionLogRepository) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("engine")
    async with ExecutionRecorder(dsn) as recorder:
        outside = recorder.record(**fields())
        with tracer.start_as_current_span("scoring") as span:
            wanted = span.get_span_context().trace_id
            inside = recorder.record(**fields())
            given = recorder.record(**fields(trace_id="ab" * 16))
            alias = recorder.record(**fields(), traceId="cd" * 16)  # type: ignore[call-arg]
            odd = recorder.record(**fields(duration_ms=1, case_name=7))  # by the careful way
        masked = ExecutionRecorder(dsn, mask=["trace_id"])
        with trace.use_span(span):
            hidden = masked.record(**fields())
        await masked.start()
        await masked.aclose()
    found = {}
    ids = {"outside": outside, "inside": inside, "given": given, "alias": alias, "odd": odd}
    for name, id_ in ids.items():
        one = await repository.get(id=str(id_))
        assert one is not None
        found[name] = one.trace_id and one.trace_id.int
    assert found == {
        "outside": None,
        "inside": wanted,
        "given": int("ab" * 16, 16),
        "alias": int("cd" * 16, 16),
        "odd": wanted,
    }
    one = await repository.get(id=str(hidden))
    assert one is not None
    assert one.trace_id is None


def test_a_span_of_another_kind() -> None:
    from opentelemetry import trace

    with trace.use_span(object()):  # type: ignore[arg-type]  # what has no context
        assert current_trace_id() is None


def test_it_is_never_imported() -> None:
    code = (
        "import os, sys, execlog; r = execlog.ExecutionRecorder('postgresql://h/d');"
        "r.record(strategy_id='s', strategy_version=1, strategy_type='t', status='ok',"
        " duration_ms=1.0, nodes_executed=1); assert r.stats().offered == 1;"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules);"
        "os._exit(0)"  # without waiting for a server that is nowhere
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
