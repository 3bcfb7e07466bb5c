"""What fires, from one check to the next: in a file, or in the log's own database.

A state is held while a check asks, judges and tells: two checks at once tell of a change once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from execlog.cli.alerts import Firing
from execlog.errors import ExeclogError

if sys.platform != "win32":
    import fcntl

__all__ = ["PATIENCE", "AlertState", "Held", "StateUnavailable", "in_file"]

PATIENCE = 90.0
"""Seconds that a check waits for another one, which asks, judges and tells."""

_POLL_SECONDS = 0.05
_FILE = TypeAdapter(dict[str, list[Firing]])


class StateUnavailable(ExeclogError):
    """The state of alerts can't be read, held or kept."""


@dataclass(frozen=True)
class Held:
    """A check's state, which no other process reads or changes meanwhile.

    Attributes:
        firing: What fired after the check before.
        keep: Keeps what fires now.
    """

    firing: Sequence[Firing]
    keep: Callable[[Sequence[Firing]], Awaitable[None]]


AlertState = Callable[[str], AbstractAsyncContextManager[Held]]
"""Holds the state of a check, by its id."""


def in_file(path: Path) -> AlertState:
    """A state in a file of JSON, and a file `.lock` beside it, which stays. Never raises.

    Args:
        path: The file; it is made if it is missing, and replaced as a whole.
    """

    @contextlib.asynccontextmanager
    async def held(check: str) -> AsyncIterator[Held]:
        async with _locked(path):
            with _understood():
                checks = _read(path)

            async def keep(firing: Sequence[Firing]) -> None:
                kept = {**checks, check: list(firing)}
                with _understood():
                    _write(path, {name: held for name, held in kept.items() if held})

            yield Held(checks.get(check, []), keep)

    return held


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Holds the lock beside a file, which ends with the process. Raises StateUnavailable."""
    if sys.platform == "win32":
        raise StateUnavailable("--state: there are no locks of files here: leave it out")
    with _understood():
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        last = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(BlockingIOError), _understood():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > last:
                raise StateUnavailable("--state: another check holds the file")
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> dict[str, list[Firing]]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    return _FILE.validate_json(text)


def _write(path: Path, checks: dict[str, list[Firing]]) -> None:
    """Replaces the file, so that it is whole whatever happens."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(_FILE.dump_json(checks, indent=1, by_alias=True))
            file.flush()
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """Errors of files as ours; a lock that is held stays what it is."""
    try:
        yield
    except BlockingIOError:
        raise
    except ValidationError:
        raise StateUnavailable("--state: the file holds no state of alerts") from None
    except OSError as error:
        # Without its cause, which `main` would take for that of a server that is away.
        raise StateUnavailable(f"--state: {error.strerror or 'failed'}") from None
