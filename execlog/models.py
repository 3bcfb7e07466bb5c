"""The row of the log and the answers of the repository, as pydantic models.

Every model takes snake_case or camelCase names and dumps to camelCase with
`model_dump(by_alias=True, mode="json")`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from inspect import Signature, signature
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    dataclass_transform,
    get_type_hints,
)
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from execlog.context import attributes, error_message, trace_id
from execlog.errors import InvalidArgument
from execlog.ids import uuid7

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # where it lies is pydantic's own

__all__ = [
    "CaseNameCount",
    "DurationAndNodesSummary",
    "DurationPercentiles",
    "ErasedPart",
    "ErrorCodeCount",
    "Model",
    "Outlined",
    "PointsCount",
    "RecorderStats",
    "StrategyExecutionLog",
    "StrategyRank",
]

# The bounds of the table's constraints: a row that is valid here can be stored.
LARGEST = 1e300
# The statuses that a card counts each by itself; all others are `other`.
STATUSES = ("ok", "error", "timeout", "limit")
_Text = Annotated[str, Field(strict=True, pattern=r"\A[^\x00]*\z")]
# Text in an index, of which a row has room for 2,700 bytes in all.
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
    # At most four bytes for a character: most keys need not be encoded.
    if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        raise ValueError(f"is longer than {LONGEST_KEY} bytes in UTF-8")
    return key


_Key = Annotated[_Text, AfterValidator(_fits_index)]
_Name = Annotated[_Key, Field(min_length=1)]


def _in_calendar(time: datetime) -> datetime:
    # Times near the ends of the calendar can be outside of it in UTC, which is stored.
    if time.year in (1, 9999):
        try:
            time.astimezone(UTC)
        except OverflowError:
            raise ValueError("lies outside the years 1 to 9999 in UTC") from None
    return time


_Time = Annotated[AwareDatetime, AfterValidator(_in_calendar)]
_TraceId = Annotated[
    UUID,
    BeforeValidator(trace_id),
    PlainSerializer(lambda one: one.hex, return_type=str, when_used="json"),
]
_Message = Annotated[_Text, AfterValidator(error_message)]
_Attributes = Annotated[dict[str, Any], Field(strict=True), AfterValidator(attributes)]


@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class _ModelType(ModelMetaclass):
    """The type of the models. `pydoc` prints what `dir` names: of pydantic, 400 lines a model."""

    def __dir__(cls) -> list[str]:
        inherited = set(dir(BaseModel))
        return [name for name in super().__dir__() if name not in inherited and name[:1] != "_"]


class Model(BaseModel, metaclass=_ModelType):
    """The base of all models: takes either spelling of a name, and is immutable.

    All that pydantic's models have is there too, such as `model_dump` and `model_validate`.
    """

    # Values stay out of error messages: they are row data. Fields are named as in Python.
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Has the signature name the fields, and their types without constraints. Never raises."""
        types = SimpleNamespace(
            __annotations__={name: field.annotation for name, field in cls.model_fields.items()}
        )
        plain = get_type_hints(types)
        aliased = signature(cls).parameters
        named = [
            aliased[to_camel(name)].replace(name=name, annotation=plain[name])
            for name in cls.model_fields
        ]
        cls.__signature__ = Signature(named)


class StrategyExecutionLog(Model):
    """One execution: one run of one version of a strategy on one event.

    `id` and `created_at` are made if they are left out; `created_at=None` means that the time is
    unknown. `trace` is a list of JSON values, one for each rule node visited; Postgres keeps it as
    jsonb, which orders the keys of an object and keeps one of each. `trace_id` is the W3C id of the
    surrounding distributed trace, given as a UUID, hexadecimal text, or OpenTelemetry's integer.
    `error_message` is why it failed, at most 2,000 characters; connection strings and passwords in
    it are cut. `input`, any JSON, is what the strategy was given. `attributes` are at most 32 keys
    of the caller's own (letters, digits, `_`, `.`, `-`) to text, numbers or booleans, 4 kB in all.
    `stored_at` is set by the store: it is not written, and executions that differ in nothing else
    are equal. `payloads_left_out` is true for rows that were read without their payloads (trace and
    input), which are None then.

    Raises:
        InvalidArgument: A field is missing, unknown, of another type or out of its range.
            (Pydantic's own `model_validate` raises pydantic's own `ValidationError`.)
    """

    payloads_left_out: ClassVar[bool] = False

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
    trace_id: _TraceId | None = None
    error_message: _Message | None = None
    stored_at: _Time | None = None
    input: Any | None = None
    attributes: _Attributes | None = None

    def __eq__(self, other: object) -> bool:
        """Whether all fields but `stored_at` are equal. Never raises."""
        if not isinstance(other, StrategyExecutionLog):
            return NotImplemented
        ours, theirs = self.__dict__, other.__dict__
        return ours == theirs or {**ours, "stored_at": None} == {**theirs, "stored_at": None}

    def __hash__(self) -> int:
        """Of the id, which equal executions share. Never raises."""
        return hash(self.id)

    if not TYPE_CHECKING:  # the checker sees the fields, not **fields

        def __init__(self, /, **fields: Any) -> None:
            """Takes the fields by name. Raises InvalidArgument, which names the first bad one."""
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise invalid_argument(error) from error

        # Without this mark pydantic calls __init__ for each row that is read: twice the work.
        __init__.__pydantic_base_init__ = True


