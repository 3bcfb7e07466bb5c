"""One worker process as its parent sees it: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from execlog.errors import InvalidArgument
from execlog.replaying.candidate import Candidate

__all__ = ["Process"]

_START_SECONDS = 60.0
_END_SECONDS = 2.0
_LONGEST_LINE = 1024 * 1024
_GROWTH_BYTES = 512 * 1024 * 1024
_LEAST_DATA_BYTES = 1024**3
_NAMES = ("evaluate", "baseline")


class Process:
    """A process in a session of its own: Ctrl-C does not reach it, and its children end with it.

    Args:
        process: What runs.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Takes the process. Never raises."""
        self._process = process

    @classmethod
    async def started(cls, candidates: Sequence[Candidate]) -> Process:
        """A worker that has imported the candidates.

        Raises:
            InvalidArgument: It can't be started, or can't import one of them within a minute.
        """
        worker = cls(await _started())
        try:
            await worker._begin(candidates)
        except BaseException:
            await worker.end()
            raise
        return worker

    def write(self, data: bytes) -> None:
        """Sends lines. Never raises: whether they arrived, the answers tell."""
        if self._process.stdin is not None and self._process.returncode is None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(data)

    async def read(self, seconds: float) -> bytes | None:
        """Some of its answers; empty if it has ended, None if there were none in that time.

        Never raises.
        """
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(seconds):
                return await self._process.stdout.read(_LONGEST_LINE)
        except TimeoutError:
            return None if self._process.returncode is None else b""

    async def ending(self) -> str:
        """How it ended, which it is about to. Never raises."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "it closed its pipes"
        if code >= 0:
            return f"it exited with code {code}"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"

    async def end(self) -> None:
        """Ends it at once, with all that it started. Never raises."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()

    async def _begin(self, candidates: Sequence[Candidate]) -> None:
        setup = {
            "parent": os.getpid(),
            "path": _path(),
            "candidates": [
                {"argument": name, "path": one.path}
                for name, one in zip(_NAMES, candidates, strict=False)
            ],
            "data_bytes": _data_bytes(),
            "growth_bytes": _GROWTH_BYTES,
        }
        self.write(json.dumps(setup).encode() + b"\n")
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        found: dict[str, Any] = {}
        why = f"did not start within {_START_SECONDS:g} s"
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._process.stdout.readline()
            if line:
                found = json.loads(line)
            else:
                why = f"ended while it started: {await self.ending()}"
        except (TimeoutError, ValueError):
            pass
        if "failed" in found:
            problem = f"{found['problem']} (in a worker process)"
            raise InvalidArgument(found["failed"], problem)
        if "ready" not in found:
            raise InvalidArgument("evaluate", f"a worker process for it {why}")


async def _started() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable or "",
            "-P",  # so that no module of the working folder hides one of Python
            "-m",
            "execlog.replaying.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if _is_given(name)},
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    except OSError as error:  # such as in a program that Python is only a part of
        problem = f"no worker can be started: {error.strerror or type(error).__name__}"
        raise InvalidArgument("processes", problem) from error


def _path() -> list[str]:
    """Where modules are looked for, as here: the working folder has an empty name."""
    return [os.path.abspath(part) for part in sys.path]


def _is_given(name: str) -> bool:
    """Whether a worker gets this variable: none that leads to the log."""
    return not name.startswith("EXECLOG_")


def _data_bytes() -> int:
    """Half of the machine's memory."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return _LEAST_DATA_BYTES
    return max(whole // 2, _LEAST_DATA_BYTES)
