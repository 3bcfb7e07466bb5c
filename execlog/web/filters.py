"""The filters of executions in a query: by the names and types of `Filters`, which has them all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, NamedTuple, cast, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from starlette.requests import Request

from execlog import context
from execlog.errors import InvalidArgument
from execlog.models import invalid_argument
from execlog.repository.filters import Filters
from execlog.web.access import Scope
from execlog.web.view import View

__all__ = ["ADDED", "ANY", "MODEL", "Chip", "added", "chips", "filter_of", "filters_of", "label"]

_Name = Annotated[str, Field(min_length=1)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_KEY = "attributes."
_PARAMETERS = {"strategy_id": "id", "realm_id": "realm"}
_WORDS = {
    "attr": "attribute",
    "id": "strategy",
    "strategy_id": "strategy",
    "strategy_version": "version",
    "strategy_type": "type",
    "error_code": "code",
    "case_name": "case",
    "trace_id": "trace id",
    "no_case": "no rule matched",
    "min_duration_ms": "ms at least",
    "max_duration_ms": "ms at most",
    "above_duration_ms": "ms above",
    "min_nodes": "nodes at least",
    "max_nodes": "nodes at most",
    "min_points": "points at least",
    "max_points": "points at most",
    "below_points": "points below",
}

# How a query has the values of each type that a filter has.
_FORMS: dict[object, Any] = {
    str | Collection[str] | None: list[_Name],
    int | Collection[int] | None: list[int],
    UUID | str | int | Collection[UUID | str | int] | None: list[_Name],
    bool | None: bool,
    float | None: _Number,
    int | None: int,
}
_DESCRIPTIONS = {
    "status": (
        'A status; "failed": any but ok; "errors": error, timeout and limit;'
        ' "other": none of these and not ok.'
    ),
    "no_case": "Only those for which no rule matched.",
    "trace_id": "The distributed trace, as a UUID or 32 hexadecimal digits.",
}
# What a query has as `attr`, since a value there is a text.
_ATTRIBUTES = ("attributes", "attribute_texts")
_HINTS = {name: kind for name, kind in get_type_hints(Filters).items() if name not in _ATTRIBUTES}
_ATTR = "KEY=VALUE: only with this attribute, compared as text. attributes.KEY=VALUE is the same."
_FIELDS: dict[str, Any] = {
    name: (_FORMS[kind] | None, Field(None, description=_DESCRIPTIONS.get(name)))
    for name, kind in _HINTS.items()
}
MODEL: type[BaseModel] = create_model(
    "Filters",
    __config__=ConfigDict(hide_input_in_errors=True),
    **_FIELDS,
    attr=(list[_Name] | None, Field(None, description=_ATTR)),
)
"""The filters as parameters of a query; one that takes several values is repeated."""

_SEVERAL = frozenset(name for name, kind in _HINTS.items() if str(_FORMS[kind]).startswith("list"))

ADDED = ("id", "realm", *(name for name in _HINTS if name not in ("realm_id", "no_case")), "attr")
"""The parameters that the form of a page can add."""

ANY = "any"
"""What the form says for a column if the value names it."""


class Chip(NamedTuple):
    """A filter that is on.

    Attributes:
        name: Its name as it is shown.
        value: Its value; empty if the name says all.
        without: The link to the same page without it.
    """

    name: str
    value: str
    without: str


def filters_of(request: Request, scope: Scope, realm: str | None) -> Filters:
    """The filters of a request, as the repository takes them, within a scope.

    Args:
        request: The request.
        scope: What it may see.
        realm: The realm of its view, which holds beside its filters.

    Raises:
        InvalidArgument: One of them is malformed; names it.
        HTTPException: 403, a realm is not in the scope.
    """
    asked = request.query_params
    given = {
        name: values if name in _SEVERAL else values[-1]
        for name in _HINTS
        if (values := [value for value in asked.getlist(name) if value])
    }
    try:
        parsed = MODEL.model_validate(given)
    except ValidationError as error:
        found = invalid_argument(error)
        raise InvalidArgument(found.argument.partition(".")[0], found.problem) from None
    filters = parsed.model_dump(exclude_none=True)
    if not filters.get("no_case"):
        filters.pop("no_case", None)
    if attributes := _attributes(request):
        filters["attribute_texts"] = attributes
    realms = _realms(scope, realm, filters.pop("realm_id", None))
    if realms is not None:
        filters["realm_id"] = realms
    return cast(Filters, filters)


def chips(view: View) -> Iterator[Chip]:
    """The filters that a page's own parameters have on. Never raises."""
    if view.realm is not None:
        yield Chip("realm", view.realm, view.same(realm=None))
    for name, values in view.own.items():
        if name not in MODEL.model_fields and name != "id" and not name.startswith(_KEY):
            continue
        for value in values if name in _SEVERAL or name == "attr" else values[-1:]:
            shown = "" if (name, value) == ("no_case", "true") else value
            yield Chip(label(name), shown, view.without(name, value))


