"""The state of a replay: a file that is damaged, or is none, is named and stops it at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import InvalidArgument, StrategyExecutionLogRepository
from execlog.replaying.asking import asked
from execlog.replaying.candidate import found
from execlog.replaying.going import Asked, _Batch, _Going, replayed
from execlog.replaying.outcome import Answer, Outcome
from execlog.replaying.source import Cursor, Run, Source
from execlog.replaying.state import State
from execlog.replaying.tally import Tally
from tests import replaying
from tests.rows import STRATEGY

WORDS = {"since": None, "until": None}


@pytest.fixture
async def log() -> AsyncIterator[StrategyExecutionLogRepository]:
    """One whose server is never asked."""
    async with asyncpg.create_pool("postgresql://nowhere.invalid/none", min_size=0) as closed:
        yield StrategyExecutionLogRepository(closed)


def question(log: StrategyExecutionLogRepository) -> Asked:
    return asked(
        log,
        found("evaluate", replaying.decide),
        None,
        strategy_id=STRATEGY,
        since=None,
        until=None,
        sample=None,
        processes=None,
        time_limit=1.0,
        tolerance=0.0,
        filters={},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"since": "long ago"},
        {"since": 3},
        {"tally": {}},
        {"tally": None},
        {"plan": {"rows": 3}},
        {"place": ["x"]},
        {"place": [None, "no id", False]},
        {"total": "many"},
    ],
    ids=str,
)
async def test_a_damaged_file_is_named(
    log: StrategyExecutionLogRepository, tmp_path: Path, changes: dict[str, Any]
) -> None:
    wanted, state = question(log), State(tmp_path / "state", WORDS)
    state.load({**wanted.key(), "schema": "execlog"})
    whole = {
        "since": None,
        "until": None,
        "plan": None,
        "tally": Tally(0.0, None).dump(),
        "place": [None, None, False],
        "total": 0,
        "calls": 0,
    }
    state.save({**whole, **changes})
    with pytest.raises(InvalidArgument, match="state: is damaged; remove it to begin again"):
        await replayed(log, wanted, state=state)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not the state of a replay"),
        ("[1]", "is not the state of a replay"),
        ("[" * 100_000, "is not the state of a replay"),
        ('{"execlog_replay": 1, "key": {}, "kept": 3}', "is not the state of a replay"),
        ('{"execlog_replay": 9, "key": {}, "kept": {}}', "was made by another version of execlog"),
        ('{"execlog_replay": 1, "key": {}, "kept": {}}', "was made with another strategy"),
    ],
)
def test_another_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "state"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match=f"state: {problem}"):
        State(file, WORDS).load({"strategy": STRATEGY})
    assert file.read_text() == text


async def test_what_is_counted_in_part_is_not_kept(
    log: StrategyExecutionLogRepository, tmp_path: Path
) -> None:
    """Such as by Ctrl-C where the program has no handler for it, as in a notebook."""
    wanted, state = question(log), State(tmp_path / "state", WORDS)
    state.load(wanted.key())
    source = Source(log, wanted.scope, wanted.wanted)
    going = _Going(wanted, source, wanted.scope, state, None)
    place = Cursor(None, None, False)
    run = Run(uuid.uuid4(), None, "ok", None, 1.0, None, 1.0, 1.0, None, None, None, "{}")

    async def answers(number: int) -> list[list[Answer]]:
        return [[Answer(Outcome("ok", 1.0), 1.0)]] * number

    for number, is_kept in ((2, True), (1, False)):
        batch = _Batch([run, run], place, asyncio.ensure_future(answers(number)))
        if is_kept:
            await going._count(batch)
        else:
            with pytest.raises(RuntimeError):  # the second run has no answer
                await going._count(batch)
        going._save()
        assert (tmp_path / "state").exists() is is_kept
        (tmp_path / "state").unlink(missing_ok=True)
