"""A trace's waterfall: its nodes, their times, and what of a large one is drawn."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execlog.display.trace_tree import Node, compact, is_fault, nodes, own_times
from execlog.web.branches import DRAWN
from execlog.web.outline import Outline
from execlog.web.waterfall import Row, Waterfall, waterfall

NODE = {"node": "rule", "ms": 0.5}


def ended(steps: Generator[None, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def drawn(trace: list[Any] | None, took: float = 10.0) -> Waterfall:
    text = None if trace is None else json.dumps(trace, ensure_ascii=False)
    found: Waterfall = ended(waterfall(text, took))
    return found


def rows(trace: list[Any] | None, took: float = 10.0) -> Sequence[Row]:
    return drawn(trace, took).rows


def test_nodes_run_one_after_the_other() -> None:
    trace = [
        {"node": "load", "ms": 2.0, "output": {"a": 1}},
        {"name": "rules", "performance": "5ms", "children": [{"id": 7, "durationMs": 4}]},
        "just text",
    ]
    found = rows(trace)
    assert [(one.depth, one.node.name) for one in found] == [
        (0, "load"),
        (0, "rules"),
        (1, "7"),
        (0, None),
    ]
    assert [(one.begin, one.width) for one in found] == [(0, 20), (20, 50), (20, 40), (None, 0)]
    assert found[0].node.facts == [("output", '{"a": 1}')]


def test_a_trace_that_took_longer_than_its_run_fits() -> None:
    found = rows([{"node": "a", "ms": 30}, {"node": "b", "ms": 10}])
    assert [(one.begin, one.width) for one in found] == [(0, 75), (75, 25)]
    assert rows(None) == []
    assert rows([{"node": "a", "ms": 0}], took=0.0)[0].begin is None
    assert rows([{"node": "a", "ms": 1e308}] * 3)[0].begin is None  # their sum is no number


@pytest.mark.parametrize("time", ["1e400ms", "..ms", -1, True, None, "fast", float("1e308"), [1]])
def test_odd_times_are_no_times(time: Any) -> None:
    trace = [{"node": "a", "ms": time}]
    [node], [row] = nodes(trace), rows(trace)
    assert node.took_ms is None or node.took_ms == 1e308
    assert row.node.took_ms == node.took_ms


@pytest.mark.parametrize("key", ["node", "name", "nodeName", "nodeId", "node_id", "id"])
@pytest.mark.parametrize("name", ["gate", 7])
def test_names_of_entries(key: str, name: Any) -> None:
    trace = [{key: name, "ms": 1}]
    [node], [drawn] = nodes(trace), rows(trace)
    assert (drawn.node.name, drawn.node.facts) == (str(name), [])
    assert (node.name, node.facts) == (str(name), [])


def test_a_name_for_people_goes_before_a_number() -> None:
    trace = [{"nodeId": 7, "id": 8, "name": "gate", "node": True}]
    [node], [drawn] = nodes(trace), rows(trace)
    assert [drawn.node.name, *(name for name, _ in drawn.node.facts)] == [
        "gate",
        *("nodeId", "id", "node"),
    ]
    assert node.name == "gate"
    assert [name for name, _ in node.facts] == ["nodeId", "id", "node"]


def test_children_that_are_no_nodes_are_facts() -> None:
    trace = [{"node": "a", "nodes": 3, "children": ["x"], "steps": []}]
    [node], [row] = nodes(trace), rows(trace)
    assert [name for name, _ in node.facts] == ["nodes", "children", "steps"]
    assert row.node.facts == node.facts


# Of any trace it is what the command shows as a tree, which is of parsed values.

words = st.sampled_from(
    ["node", "name", "id", "ms", "duration", "children", "nodes", "steps", "trace", "x", 'a"b\\c']
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(-1e15, 1e15).filter(lambda number: number != int(number)),
    st.sampled_from(
        ["", "5ms", "1.5 s", "[{]}", '"', "\\", "\u202e\n\x07", "é\N{BELL}", "x" * 700]
    ),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=25,
)


def in_order(found: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    for one in found:
        yield depth, one
        yield from in_order(one.below, depth + 1)


def span(node: Node) -> float:
    return node.took_ms if node.took_ms is not None else sum(map(span, node.below))


def is_shown(text: str, stored: str) -> bool:
    """Whether a fact is drawn as a text itself, or as JSON of the same value, or as its head."""
    head, cut, told = text.partition("\N{HORIZONTAL ELLIPSIS} and ")
    if not cut:
        return text == stored or bool(json.loads(text) == json.loads(stored))
    whole = json.dumps(json.loads(stored), ensure_ascii=False)
    return whole.startswith(head) and told == f"{len(whole) - len(head):,} more characters"


@given(st.lists(values, max_size=5))
@example([["x" * 700] * 4])
@example([{"node": ["x" * 700, {"x": "x" * 700}, "é" * 700]}])
def test_it_is_the_tree_that_the_command_shows(trace: list[Any]) -> None:
    expected = list(in_order(nodes(trace)))
    found = rows(trace)
    assert [one.depth for one in found] == [depth for depth, _ in expected]
    whole = max(10.0, sum(map(span, nodes(trace))))
    for row, (_, node) in zip(found, expected, strict=True):
        name = node.name or ""
        assert (row.node.name or "") == name[:200] + "\N{HORIZONTAL ELLIPSIS}" * (len(name) > 200)
        assert row.node.took_ms == node.took_ms
        assert [name for name, _ in row.node.facts] == [name for name, _ in node.facts]
        for (_, text), (_, stored) in zip(row.node.facts, node.facts, strict=True):
            assert is_shown(text, stored)
        assert row.width == pytest.approx(span(node) / whole * 100 if row.begin is not None else 0)


# Large ones.


def chain(length: int, node: dict[str, Any]) -> dict[str, Any]:
    for _ in range(length - 1):
        node = {"node": "rule", "children": [node]}
    return node


@pytest.mark.parametrize(
    ("trace", "more"),
    [
        pytest.param(
            [{"node": "all", "children": [NODE] * 90_000}], 89_001, marks=pytest.mark.long
        ),
        pytest.param(
            [{"node": "n", "children": [chain(20, NODE)] * 15}] * 200,
            59_200,
            marks=pytest.mark.long,
        ),
        ([NODE] * 1000, 0),
        ([NODE] * 1001, 1),
        (["text"] * 5000, 4000),
        ([{"node": "a", "children": [NODE] * 600}, {"node": "b", "children": [NODE] * 600}], 202),
    ],
    ids=["wide", "chains", "all", "one more", "texts", "two"],
)
def test_a_thousand_nodes_are_drawn_and_all_are_counted(trace: list[Any], more: int) -> None:
    found = drawn(trace, 1.0)
    expected = list(in_order(nodes(trace)))
    assert len(found.rows) == min(len(expected), DRAWN)
    assert found.more == more == len(expected) - len(found.rows)
    whole = max(1.0, sum(map(span, nodes(trace))))
    for row, (depth, node) in zip(found.rows, expected, strict=False):
        assert (row.depth, row.node.name) == (depth, node.name)
        if row.begin is not None:
            assert row.width == pytest.approx(span(node) / whole * 100)


def test_nodes_may_be_as_deep_as_they_like() -> None:
    deep = 5000
    text = "[" + '{"node": "n", "children": [' * deep + json.dumps(NODE) + "]}" * deep + "]"
    found: Waterfall = ended(waterfall(text, 0.1))
    assert [row.depth for row in found.rows] == list(range(DRAWN))
    assert found.more == deep + 1 - DRAWN
    assert found.rows[0].begin is None  # it says nothing of its own time
    top = ended(Outline(text).read())
    assert (top.total, top.span_ms) == (deep + 1, 0.5)
    nested = "[" * deep + "]" * deep
    assert [row.node.name for row in ended(waterfall(nested, 1.0)).rows] == [None]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3_000_000,
        '"\\\n' * 500_000,
        "\N{RIGHT-TO-LEFT OVERRIDE}\x07é" * 500_000,
        "\\" * 99_999,
    ],
)
def test_of_a_long_text_its_head_is_shown(text: str) -> None:
    [name, one, other] = rows([{"node": text}, {"node": "n", "output": text}, text])
    assert name.node.name is not None
    assert len(name.node.name) <= 201
    assert name.node.name.endswith("\N{HORIZONTAL ELLIPSIS}")
    for row in (one, other):
        [(_, shown)] = row.node.facts
        head, _, told = shown.partition("\N{HORIZONTAL ELLIPSIS} and ")
        assert 500 < len(head) <= 2000
        assert text.startswith(head)
        assert told.endswith(" more characters")


def test_of_many_members_the_first_are_shown() -> None:
    trace = [{"ms": 1.0, **{f"key {n}": n for n in range(100_000)}, "node": "n"}]
    [row] = rows(trace)
    assert (row.node.name, row.node.took_ms) == ("n", 1.0)
    assert row.node.facts[:2] == [("key 0", "0"), ("key 1", "1")]
    assert row.node.facts[-1][1] == "and 99,950 more, in the JSON"
    assert len(row.node.facts) == 51


def test_a_page_has_room_for_so_much() -> None:
    trace = [{"node": n, "output": "x" * 1900} for n in range(1000)]
    found = rows(trace)
    assert sum(len(text) for row in found for _, text in row.node.facts) < 350_000
    assert found[0].node.facts == [("output", "x" * 1900)]
    assert found[-1].node.facts[-1][1] == "and 1 more, in the JSON"


@pytest.mark.long
def test_a_large_trace_is_read_in_many_steps() -> None:
    """Between two of them others have their turn."""
    for trace in ([{"children": [NODE] * 90_000}], ["x" * 20] * 200_000, [{"x": [NODE] * 90_000}]):
        steps = waterfall(json.dumps(trace), 1.0)
        assert sum(1 for _ in steps) > 400
    assert sum(1 for _ in waterfall(json.dumps(["x" * 8_000_000]), 1.0)) > 100


@pytest.mark.parametrize(
    "trace",
    [
        [["a"] * 300_000],
        [["a"] * 4000] * 199,
        [[1] * 800_000],
        [{"name": "x", "d": ["\\"] * 300_000}],
        [{f"k{n}": ["[]"] * 3 for n in range(50_000)}],
    ],
    ids=["texts", "lists", "numbers", "escapes", "members"],
)
def test_a_step_goes_through_so_many_characters(trace: list[Any]) -> None:
    text = json.dumps(trace)
    outline = Outline(text)
    assert sum(1 for _ in outline.read()) >= len(text) / 50_000


def test_values_are_compact() -> None:
    assert compact({"a": "é"}) == '{"a": "é"}'


@pytest.mark.parametrize(
    ("members", "failed"),
    [
        ({"error": "x"}, True),
        ({"error": {"code": 1}}, True),
        ({"error": [1]}, True),
        ({"error": True}, True),
        ({"error": {}}, False),
        ({"error": []}, False),
        ({"error": None}, False),
        ({"error": False}, False),
        ({"error": ""}, False),
        ({"error": "none"}, False),
        ({"error": 0.25}, False),
        ({"errorCode": 7}, True),
        ({"error_code": 0}, False),
        ({"exception": "y" * 9000}, True),
        ({"failed": True}, True),
        ({"failed": 3}, False),
        ({"status": "Failed"}, True),
        ({"state": "timeout"}, True),
        ({"outcome": "rejected"}, False),
        ({"status": ["failed"]}, False),
        ({"ok": False}, True),
        ({"success": True}, False),
    ],
)
def test_what_says_that_a_node_failed(members: dict[str, Any], failed: bool) -> None:
    [(key, value)] = members.items()
    assert is_fault(key, value) is failed
    trace = [{"node": "a", **members}, {**members}]
    found: Waterfall = ended(waterfall(json.dumps(trace), 1.0, has_failed=True))
    assert [one.has_failed for one in found.rows] == [failed, failed]
    assert (found.failures, len(found.faults)) == (2 * failed, 2 * failed)
    assert (found.last is None) is failed
    if key in ("ok", "success"):
        assert not is_fault(key, value, verdicts=False)
        assert drawn(trace).failures == 0


def test_the_inner_one_of_nodes_that_failed_is_told() -> None:
    inner = {"node": "c", "error": "x"}
    trace = [{"node": "a", "error": "y", "children": [{"node": "b", "steps": [inner]}]}]
    found = drawn([*trace * 4, *[inner] * 3])
    assert [one.node.name for one in found.faults] == ["c"] * 5
    assert found.failures == 7
    assert [one.number for one in found.faults] == [3, 6, 9, 12, 13]
    assert [one.mark for one in found.rows][:3] == ["", "", "fault"]
    # What is no node has no part in it.
    assert drawn([{"node": "a", "nodes": [{"error": "x", "ms": 1}, 3]}]).failures == 0


def test_the_slowest_is_told_by_its_own_time_in_all_visits() -> None:
    loop = [{"node": "step", "ms": 3.0}] * 4
    trace = [{"node": "root", "ms": 14.0, "children": [*loop, {"node": "step", "ms": 1.0}]}]
    found = drawn(trace, 20.0)
    assert found.slowest is not None
    assert (found.slowest.name, found.slowest.own_ms, found.slowest.visits) == ("step", 13.0, 5)
    assert found.slowest.row is found.rows[1]
    assert (found.slowest.is_sure, found.outside_ms) == (True, 6.0)
    assert drawn([{"node": "a"}]).slowest is None
    assert drawn([{"node": "a", "ms": 0}]).slowest is None
    assert drawn([{"node": "a", "ms": 1e308}] * 3).slowest is None
    late = drawn([*[{"node": "a", "ms": 0.1}] * 1500, {"node": "b", "ms": 900.0}]).slowest
    assert late is not None
    assert (late.name, late.row) == ("b", None)


def test_of_many_names_the_first_are_added_up() -> None:
    wide = json.dumps([{"node": f"n{n % 3000}", "ms": 1.0} for n in range(6000)])
    nested = "".join(f'{{"node": "n{n}", "ms": {9000 - n}, "children": [' for n in range(3000))
    for text in (wide, f"[{nested}{']}' * 3000}]"):
        found: Waterfall = ended(waterfall(text, 1.0))
        assert found.slowest is not None
        assert not found.slowest.is_sure


@given(
    st.lists(
        st.recursive(
            st.fixed_dictionaries({"node": st.sampled_from("abc"), "ms": st.integers(0, 9)}),
            lambda inner: st.fixed_dictionaries(
                {
                    "node": st.sampled_from("abc"),
                    "ms": st.integers(0, 9),
                    "children": st.lists(inner),
                }
            ),
            max_leaves=12,
        )
    )
)
def test_own_times_are_those_of_the_breakdown(trace: list[Any]) -> None:
    expected: dict[str, float] = {}
    for name, own in own_times(trace):
        expected[name] = expected.get(name, 0.0) + (own or 0.0)
    found = drawn(trace).slowest
    most = max(expected.values(), default=0.0)
    assert (found.own_ms if found else 0.0) == most
    if found:
        assert expected[found.name] == most
