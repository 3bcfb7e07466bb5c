"""A recorder that can't be as it is asked for is refused by an error that names the argument."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from execlog import ExecutionRecorder, InvalidArgument
from tests.recording import AWAY, record, unstarted, until


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nonsense", "target: is not a connection string"),
        (7, "target: must be a DSN or a Pool"),
    ],
)
def test_a_target_that_is_none(target: Any, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        ExecutionRecorder(target)


async def test_a_file_of_the_connection_string_that_is_not_there_yet(tmp_path: Path) -> None:
    """Certificates are changed by others: what is missing now may be there in a minute."""
    missing = f"sslmode=verify-ca&sslrootcert={tmp_path}/s3cret"
    async with ExecutionRecorder(f"postgresql://user@localhost/db?{missing}") as recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries > 0)
        stats = recorder.stats()
        assert (stats.alive, stats.pending_rows, stats.dropped) == (True, 1, {})
        assert "s3cret" not in str(stats.last_error)
        await recorder.aclose(timeout=0.1)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("sample_rate", [0, 1.1, -1, True, "1", float("nan")]),
        ("trace_limit", [-1, 1.5, True]),
        ("trace_bytes", [1, "2"]),
        ("max_rows", [0, 1.5]),
        ("max_bytes", [0, None]),
        ("batch_rows", [0, "5"]),
        ("linger", [0, -1, "1"]),
        ("timeout", [0, float("inf")]),
        ("policy", ["drop", None]),
        ("on_reject", [7, asyncio.sleep]),
        ("mask", ["notes", "", 0, False, ["strategy_id"], {"trace/x": object()}]),
        ("seed", [1.5, "x"]),
        ("strict", [1, None]),
    ],
)
def test_arguments(argument: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidArgument) as caught:
            ExecutionRecorder(AWAY, **{argument: value})
        assert caught.value.argument == argument


@pytest.mark.parametrize("bad", [0, -1, True, "1", None])
async def test_timeouts(bad: Any) -> None:
    recorder = unstarted(AWAY)
    for call in (recorder.flush, recorder.aclose):
        with pytest.raises(InvalidArgument, match="timeout"):
            await call(timeout=bad)