def added(view: View, names: Collection[str] = ADDED) -> str | None:
    """The link to the page with the filter that its form adds; None: it adds none.

    The form has the value, and a column or `any`: then the value is NAME=VALUE, and leads to the
    executions if the page does not have that filter.

    Args:
        view: The view.
        names: The parameters that the page can add.

    Raises:
        InvalidArgument: The page has no such filter, or the value names none.
    """
    if "add" not in view.own:
        return None
    name, value = view.own["add"][-1], view.own.get("value", [""])[-1].strip()
    if name not in names and name != ANY:
        raise InvalidArgument("add", "is no filter of this page")
    rest: dict[str, Any] = {"add": None, "value": None}
    if not value:
        return view.same(**rest)
    if name == ANY:
        name, value = _named(value)
    elif name != "attr":
        # What the form suggests has the name of its column, whichever was chosen.
        value = value.removeprefix(f"{label(name)}=")
    held = view.own.get(name, ()) if name in _SEVERAL or name == "attr" else ()
    values = [*held, value] if value not in held else list(held)
    if name not in names:
        return view.link("executions", **{**view.kept, **rest, name: values})
    return view.same(**rest, **{name: values})


def _named(text: str) -> tuple[str, str]:
    """The parameter and the value of a text such as code=E1, or plan=gold for an attribute.

    Raises:
        InvalidArgument: It is none.
    """
    name, _, value = (part.strip() for part in text.partition("="))
    known = {label(one): one for one in ADDED} | {one: one for one in ADDED}
    if parameter := {**known, **_PARAMETERS}.get(name) if value else None:
        return parameter, value
    if not value or not context.is_attribute(name, value):
        problem = "must be NAME=VALUE, such as code=E1, or a column must be chosen for it"
        raise InvalidArgument("value", problem)
    return "attr", f"{name}={value}"


def filter_of(column: str, value: object) -> dict[str, Any] | None:
    """The parameters of the executions with this value in a column; None: no filter says that.

    Never raises.
    """
    if value is None:
        return {"no_case": True} if column == "case_name" else None
    name = _PARAMETERS.get(column, column)
    if value == "" or (name not in ADDED and not name.startswith(_KEY)):
        return None
    return {name: value}


def label(name: str) -> str:
    """The name of a filter or a column in words. Never raises."""
    if name.startswith(_KEY):
        return name.removeprefix(_KEY)
    word = name.removeprefix("external_").removesuffix("_id").replace("_", " ")
    return _WORDS.get(name, word)


def _attributes(request: Request) -> dict[str, str]:
    """The attributes of both forms of their parameter."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if not value or not (name == "attr" or name.startswith(_KEY)):
            continue
        text = value if name == "attr" else f"{name.removeprefix(_KEY)}={value}"
        key, equals, held = text.partition("=")
        if not equals or not context.is_attribute(key, held):
            problem = "must be KEY=VALUE, with a key of 1 to 64 letters, digits, _ . or -"
            raise InvalidArgument("attr", problem)
        if found.setdefault(key, held) != held:
            raise InvalidArgument("attr", "has two values of one key")
    return found


def _realms(
    scope: Scope, realm: str | None, several: Collection[str] | None
) -> Collection[str] | None:
    """The realms that a filter and the view both name, all in the scope."""
    shown = scope.realm(realm)
    if several is None:
        return shown
    for one in several:
        scope.realm(one)
    return several if realm is None else [one for one in several if one == realm]
