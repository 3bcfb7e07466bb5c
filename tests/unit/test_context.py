"""What surrounds a run: refused by the model, fitted by the recorder, alike in all spellings."""

from __future__ import annotations

import json
import time
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from execlog import InvalidArgument
from execlog.context import without_secrets
from execlog.db.copy_format import fields_of
from execlog.recorder.encoder import Encoder
from execlog.recorder.masking import Mask
from tests.rows import fields, row

HEX = "4bf92f3577b34da6a3ce929d0e0e4736"
ID = UUID(HEX)
ENCODER = Encoder(trace_limit=200, trace_bytes=2**20, input_bytes=100)


def recorded(**given: Any) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """The line that the recorder writes, by column, and what it changed."""
    _, line, altered = ENCODER.encode(time.time_ns(), fields(**given))
    return fields_of(line.decode()), altered


@pytest.mark.parametrize("given", [ID, HEX, HEX.upper(), str(ID), ID.int])
def test_a_trace_id_in_each_form(given: Any) -> None:
    assert row(trace_id=given).trace_id == ID
    line, altered = recorded(trace_id=given)
    assert (line["trace_id"], altered) == (HEX, ())


@pytest.mark.parametrize(
    "given", [0, -1, 2**128, "0" * 32, UUID(int=0), "x" * 32, "", f"{{{HEX}}}", True, 1.5, [], b"1"]
)
def test_what_is_no_trace_id(given: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^trace_id: is "):
        row(trace_id=given)
    line, altered = recorded(trace_id=given)
    assert (line["trace_id"], altered) == (None, ("trace_id_left_out",))


SECRETS = [
    ("no secret: user@example.org at 12:30", "no secret: user@example.org at 12:30"),
    ("see https://example.org/a?b=c", "see https://example.org/a?b=c"),
    ("at postgresql://u:p@h/db now", "at [cut] now"),
    ("at postgres://h/db", "at [cut]"),
    ("dsn='postgresql+asyncpg://u:p/?@@h'", "dsn='[cut]"),
    ("amqp://u:p@h", "[cut]"),
    ("as root:s3cr:e@t@10.0.0.1:5432 failed", "as [cut]@10.0.0.1:5432 failed"),
    ("host=h user=u password=p dbname=d", "host=h user=u password=[cut] dbname=d"),
    ("PASSWORD = 'two words' x", "PASSWORD = [cut] x"),
    ('{"db_password": "p"}', '{"db_password": [cut]}'),
    ("passwd: p", "passwd: [cut]"),
    ("a:b@x=postgres://u@h", "[cut]@x=[cut]"),
    ("http://a,postgres://h", "http://a,[cut]"),
    ("1://u:p@h", "[cut]@h"),
    (r"{\"password\": \"two words\", \"x\": 1}", r"{\"password\": [cut], \"x\": 1}"),
    (r"password='it\'s two words' host=h", "password=[cut] host=h"),
    (r'{"password": "a\"b c"}', '{"password": [cut]}'),
    ("password='a:b@ two words' x", "password=[cut] x"),
    ("dsn 'host=h password=''two words'''", "dsn 'host=h password=[cut]'"),
    ("{'password': b'two words'}", "{'password': [cut]}"),
    ("{:password => 'two words'}", "{:password => [cut]}"),
    ("password='no end of it", "password=[cut]"),
    ("password=[cut]p", "password=[cut]"),
    ("Server=h;Uid=u;Pwd=p;", "Server=h;Uid=u;Pwd=[cut]"),
    ("POSTGRESQL+asyncpg://U:p@h x", "[cut] x"),
    ("dsn=postgresql%2Basyncpg%3A%2F%2Fu%3Ap%40h", "dsn=[cut]"),
    ("to redis%3a%2f%2fu%3ap%40h%2f0 now", "to [cut] now"),
    ("see https%3A%2F%2Fexample.org%2Fa", "see https%3A%2F%2Fexample.org%2Fa"),
]


@pytest.mark.parametrize(("text", "clean"), SECRETS)
def test_secrets_are_cut_from_a_message(text: str, clean: str) -> None:
    assert without_secrets(text) == clean
    assert without_secrets(clean) == clean
    assert row(error_message=text).error_message == clean
    line, altered = recorded(error_message=text)
    assert (line["error_message"], altered) == (clean, ())


def test_cutting_takes_no_longer_than_the_text_is_long() -> None:
    for text in (
        ":" * 100_000 + "@",
        "a" * 200_000 + "@",
        "a:b@" * 50_000,
        "a://" * 50_000,
        "password=" * 20_000,
        "password" * 20_000,
        "password='" * 20_000,
    ):
        begin = time.perf_counter()
        without_secrets(text)
        assert time.perf_counter() - begin < 10


def test_a_message_that_is_too_long() -> None:
    with pytest.raises(InvalidArgument, match="error_message: is longer than 2,000 characters"):
        row(error_message="é" * 2001)
    assert row(error_message="é" * 2000).error_message == "é" * 2000
    line, altered = recorded(error_message="é" * 2001)
    assert (line["error_message"], altered) == ("é" * 2000, ("error_message_cut",))
    # What stands at the end of it is no secret because half of it is gone.
    line, _ = recorded(error_message="x" * 1990 + " root:s3cret@host")
    assert line["error_message"] == "x" * 1990 + " [cut]@hos"
    # Nor because what stands before it was cut.
    for padding in range(0, 40, 4):
        line, _ = recorded(error_message="x" * padding + " amqp://root:s3cret-s3cret@host" * 400)
        assert "s3" not in str(line["error_message"])


def test_an_error_is_its_own_message() -> None:
    line, altered = recorded(error_message=ValueError("no such account"))
    assert (line["error_message"], altered) == ("no such account", ())

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    line, altered = recorded(error_message=Odd())
    assert (line["error_message"], altered) == (None, ("error_message_left_out",))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([1, "x"], '[1,"x"]'),
        ("text", '"text"'),
        (7, "7"),
        (False, "false"),
        ({}, "{}"),
    ],
)
def test_an_input_of_any_kind(given: Any, stored: str) -> None:
    line, altered = recorded(input=given)
    assert (line["input"], altered) == (stored, ())
    assert row(input=given).input == given


