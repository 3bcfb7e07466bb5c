"""Decides which column of another program's table becomes which column of an execution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from execlog.context import MOST_ATTRIBUTES
from execlog.db.copy_format import COLUMNS
from execlog.display.format import shown
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog
from execlog.moving.table import Field, Table

__all__ = ["KEYS", "REQUIRED", "Match", "Source", "Wishes", "kind_of", "matched"]

KEYS = frozenset({"strategy_id", "realm_id", "status", "error_code", "case_name"})
"""Columns that indexes hold."""

REQUIRED = tuple(
    name for name, field in StrategyExecutionLog.model_fields.items() if field.is_required()
)
"""Columns without which a row is no execution."""

_KINDS = {
    "id": "id",
    "created_at": "time",
    "strategy_version": "integer",
    "points": "number",
    "duration_ms": "number",
    "nodes_executed": "integer",
    "trace": "list",
    "sampled": "flag",
    "sample_rate": "number",
    "trace_id": "uuid",
    "input": "json",
    "attributes": "object",
    "error_message": "message",
}
_ALSO = {"executionid": "id"}
_ATTRIBUTE = "attributes."
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TABLE, _MAP, _DEFAULT = "--from-table", "--map", "--default"


class Source(NamedTuple):
    """Where the values of one of our columns come from.

    Attributes:
        ours: Our column, or `attributes.KEY`.
        field: The table's column; None if there is none.
        constant: The value of all rows, as text; None if it is none.
    """

    ours: str
    field: Field | None
    constant: str | None = None


@dataclass(frozen=True)
class Wishes:
    """How a table is to be read.

    Attributes:
        maps: Our column, or `attributes.KEY`, for columns of the table; empty to leave one out.
        defaults: The value, as text, for columns of ours that the table lacks.
        ignore_unknown: Leave out the table's columns that no execution has.
    """

    maps: Sequence[tuple[str, str]] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    ignore_unknown: bool = False


@dataclass(frozen=True)
class Match:
    """How a table is read.

    Attributes:
        table: The table.
        sources: Where each of our columns comes from, in their order; those without are missing.
            An id without a column is made of the table's key.
        left_out: The table's columns that are not read.
    """

    table: Table
    sources: tuple[Source, ...]
    left_out: tuple[Field, ...]

    def has(self, ours: str) -> bool:
        """Whether a column of ours has a source. Never raises."""
        return any(source.ours == ours for source in self.sources)


def kind_of(ours: str) -> str:
    """The kind of a column of ours: those of `sql/moving/step/values.sql`. Never raises."""
    return "attribute" if ours.startswith(_ATTRIBUTE) else _KINDS.get(ours, "text")


def matched(table: Table, wishes: Wishes) -> Match:
    """Which of the table's columns becomes which of ours.

    Columns are matched by name, without case and underscores, except those that are mapped.

    Raises:
        InvalidArgument: A column that is named does not exist; one of the table has no place; one
            of ours that is required has no source; or the table's rows have no key.
    """
    if not table.key:
        raise InvalidArgument(
            _TABLE, "has no primary key and no other unique columns that are never NULL"
        )
    places = _mapped(table, wishes.maps)
    taken = {ours for ours in places.values() if ours}
    for one, ours in _alike(table, places, taken):
        places[one] = ours
    _identify(table, places)
    unknown = [one for one in table.fields if one not in places]
    if unknown and not wishes.ignore_unknown:
        raise InvalidArgument(
            _TABLE,
            f"no execution has {_names(unknown)}: say where each belongs by --map THEIRS=OURS or"
            " --map THEIRS=attributes.KEY, leave it out by --map THEIRS=, or all by"
            " --ignore-unknown",
        )
    sources = {ours: Source(ours, one) for one, ours in places.items() if ours}
    sources.setdefault("id", Source("id", None))
    for ours, constant in _constants(wishes.defaults, sources):
        sources[ours] = Source(ours, None, constant)
    if missing := [ours for ours in REQUIRED if ours not in sources]:
        raise InvalidArgument(
            _TABLE,
            f"has no column for {', '.join(missing)}: say which by --map THEIRS=OURS, or one value"
            " for all rows by --default OURS=VALUE",
        )
    left_out = tuple(one for one in table.fields if not places.get(one, ""))
    key = set() if sources["id"].field else set(table.key)
    return Match(table, tuple(_ordered(sources)), tuple(one for one in left_out if one not in key))


def _mapped(table: Table, maps: Sequence[tuple[str, str]]) -> dict[Field, str]:
    """The columns whose place is said. Raises InvalidArgument: see `matched`."""
    places: dict[Field, str] = {}
    for theirs, wanted in maps:
        one, ours = _their_column(table, theirs), wanted and _our_column(_MAP, wanted)
        if one in places:
            raise InvalidArgument(_MAP, f"{shown(theirs)} has two places")
        if ours and ours in places.values():
            raise InvalidArgument(_MAP, f"{ours} is said of two columns")
        places[one] = ours
    if sum(ours.startswith(_ATTRIBUTE) for ours in places.values()) > MOST_ATTRIBUTES:
        raise InvalidArgument(_MAP, f"names more than {MOST_ATTRIBUTES} keys of attributes")
    return places


def _alike(
    table: Table, places: Mapping[Field, str], taken: set[str]
) -> Iterator[tuple[Field, str]]:
    """The other columns that have the name of one of ours. Raises InvalidArgument: two have."""
    known = {_bare(ours): ours for ours in COLUMNS} | _ALSO
    found: dict[str, Field] = {}
    for one in table.fields:
        ours = known.get(_bare(one.name))
        if one in places or ours is None or ours in taken:
            continue
        if ours in found:
            names = _names([found[ours], one])
            raise InvalidArgument(_MAP, f"say which column is {ours} and which is none: {names}")
        found[ours] = one
        yield one, ours


def _identify(table: Table, places: dict[Field, str]) -> None:
    """Gives the key's columns a place if no column is the id."""
    if "id" in places.values():
        return
    unplaced = [one for one in table.key if one not in places]
    if len(table.key) == 1:
        places.update(dict.fromkeys(unplaced, "id"))
    else:
        places.update(dict.fromkeys(unplaced, ""))


