"""The filters of executions: one set of keywords for every method that takes them.

`sql/part/filters.sql` says what each of them means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from execlog import context
from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.models import STATUSES

__all__ = ["Conditions", "Filters", "conditions", "needs_window"]

Texts = str | Collection[str] | None

_MOST_NODES = 2**31 - 1
_ERRORS = frozenset(STATUSES) - {"ok"}
# The words that stand for all statuses but these.
_ALL_BUT = {"failed": frozenset({"ok"}), "other": frozenset(STATUSES)}

_NONE: frozenset[str] = frozenset()
_SWITCHES = {
    (None, _ALL_BUT["failed"]): "failed",
    (None, _ALL_BUT["other"]): "other",
    (_ERRORS, _NONE): "errors",
}
# The parameter of the statements for each filter that takes one text or several.
_TEXTS = {
    "realm_id": "realm_ids",
    "strategy_type": "strategy_types",
    "error_code": "error_codes",
    "case_name": "case_names",
    "external_user_id": "external_user_ids",
    "external_game_id": "external_game_ids",
    "external_task_id": "external_task_ids",
    "parent_strategy_id": "parent_strategy_ids",
}
_NUMBERS = (
    "min_duration_ms",
    "max_duration_ms",
    "above_duration_ms",
    "min_points",
    "max_points",
    "below_points",
)
_COUNTS = ("min_nodes", "max_nodes")
_RANGES = ("duration_ms", "nodes", "points")


class Filters(TypedDict, total=False):
    """Which executions; a filter that is None or left out leaves none out.

    Where a list may be given, one of its values must be that of the execution; an empty list leaves
    out all. Executions without a value are left out by each filter but `no_case`. A bar of a
    histogram of durations excludes its lower bound and includes its upper one (`above_duration_ms`,
    `max_duration_ms`); a bar of points is the other way round (`min_points`, `below_points`).

    Attributes:
        realm_id: The tenant, or several.
        strategy_version: The version, or several.
        strategy_type: The type, or several.
        status: A status, or several; "failed" stands for all but ok, "errors" for error, timeout
            and limit, which an error rate counts, "other" for all that are neither these nor ok.
        error_code: The code, or several.
        case_name: The rule case that fired, or several; "" is a case without a name.
        no_case: True: no rule matched.
        external_user_id: The user, or several.
        external_game_id: The game, or several.
        external_task_id: The task, or several.
        parent_strategy_id: The wrapped strategy, or several.
        trace_id: The distributed trace, or several: as a UUID, hexadecimal text or an integer.
        attributes: Values of the caller's own keys, each a text, a number or a bool, all of which
            must be equal and of the same type.
        attribute_texts: The same, compared with the value's text: "true" is equal to True, too.
        min_duration_ms: The least duration, in milliseconds.
        max_duration_ms: The greatest duration.
        above_duration_ms: Only longer durations than this.
        min_nodes: The least number of nodes.
        max_nodes: The greatest number of nodes.
        min_points: The least points.
        max_points: The most points.
        below_points: Only fewer points than this.
    """

    realm_id: Texts
    strategy_version: int | Collection[int] | None
    strategy_type: Texts
    status: Texts
    error_code: Texts
    case_name: Texts
    no_case: bool | None
    external_user_id: Texts
    external_game_id: Texts
    external_task_id: Texts
    parent_strategy_id: Texts
    trace_id: UUID | str | int | Collection[UUID | str | int] | None
    attributes: Mapping[str, str | float | bool] | None
    attribute_texts: Mapping[str, str] | None
    min_duration_ms: float | None
    max_duration_ms: float | None
    above_duration_ms: float | None
    min_nodes: int | None
    max_nodes: int | None
    min_points: float | None
    max_points: float | None
    below_points: float | None


class Conditions(NamedTuple):
    """Filters as a statement takes them that includes `sql/part/filters.sql`.

    Attributes:
        switches: The switches that are on.
        values: The values by the names of the parameters; those that are None are left out.
        only_failures: Whether no execution with the status ok is among those that are left.
    """

    switches: tuple[str, ...]
    values: dict[str, Any]
    only_failures: bool

    @property
    def are_of_users(self) -> bool:
        """Whether they name users, whose runs have an index. Never raises."""
        return self.values["external_user_ids"] is not None

    @property
    def across(self) -> tuple[str, ...]:
        """The switches of a statement across strategies, which takes other indexes. Never raises.

        Such a statement has a switch `failed_of_all`.
        """
        if not self.only_failures or self.are_of_users:
            return self.switches
        return (*(one for one in self.switches if one != "failed"), "failed_of_all")


def conditions(method: str, filters: Mapping[str, Any], *, of_failures: bool = False) -> Conditions:
    """The filters, checked.

    Args:
        method: The method that takes them, for the message of an unknown one.
        filters: The filters by name, as they were given.
        of_failures: Whether executions with the status ok are left out too.

    Raises:
        TypeError: There is no filter of a name, as Python says it of any other keyword.
        InvalidArgument: A value is of another type or out of its range; a minimum is above its
            maximum; or `no_case` is true and `case_name` given too.
    """
    if unknown := filters.keys() - Filters.__annotations__.keys():
        name = min(unknown)
        raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
    among, left_out = _statuses(filters.get("status"), of_failures=of_failures)
    only_failures = "ok" in left_out if among is None else "ok" not in among
    values = _values(filters)
    switches = _by_status(values, among, left_out)
    no_case = filters.get("no_case")
    if no_case is not None and validation.flag("no_case", no_case):
        if values["case_names"] is not None:
            raise InvalidArgument("no_case", "is for executions without a case, not for case_name")
        switches = [*switches, "no_case"]
    return Conditions(tuple(switches), values, only_failures)


def needs_window(filters: Mapping[str, Any], *, strategy_id: object = None) -> bool:
    """Whether the newest executions that pass can only be found among all of a window.

    No index finds them, and neither the strategy nor the status leaves few rows. A command without
    a window then asks about the last day.

    Args:
        filters: The filters by name, as they were given.
        strategy_id: The strategies that are asked about; None: all.

    Raises:
        InvalidArgument: `status` is no text and no list of texts.
    """
    given = {name for name, value in filters.items() if value is not None and value is not False}
    if strategy_id is not None or "external_user_id" in given or not given - {"status"}:
        return False
    among, left_out = _statuses(filters.get("status"), of_failures=False)
    return "ok" not in left_out if among is None else "ok" in among


def _values(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all filters but statuses, by the names of the parameters."""
    given = filters.get
    values: dict[str, Any] = {}
    for name, parameter in _TEXTS.items():
        values[parameter] = validation.texts(name, given(name))
    versions = validation.versions("strategy_version", given("strategy_version"))
    values["strategy_versions"] = None if versions is None else [*map(str, versions)]
    values["trace_ids"] = _trace_ids(given("trace_id"))
    for name in ("attributes", "attribute_texts"):
        values[name] = _attributes(name, given(name))
    for name in _NUMBERS:
        values[name] = validation.number(name, given(name))
    for name in _COUNTS:
        values[name] = _nodes(name, given(name))
    for name in _RANGES:
        least, most = values[f"min_{name}"], values[f"max_{name}"]
        if least is not None and most is not None and least > most:
            raise InvalidArgument(f"min_{name}", f"is above max_{name}")
    return values


