"""One line for each execution, the same by every way: quick, careful, and the repository's."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from execlog import InvalidArgument, StrategyExecutionLog
from execlog.copytext import checked_line, fields_of
from execlog.encoding import Encoder
from execlog.rows import copy_lines, row_arguments
from tests.rows import any_row, fields

ENCODER = Encoder(trace_limit=200, trace_bytes=2**20)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=3)
    | st.datetimes()
    | st.uuids()
    | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(any_row(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)))
def test_all_ways_write_the_same(row: StrategyExecutionLog) -> None:
    careful = fields_of(checked_line(row_arguments(row, "row")).decode())
    [copied] = copy_lines([row])
    assert fields_of(copied.decode()) == careful
    given = {name: value for name, value in row.model_dump().items() if value is not None}
    id_, line, altered = ENCODER.encode(time.time_ns(), given)
    recorded = fields_of(line.decode())
    assert id_ == row.id
    assert altered == ()
    for name, value in careful.items():
        if name == "trace" and value is not None:
            continue  # the one writes floats as JSON text otherwise than the other
        if name != "created_at" or row.created_at is not None:
            assert recorded[name] == value, name


@example({"trace": ""})
@settings(deadline=None, max_examples=500)
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(StrategyExecutionLog.model_fields, anything))
)
def test_whatever_comes_is_a_line_or_is_refused_by_name(changes: dict[str, Any]) -> None:
    given = {k: v for k, v in (fields() | changes).items() if v is not None}
    try:
        _, line, _ = ENCODER.encode(time.time_ns(), given)
    except InvalidArgument as error:
        assert error.argument in StrategyExecutionLog.model_fields
        return
    text = line.decode()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "\0" not in text
    found = fields_of(text)
    for name, value in changes.items():
        if isinstance(value, str) and name not in ("id", "created_at"):
            plain = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            # A trace is a list: a text in its place is left out.
            expected = None if name == "trace" else plain.replace("\0", "\ufffd")
            assert found[name] == expected
