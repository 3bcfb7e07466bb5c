"""The filters of executions as options: one set, for each command that takes them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

import typer

from execlog import ExeclogError, StrategyExecutionLogRepository
from execlog.display.format import shown
from execlog.repository.filters import Filters, needs_window

__all__ = ["filtered", "nothing_found", "window_of"]

_DAY = timedelta(days=1)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is no KEY=VALUE")
    return key, value


def _several(name: str, metavar: str, help: str, kind: type = str, **more: Any) -> Any:
    option = typer.Option(name, metavar=metavar, help=help, **more)
    return Annotated[list[kind] | None, option]  # type: ignore[valid-type]


def _one(name: str, help: str, kind: type) -> Any:
    return Annotated[kind | None, typer.Option(name, help=help, metavar="NUMBER")]


_OPTIONS: Mapping[str, Any] = {
    "realm_id": _several(
        "--realm", "REALM", "Only this tenant; repeat it for several, as most of these."
    ),
    "strategy_version": _several("--version", "NUMBER", "Only this version.", int),
    "strategy_type": _several("--type", "TYPE", "Only this type of strategy."),
    "status": _several(
        "--status", "STATUS", "A status, failed (not ok), errors (error, timeout, limit) or other."
    ),
    "error_code": _several("--code", "CODE", "Only this error code."),
    "case_name": _several("--case", "CASE", "Only this rule case."),
    "no_case": Annotated[bool, typer.Option("--no-case", help="Only those that no rule matched.")],
    "external_user_id": _several("--user", "USER", "Only this user."),
    "external_game_id": _several("--game", "GAME", "Only this game."),
    "external_task_id": _several("--task", "TASK", "Only this task."),
    "parent_strategy_id": _several("--parent", "STRATEGY", "Only extensions of this strategy."),
    "trace_id": _several("--trace-id", "ID", "Only this distributed trace."),
    "attribute_texts": _several(
        "--attr", "KEY=VALUE", "Only with this attribute, compared as text.", parser=_pair
    ),
    "min_duration_ms": _one("--min-ms", "The least duration, in milliseconds.", float),
    "max_duration_ms": _one("--max-ms", "The greatest duration.", float),
    "min_nodes": _one("--min-nodes", "The least number of nodes.", int),
    "max_nodes": _one("--max-nodes", "The greatest number of nodes.", int),
}
# By the names that an answer about absent values has.
_WORDS = {
    "strategy_id": "strategy",
    "realm_id": "--realm",
    "strategy_version": "--version",
    "error_code": "--code",
    "case_name": "--case",
    "status": "--status",
}


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of all filters, in the place of its parameter `filters`.

    The command gets those that are given as one mapping, by the names of `Filters`.

    Raises:
        KeyError: The command has no such parameter.
    """
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name != "filters":
            parameters.append(parameter)
            continue
        for option, kind in _OPTIONS.items():
            default = False if option == "no_case" else None
            parameters.append(parameter.replace(name=option, annotation=kind, default=default))
    if "filters" not in signature.parameters:
        raise KeyError("filters")

    @functools.wraps(command)
    def called(**given: Any) -> None:
        filters = {name: given.pop(name) for name in _OPTIONS}
        command(**given, filters=_filters(filters))

    called.__dict__["__signature__"] = signature.replace(parameters=parameters)
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def window_of(
    filters: Filters, strategy: str | None, since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """The window that a list is read from: the last day if no index finds what is asked for.

    Then it says so on standard error.

    Raises:
        OSError: Standard error can't be written.
    """
    if since is not None or until is not None or not needs_window(filters, strategy_id=strategy):
        return since, until
    print(
        "execlog: the last day is searched, since no index finds these; --since goes back further",
        file=sys.stderr,
    )
    return datetime.now(UTC) - _DAY, None


async def nothing_found(
    log: StrategyExecutionLogRepository,
    what: str,
    filters: Filters,
    strategy: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Says that nothing was found, and which of the values no run has, whatever else is asked.

    Args:
        log: The repository.
        what: What was not found, as a sentence.
        filters: The filters.
        strategy: The strategy; None: all.
        since: The window's begin.
        until: The window's end.

    Raises:
        OSError: Standard error can't be written.
    """
    absent: dict[str, list[str]] = {}
    if filters:
        with contextlib.suppress(ExeclogError):  # the answer is empty all the same
            absent = await log.list_absent(
                strategy_id=strategy, since=since, until=until, **filters
            )
    where = "the log has" if since is None and until is None else "in this time there is"
    values = [f"no {_WORDS[name]} {shown(value)}" for name in absent for value in absent[name]]
    why = f"; {where} {', '.join(values)}" if values else ""
    print(f"execlog: {what}{why}", file=sys.stderr)


def _filters(given: Mapping[str, Any]) -> Filters:
    """Those of the options that are given. Raises typer.BadParameter: an attribute is twice."""
    found: dict[str, Any] = {
        name: value
        for name, value in given.items()
        if value is not None and value is not False and value != []  # 0 is a value
    }
    if pairs := found.get("attribute_texts"):
        found["attribute_texts"] = _attributes(pairs)
    return cast(Filters, found)


def _attributes(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise typer.BadParameter("has a key twice", param_hint="--attr")
    return found
