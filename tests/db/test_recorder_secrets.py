"""What is masked is not stored, and no message holds a value or a password."""

from __future__ import annotations

import hashlib
import logging
from uuid import uuid4

import pytest

from execlog import ExecutionRecorder, InvalidArgument, StrategyExecutionLogRepository
from tests.databases import TABLE
from tests.recording import AWAY, Hostile, record
from tests.rows import fields
from tests.types import Pool


async def test_a_mask_is_told_the_text_of_an_id(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    def hashed(user: str) -> str:
        return hashlib.sha256(user.encode()).hexdigest()

    user = uuid4()
    async with ExecutionRecorder(dsn, mask={"external_user_id": hashed}) as recorder:
        for n, one in enumerate((7, user, "7", str(user))):
            record(recorder, n, external_user_id=one)
        assert await recorder.flush()
    found = {one.external_user_id async for one in repository.stream()}
    assert found == {hashed("7"), hashed(str(user))}


async def test_masked_values_never_arrive(
    dsn: str, repository: StrategyExecutionLogRepository, pool: Pool
) -> None:
    def broken(value: object) -> str:
        raise RuntimeError(str(value))

    mask = {
        "external_user_id": lambda user: f"user-{len(user)}",
        "notes": broken,
        "trace/*/input/card": None,
        "trace/*/input/name": "***",
    }
    secret = "4111-1111"
    trace = [{"node": 1, "input": {"card": secret, "name": secret, "ok": 1}}, {"input": secret}]
    async with ExecutionRecorder(dsn, mask=mask) as recorder:
        id_ = recorder.record(**fields(external_user_id=secret, notes=secret, trace=trace))
        assert recorder.record(**fields(trace=[{"input": {"card": secret}}] * 201)) is not None
        assert recorder.record(**fields(points="x", notes=secret)) is None
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert stored.external_user_id == "user-9"
    assert stored.notes is None
    assert stored.trace == [{"node": 1, "input": {"name": "***", "ok": 1}}, {"input": None}]
    assert trace[0]["input"]["card"] == secret  # type: ignore[index]
    assert not await pool.fetchval(
        f"select bool_or(log::text like '%' || $1 || '%') from {TABLE} as log", secret
    )


async def test_no_secret_in_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with ExecutionRecorder(AWAY) as recorder:
            record(recorder, 1, notes="s3cret")
            recorder.record(**fields(), **{"s3cret\nline": 1})  # type: ignore[arg-type]
            recorder.record(**fields(id="s3cret"))
            recorder.record(**fields(points="s3cret"))
            recorder.record(**fields(status=Hostile()))
            await recorder.flush(timeout=0.3)
            recorder._reporter.report()
            said = f"{recorder!r} {recorder.stats()}"
            await recorder.aclose(timeout=0.1)
    assert "can't store, 1 executions wait: record: the server can't be reached" in caplog.text
    assert "points: should be a valid number" in caplog.text
    assert "dropped executions: 1 closed" in caplog.text
    assert "s3cret" not in caplog.text + said


def test_a_password_that_is_not_encoded() -> None:
    with pytest.raises(InvalidArgument, match="target: is not a connection string") as caught:
        ExecutionRecorder("postgresql://user:s3c/ret@localhost/db")
    assert "s3c" not in str(caught.value)
