"""Errors as problem details (RFC 9457), and the HTTP status of each."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from execlog.archive.asking import TooMuch
from execlog.errors import (
    ArchiveError,
    ExeclogError,
    InvalidArgument,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
)
from execlog.models import Model

__all__ = ["ERRORS", "Problem", "answer", "headers", "problem_of"]

ERRORS = (ExeclogError, HTTPException)
"""The errors that `problem_of` takes."""

_RETRY_SECONDS = 5
# Which file it is, and where, is nothing for a viewer.
_FILES = "Files of the log's archive can't be read: `execlog archive verify` tells which, and why."


class Problem(Model):
    """What went wrong.

    Attributes:
        type: Always "about:blank": the status says which problem it is.
        title: The status in words.
        status: The status of HTTP.
        detail: The explanation, for a person.
        argument: The query parameter that is wrong, if it is one.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    argument: str | None = None


def problem_of(error: Exception) -> Problem:
    """The problem of an error; it contains nothing of any row. Never raises."""
    if isinstance(error, HTTPException):
        return _problem(error.status_code, str(error.detail))
    if isinstance(error, InvalidArgument):
        return _problem(400, str(error), argument=error.argument)
    if isinstance(error, SchemaOutdated):
        return _problem(503, "The log's database is not up to date: run `execlog migrate`.")
    if isinstance(error, ArchiveError) and not isinstance(error, TooMuch):
        return _problem(503, _FILES)
    if isinstance(error, StoreUnavailable | QueryRejected | ArchiveError):
        return _problem(503, f"The log can't be read: {error}.")
    return _problem(500, "Something went wrong here; the service's own log says what.")


def answer(error: Exception) -> Response:
    """The problem as a response. Never raises."""
    problem = problem_of(error)
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        problem.status,
        headers=headers(error, problem),
        media_type="application/problem+json",
    )


def headers(error: Exception, problem: Problem) -> dict[str, str]:
    """The headers of a problem's answer. Never raises."""
    found: dict[str, str] = {}
    if isinstance(error, HTTPException) and error.headers:
        found.update(error.headers)
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        found["Retry-After"] = str(_RETRY_SECONDS)
    return found


def _problem(status: int, detail: str, **more: Any) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