@pytest.mark.parametrize(
    ("given", "stored", "altered", "notes"),
    [
        ({"a": float("nan")}, '{"a":null}', ("input_repaired",), None),
        (float("inf"), None, (), None),
        ({"a": object()}, '{"a":"<object>"}', ("input_repaired",), None),
        ({"a": "\0"}, '{"a":"\N{REPLACEMENT CHARACTER}"}', ("input_repaired",), None),
        ({"a": np.arange(3)}, '{"a":[0,1,2]}', (), None),
        ("x" * 99, None, ("input_left_out",), "input left out: 101 bytes"),
        ("é" * 50, None, ("input_left_out",), "input left out: 102 bytes"),
        ("é" * 49, '"' + "é" * 49 + '"', (), None),
    ],
)
def test_an_input_that_does_not_fit(
    given: Any, stored: str | None, altered: tuple[str, ...], notes: str | None
) -> None:
    line, changes = recorded(input=given)
    assert (line["input"], changes, line["notes"]) == (stored, altered, notes)


def test_notes_are_kept_beside_those_of_the_recorder() -> None:
    line, _ = recorded(input="x" * 200, notes="mine", attributes={"": 1})
    assert line["notes"] == "mine; input left out: 202 bytes; attributes left out: 1 of 1"


GOOD = {"channel": "web", "retry": 2, "beta": False, "share": 0.75, "a.b-c_D": ""}


def test_attributes() -> None:
    assert row(attributes=GOOD).attributes == GOOD
    line, altered = recorded(attributes=GOOD)
    assert (json.loads(line["attributes"] or ""), altered) == (GOOD, ())
    line, altered = recorded(attributes={})
    assert (line["attributes"], altered) == (None, ())


