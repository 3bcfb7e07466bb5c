"""Candidates that hang, raise, print, exit, leak, change their input or answer nonsense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import execlog
from execlog import InvalidArgument, Replay, StrategyExecutionLogRepository
from execlog.replaying import pool
from tests import databases, replaying
from tests.rows import STRATEGY

NUMBER = 60


@pytest.fixture(scope="module")
async def log(template: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    rows = [replaying.logged(number) for number in range(NUMBER)]
    async with databases.filled(template, rows) as pool:
        yield StrategyExecutionLogRepository(pool)


async def replayed(log: StrategyExecutionLogRepository, evaluate: Any, **more: Any) -> Replay:
    found = await execlog.replay(
        log, evaluate, strategy_id=STRATEGY, **{"processes": 2, "time_limit": 0.3, **more}
    )
    verdicts = found.same + found.changed + found.newly_failing + found.newly_passing
    assert found.total == found.replayed == NUMBER == verdicts
    return found


async def test_a_plain_function_runs_in_workers(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.higher, baseline=replaying.decide, time_limit=10)
    assert (found.changed, found.noise, found.notes) == (10, 0, [])
    assert found.candidate == "tests.replaying:higher"
    by_path = await replayed(log, "tests.replaying:higher", baseline="tests.replaying:decide")
    assert by_path.moves == found.moves


@pytest.mark.parametrize(
    "candidate",
    [replaying.hangs, pytest.param(replaying.sleeps, marks=pytest.mark.long)],
)
async def test_what_never_ends_is_a_timeout(
    log: StrategyExecutionLogRepository, candidate: Any
) -> None:
    found = await replayed(log, candidate)
    assert (found.same, found.newly_failing) == (58, 2)
    assert found.failures == {"TimeoutError": 2}
    assert {one.new.status for one in found.examples} == {"timeout"}
    assert found.examples[0].reason == "it took more than 0.3 s"


async def test_what_is_raised_is_the_outcome(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.raises)
    assert found.failures == {"ValueError": 6, "TimeoutError": 6, "KeyboardInterrupt": 6}
    assert {(one.new.status, one.reason) for one in found.examples} <= {
        ("error", "ValueError: no?good"),
        ("timeout", "TimeoutError: late"),
        ("error", "KeyboardInterrupt"),
    }


@pytest.mark.long
async def test_what_is_printed_is_no_answer(log: StrategyExecutionLogRepository) -> None:
    assert (await replayed(log, replaying.prints)).same == NUMBER


async def test_the_end_of_a_process_is_that_of_one_run(
    log: StrategyExecutionLogRepository,
) -> None:
    found = await replayed(log, replaying.crashes, time_limit=5)
    assert found.failures == {"exited": 2}
    assert {one.reason for one in found.examples} == {"it was ended by SIGSEGV"}


@pytest.mark.long
async def test_who_writes_into_the_pipe_ends_its_worker(
    log: StrategyExecutionLogRepository,
) -> None:
    found = await replayed(log, replaying.writes_into_pipes, time_limit=5)
    [example] = found.examples
    assert (example.new.error_code, example.reason) == ("exited", "it wrote into its worker's pipe")


@pytest.mark.long
async def test_an_exit_is_that_of_one_run(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.exits, time_limit=5)
    assert found.failures == {"SystemExit": 6, "exited": 6}
    assert {one.reason for one in found.examples} == {"SystemExit: 4", "it exited with code 7"}


@pytest.mark.long
async def test_the_baseline_may_end_its_process_too(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.decide, baseline=replaying.exits, time_limit=5)
    assert (found.noise, found.same, found.failures) == (12, NUMBER, {})
    assert {one.kind for one in found.examples} == {"noise"}


@pytest.mark.long
async def test_what_ends_each_process_ends_the_replay(
    log: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_MOST_IN_A_ROW", 3)
    with pytest.raises(InvalidArgument, match="evaluate: ended its worker process in 3 calls"):
        await replayed(log, replaying.always_exits, time_limit=5)


@pytest.mark.long
async def test_a_call_that_wants_all_memory_gets_an_error(
    log: StrategyExecutionLogRepository,
) -> None:
    found = await replayed(log, replaying.takes_all)
    assert found.failures == {"MemoryError": 1}


@pytest.mark.long
async def test_a_worker_that_grows_is_replaced(log: StrategyExecutionLogRepository) -> None:
    more = [replaying.logged(number) for number in range(1000, 1090)]
    await log.insert_rows([one.model_copy(update={"strategy_id": "leak"}) for one in more])
    found = await execlog.replay(log, replaying.leaks, strategy_id="leak", processes=1)
    assert found.same == 90
    [_, note] = found.notes
    assert note.startswith("memory: ")
    found = await execlog.replay(log, replaying.loads, strategy_id="leak", processes=1)
    assert (found.same, len(found.notes)) == (90, 1)


async def test_a_fork_answers_once(log: StrategyExecutionLogRepository) -> None:
    assert (await replayed(log, replaying.forks, processes=1, time_limit=5)).same == NUMBER


@pytest.mark.long
async def test_what_raises_while_it_is_told_is_told(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.raises_what_is_odd, time_limit=5)
    assert found.failures == {"Unnamed": 1, "ValueError": 1}


@pytest.mark.long
async def test_a_clock_that_stands_ends_nothing(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.stops_the_clock, time_limit=5)
    assert found.same == NUMBER and found.candidate_times is not None


async def test_what_is_loaded_at_first_is_in_no_time(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.loads_late, processes=1, time_limit=10)
    assert found.same == NUMBER and found.candidate_times is not None
    assert found.candidate_times.avg_ms < 500 / NUMBER


async def test_an_object_is_awaited_as_its_class_says(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.Inherits())
    assert (found.same, found.notes[1]) == (NUMBER, "in this process: an async function")
    found = await replayed(log, replaying.Inherits().decide)
    assert (found.same, found.notes[1]) == (NUMBER, "no time limit: a method")
    found = await replayed(log, lambda one: replaying.waits(one))
    assert found.examples[0].reason is not None
    assert found.examples[0].reason.endswith("of the type coroutine")


async def test_each_call_has_an_input_of_its_own(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.mutates, baseline=replaying.decide)
    assert (found.same, found.noise) == (NUMBER, 0)
    found = await replayed(log, replaying.mutates, baseline=lambda one: replaying.decide(one))
    assert (found.same, found.noise) == (NUMBER, 0)


async def test_nonsense_is_an_invalid_answer(log: StrategyExecutionLogRepository) -> None:
    number = len(replaying._NONSENSE)
    found = await replayed(log, replaying.answers_nonsense)
    assert found.failures == {"invalid answer": number}
    inside = await replayed(log, lambda one: replaying.answers_nonsense(one))
    assert inside.failures == found.failures
    reasons = {one.reason for one in found.examples if one.kind == "newly_failing"}
    assert "its case_name is longer than 512 bytes" in reasons


async def test_what_is_awaited_runs_here(log: StrategyExecutionLogRepository) -> None:
    found = await replayed(log, replaying.waits)
    assert (found.same, found.notes[1]) == (NUMBER, "in this process: an async function")


async def test_workers_record_nothing(
    log: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXECLOG_DSN", replaying.RECORDER_DSN)
    found = await replayed(log, replaying.records, time_limit=5)
    assert (found.same, found.recorder_calls) == (NUMBER, 2 * NUMBER)


@pytest.mark.parametrize("program", ["", None, "/no/such/python"])
async def test_without_an_interpreter_no_worker_starts(
    log: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    monkeypatch.setattr("sys.executable", program)
    with pytest.raises(InvalidArgument, match="processes: no worker can be started"):
        await replayed(log, replaying.decide)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("rules", "'rules' is no import path"),
        ("no_such_module:x", "can't be imported: ModuleNotFoundError: No module named"),
        ("tests.replaying:no_such", "has no no_such"),
        ("tests.replaying:NUMBER.x", "has no NUMBER"),
        ("tests.replaying:RECORDER_DSN", "is not callable"),
    ],
)
async def test_a_path_to_nothing_is_named(
    log: StrategyExecutionLogRepository, path: str, problem: str
) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        await execlog.replay(log, path, strategy_id=STRATEGY)
    with pytest.raises(InvalidArgument, match="baseline: "):
        await execlog.replay(log, replaying.decide, baseline=path, strategy_id=STRATEGY)
