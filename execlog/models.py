"""The row of the log and the answers of the repository, as pydantic models.

Every model takes snake_case or camelCase names and dumps to camelCase with
`model_dump(by_alias=True, mode="json")`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from execlog.errors import InvalidArgument
from execlog.ids import uuid7

__all__ = [
    "CaseNameCount",
    "DurationAndNodesSummary",
    "DurationPercentiles",
    "ErasedPart",
    "ErrorCodeCount",
    "Model",
    "RecorderStats",
    "StrategyExecutionLog",
    "StrategyRank",
]

# The same bounds as the table's constraints, so that a row which is built here is stored there.
LARGEST = 1e300
_Text = Annotated[str, Field(strict=True, pattern=r"\A[^\x00]*\z")]
# Text that an index holds, where a row of the index has room for 2,700 bytes in all.
LONGEST_KEY = 512
_Int = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
_Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
_Milliseconds = Annotated[float, Field(strict=True, ge=0, le=LARGEST, allow_inf_nan=False)]
_Points = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
_Rate = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]

_PROBLEMS = {
    "string_too_short": "is empty",
    "too_short": "is empty",
    "string_pattern_mismatch": "holds a NUL character",
    "string_unicode": "holds half of a surrogate pair, which is not text",
    "extra_forbidden": "is not a field of an execution",
    "missing": "is missing",
    "timezone_aware": "has no time zone",
    "uuid_parsing": "is not a UUID",
    "uuid_type": "is not a UUID",
    "datetime_type": "is not a time",
    "datetime_parsing": "is not a time",
    "datetime_from_date_parsing": "is not a time",
}


def _fits_index(key: str) -> str:
    # Four bytes at most for a character: most keys need not be encoded to be sure.
    if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        raise ValueError(f"is longer than {LONGEST_KEY} bytes in UTF-8")
    return key


_Key = Annotated[_Text, AfterValidator(_fits_index)]
_Name = Annotated[_Key, Field(min_length=1)]


def _in_calendar(time: datetime) -> datetime:
    # Aware times at both ends of the calendar can lie outside of it in UTC, where they are stored.
    if time.year in (1, 9999):
        try:
            time.astimezone(UTC)
        except OverflowError:
            raise ValueError("lies outside the years 1 to 9999 in UTC") from None
    return time


_Time = Annotated[AwareDatetime, AfterValidator(_in_calendar)]


class Model(BaseModel):
    """What all models share: either spelling of a name goes in, and nothing changes afterwards."""

    # Values stay out of error messages: they are row data. Fields are named as in Python.
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )


class StrategyExecutionLog(Model):
    """One execution: one run of one version of a strategy on one event.

    `id` and `created_at` are made where they are left out; `created_at=None` says that the time is
    not known. `trace` is a list of JSON values, one for each rule node visited; Postgres keeps it
    as jsonb, which orders the keys of an object and keeps one of each.

    Raises:
        InvalidArgument: A field is missing, unknown, of another type or out of its range.
            (Pydantic's own `model_validate` raises pydantic's own `ValidationError`.)
    """

    id: UUID = Field(default_factory=uuid7)
    created_at: _Time | None = Field(default_factory=lambda: datetime.now(UTC))
    strategy_id: _Name
    strategy_version: _Int
    strategy_type: _Text
    realm_id: _Key | None = None
    external_game_id: _Text | None = None
    external_task_id: _Text | None = None
    external_user_id: _Text | None = None
    status: _Key
    error_code: _Key | None = None
    points: _Points | None = None
    case_name: _Key | None = None
    duration_ms: _Milliseconds
    nodes_executed: _Count
    trace: Annotated[list[Any], Field(strict=True)] | None = None
    sampled: Annotated[bool, Field(strict=True)] = False
    sample_rate: _Rate = 1.0
    parent_strategy_id: _Text | None = None
    notes: _Text | None = None

    if not TYPE_CHECKING:  # the checker sees the fields, not **fields

        def __init__(self, /, **fields: Any) -> None:
            """Takes the fields by name. Raises InvalidArgument, which names the first bad one."""
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise invalid_argument(error) from error

        # Without this mark pydantic calls __init__ for each row that it reads: twice the work.
        __init__.__pydantic_base_init__ = True


class ErrorCodeCount(Model):
    """How many executions of a window failed with one code."""

    code: str
    count: int


class CaseNameCount(Model):
    """How often a rule case fired; `case_name` None is the default bucket (no rule matched)."""

    case_name: str | None
    count: int


class DurationAndNodesSummary(Model):
    """Duration (milliseconds), nodes and points of a window; zeros where it holds no row."""

    count: int
    duration_avg_ms: float
    duration_min_ms: float
    duration_max_ms: float
    duration_sum_ms: float
    nodes_avg: float
    nodes_max: int
    points_sum: float


class DurationPercentiles(Model):
    """Percentiles of the duration.

    `values_ms[i]` belongs to `fractions[i]`, 0.0 where the window holds no row. `method` is
    "exact" (every row of the window) or "sample" (its newest rows); `sample_size` is the number of
    rows that the values were computed from.
    """

    fractions: tuple[float, ...]
    values_ms: tuple[float, ...]
    method: Literal["exact", "sample"]
    sample_size: int


class StrategyRank(Model):
    """A strategy among others: its stored executions in a window, durations in milliseconds.

    `failures` are the rows whose status is not ok. `error_rate` is the share of error, timeout and
    limit among the executions that the rows stand for: each weighs 1/sample_rate. `last_run` is
    None where no row has a time. The percentiles are of every row where `method` is "exact"; where
    it is "sketch", for many rows, each is at most `relative_error` of itself off.
    """

    strategy_id: str
    runs: int
    failures: int
    error_rate: float
    avg_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    last_run: datetime | None
    method: Literal["exact", "sketch"] = "exact"
    relative_error: float = 0.0


class ErasedPart(Model):
    """How far an erasure has come.

    `executions` are those found until now, `reached` is the time down to which the log was gone
    through, None where all of it was.
    """

    executions: int
    reached: datetime | None


class RecorderStats(Model):
    """The account of a recorder, at one moment.

    Always: offered = sampled_out + rejected + dropped + written + pending_rows.

    Attributes:
        offered: Calls of `record`.
        sampled_out: Ok runs that the sampler did not choose.
        rejected: Refused, by reason: the name of the field that can't be stored, "unknown_field",
            "too_large", "refused_by_store", "swallowed_by_store" (by a trigger), "closed",
            "stopped", "internal".
        dropped: Taken and then lost, by reason: "full", "stopped", "closed", and "unconfirmed"
            where it was sent and the answer to its commit was not had before the end.
        altered: Taken, but not as it was, by reason: "text_repaired", "trace_cut",
            "trace_repaired", "trace_left_out". These are counted among the others too.
        written: Stored, each once.
        pending_rows: Waiting, or being stored now.
        pending_bytes: The memory that these take.
        batches: Transactions that stored rows.
        retries: Tries that the store did not answer, or put off.
        last_error: What went wrong last, with its SQLSTATE and without row data.
        seconds_since_success: Seconds since the last rows were stored; None where none were yet.
        alive: Whether it stores or tries to: it was started and not closed. A server that refuses
            is tried again; only a recorder that has nothing to connect to (a pool in a forked
            child) is stopped.
    """

    offered: int
    sampled_out: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    altered: dict[str, int]
    written: int
    pending_rows: int
    pending_bytes: int
    batches: int
    retries: int
    last_error: str | None
    seconds_since_success: float | None
    alive: bool


def invalid_argument(error: ValidationError, where: str = "") -> InvalidArgument:
    """What pydantic found first, in our own words and without the value. Never raises.

    Args:
        error: Pydantic's error.
        where: The place of the row, for example "rows[3]".
    """
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    problem = _PROBLEMS.get(first["type"]) or first["msg"].removeprefix("Input ").removeprefix(
        "Value error, "
    )
    return InvalidArgument(".".join(filter(None, (where, path))), problem)
