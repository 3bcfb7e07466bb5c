"""Query parameters of requests as models, from which the OpenAPI document is made too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from starlette.requests import Request

from execlog.display import timeparse
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog, invalid_argument
from execlog.repository.groups import BreakdownOrder
from execlog.repository.listings import LARGEST_PAGE
from execlog.repository.ranking import RankBy
from execlog.web.cursors import Cursor, cursor, moment
from execlog.web.zones import zone_of

__all__ = [
    "AllExecutions",
    "Breakdown",
    "BreakdownPage",
    "ComparePage",
    "Comparison",
    "ExecutionPage",
    "Executions",
    "ExecutionsPage",
    "Explained",
    "Failures",
    "Metrics",
    "Overview",
    "OverviewBy",
    "Page",
    "Paged",
    "Ranking",
    "Series",
    "Sides",
    "StoragePage",
    "query",
]

_LENGTH = r"(\d{1,6}(\.\d{1,3})?(ms|s|m|h|d|w)){1,4}"
_LONGEST_QUERY = 16_384  # five names of 512 bytes, each byte as three characters, and some more
_EXAMPLES = ["15m", "24h", "2026-11-24T13:00:00Z"]


def _moment(value: object, info: ValidationInfo) -> datetime:
    # Without an offset it is in the zone that the query names, else UTC, never the server's own.
    return moment(_text(value), info.context["zone"] if info.context else UTC)


def _length(value: object) -> timedelta:
    return timeparse.length(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


_Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_LENGTH}$"},
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
            ],
            "examples": _EXAMPLES,
        }
    ),
]
_Length = Annotated[
    timedelta,
    BeforeValidator(_length),
    WithJsonSchema({"type": "string", "pattern": f"^{_LENGTH}$", "examples": ["5m", "1h"]}),
]
_Name = Annotated[str, Field(min_length=1)]
_Version = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_Zone = Annotated[str, WithJsonSchema({"type": "string", "examples": ["UTC", "Europe/Berlin"]})]
_Limit = Annotated[int, Field(description="Clamped to its range, never refused.")]
_Format = Literal["json", "csv"]
_Spreadsheet = Annotated[
    bool,
    Field(description="As CSV: an apostrophe before texts that a spreadsheet would execute."),
]


_Before = Annotated[
    Cursor,
    BeforeValidator(cursor),
    WithJsonSchema(
        {
            "type": "string",
            "description": "The next page; from the Link header of the page before.",
            "pattern": "^[^,]*,[0-9a-f-]{36}(,|$)",
        }
    ),
]


class _Query(BaseModel):
    # Unknown parameters are ignored: other tools add parameters of their own.
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Window(_Query):
    since: _Moment | None = Field(None, description="From then on, or since so long ago.")
    until: _Moment | None = Field(None, description="Until then, included.")
    zone: _Zone | None = Field(None, description="The zone of times without an offset; else UTC.")


class _Realm(_Window):
    realm: str | None = Field(None, description="Only this tenant's executions.")


class Ranking(_Realm):
    """The parameters of `GET /api/strategies`."""

    by: RankBy = Field("p99", description="The number to rank by, the largest first.")
    limit: _Limit = 10


OverviewBy = Literal["trouble"] | RankBy
"""The orders of the overview."""


class Overview(_Realm):
    """The parameters of the overview, beside its filters."""

    by: OverviewBy = Field("trouble", description="Those whose error rate changed first; or by.")
    limit: _Limit = 20


class Metrics(_Realm):
    """The parameters of `GET /api/strategies/{id}/metrics`."""


class Series(_Realm):
    """The parameters of `GET /api/strategies/{id}/timeseries`."""

    bucket: _Length | None = Field(None, description="The width; at most 1,000 buckets.")


class Paged(_Realm):
    """The parameters of a list, a page at a time."""

    before: _Before | None = None
    limit: _Limit = 50
    format: _Format = "json"
    spreadsheet: _Spreadsheet = False

    @property
    def size(self) -> int:
        """How many rows fill a page. Never raises."""
        return min(max(self.limit, 1), LARGEST_PAGE)

    def has_payloads(self, inputs: bool) -> bool:
        """Whether traces and inputs are read, for a scope with inputs or without. Never raises."""
        return inputs or self.format == "json"

    def after(self) -> StrategyExecutionLog | None:
        """A row of the cursor's time and id. Never raises."""
        return None if self.before is None else self.before.row()


