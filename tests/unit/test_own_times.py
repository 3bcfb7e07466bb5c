"""The time that each node of a trace took itself, and how sure a share is."""

from __future__ import annotations

from typing import Any

import pytest

from execlog.display.trace_tree import own_times
from execlog.repository.intervals import wilson


@pytest.mark.parametrize(
    ("trace", "times"),
    [
        ([], []),
        (["a text", 5, None], []),
        ([{"node": "a", "ms": 1.5}, {"name": "b", "duration": "2 s"}], [("a", 1.5), ("b", 2000.0)]),
        ([{"points": 3}], [("node", None)]),
        (
            [{"id": 7, "ms": 10, "children": [{"id": 8, "ms": 4}, {"id": 9}]}],
            [("7", 6.0), ("8", 4.0), ("9", None)],
        ),
        # Nodes below that ran at once take longer together than the one above.
        (
            [{"id": "a", "ms": 5, "steps": [{"id": "b", "ms": 4}, {"id": "c", "ms": 4}]}],
            [("a", 0.0), ("b", 4.0), ("c", 4.0)],
        ),
        # Without a time of its own a node has none, whatever those below it took.
        ([{"id": "a", "nodes": [{"id": "b", "ms": 4}]}], [("a", None), ("b", 4.0)]),
    ],
)
def test_own_times(trace: list[Any], times: list[tuple[str, float | None]]) -> None:
    assert list(own_times(trace)) == times


@pytest.mark.parametrize(
    ("share", "runs", "low", "high"),
    [
        (0.1, 100, 0.05522914, 0.17436566),
        (0.5, 10, 0.23659309, 0.76340691),
        (0.0, 10, 0.0, 0.27753279),
        (1.0, 10, 0.72246721, 1.0),
        (0.0, 0.0, 0.0, 1.0),
    ],
)
def test_wilson(share: float, runs: float, low: float, high: float) -> None:
    assert wilson(share, runs) == pytest.approx((low, high), abs=1e-7)


def test_the_share_is_within_its_interval() -> None:
    for tenth in range(11):
        for runs in (1, 3.7, 1e3, 1e12):
            low, high = wilson(tenth / 10, runs)
            assert 0 <= low <= tenth / 10 <= high <= 1
