"""The installed command, each time as a process of its own.

What the command imports takes Python longer to load than most of them take to run. So one process
loads it once, and forks for each command; where the environment says how Python itself is to begin
(its locale, say), the command is started from its file.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

COMMAND = Path(sys.executable).with_name("execlog")
_ROOT = Path(__file__).parents[1]
_SERVER = "import sys; from tests.command import serve; serve(int(sys.argv[1]))"
_OURS = ("COLUMNS", "EXECLOG_", "PG", "PYTEST_")
_SECONDS = 140


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command answers, which gets none of our own connection.

    Raises:
        TimeoutError: It takes too long, if it was forked.
        subprocess.TimeoutExpired: It takes too long, else.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    plain.pop("EXECLOG_DSN", None)
    wanted = {**plain, **environment}
    forks = _Forks.started()
    if _not_ours(wanted) == _not_ours(forks.environment):
        return forks.run(words, wanted)
    return subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, env=wanted, timeout=_SECONDS
    )


def serve(number: int) -> None:
    """Forks for each command that comes by a socket, until its other end is closed."""
    import execlog.cli  # noqa: F401 - what takes its time

    with socket.socket(fileno=number) as wire:
        while True:
            data, streams, _, _ = socket.recv_fds(wire, 1 << 16, 3)
            if not data:
                return
            while not data.endswith(b"\n"):
                data += wire.recv(1 << 16)
            child = os.fork()
            if not child:
                _become(streams, **json.loads(data))
            for stream in streams:
                os.close(stream)
            _, status = os.waitpid(child, 0)
            wire.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


class _Forks:
    """The process that forks, as this one sees it."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self._wire, other = socket.socketpair()
        self._wire.settimeout(_SECONDS)
        arguments = [sys.executable, "-c", _SERVER, str(other.fileno())]
        self._process = subprocess.Popen(arguments, pass_fds=[other.fileno()], cwd=_ROOT)
        other.close()
        atexit.register(self._end)

    @classmethod
    @functools.cache
    def started(cls) -> _Forks:
        return cls()

    def run(
        self, words: tuple[str, ...], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        with (
            open(os.devnull) as nothing,
            tempfile.TemporaryFile("w+") as told,
            tempfile.TemporaryFile("w+") as said,
        ):
            asked = {"words": words, "environment": environment, "folder": os.getcwd()}
            data = json.dumps(asked).encode() + b"\n"
            streams = [stream.fileno() for stream in (nothing, told, said)]
            sent = socket.send_fds(self._wire, [data], streams)
            self._wire.sendall(data[sent:])
            code = int(self._wire.recv(64))
            texts = []
            for stream in (told, said):
                stream.seek(0)
                texts.append(stream.read())
        return subprocess.CompletedProcess([str(COMMAND), *words], code, *texts)

    def _end(self) -> None:
        self._wire.close()
        self._process.wait()


def _not_ours(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


def _become(
    streams: list[int], words: list[str], environment: dict[str, str], folder: str
) -> NoReturn:
    """Is the command from now on, as if it had been started from its file."""
    from execlog.cli import main

    code: object = 0
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout = open(0), open(1, "w")
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = [str(COMMAND), *words]
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
