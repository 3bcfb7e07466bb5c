"""DSNs: which part of one the driver sees, which hosts are tried, and what is refused."""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

import execlog
from execlog.cli.server import connected
from execlog.db import connect
from execlog.db.dsn import Dsn, Host, parsed
from execlog.db.dsn_words import FOREIGN, LEFT_OUT, NATIVE, SETTINGS, TRANSLATED
from execlog.embedded.server import _find_binaries
from execlog.errors import InvalidArgument, StoreUnavailable
from execlog.recorder.connection import link_to
from execlog.web import create_app

SECRET = "s3cret"


def read(dsn: str, **environ: str) -> Dsn:
    return parsed(dsn, "target", environ)


def refusal(dsn: str, **environ: str) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        read(dsn, **environ)
    assert caught.value.argument == "target"
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://",
        "postgresql:///db",
        "postgresql://u@/db?host=%2Ftmp%2Fa%20b",
        "postgresql://u%40x:p%2Fa%3A%25%3F+%23@h:1/d%20b?application_name=a+b%26c&user=x",
        "postgresql://u:p+w@[::1]:5432/db?sslmode=verify-full&sslrootcert=/a=b",
        "postgresql://h/db?statement_timeout=5s&TimeZone=UTC&my.own=1&options=-c%20a%3Db",
        "postgresql://h/db?role=x&application_name=a&application_name=b&sslmode=",
        "postgresql://%2Frun%2Fpg:5433/db?service=x&passfile=%2Fp&krbsrvname=k&gsslib=gssapi",
        "postgresql://h/db?target_session_attrs=any&sslnegotiation=direct&sslmode=require",
    ],
)
def test_what_the_driver_knows_stays_letter_for_letter(dsn: str) -> None:
    found = read(dsn)
    assert (found.text, found.hosts, found.not_given) == (dsn, (), ())
    assert read(dsn.replace("postgresql:", "postgres:")).text == dsn
    assert read(f" {dsn[:12]}\n{dsn[12:]}\n").text == dsn


def test_a_fragment_is_no_part_of_it() -> None:
    assert read("postgresql://h/db?user=a#?nope=1").text == "postgresql://h/db?user=a"


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgres+asyncpg", "PostgreSQL+asyncpg"])
def test_the_spelling_of_sqlalchemy(scheme: str) -> None:
    dsn = f"{scheme}://u:p%40@h/db?ssl=verify-full&prepared_statement_cache_size=0&lock_timeout=1"
    found = read(dsn + "&prepared_statement_name_func=f&async_fallback=true")
    assert found.text == "postgresql://u:p%40@h/db?sslmode=verify-full&lock_timeout=1"
    several = read(f"{scheme}://u@/db?host=a:1&host=b:2")
    assert several.hosts == (Host("a", 1), Host("b", 2))
    assert read("postgresql://u@/db?host=a:1&host=b:2").hosts == ()  # there the last one counts


@pytest.mark.parametrize(
    ("ssl", "sslmode"), [("true", "require"), ("disable", "disable"), ("verify_ca", "verify-ca")]
)
def test_ssl_is_sslmode(ssl: str, sslmode: str) -> None:
    assert read(f"postgresql://h/db?ssl={ssl}").text == f"postgresql://h/db?sslmode={sslmode}"


def test_what_is_the_clients_alone_is_done_here_or_left_out() -> None:
    found = read(
        "postgresql://h/db?connect_timeout=7&keepalives=1&keepalives_idle=30&keepalives_interval=5"
        "&keepalives_count=3&tcp_user_timeout=9&gssencmode=prefer&channel_binding=prefer&sslsni=1"
        "&sslcompression=1&sslcertmode=allow&client_encoding=latin1&max_protocol_version=latest"
        "&min_protocol_version=3.0&load_balance_hosts=random&servicefile=/f&replication=off"
        "&gssdelegation=1&work_mem=1MB&fallback_application_name=a%26b&connect_timeout="
    )
    assert found.text == "postgresql://h/db?application_name=a%26b&work_mem=1MB"
    assert (found.seconds, found.shuffled, found.service_file) == (7.0, True, "/f")
    assert found.not_given == ()


def test_a_fallback_name_gives_way_to_a_name() -> None:
    dsn = "postgresql://h/db?application_name=own&fallback_application_name=other"
    # As the driver reads it: the last one counts.
    assert parse_qs(urlsplit(read(dsn).text).query)["application_name"][-1] == "own"


