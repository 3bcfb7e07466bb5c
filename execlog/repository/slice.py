"""A slice of the log: a strategy, and which of its runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from execlog.db import validation
from execlog.errors import InvalidArgument

__all__ = ["Slice", "scope_of"]

_FILTERS = ("realm_id", "strategy_version", "since", "until")


@dataclass(frozen=True)
class Slice:
    """Which runs are compared: those of a strategy, and of these the ones that pass.

    Attributes:
        strategy_id: The strategy.
        strategy_version: Only runs of this version, or of these; None: of all.
        realm_id: Only runs of this tenant, or of these; None: of all.
        since: The window's begin.
        until: The window's end.
    """

    strategy_id: str
    strategy_version: int | Collection[int] | None = field(default=None, kw_only=True)
    realm_id: str | Collection[str] | None = field(default=None, kw_only=True)
    since: datetime | None = field(default=None, kw_only=True)
    until: datetime | None = field(default=None, kw_only=True)


def scope_of(argument: str, given: object, common: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a card for a strategy, or for a slice.

    Args:
        argument: What the slice was given as.
        given: It.
        common: What the call gives for all slices, by the names of a slice's attributes.

    Raises:
        InvalidArgument: It is neither; or one of its values is malformed, or given twice.
    """
    values = dict(common)
    strategy = given
    if isinstance(given, Slice):
        strategy = given.strategy_id
        for name in _FILTERS:
            own = getattr(given, name)
            if own is not None and common[name] is not None:
                raise InvalidArgument(name, f"is given in the call and in the slice {argument}")
            values[name] = common[name] if own is None else own
        is_timed = given.since is not None or given.until is not None
        if is_timed and (common["since"] is not None or common["until"] is not None):
            name = "since" if common["since"] is not None else "until"
            raise InvalidArgument(name, f"is given, and the slice {argument} has times of its own")
    begin, end = validation.window(values["since"], values["until"])
    return {
        "strategy_id": validation.name(argument, strategy),
        "since": begin,
        "until": end,
        "realm_ids": validation.texts("realm_id", values["realm_id"]),
        "strategy_versions": validation.versions("strategy_version", values["strategy_version"]),
    }
