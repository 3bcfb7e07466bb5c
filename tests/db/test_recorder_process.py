"""What becomes of what was accepted when a process ends, in whichever way a process can know of."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import execlog
from tests.databases import TABLE
from tests.recording import AWAY, record
from tests.samples import one_of

ROOT = Path(__file__).parents[2]
HEAD = """
import asyncio, os, signal, sys, threading, time
import execlog
from tests.rows import fields

recorder = execlog.ExecutionRecorder(sys.argv[1])

def work(seconds=20, accepted=sys.stdout):
    begin, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begin) < seconds:
        said = b""
        for _ in range(min(int(passed * 5000) - sent, 50)):  # so few are accepted and not said
            sent += 1
            if (given := recorder.record(**fields())) is not None:
                said += f"{given}\\n".encode()
        os.write(accepted.fileno(), said)  # whole, or not at all: a signal may end it
        time.sleep(0.002)
"""


def start(code: str, target: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + code, target],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(program: subprocess.Popen[str]) -> str:
    """The first line, and no byte of what follows: `communicate` reads from the pipe itself."""
    assert program.stdout is not None
    said = b""
    while not said.endswith(b"\n") and (byte := os.read(program.stdout.fileno(), 1)):
        said += byte
    return said.decode()


def assert_stored(dsn: str, said: str) -> None:
    """Each execution whose id the program said is there, and there once.

    A program that is terminated may have had no time to say its last ones.
    """
    accepted, found = {UUID(line) for line in said.split()}, asyncio.run(stored(dsn))
    assert accepted
    lost = accepted.difference(found)
    assert not lost, len(lost)
    assert len(found) == len(set(found)) <= len(accepted) + 100


async def stored(dsn: str) -> list[UUID]:
    connection = await asyncpg.connect(dsn)
    try:
        return [one["id"] for one in await connection.fetch(f"select id from {TABLE}")]
    finally:
        await connection.close()


PROGRAMS = {
    "one execution": "print(recorder.record(**fields()))",
    "forgotten": "print(recorder.record(**fields())); del recorder; import gc; gc.collect()",
    "at full speed": "work(0.5)",
    "by sys.exit": "work(0.2); sys.exit()",
    "a thread goes on": (
        "thread = threading.Thread(target=lambda: (time.sleep(0.3), work(0.3))); thread.start()"
    ),
    "in a handler at exit": """
import atexit
atexit.register(lambda: print(recorder.record(**fields())))
""",
    "a paused loop": """
async def main():
    await recorder.start()
    work(0.2)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
""",
    "a closed loop": """
async def main():
    await recorder.start()
    work(0.2)
asyncio.run(main())
""",
    "a fork that ends": """
if pid := os.fork():
    os.waitpid(pid, 0)
work(0.2)
""",
    "a fork while it works": """
thread = threading.Thread(target=work, args=(0.5,))
thread.start()
time.sleep(0.2)
if not os.fork():
    sys.exit()
thread.join()
""",
}


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("one execution", "a thread goes on")
        else pytest.param(name, marks=pytest.mark.long)
        for name in PROGRAMS
    ],
)
def test_a_program_that_ends(dsn: str, name: str) -> None:
    program = start(PROGRAMS[name], dsn)
    said, problems = program.communicate(timeout=30)
    assert (program.returncode, problems) == (0, "")
    assert_stored(dsn, said)


ENDED = {
    "main thread": "work()",
    "another thread": "threading.Thread(target=work).start()\nwhile True: time.sleep(0.1)",
    "daemon thread, main joins": """
thread = threading.Thread(target=work, daemon=True); thread.start(); thread.join()
""",
    "event loop": """
async def main():
    async with recorder:
        await asyncio.to_thread(work)
asyncio.run(main())
""",
    "event loop of a thread": """
