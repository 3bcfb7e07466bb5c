"""How far a replay came, in a file: a replay that is begun with it again goes on from there."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from execlog.errors import InvalidArgument
from execlog.replaying.candidate import Candidate
from execlog.whole_file import replace_file

__all__ = ["State", "code_of", "readable"]

_VERSION = 1
_FORM = "is not the state of a replay"


class State:
    """A file that holds what was counted and the place after it.

    It is whole at any moment; only its owner may read it, since it names users.

    Args:
        path: The file; it need not exist.
        words: What names the window: times, or how long ago it began as it was typed.
    """

    def __init__(self, path: str | os.PathLike[str], words: Mapping[str, str | None]) -> None:
        """Takes the parts. Never raises."""
        self._path, self._words = Path(path), dict(words)
        self._key: dict[str, Any] = {}

    def load(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was kept; None if there is no file.

        Args:
            key: The arguments of the replay, which must be those that the file was made with.

        Raises:
            InvalidArgument: The file can't be read, is another file, or was made with other
                arguments; names the first of them.
        """
        self._key = json.loads(json.dumps({**key, **self._words}))
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self._check_folder()
            return None
        except (OSError, UnicodeError) as error:
            raise InvalidArgument("state", _problem("can't be read", error)) from error
        try:
            found = json.loads(text)
            version, made_with, kept = found["execlog_replay"], found["key"], found["kept"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InvalidArgument("state", _FORM) from None
        if not isinstance(made_with, dict) or not isinstance(kept, dict):
            raise InvalidArgument("state", _FORM)
        if version != _VERSION:
            problem = "was made by another version of execlog; remove it to begin again"
            raise InvalidArgument("state", problem)
        for name, value in self._key.items():
            if made_with.get(name) != value:
                problem = f"was made with another {name}; remove it to begin again"
                raise InvalidArgument("state", problem)
        return kept

    def save(self, kept: Mapping[str, Any]) -> None:
        """Writes it. Raises InvalidArgument: it can't be written."""
        text = json.dumps({"execlog_replay": _VERSION, "key": self._key, "kept": kept})
        try:
            replace_file(self._path, text.encode())
        except OSError as error:
            raise InvalidArgument("state", _problem("can't be written", error)) from error

    def remove(self) -> None:
        """Removes the file: the replay is complete. Never raises."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _check_folder(self) -> None:
        """Says at once what would stop the first write."""
        folder = self._path.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InvalidArgument("state", "can't be written: its folder is missing or closed")


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Names the file if what was kept can't be read. Raises InvalidArgument: that is so."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        problem = "is damaged; remove it to begin again"
        raise InvalidArgument("state", problem) from error


def code_of(candidate: Candidate | None) -> str | None:
    """A digest of the file that a candidate is in: edited, it is another one. Never raises."""
    if candidate is None:
        return None
    try:
        file = inspect.getsourcefile(inspect.unwrap(candidate.call))
        return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except Exception:  # an object without a file, or a type that raises
        return None


def _problem(what: str, error: Exception) -> str:
    return f"{what}: {getattr(error, 'strerror', None) or type(error).__name__}"