def _statuses(value: object, *, of_failures: bool) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The statuses that are asked for, None for all; and those that are left out of all."""
    words = validation.texts("status", value)
    among = frozenset(words or ()).difference(_ALL_BUT, {"errors"})
    among |= _ERRORS if words and "errors" in words else frozenset()
    rests = [_ALL_BUT[word] for word in words or () if word in _ALL_BUT]
    ok = frozenset({"ok"}) if of_failures else frozenset()
    if words is None:
        return None, ok
    if rests:
        # All but those that each of these words leaves out, and that are not named either.
        return None, frozenset.intersection(*rests) - among | ok
    return among - ok, frozenset()


def _by_status(
    values: dict[str, Any], among: frozenset[str] | None, left_out: frozenset[str]
) -> list[str]:
    """Adds the statuses to the values; the switches that stand for them, or help the planner.

    It knows that an index of failures holds what a switch stands for. It does not know what a value
    is: so none stands beside a user, whose runs have an index that finds fewer.
    """
    of_users = values["external_user_ids"] is not None
    if among is None and not left_out:
        return []
    if not of_users:
        switch = _SWITCHES.get((among, left_out))
        if switch is not None:
            return [switch]
    if among is None:
        values["statuses_left_out"] = sorted(left_out)
    elif len(among) == 1:
        [values["status"]] = among
    else:
        values["statuses"] = sorted(among)
    is_failure = "ok" in left_out if among is None else "ok" not in among
    return ["failed"] if is_failure and not of_users else []


def _nodes(argument: str, value: object) -> int | None:
    if value is None:
        return None
    found = validation.count(argument, value, least=0)
    if found > _MOST_NODES:
        raise InvalidArgument(argument, "is beyond the 32 bits of a number of nodes")
    return found


def _trace_ids(value: object) -> list[str] | None:
    """Each in hexadecimal digits."""
    if value is None:
        return None
    several = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
    given: Collection[object] = value if several else [value]  # type: ignore[assignment]
    try:
        return list(dict.fromkeys(context.trace_id(one).hex for one in given))
    except ValueError as error:
        raise InvalidArgument("trace_id", str(error)) from None


def _attributes(argument: str, value: object) -> str | None:
    """Keys and values as JSON; None if there are none."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidArgument(argument, validation.must_be("a mapping", value))
    given = {validation.text(argument, key): held for key, held in value.items()}
    if argument == "attribute_texts":
        given = {key: validation.text(argument, held) for key, held in given.items()}
    try:
        return context.attributes_text(context.attributes(given)) if given else None
    except ValueError as error:
        raise InvalidArgument(argument, str(error)) from None