async def main():
    async with recorder:
        await asyncio.to_thread(work)
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
thread.join()
""",
}


@pytest.mark.parametrize("name", one_of(ENDED))
def test_a_program_that_is_terminated(dsn: str, name: str) -> None:
    program = start(ENDED[name], dsn)
    first = first_line(program)
    time.sleep(0.3)
    program.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    said, _ = program.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert program.returncode == -signal.SIGTERM
    assert_stored(dsn, first + said)


def test_threads_leave_the_signal_to_the_main_thread_from_their_first_moment(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that got it would not wake the main thread, which runs the handler."""
    blocked: dict[str, set[int]] = {}
    run = threading.Thread.run

    def noted(thread: threading.Thread) -> None:
        blocked[thread.name] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        run(thread)

    monkeypatch.setattr(threading.Thread, "run", noted)
    with execlog.ExecutionRecorder(dsn, spool=tmp_path / "spool") as recorder:
        record(recorder, 1)
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    own = {name: signal.SIGTERM in masked for name, masked in blocked.items() if "execlog" in name}
    assert own.keys() >= {"execlog recorder", "execlog spool"}
    assert all(own.values()), own


@pytest.mark.long
def test_a_program_whose_last_act_is_to_terminate_itself(dsn: str) -> None:
    program = start("work(0.2); os.kill(os.getpid(), signal.SIGTERM)", dsn)
    said, problems = program.communicate(timeout=30)
    assert (program.returncode, problems) == (-signal.SIGTERM, "")
    assert_stored(dsn, said)


@pytest.mark.long
def test_a_program_that_is_interrupted_while_it_stores_its_last_ones() -> None:
    program = start("work(0.2); print('ended', flush=True)", AWAY)
    while first_line(program) not in ("ended\n", ""):
        pass
    time.sleep(1)
    begin = time.monotonic()
    program.send_signal(signal.SIGINT)
    _, problems = program.communicate(timeout=30)
    assert time.monotonic() - begin < 8
    assert "Traceback" not in problems
    assert "executions are lost with this process" in problems


@pytest.mark.long
def test_recorders_that_are_forgotten_leave_no_thread(dsn: str) -> None:
    program = start(
        """
work(0.1)
for _ in range(20):
    execlog.ExecutionRecorder(sys.argv[1]).record(**fields())
for _ in range(100):
    own = [one for one in threading.enumerate() if one.name == "execlog recorder"]
    if len(own) == 1:  # that of the first recorder
        break
    time.sleep(0.1)
else:
    sys.exit(f"{len(own)} threads")
""",
        dsn,
    )
    said, problems = program.communicate(timeout=60)
    assert (program.returncode, problems) == (0, "")
    assert len(asyncio.run(stored(dsn))) == len(said.split()) + 20


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 8])
def test_what_other_threads_answer_while_it_dies_is_stored(dsn: str, threads: int) -> None:
    """They hold each execution that came too late, and never say its id."""
    program = start(
        f"""
def answer():
    while True:
        with recorder.run(strategy_id="s", strategy_version=1, strategy_type="t") as run:
            pass
        os.write(1, f"{{run.id}}\\n".encode())
        time.sleep(0.0005)
for _ in range({threads}):
    threading.Thread(target=answer, daemon=True).start()
while True:
    time.sleep(0.1)
""",
        dsn,
    )
    first = first_line(program)
    time.sleep(0.5)
    program.send_signal(signal.SIGTERM)
    said, problems = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGTERM, problems  # which count the refused ones
    assert_stored(dsn, first + said)


@pytest.mark.long
def test_a_program_with_a_handler_of_its_own_keeps_it(dsn: str) -> None:
    program = start(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "recorder = execlog.ExecutionRecorder(sys.argv[1])\nwork()",
        dsn,
    )
    first = first_line(program)
    program.send_signal(signal.SIGTERM)
    said, _ = program.communicate(timeout=30)
    assert program.returncode == 3
    assert_stored(dsn, first + said)


