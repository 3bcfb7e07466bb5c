"""What a candidate answers for one execution, whatever it really returned or raised."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from execlog.db import values
from execlog.models import LARGEST, LONGEST_KEY, STATUSES

__all__ = ["INVALID", "Answer", "Outcome", "of_error", "read_outcome"]

INVALID = "invalid answer"
"""The error code of what is no outcome."""

_LONGEST_REASON = 500
_NAMES = ("status", "points", "case_name", "error_code")
_ALIASES = {"case_name": "caseName", "error_code": "errorCode"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends: what a replay compares.

    Attributes:
        status: "ok", "error", "timeout" or "limit"; or the one that the execution has in the log.
        points: Points awarded; None if there are none.
        case_name: The rule case that fired; None: no rule matched.
        error_code: Why it failed.
    """

    status: str
    points: float | None = None
    case_name: str | None = None
    error_code: str | None = None


class Answer(NamedTuple):
    """An outcome, how long it took, and why it failed.

    Attributes:
        outcome: The outcome.
        took_ms: Milliseconds; None: it did not end by itself, or was a worker's first.
        reason: What was raised, in words; None if nothing was.
        recorder_calls: Calls of recorders meanwhile, which recorded nothing.
    """

    outcome: Outcome
    took_ms: float | None = None
    reason: str | None = None
    recorder_calls: int = 0


def of_error(error: BaseException) -> tuple[Outcome, str]:
    """The outcome of a candidate that raised, and the reason. Never raises."""
    status = "timeout" if isinstance(error, TimeoutError) else "error"
    name = values.name_of(error)
    try:
        said = str(error)[:_LONGEST_REASON]
    except BaseException:  # a class of the candidate's own may raise anything
        said = ""
    text = _stored(f"{name}: {said}" if said else name)
    return Outcome(status, None, None, _stored(name)[:LONGEST_KEY]), text[:_LONGEST_REASON]


def read_outcome(answer: object, recorded: str) -> tuple[Outcome, str | None]:
    """The outcome that a candidate returned, and what is wrong with it.

    Never raises.

    Args:
        answer: What it returned.
        recorded: The status of the execution in the log, which it may answer too.
    """
    try:
        found = _fields(answer)
        outcome = Outcome(
            _status(found["status"], recorded),
            _points(found["points"]),
            _key("case_name", found["case_name"]),
            _key("error_code", found["error_code"]),
        )
    except ValueError as error:
        return Outcome("error", None, None, INVALID), str(error)
    except BaseException as error:  # a type of the candidate's own may raise anything
        return Outcome("error", None, None, INVALID), of_error(error)[1]
    return outcome, None


def _fields(answer: object) -> dict[str, Any]:
    if isinstance(answer, Outcome):
        return {name: getattr(answer, name) for name in _NAMES}
    if not isinstance(answer, Mapping):
        if inspect.iscoroutine(answer):
            answer.close()
        name = values.name_of(answer)
        raise ValueError(f"it is no execlog.Outcome and no mapping, but of the type {name}")
    if "status" not in answer:
        raise ValueError("it has no status")
    return {name: answer.get(name, answer.get(_ALIASES.get(name))) for name in _NAMES}


def _status(value: object, recorded: str) -> str:
    found = _key("status", value)
    if found is None or (found not in STATUSES and found != recorded):
        raise ValueError(f"its status is none of {', '.join(STATUSES)}")
    return found


def _points(value: object) -> float | None:
    if value is None:
        return None
    found = values.scalar(value)
    if found is None or isinstance(found, bool):
        raise ValueError(f"its points are no number, but of the type {values.name_of(value)}")
    try:
        points = float(found)
    except OverflowError:
        points = math.inf
    if not abs(points) <= LARGEST:
        raise ValueError("its points are not finite")
    return points


def _key(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"its {name} is no text, but of the type {values.name_of(value)}")
    text = str.__str__(value)
    try:
        is_long = len(text) > LONGEST_KEY or len(text.encode()) > LONGEST_KEY
    except UnicodeEncodeError:
        raise ValueError(f"its {name} has half of a surrogate pair") from None
    if is_long:
        raise ValueError(f"its {name} is longer than {LONGEST_KEY} bytes")
    return text


def _stored(text: str) -> str:
    """The text without what UTF-8 lacks."""
    return text.encode("utf-8", "replace").decode()
