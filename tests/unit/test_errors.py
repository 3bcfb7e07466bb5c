"""Errors: what they say, what they hide, and that they can be pickled."""

from __future__ import annotations

import asyncio
import pickle

import asyncpg
import pytest

import execlog
from execlog.errors import driver_errors, dsn_errors

ALL = [
    execlog.InvalidArgument("rows[3].points", "is no number"),
    execlog.SchemaOutdated("run `execlog migrate`", "42P01"),
    execlog.StoreUnavailable("away"),
    execlog.QueryRejected("refused", "23505"),
    execlog.QueryFileError("a.sql: missing"),
    execlog.MigrationError("0002 failed", "42601"),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_pickle(error: execlog.ExeclogError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.sqlstate) == (type(error), str(error), error.sqlstate)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("42P01", execlog.SchemaOutdated),
        ("42703", execlog.SchemaOutdated),
        ("3F000", execlog.SchemaOutdated),
        ("42883", execlog.SchemaOutdated),
        ("42P10", execlog.SchemaOutdated),
        ("08006", execlog.StoreUnavailable),
        ("53300", execlog.StoreUnavailable),
        ("57P01", execlog.StoreUnavailable),
        ("57014", execlog.StoreUnavailable),
        ("40001", execlog.StoreUnavailable),
        ("25006", execlog.StoreUnavailable),
        ("55P03", execlog.StoreUnavailable),
        ("23505", execlog.QueryRejected),
        ("22P02", execlog.QueryRejected),
        ("42601", execlog.QueryRejected),
        ("42501", execlog.QueryRejected),
        ("28P01", execlog.QueryRejected),
        ("0A000", execlog.QueryRejected),
    ],
)
def test_the_server_by_its_sqlstate(sqlstate: str, kind: type[execlog.ExeclogError]) -> None:
    detail = {"C": sqlstate, "M": "secret message", "D": "secret detail", "S": "ERROR"}
    error = asyncpg.PostgresError.new(detail)
    with pytest.raises(kind) as caught, driver_errors("get"):
        raise error
    assert caught.value.sqlstate == sqlstate
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), execlog.StoreUnavailable),
        (ConnectionRefusedError(), execlog.StoreUnavailable),
        (EOFError(), execlog.StoreUnavailable),
        (asyncpg.InterfaceError("secret"), execlog.StoreUnavailable),
        (asyncpg.InternalClientError("secret"), execlog.StoreUnavailable),
        (asyncpg.exceptions._base.DataError("secret"), execlog.QueryRejected),
        (UnicodeEncodeError("utf-8", "secret", 0, 1, "surrogate"), execlog.QueryRejected),
    ],
)
def test_the_driver_and_the_system(error: Exception, kind: type[execlog.ExeclogError]) -> None:
    with pytest.raises(kind) as caught, driver_errors("get"):
        raise error
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("bug"), ALL[0]])
def test_what_is_not_the_drivers_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, driver_errors("get"):
        raise error
    assert caught.value is error


def test_a_dsn_is_not_quoted() -> None:
    with pytest.raises(execlog.InvalidArgument) as caught, dsn_errors("target"):
        raise ValueError("postgresql://secret")
    assert caught.value.__cause__ is None
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sqlstate", "message", "said"),
    [
        ("57014", "canceling statement due to statement timeout", "statement timeout"),
        ("57014", "canceling statement due to user request", "query canceled"),
        ("57014", "breche Anweisung wegen Zeitüberschreitung ab", "query canceled"),
        ("55P03", "canceling statement due to lock timeout", "lock timeout"),
        ("55P03", "could not obtain lock on row in relation secret", "lock not available"),
    ],
)
def test_a_limit_is_named(sqlstate: str, message: str, said: str) -> None:
    """As far as the server's language lets it be known."""
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": message, "S": "ERROR"})
    with pytest.raises(execlog.StoreUnavailable) as caught, driver_errors("get"):
        raise error
    assert str(caught.value) == f"get: {said} ({sqlstate})"
