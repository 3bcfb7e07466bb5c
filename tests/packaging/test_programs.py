"""Programs of each kind, under load, however they end: what they accepted is stored once."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from tests.extras import needs
from tests.readme import TEXT, block
from tests.running import (
    FOLDER,
    LONGEST,
    Program,
    ask,
    assert_stored,
    free_port,
    started,
    wait_for_port,
    wait_until,
)

TERM, INT = signal.SIGTERM, signal.SIGINT
LONG = pytest.mark.long
# The words that run it, how it is ended (None: it reads all that there is), and its exit code.
READERS = {
    "script": (["script.py"], {None: 0, TERM: -TERM, INT: -INT}, []),
    "threads": (["several_threads.py"], {None: 0, TERM: -TERM, INT: -INT}, []),
    "fork": (["several_processes.py", "fork"], {None: 0, TERM: 143, INT: -INT}, []),
    "spawn": (["several_processes.py", "spawn"], {None: 0, TERM: 143, INT: -INT}, []),
    "forkserver": (["several_processes.py", "forkserver"], {None: 0, TERM: 143, INT: -INT}, []),
    "asyncio": (["asyncio_worker.py"], {None: 0, TERM: 0, INT: 0}, []),
    "uvloop": (["uvloop_worker.py"], {None: 0, TERM: 0, INT: 0}, ["uvloop"]),
    "gevent": (["gevent_worker.py"], {None: 0, TERM: -TERM, INT: -INT}, ["gevent"]),
}


def cases() -> list[object]:
    return [
        pytest.param(
            words,
            number,
            code,
            id=f"{name}-{number and number.name}",
            marks=[needs(*modules), *([] if name == "script" and number != INT else [LONG])],
        )
        for name, (words, ends, modules) in READERS.items()
        for number, code in ends.items()
    ]


@pytest.mark.parametrize(("words", "number", "code"), cases())
def test_a_program_that_reads(
    dsn: str, words: list[str], number: signal.Signals | None, code: int
) -> None:
    with started(words, dsn) as program:
        program.feed(0.01, rate=1000)
        program.wait_for(b"-")
        feeding = threading.Thread(target=program.feed, args=(LONGEST,))
        if number is None:
            program.feed(1.0)
            program.finish_input()
        else:
            feeding.start()  # it goes on while the program ends
            wait_until(lambda: len(program.ids()) >= 1000)
        assert program.end(number) == code, program.err[-3000:]
        if number is not None:
            feeding.join()
        # Of what was fed, a program may have taken up to a queue's length and not have said so.
        assert_stored(dsn, program.ids(), least=1000, beyond=2000 if number else 0)


READY = Path(__file__).parents[1] / "gunicorn_ready.py"
GUNICORN = f"-m gunicorn --workers=2 --graceful-timeout=5 --bind=127.0.0.1:PORT -c {READY}".split()
SERVICES = {
    "uvicorn": (
        ["-m", "uvicorn", "--port=PORT", "--no-access-log", "fastapi_service:app"],
        {TERM: {-TERM, 0}, INT: {-INT, 0, 130}},
        ["fastapi"],
    ),
    "uvicorn workers": (
        ["-m", "uvicorn", "--port=PORT", "--workers=2", "--no-access-log", "fastapi_service:app"],
        {TERM: {0}, INT: {0}},
        ["fastapi"],
    ),
    "flask": ([*GUNICORN, "--preload", "flask_service:app"], {TERM: {0}, INT: {0}}, ["flask"]),
    "flask, no preload": ([*GUNICORN, "flask_service:app"], {TERM: {0}}, ["flask"]),
    "flask, threads": (
        [*GUNICORN, "--preload", "--threads=4", "flask_service:app"],
        {TERM: {0}, INT: {0}},
        ["flask"],
    ),
    "flask, gevent": (
        [*GUNICORN, "--preload", "-k=gevent", "flask_service:app"],
        {TERM: {0}, INT: {0}},
        ["flask", "gevent"],
    ),
    "django": ([*GUNICORN, "django_service:app"], {TERM: {0}, INT: {0}}, ["django"]),
    "runserver": (
        ["django_service.py", "runserver", "--noreload", "127.0.0.1:PORT"],
        {TERM: {-TERM}, INT: {0}},
        ["django"],
    ),
}


def is_up(program: Program, words: list[str]) -> bool:
    """Whether all its processes have booted: one that has not may be killed at the end."""
    said = (b"worker is ready", b"Application startup complete")
    return sum(map(program.err.count, said)) >= (2 if "--workers=2" in words else 0)


@LONG
@pytest.mark.parametrize(
    ("words", "number", "codes"),
    [
        pytest.param(words, number, codes, id=f"{name}-{number.name}", marks=needs(*modules))
        for name, (words, ends, modules) in SERVICES.items()
        for number, codes in ends.items()
    ],
)
def test_a_service(dsn: str, words: list[str], number: signal.Signals, codes: set[int]) -> None:
    port = free_port()
    with started([word.replace("PORT", str(port)) for word in words], dsn) as program:
        wait_for_port(port, program)
        answered, asking = ask(port)
        wait_until(lambda: len(answered) >= 500 and is_up(program, words))
        assert program.end(number) in codes, program.err[-3000:]
        for one in asking:
            one.join(LONGEST)
        assert_stored(dsn, set(answered), least=100)


TWO = """
from gevent import monkey
monkey.patch_all()
import gevent, execlog, os
first, second = (execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"]) for _ in range(2))
for n in range(1000):
    for recorder in (first, second):
        with recorder.run(strategy_id="s", strategy_version=1, strategy_type="t") as run:
            pass
        if recorder is first:
            print(run.id)
    gevent.sleep(0.001)
"""


@LONG
@needs("gevent")
def test_a_second_recorder_among_greenlets_waits_and_says_so(dsn: str) -> None:
    with started(["-c", TWO], dsn) as program:
        assert program.end(seconds=30) == 0
    assert 1 <= program.err.count(b"use one recorder in a process") <= 3
    assert_stored(dsn, program.ids(), least=1000, beyond=1000)


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        ("worker_process_shutdown.connect", "celery_task.py"),
        ("run.trace.append(entry", "rule_engine_rules.py"),
    ],
)
def test_what_the_documents_show_is_part_of_a_program(marker: str, name: str) -> None:
    assert block(marker) in (FOLDER / name).read_text()


def test_each_program_is_linked() -> None:
    for path in FOLDER.glob("*.py"):
        assert f"tests/programs/{path.name})" in TEXT, path.name