BAD: list[tuple[dict[Any, Any], dict[str, Any]]] = [
    ({"a": 1, "b": None}, {"a": 1}),
    ({"a": 1, "b": [1]}, {"a": 1}),
    ({"a": 1, "b": {"c": 1}}, {"a": 1}),
    ({"a": 1, "b": float("nan")}, {"a": 1}),
    ({"a": 1, "b": b"x"}, {"a": 1}),
    ({"a": 1, "": 1}, {"a": 1}),
    ({"a": 1, "x" * 65: 1}, {"a": 1}),
    ({"a": 1, "ä": 1}, {"a": 1}),
    ({"a": 1, "b\n": 1}, {"a": 1}),
    ({str(n): n for n in range(33)}, {str(n): n for n in range(32)}),
    ({"a": "x" * 4000, "b": "y" * 4000, "c": 1}, {"a": "x" * 4000, "c": 1}),
]


@pytest.mark.parametrize(("given", "kept"), BAD, ids=range(len(BAD)))
def test_attributes_that_do_not_fit(given: Any, kept: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"^attributes: "):
        row(attributes=given)
    line, altered = recorded(attributes=given)
    assert json.loads(line["attributes"] or "") == kept
    assert altered == ("attributes_left_out",)
    assert line["notes"] == f"attributes left out: {len(given) - len(kept)} of {len(given)}"


def test_attributes_of_other_libraries() -> None:
    line, altered = recorded(attributes={"n": np.int64(3), "id": ID, "text": "a\0"})
    assert json.loads(line["attributes"] or "") == {
        "n": 3,
        "id": str(ID),
        "text": "a\N{REPLACEMENT CHARACTER}",
    }
    assert altered == ()
    line, altered = recorded(attributes=[1])
    assert (line["attributes"], altered) == (None, ("attributes_left_out",))


def test_masks_lead_into_them() -> None:
    mask = Mask(["input/card", "attributes/email", "input/items/*/pin", "error_message"])
    given = {
        "input": {"card": "4111", "items": [{"pin": 1, "n": 2}]},
        "attributes": {"email": "a@b", "channel": "web"},
        "error_message": "x",
    }
    assert mask(given) == {
        "input": {"items": [{"n": 2}]},
        "attributes": {"channel": "web"},
        "error_message": None,
    }
    # What a path can't enter is removed; a number holds nothing.
    assert mask({"input": "4111", "attributes": [1]}) == {"input": None, "attributes": None}
    assert mask({"input": 4111})["input"] == 4111


class OddText(str):
    """A text of which every method raises, or lies."""

    __slots__ = ()

    def _raise(self, *_: object) -> Any:
        raise RuntimeError

    __str__ = __len__ = __getitem__ = __contains__ = replace = _raise
    lower = encode = _raise  # type: ignore[assignment]


class OddClass:
    """A value that raises if it is asked for its class."""

    def _raise(self) -> Any:
        raise RuntimeError

    __class__ = property(_raise)


class OddId(UUID):
    """An id that is written as more than a column."""

    @property
    def hex(self) -> str:
        return "\t\n"


class OddError(Exception):
    """An error whose text is no plain one."""

    def __str__(self) -> str:
        return OddText("at postgres://u:p@h")


class Key(str, Enum):  # noqa: UP042 - str() of these is another text
    """A key of attributes."""

    plan = "plan"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"trace_id": OddId(HEX)}, HEX),
        ({"trace_id": OddText(HEX)}, None),
        ({"trace_id": OddClass()}, None),
        ({"error_message": OddText("at postgres://u:p@h")}, "at [cut]"),
        ({"error_message": OddError()}, "at [cut]"),
        ({"error_message": OddClass()}, None),
        ({"input": OddClass()}, '"<OddClass>"'),
        ({"attributes": {OddText("a"): 1}}, '{"a":1}'),
        ({"attributes": {Key.plan: Key.plan}}, '{"plan":"plan"}'),
        ({"attributes": {"a": 1, "b": OddClass()}}, '{"a":1}'),
        ({"attributes": OddClass()}, None),
    ],
)
def test_a_run_is_kept_whatever_type_surrounds_it(
    given: dict[str, Any], stored: str | None
) -> None:
    line, _ = recorded(**given)
    [name] = given
    assert line[name] == stored