@pytest.mark.parametrize("value", ["0", "-1", ""])
def test_no_limit_for_connecting_is_ours(value: str) -> None:
    assert read(f"postgresql://h/db?connect_timeout={value}").seconds is None


SAFETY = {
    "channel_binding": "require",
    "gssencmode": "require",
    "require_auth": "scram-sha-256",
    "requirepeer": "postgres",
    "sslcertmode": "require",
    "sslcrldir": "/x",
    "sslsni": "0",
    "min_protocol_version": "3.2",
    "scram_client_key": SECRET,
    "oauth_issuer": "https://x",
}


def test_what_asks_for_more_safety_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = f"postgresql://u:{SECRET}@h/db?" + "&".join(f"{k}={quote(v)}" for k, v in SAFETY.items())
    found = read(dsn)
    assert found.not_given == tuple(SAFETY)
    assert found.text == f"postgresql://u:{SECRET}@h/db"
    monkeypatch.setattr(connect, "_told", set())
    for _ in range(2):
        connect._tell(found)
    assert [record.name for record in caplog.records] == ["execlog.dsn"] * len(SAFETY)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert [record.getMessage().split()[0] for record in caplog.records] == list(SAFETY)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (f"nope={SECRET}", "the parameter nope "),
        (f"a=b&shared_buffers={SECRET}", "the parameter "),
        ("nope=", "the parameter nope "),
        (f"Connect_Timeout={SECRET}", "the parameter Connect_Timeout "),
        (f"replication={SECRET}", "replication"),
        (f"connect_timeout={SECRET}", "connect_timeout"),
        ("connect_timeout=nan", "connect_timeout"),
        (f"load_balance_hosts={SECRET}", "load_balance_hosts"),
        (f"ssl={SECRET}", "ssl"),
        (f"hostaddr={SECRET}", "hostaddr"),
        ("hostaddr=127.0.0.1,127.0.0.2", "hostaddr"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system"),
        (SECRET, "is not a connection string"),
        (f"{SECRET}%20=1", "is not a connection string"),
        ("user=a&", "is not a connection string"),
    ],
)
def test_what_is_refused_is_named_and_not_quoted(query: str, says: str) -> None:
    assert says in refusal(f"postgresql://u:{SECRET}@h/db?{query}").problem


@pytest.mark.parametrize(
    "dsn",
    [
        "nonsense",
        "host=h user=u",
        "postgresql+psycopg://h/db",
        "mysql://h/db",
        f"postgresql://u:{SECRET}@a,b:{SECRET}/db",
        f"postgresql://u:{SECRET}@a,,b/db",
        f"postgresql://u:{SECRET}@a,[::1/db",
        f"postgresql://u:{SECRET}@a,b:65536/db",
        # A password whose question mark is not encoded: no piece of it is a parameter's name.
        f"postgresql://u:12?{SECRET}=x@h/db",
    ],
)
def test_a_malformed_one_is_not_quoted(dsn: str) -> None:
    assert "is not a connection string" in refusal(dsn).problem


