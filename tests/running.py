"""Runs a program of `tests/programs` as a process, gives it work, and counts from outside.

What a program said that it recorded must be in the log, each execution once, however it ended.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg

from tests.databases import TABLE

__all__ = [
    "EVENT",
    "FOLDER",
    "LONGEST",
    "Program",
    "ask",
    "assert_stored",
    "free_port",
    "started",
    "stored",
    "wait_for_port",
    "wait_until",
]

FOLDER = Path(__file__).parent / "programs"
EVENT = b'{"amount": 50, "user": "u1"}'
PER_SECOND = 5000
LONGEST = 30.0
"""Seconds within which a program has ended, on a busy machine too."""
_IDS = re.compile(rb"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


class Program:
    """A process whose output is read as it comes.

    Args:
        process: It was started with pipes.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.out = b""
        self.err = b""
        self._readers = [threading.Thread(target=self._read, args=(n,)) for n in ("out", "err")]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        pipe = self.process.stdout if name == "out" else self.process.stderr
        assert pipe is not None
        while part := os.read(pipe.fileno(), 1 << 16):
            setattr(self, name, getattr(self, name) + part)

    def wait_for(self, text: bytes, seconds: float = 30) -> None:
        """Returns when the program has said this, wherever."""
        ends = time.monotonic() + seconds
        while text not in self.out + self.err:
            assert self.process.poll() is None and time.monotonic() < ends, self.out + self.err
            time.sleep(0.02)

    def feed(self, seconds: float, rate: int = PER_SECOND) -> None:
        """Writes events at this rate: all that are due in that time, unless it ends before."""
        assert self.process.stdin is not None
        begin, sent, passed = time.monotonic(), 0, 0.0
        try:
            while passed < seconds:
                time.sleep(0.002)
                passed = min(time.monotonic() - begin, seconds)
                due = int(passed * rate)
                self.process.stdin.write((EVENT + b"\n") * (due - sent))
                self.process.stdin.flush()
                sent = due
        except BrokenPipeError:
            pass

    def finish_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self, number: int | None = None, seconds: float = LONGEST) -> int:
        """Sends this signal, if any, and returns how the process ended; it must be quick."""
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end: {self.err[-3000:]!r}") from None
        for reader in self._readers:
            reader.join(seconds)
        return code

    def close(self) -> None:
        """Ends what reads; the process has ended."""
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def ids(self, where: bytes = b".*") -> set[UUID]:
        """Those that it said, in whole, in text that matches this."""
        texts = re.findall(where, self.out + self.err)
        return {UUID(found.decode()) for text in texts for found in _IDS.findall(text)}


@contextmanager
def started(words: Sequence[str], dsn: str, **environment: str) -> Iterator[Program]:
    """Runs `python WORDS` in the folder of the programs; what still runs at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=FOLDER,
        env={**os.environ, "EXECLOG_DSN": dsn, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    program = Program(process)
    try:
        yield program
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        program.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int, program: Program, seconds: float = 30) -> None:
    """Returns when the program listens there."""
    ends = time.monotonic() + seconds
    while True:
        assert program.process.poll() is None and time.monotonic() < ends, program.err
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Returns when it is so; an error if it takes longer."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.02)


def ask(port: int, threads: int = 4) -> tuple[list[UUID], list[threading.Thread]]:
    """Threads that send requests until the service ends; the ids of its answers, which grow."""
    answered: list[UUID] = []

    def work() -> None:
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            while True:
                connection.request("POST", "/score", EVENT, headers)
                response = connection.getresponse()
                body = response.read()
                if response.status == 200:
                    answered.extend(UUID(found.decode()) for found in _IDS.findall(body))

    asking = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in asking:
        thread.start()
    return answered, asking


async def stored(dsn: str) -> list[UUID]:
    """The ids in the log."""
    connection = await asyncpg.connect(dsn)
    try:
        return [one["id"] for one in await connection.fetch(f"select id from {TABLE}")]
    finally:
        await connection.close()


def assert_stored(dsn: str, accepted: set[UUID], least: int, beyond: int = 100) -> None:
    """Each accepted one is there once, and of others at most what was begun and not answered."""
    found = asyncio.run(stored(dsn))
    assert len(accepted) >= least
    lost = accepted.difference(found)
    assert not lost, len(lost)
    assert len(found) == len(set(found)) <= len(accepted) + beyond
