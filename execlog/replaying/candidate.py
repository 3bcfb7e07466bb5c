"""The function that is replayed: how a worker process finds it, or why it can't."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from execlog.errors import InvalidArgument

__all__ = ["Candidate", "found", "imported"]

_FORM = "must be a function, or its import path such as package.module:function"


class Candidate(NamedTuple):
    """What is called for each execution.

    Attributes:
        call: The function.
        path: `module:name`, by which a worker imports it; None: it can't be named.
        is_async: Whether its answer is awaited.
        title: Its name for a person.
        kind: Why it can't be named: "a closure", "a lambda", ...; empty if it can.
    """

    call: Callable[[Any], Any]
    path: str | None
    is_async: bool
    title: str
    kind: str

    @property
    def is_inside(self) -> bool:
        """Whether it runs in this process. Never raises."""
        return self.path is None or self.is_async


def found(argument: str, given: object) -> Candidate:
    """The candidate that was given as a function, or as its import path.

    Raises:
        InvalidArgument: It is neither, or there is nothing at that path.
    """
    if isinstance(given, str):
        call = imported(argument, given)
        return Candidate(call, given, _is_async(call), given, "")
    if not callable(given):
        raise InvalidArgument(argument, _FORM)
    path, kind = _path(given)
    name = getattr(given, "__qualname__", None)
    title = path or (name if isinstance(name, str) else type(given).__qualname__)
    return Candidate(given, path, _is_async(given), title, kind)


def imported(argument: str, path: str) -> Callable[[Any], Any]:
    """What is at an import path `module:name`.

    Raises:
        InvalidArgument: The path is malformed, the module can't be imported, or has no such name;
            or that is not callable.
    """
    module, colon, name = path.partition(":")
    if not (colon and module and name):
        raise InvalidArgument(argument, f"{path!r} is no import path such as package.module:name")
    try:
        value: Any = importlib.import_module(module)
    except BaseException as error:  # the module may raise anything, SystemExit too
        if isinstance(error, KeyboardInterrupt):
            raise
        said = f"{type(error).__name__}: {error}" if isinstance(error, ImportError) else ""
        problem = f"{path!r} can't be imported: {said or type(error).__name__}"
        raise InvalidArgument(argument, problem) from error
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise InvalidArgument(argument, f"{path!r} has no {part}") from error
    if not callable(value):
        raise InvalidArgument(argument, f"{path!r} is not callable")
    called: Callable[[Any], Any] = value
    return called


def _path(given: Any) -> tuple[str | None, str]:
    """The import path of a function; or None, and what it is."""
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None, "a partial" if isinstance(given, functools.partial) else "an object"
    if "<lambda>" in name:
        return None, "a lambda"
    if "<locals>" in name:
        return None, "a closure"
    if inspect.ismethod(given):
        return None, "a method"
    if module == "__main__":
        return None, "a function of the main program"
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is not given:
        return None, "a function that its module has under another name"
    return f"{module}:{name}", ""


def _is_async(given: Any) -> bool:
    while isinstance(given, functools.partial):
        given = given.func
    method = inspect.getattr_static(type(given), "__call__", None)  # of an object that is called
    return inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(method)