async def test_everything_that_connects_refuses_before_it_connects() -> None:
    """Port 1 of loopback answers nobody: whatever tried would say that the server is away."""
    dsn = f"postgresql://u:{SECRET}@127.0.0.1:1/db?chanel_binding={SECRET}"

    async def pool_of_a_command() -> None:
        async with connected(dsn):
            pass

    async def rebuild() -> None:
        async for _ in execlog.rebuild_rollups(dsn):
            pass

    calls: list[tuple[str, Any]] = [
        ("target", lambda: execlog.ExecutionRecorder(dsn)),
        ("target", lambda: link_to(dsn)),
        ("pool_or_dsn", lambda: create_app(dsn)),
        ("target", lambda: execlog.migrate(dsn)),
        ("target", lambda: execlog.check_migrations(dsn)),
        ("target", lambda: execlog.maintain(dsn)),
        ("target", lambda: execlog.health(dsn)),
        ("target", lambda: execlog.distribute(dsn)),
        ("target", rebuild),
        ("dsn", pool_of_a_command),
    ]
    for argument, call in calls:
        with pytest.raises(InvalidArgument, match="the parameter chanel_binding ") as caught:
            await call()
        assert caught.value.argument == argument
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "environ", "hosts"),
    [
        ("postgresql://a:1,b/db", {}, [("a", 1), ("b", None)]),
        ("postgresql://a:1,b/db", {"PGPORT": "7"}, [("a", 1), ("b", 7)]),
        ("postgresql://u:p@a,b/db?port=9", {"PGPORT": "7,8"}, [("a", 7), ("b", 8)]),
        ("postgresql:///db?host=a,b&port=7,8", {}, [("a", 7), ("b", 8)]),
        ("postgresql:///db?host=a:1,b&port=7", {}, [("a", 7), ("b", 7)]),
        ("postgresql:///db?host=/tmp/x,b:2", {}, [("/tmp/x", None), ("b", 2)]),
        ("postgresql://%2Ftmp%2Fx:5,[::1]:6/db", {}, [("/tmp/x", 5), ("::1", 6)]),
        ("postgresql://[fe80::1%25lo],[::2]/db", {}, [("fe80::1%lo", None), ("::2", None)]),
        ("postgresql:///db", {"PGHOST": "a,b", "PGPORT": "1,2"}, [("a", 1), ("b", 2)]),
        ("postgresql:///db?port=5", {"PGHOST": "a,b"}, [("a", 5), ("b", 5)]),
        # One host, or a service: the driver finds it.
        ("postgresql://a/db", {"PGHOST": "b,c"}, []),
        ("postgresql:///db?host=a", {"PGHOST": "b,c"}, []),
        ("postgresql:///db?service=s", {"PGHOST": "b,c"}, []),
        ("postgresql:///db", {"PGHOST": "b"}, []),
        ("postgresql:///db", {}, []),
    ],
)
def test_hosts(dsn: str, environ: dict[str, str], hosts: list[tuple[str, int | None]]) -> None:
    found = read(dsn, **environ)
    assert [(host.name, host.port) for host in found.hosts] == hosts
    assert found.several is (len(hosts) > 1 or "service" in dsn)


def test_hosts_that_are_tried_one_by_one_are_none_of_the_drivers() -> None:
    assert read("postgresql://u:p%2F@a:1,[::1]/db?user=x").text == "postgresql://u:p%2F@/db?user=x"


@pytest.mark.parametrize(
    ("dsn", "hosts"),
    [
        ("postgresql://a:3/db?hostaddr=127.0.0.1", [Host("a", 3, "127.0.0.1")]),
        ("postgresql:///db?hostaddr=::1&port=3", [Host("::1", 3, "::1")]),
        ("postgresql://a,b/db?hostaddr=,10.0.0.2", [Host("a", None), Host("b", None, "10.0.0.2")]),
    ],
)
def test_addresses_of_hosts(dsn: str, hosts: list[Host]) -> None:
    assert read(dsn).hosts == tuple(hosts)


@pytest.mark.parametrize("environ", [{"PGHOST": "a,b", "PGPORT": "1,2,3"}, {"PGHOST": "a,,b"}])
def test_hosts_of_the_environment_that_are_none(environ: dict[str, str]) -> None:
    refusal("postgresql:///db", **environ)


def libraries() -> Iterator[str]:
    """Each libpq of this machine."""
    try:
        own = _find_binaries().parent / "lib" / "libpq.so.5"
    except StoreUnavailable:
        pass
    else:
        if own.exists():
            yield str(own)
    if found := ctypes.util.find_library("pq"):
        yield found


class Option(ctypes.Structure):
    """What PQconndefaults lists."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label")),
        ("dispchar", ctypes.c_char_p),
        ("dispsize", ctypes.c_int),
    )


def test_every_parameter_of_libpq_is_known() -> None:
    keywords = set()
    for library in libraries():
        libpq = ctypes.CDLL(library)
        libpq.PQconndefaults.restype = ctypes.POINTER(Option)
        options = libpq.PQconndefaults()
        for option in options:
            if option.keyword is None:
                break
            keywords.add(option.keyword.decode())
    if not keywords:
        pytest.skip("there is no libpq here")
    assert keywords >= {"channel_binding", "hostaddr", "connect_timeout"}
    assert keywords - NATIVE - TRANSLATED - LEFT_OUT.keys() == set()


def test_no_parameter_is_two_things() -> None:
    # client_encoding and tcp_user_timeout are settings too; in a DSN they are libpq's.
    assert LEFT_OUT.keys() & SETTINGS == {"client_encoding", "tcp_user_timeout"}
    assert SETTINGS & NATIVE == {"application_name"}
    kinds = [NATIVE, TRANSLATED, frozenset(LEFT_OUT), FOREIGN]
    assert len(frozenset().union(*kinds)) == sum(map(len, kinds))
