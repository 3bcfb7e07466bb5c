"""Each program of `tests/programs`, under load, however it ends: what it accepted is stored once."""

from __future__ import annotations

import signal
import time

import pytest

from tests.extras import needs
from tests.running import Program, ask, assert_stored, free_port, started

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
        program.feed(1.0)
        if number is None:
            program.finish_input()
        assert program.end(number) == code, program.err[-3000:]
        # Of what was fed, a program may have taken up to a queue's length and not have said so.
        assert_stored(dsn, program.ids(), least=1000, beyond=2000 if number else 0)