class Executions(Paged):
    """The parameters of `GET /api/strategies/{id}/executions`, beside the filters."""


class AllExecutions(Paged):
    """The parameters of `GET /api/executions`, beside the filters."""

    id: _Name | None = Field(None, description="Only this strategy's executions.")


class Failures(Paged):
    """The parameters of `GET /api/failures`, beside the filters."""


class BreakdownPage(_Realm):
    """The parameters of the page of a breakdown, beside the filters."""

    id: _Name | None = Field(None, description="Only this strategy's executions.")
    by: _Name | None = Field(
        None, description="A column, attributes.KEY, or node; else the strategy, or its version."
    )
    order: BreakdownOrder | None = Field(
        None, description="The largest first; else failures, for nodes p99."
    )

    @property
    def ranked(self) -> BreakdownOrder:
        """The order of the groups. Never raises."""
        return self.order or ("p99" if self.column == "node" else "failures")

    @property
    def column(self) -> str:
        """What the breakdown is by. Never raises."""
        return self.by or ("strategy_id" if self.id is None else "strategy_version")


class Breakdown(BreakdownPage):
    """The parameters of `GET /api/breakdown`, beside the filters."""

    limit: int | None = Field(
        None, description="Clamped to its range; without one 50 groups, as CSV all."
    )
    details: bool = Field(True, description="Without percentiles and users it takes a fourth.")
    format: _Format = "json"
    spreadsheet: _Spreadsheet = False


class Explained(_Realm):
    """The parameters of `GET /api/explain` and of its page, beside the filters."""

    id: _Name = Field(description="The strategy.")
    measure: _Name = Field(
        "error_rate", description="error_rate, duration, points, or case:NAME for its share."
    )


class Sides(_Realm):
    """The parameters of a comparison beside its strategies: what only one of both is about."""

    a_version: _Version | None = Field(None, description="Of A only runs of this version.")
    a_realm: str | None = Field(None, description="Of A only those of this tenant, not of `realm`.")
    a_since: _Moment | None = Field(None, description="A's window, in the place of the other one.")
    a_until: _Moment | None = Field(None, description="Its end.")
    b_version: _Version | None = Field(None, description="Of B only runs of this version.")
    b_realm: str | None = Field(None, description="Of B only those of this tenant, not of `realm`.")
    b_since: _Moment | None = Field(None, description="B's window, in the place of the other one.")
    b_until: _Moment | None = Field(None, description="Its end.")


class Comparison(Sides):
    """The parameters of `GET /api/compare`."""

    a: _Name = Field(description="A strategy.")
    b: _Name = Field(description="Another one, or the same: then versions, tenants or windows.")


class Page(_Realm):
    """The parameters of the page of a strategy."""

    id: _Name


class ExecutionsPage(AllExecutions):
    """The parameters of the page of executions, beside the filters."""

    all_times: bool = False
    limit: _Limit = 40


class ComparePage(Sides):
    """The parameters of the page that compares two; if one is missing, it asks for it.

    With a preset it leads to A's two newest versions, or to its window and the one before.
    """

    a: _Name | None = None
    b: _Name | None = None
    preset: Literal["versions", "windows"] | None = None


class ExecutionPage(_Realm):
    """The parameters of the page of one execution."""

    id: UUID


class StoragePage(_Realm):
    """The parameters of the page of the log itself, which its links keep."""


Asked = TypeVar("Asked", bound=_Query)


def query(model: type[Asked], request: Request) -> Asked:
    """The parameters of a request.

    A name without a value counts as left out, so that a form may have empty fields.

    Raises:
        InvalidArgument: One of them is missing or malformed; names it. Or all together are longer
            than any that the pages make: each link of a page repeats them.
    """
    if len(request.scope["query_string"]) > _LONGEST_QUERY:
        raise InvalidArgument("query", f"is longer than {_LONGEST_QUERY:,} bytes")
    given = {name: value for name, value in request.query_params.items() if value}
    zone = zone_of(given.get("zone"))
    try:
        return model.model_validate(given, context={"zone": zone})
    except ValidationError as error:
        raise invalid_argument(error) from None
