"""What goes wrong is logged once a minute; no handler, filter or hook disturbs the recorder."""

from __future__ import annotations

import asyncio
import logging

import pytest

from execlog import ExecutionRecorder
from tests.databases import TABLE
from tests.recording import AWAY, record, unstarted
from tests.rows import fields
from tests.types import Pool


async def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    recorder = unstarted(AWAY, max_rows=10)
    with caplog.at_level(logging.INFO, "execlog.recorder"):
        for _ in range(50):
            for n in range(5):
                record(recorder, n)
            recorder.record(**fields(points="x"))
            recorder._reporter.report()
        assert [r.levelname for r in caplog.records] == ["WARNING"] * 3
        assert "refused executions: 1 points (points: should be a valid number)" in caplog.text
        assert "the buffer is at least 80 % full: 10 executions" in caplog.text
        caplog.clear()
        recorder._reporter._said_at.clear()  # a minute later
        recorder._reporter.report()
        assert "refused executions: 49 points" in caplog.text
        assert "dropped executions: " in caplog.text


async def test_a_log_handler_that_records(dsn: str) -> None:
    """An engine may keep its warnings as executions; ours must not feed on themselves."""
    async with ExecutionRecorder(dsn, max_rows=5) as recorder:

        class Recording(logging.Handler):
            def emit(self, _: logging.LogRecord) -> None:
                recorder.record(**fields())

        handler = Recording()
        logging.getLogger("execlog").addHandler(handler)
        try:
            for n in range(10):
                record(recorder, n)
            for _ in range(20):
                recorder._reporter.report()
        finally:
            logging.getLogger("execlog").removeHandler(handler)
        assert recorder.stats().offered <= 13
        assert await recorder.flush()


async def test_what_the_hook_raises_is_said_and_no_more(
    dsn: str, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_: object) -> None:
        raise RuntimeError("s3cret")

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
        for notes in ("a", "poison", "b"):
            recorder.record(**fields(notes=notes))
        assert await recorder.flush()
    assert recorder.stats().written == 2
    assert caplog.text.count("on_reject failed 1 times: RuntimeError") == 1
    assert "s3cret" not in caplog.text


async def test_a_log_filter_that_raises(dsn: str, pool: Pool) -> None:
    def raising(_: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    def hook(_: object) -> None:
        raise RuntimeError

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    logger = logging.getLogger("execlog.recorder")
    logger.addFilter(raising)
    try:
        async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
            for notes in ("a", "poison", "b"):
                recorder.record(**fields(notes=notes))
            assert await recorder.flush()
            assert recorder.stats().alive
            stats = await recorder.aclose()
    finally:
        logger.removeFilter(raising)
    assert (stats.written, stats.rejected) == (2, {"refused_by_store": 1})


async def test_a_hook_that_raises_a_cancellation_cancels_nobody(dsn: str, pool: Pool) -> None:
    def hook(_: object) -> None:
        raise asyncio.CancelledError

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
        for n in range(20):
            recorder.record(**fields(notes="poison" if n == 3 else "a"))
        assert await recorder.flush(timeout=5)
    assert recorder.stats().written == 19


async def test_it_stores_again_is_said_when_it_does(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "execlog.recorder"):
        async with ExecutionRecorder(AWAY) as recorder:
            record(recorder, 1)
            await recorder.flush(timeout=0.3)
            recorder._reporter.report()
            recorder._reporter.report()
            assert "can't store" in caplog.text
            assert "stores again" not in caplog.text
            recorder._delivery.failing = False
            recorder._reporter.report()
            recorder._reporter.report()
            await recorder.aclose(timeout=0.1)
    assert caplog.text.count("stores again") == 1
