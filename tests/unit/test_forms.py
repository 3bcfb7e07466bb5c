"""Answers as data: what leaves, byte for byte, whatever standard output is."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from execlog import ErrorCodeCount, StrategyExecutionLog
from execlog.cli.forms import print_models, print_text
from execlog.cli.options import Output, form
from execlog.models import Model
from tests.rows import row

STEERING = {
    *range(0x20),
    *range(0x80, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
} - {0x09, 0x0A, 0x0D}
any_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0")
    | st.sampled_from('\r\n\t",=+-@\\\x1b\x7f\x9b\u202e\u2066\u2028\ufeff'),
    max_size=8,
)


class Terminal(io.TextIOWrapper):
    """A standard output that is one."""

    def isatty(self) -> bool:
        return True


def printed(
    call: Callable[[], object], encoding: str = "utf-8", kind: type[io.TextIOWrapper] = Terminal
) -> bytes:
    """What the call writes to standard output, which has this encoding."""
    found = io.BytesIO()
    stdout = kind(found, encoding=encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        call()
    stdout.flush()
    return found.getvalue()


def as_csv(*models: Model, **options: Any) -> bytes:
    """As it goes into a pipe."""
    kind = type(models[0]) if models else ErrorCodeCount
    spreadsheet = options.pop("spreadsheet", False)
    return printed(
        lambda: print_models(kind, models, Output.csv, spreadsheet=spreadsheet),
        **{"kind": io.TextIOWrapper, **options},
    )


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" if ord(one) in STEERING else one for one in text)


@given(any_text)
def test_a_text_in_csv(text: str) -> None:
    """All but what steers leaves as it is, and any reader has it back."""
    data = as_csv(ErrorCodeCount(code=text, count=1))
    header, code = csv.reader(io.StringIO(data.decode(), newline=""))
    assert (header, code) == (["code", "count"], [escaped(text), "1"])
    assert data.endswith(b",1\n")


def test_what_steers_leaves_escaped() -> None:
    for number in STEERING | {0x09, 0x7F, 0x200D, 0x2028, 0xFEFF}:
        data = as_csv(ErrorCodeCount(code=f"a{chr(number)}b", count=1))
        expected = f"\\u{number:04x}" if number in STEERING else chr(number)
        assert data == f"code,count\na{expected}b,1\n".encode()


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\r\nb", "a\nb"])
def test_the_end_of_a_line_is_quoted(text: str) -> None:
    assert as_csv(ErrorCodeCount(code=text, count=1)) == f'code,count\n"{text}",1\n'.encode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("output", [Output.csv, Output.json, Output.jsonl])
@pytest.mark.parametrize("kind", [io.TextIOWrapper, Terminal])
def test_data_is_utf_8_whatever_the_terminal_is(
    encoding: str, output: Output, kind: type[io.TextIOWrapper]
) -> None:
    models = [ErrorCodeCount(code="é☃𝄞", count=1)]
    data = printed(lambda: print_models(ErrorCodeCount, models, output), encoding, kind)
    assert data.decode().count("é☃𝄞") == 1
    assert data[:1] in (b"c", b"{", b"[")


def test_sql_is_utf_8_whatever_the_terminal_is() -> None:
    data = printed(lambda: print_text("select 'Zürich'\n"), "ascii", io.TextIOWrapper)
    assert data == "select 'Zürich'\n".encode()


def test_an_empty_answer() -> None:
    assert as_csv() == b"code,count\n"
    assert printed(lambda: print_models(ErrorCodeCount, [], Output.jsonl)) == b""
    assert printed(lambda: print_models(ErrorCodeCount, [], Output.json)) == b"[]\n"


def test_json_lines_lose_nothing() -> None:
    text = "".join(map(chr, range(1, 0x3000)))
    one = row(notes=text, trace=[{text: text}])
    lines = printed(
        lambda: print_models(StrategyExecutionLog, [one], Output.jsonl), kind=io.TextIOWrapper
    )
    assert StrategyExecutionLog(**json.loads(lines)) == one


@given(any_text)
def test_json_within_csv_means_the_same(text: str) -> None:
    one = row(trace=[{text: [text, -1]}])
    [found] = csv.DictReader(io.StringIO(as_csv(one).decode(), newline=""))
    assert json.loads(found["trace"]) == one.trace


RUN = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-", "-3.25"]
SAFE = ["", "a=1", " b", "'=1", "1-2", "#", "a\t=1"]


@pytest.mark.parametrize("text", [*RUN, *SAFE])
def test_what_a_spreadsheet_would_run(text: str) -> None:
    one = row(error_code=text, points=-3.25, trace=[text])
    for wanted, expected in ((False, text), (True, f"'{text}" if text in RUN else text)):
        data = as_csv(one, spreadsheet=wanted).decode()
        [found] = csv.DictReader(io.StringIO(data, newline=""))
        assert (found["errorCode"], found["points"]) == (expected, "-3.25")
        assert json.loads(found["trace"]) == [text]


def test_on_a_terminal_nothing_steers_it() -> None:
    text = "a\x1b[2J\r\x7f\x9b\u202e\u2028b"
    one = row(notes=text, trace=[text])
    for output in (Output.csv, Output.json, Output.jsonl):
        said = printed(lambda: print_models(StrategyExecutionLog, [one], output)).decode()  # noqa: B023
        assert not re.search("[\x1b\r\x7f\x9b\u202e\u2028]", said)
        assert "a\\u001b[2J" in said


def test_the_option_for_spreadsheets_goes_with_csv_alone() -> None:
    assert form(Output.csv, False, True) is Output.csv
    for output, as_json in ((Output.table, False), (Output.jsonl, False), (Output.csv, True)):
        with pytest.raises(typer.BadParameter, match=r"^is for -o csv$"):
            form(output, as_json, True)