@pytest.mark.long
@pytest.mark.parametrize(("signals", "least", "most"), [(1, 5, 12), (2, 0, 4.8)])
def test_a_program_whose_store_is_away(signals: int, least: float, most: float) -> None:
    """It ends within ten seconds, and at once if it is told so a second time."""
    program = start("work()", AWAY)
    first_line(program)
    begin = time.monotonic()
    for _ in range(signals):
        program.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    _, problems = program.communicate(timeout=30)
    assert least < time.monotonic() - begin < most
    assert program.returncode == -signal.SIGTERM
    if signals == 1:
        assert "dropped executions: " in problems and "s3cret" not in problems


@pytest.mark.long
@pytest.mark.parametrize(("go_on", "least", "most"), [("", 4, 15), ("time.sleep(30)", 8, 15)])
def test_paused_loops_whose_store_is_away_share_the_time(
    go_on: str, least: float, most: float
) -> None:
    paused = f"""
async def main():
    for _ in range(3):
        other = execlog.ExecutionRecorder(sys.argv[1])
        await other.start()
        other.record(**fields())
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
print("paused", flush=True)
{go_on}
"""
    program = start(paused, AWAY)
    first_line(program)
    begin = time.monotonic()
    if go_on:
        program.send_signal(signal.SIGTERM)
    _, problems = program.communicate(timeout=60)
    assert least < time.monotonic() - begin < most
    assert program.returncode == (-signal.SIGTERM if go_on else 0)
    assert problems.count("dropped executions: 1 closed") == 3


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("end", ["", "; process.terminate()"])
def test_a_child_of_multiprocessing(dsn: str, tmp_path: Path, kind: str, end: str) -> None:
    module = tmp_path / "program.py"
    module.write_text(
        HEAD
        + f"""
def child():
    with open({str(tmp_path / "said")!r}, "w") as accepted:
        work({20 if end else 0.5}, accepted)

if __name__ == "__main__":
    import multiprocessing
    process = multiprocessing.get_context({kind!r}).Process(target=child)
    process.start()
    while not os.path.exists({str(tmp_path / "said")!r}):
        time.sleep(0.01)
    time.sleep(1){end}
    process.join()
"""
    )
    environment: dict[str, Any] = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, module, dsn], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.replace("refused executions", "")) == (
        0,
        done.stderr,
    ) or end
    said = (tmp_path / "said").read_text()
    assert_stored(dsn, said if said.endswith("\n") else said[: said.rfind("\n") + 1])


@pytest.mark.long
@pytest.mark.parametrize(
    "work_on",
    [
        "threading.Thread(target=work, args=(1, accepted)).start()",
        "pool = ThreadPoolExecutor(1); [pool.submit(work, 0.2, accepted) for _ in range(5)]",
    ],
    ids=["thread", "pool"],
)
def test_threads_that_outlive_the_function_of_a_child(
    dsn: str, tmp_path: Path, work_on: str
) -> None:
    said = tmp_path / "said"
    program = f"""
from concurrent.futures import ThreadPoolExecutor
import multiprocessing

def child():
    accepted = open({str(said)!r}, "w")
    {work_on}

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
"""
    with start(program, dsn) as process:
        _, problems = process.communicate(timeout=60)
    assert (process.returncode, problems) == (0, "")
    assert len(said.read_text().split()) > 4000  # 5,000 a second, for a second
    assert_stored(dsn, said.read_text())


@pytest.mark.long
def test_a_child_that_is_terminated_as_it_ends_by_itself(dsn: str, tmp_path: Path) -> None:
    """What its handler raises while its threads are ended, ends the process then and there."""
    said = tmp_path / "said"
    program = f"""
import multiprocessing

def child():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open({str(said)!r}, "w") as accepted:
        work(0.2, accepted)
    threading._register_atexit(lambda: os.kill(os.getpid(), signal.SIGTERM))

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
sys.exit(process.exitcode)
"""
    with start(program, dsn) as process:
        process.communicate(timeout=60)
    assert process.returncode == 1
    assert_stored(dsn, said.read_text())