class Outlined(StrategyExecutionLog):
    """An execution that was read without its payloads; equal to one that has none."""

    payloads_left_out: ClassVar[bool] = True


class ErrorCodeCount(Model):
    """How many executions of a window failed with one code."""

    code: str
    count: int


class CaseNameCount(Model):
    """How often a rule case fired; `case_name` None is the default bucket (no rule matched)."""

    case_name: str | None
    count: int


class PointsCount(Model):
    """How many runs were awarded so many points: `low`, `high` or a whole number between them."""

    low: float
    high: float
    count: int


class DurationAndNodesSummary(Model):
    """Duration (milliseconds), nodes and points of the stored rows of a window, each counted once.

    Zeros if it holds no row.
    """

    count: int
    duration_avg_ms: float
    duration_min_ms: float
    duration_max_ms: float
    duration_sum_ms: float
    nodes_avg: float
    nodes_max: int
    points_sum: float


class DurationPercentiles(Model):
    """Percentiles of the duration; each row weighs 1/sample_rate, 1e9 at most.

    `values_ms[i]` belongs to `fractions[i]`, 0.0 if the window holds no row. `method` is "exact"
    (every row of the window) or "sample" (its newest rows); `sample_size` is the number of rows
    that the values were computed from.
    """

    fractions: tuple[float, ...]
    values_ms: tuple[float, ...]
    method: Literal["exact", "sample"]
    sample_size: int


class StrategyRank(Model):
    """One strategy of a ranking: its stored executions in a window, durations in milliseconds.

    `failures` are the rows whose status is not ok. `error_rate` is the share of error, timeout and
    limit among the executions that the rows stand for, `failed_rate` that of all whose status is
    not ok: each row weighs 1/sample_rate, and so it does in the average and the percentiles.
    `last_run` is None if no row has a time. If `method` is "sketch" (many rows), each percentile is
    at most `relative_error` of itself off; if that is None, one may be further off: below a
    microsecond, or above thirty years.
    """

    strategy_id: str
    runs: int
    failures: int
    error_rate: float
    failed_rate: float
    avg_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    last_run: datetime | None
    method: Literal["exact", "sketch"] = "exact"
    relative_error: float | None = 0.0


class ErasedPart(Model):
    """The progress of an erasure.

    `executions` is the number found so far; `reached` is the time down to which the log was read,
    None if all of it was. `spooling_recorders` is how many recorders had executions in files when
    they told their account last before it began: what is stored from there later may be the user's,
    so the erasure is to be repeated once they have closed with nothing left, or others have taken
    their files over.
    """

    executions: int
    reached: datetime | None
    spooling_recorders: int = 0


class RecorderStats(Model):
    """The account of a recorder, at one moment.

    Always: offered + recovered = sampled_out + rejected + dropped + written + pending_rows.

    Attributes:
        offered: Calls of `record`.
        recovered: Executions of another process that it took over.
        sampled_out: Ok runs that the sampler did not choose.
        rejected: Refused, by reason: the name of the field that can't be stored, "unknown_field",
            "too_large", "refused_by_store", "swallowed_by_store" (by a trigger), "closed",
            "stopped", "internal".
        dropped: Accepted and then lost, by reason: "full", "stopped", "closed", "unconfirmed"
            (sent, but the recorder closed before the commit was answered), "torn" (what a process
            was writing to its file when it was killed) and "damaged" (a file that can't be read).
        altered: Accepted with changes, by reason: "text_repaired", "trace_cut",
            "trace_repaired", "trace_left_out", "trace_id_left_out", "error_message_cut",
            "error_message_left_out", "input_repaired", "input_left_out", "attributes_left_out" (all
            or some of them). These are counted among the others too.
        written: Stored, each once.
        pending_rows: Waiting, or being stored now, in memory or in files.
        pending_bytes: The memory that these take.
        spooled_rows: How many of them lie in files, so that they outlive the process.
        spooled_bytes: The bytes of files that these take.
        slow_writes: Rows whose write into a file took more than 5 ms.
        batches: Transactions that stored rows.
        retries: Tries that failed or were refused, to be repeated.
        last_error: What went wrong last, with its SQLSTATE and without row data.
        seconds_since_success: Seconds since the last rows were stored; None: none were yet.
        alive: Whether it stores or retries: it was started and not closed. It retries while the
            server refuses, and stops only if it can't connect at all (a pool in a forked child).
    """

    offered: int
    recovered: int = 0
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
    spooled_rows: int = 0
    spooled_bytes: int = 0
    slow_writes: int = 0


def invalid_argument(error: ValidationError, where: str = "") -> InvalidArgument:
    """Pydantic's first error in our own words, without the value. Never raises.

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