def _constants(
    defaults: Mapping[str, str], sources: Mapping[str, Source]
) -> Iterator[tuple[str, str]]:
    """The constants, checked. Raises InvalidArgument: one is bad, or its column has a source."""
    for wanted, text in defaults.items():
        ours = _our_column(_DEFAULT, wanted)
        source = sources.get(ours)
        if ours == "id" or ours.startswith(_ATTRIBUTE):
            raise InvalidArgument(_DEFAULT, f"{ours} can't be the same in all rows")
        if source is not None and source.field is not None:
            raise InvalidArgument(_DEFAULT, f"{ours} is the column {shown(source.field.name)}")
        _check_constant(ours, text)
        yield ours, text


def _check_constant(ours: str, text: str) -> None:
    """Checks that an execution can have this value. Raises InvalidArgument: it can't."""
    value: Any = text
    try:
        if kind_of(ours) == "integer":
            value = int(text)
        elif kind_of(ours) == "number":
            value = float(text)
        elif kind_of(ours) == "flag":
            value = {"true": True, "false": False}[text]
        elif kind_of(ours) in ("list", "json", "object"):
            value = json.loads(text)
        elif kind_of(ours) == "time":
            value = datetime.fromisoformat(text)
    except (ValueError, KeyError):
        raise InvalidArgument(_DEFAULT, f"{ours} can't be this value") from None
    usual = {
        "strategy_id": "s",
        "strategy_version": 1,
        "strategy_type": "t",
        "status": "ok",
        "duration_ms": 0.0,
        "nodes_executed": 0,
    }
    try:
        StrategyExecutionLog(**{**usual, ours: value})
    except InvalidArgument as error:
        raise InvalidArgument(_DEFAULT, str(error)) from None


def _their_column(table: Table, name: str) -> Field:
    """The column of this name, else the one that is alike. Raises InvalidArgument: none is."""
    found = [one for one in table.fields if one.name == name]
    found = found or [one for one in table.fields if _bare(one.name) == _bare(name)]
    if len(found) != 1:
        problem = "are several columns" if found else "is not a column of the table"
        raise InvalidArgument(_MAP, f"{shown(name)} {problem}")
    return found[0]


def _our_column(argument: str, name: str) -> str:
    """The column of ours. Raises InvalidArgument: there is none."""
    if name.startswith(_ATTRIBUTE):
        if not _ATTRIBUTE_KEY.fullmatch(name.removeprefix(_ATTRIBUTE)):
            problem = "is no key of attributes: 1 to 64 of the characters A-Z a-z 0-9 _ . -"
            raise InvalidArgument(argument, f"{shown(name)} {problem}")
        return name
    known = {_bare(ours): ours for ours in COLUMNS}
    ours = known.get(_bare(name))
    if ours is None:
        raise InvalidArgument(argument, f"{shown(name)} is not a column of an execution")
    return ours


def _ordered(sources: Mapping[str, Source]) -> Iterator[Source]:
    """Our columns in their order, then attributes."""
    for ours in COLUMNS:
        if ours in sources:
            yield sources[ours]
    for ours in sorted(sources):
        if ours.startswith(_ATTRIBUTE):
            yield sources[ours]


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _names(fields: Sequence[Field]) -> str:
    return ", ".join(shown(one.name) for one in fields)
