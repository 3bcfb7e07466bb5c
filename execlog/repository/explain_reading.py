"""The rows of sql/explain.sql and sql/explaining/combinations.sql as sums by block."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execlog.db.rows import Row
from execlog.repository.explain_windows import AFTER, Windows
from execlog.repository.explanation import CANDIDATES, SYMPTOMS
from execlog.statistics.causes import Key
from execlog.statistics.cells import Cells, Frame
from execlog.statistics.effects import LEAST_RUNS

__all__ = ["LEAST_BLOCKS", "Lists", "Read", "Series", "read_cells", "read_combinations"]

LEAST_BLOCKS = 5
"""Fewer blocks of time in a window do not tell how much they scatter."""

_KEYED = "attributes."
# The lists of sql/explaining/combinations.sql, in the order of its answer.
_LISTS = {
    "strategy_version": "versions",
    "strategy_type": "types",
    "realm_id": "realms",
    "external_game_id": "games",
    "external_task_id": "tasks",
    "external_user_id": "users",
    "parent_strategy_id": "parents",
    "case_name": "cases",
}
_LEAST_OF_CASE = 0.9  # of the failed runs must have a case, if cases may be causes


@dataclass(frozen=True)
class Series:
    """All runs by step, in order: what "since when" is found in."""

    places: list[int]
    weights: list[float]
    outcomes: list[float]

    def blocks(self, steps: int) -> tuple[list[float], list[float], int]:
        """Outcomes and weights by block of so many steps, and the first one after. Never raises."""
        sums: dict[int, list[float]] = {}
        for place, weight, outcome in zip(self.places, self.weights, self.outcomes, strict=True):
            one = sums.setdefault(place // AFTER * AFTER + place % AFTER // steps, [0.0, 0.0])
            one[0] += outcome
            one[1] += weight
        order = sorted(sums)
        after = sum(place < AFTER for place in order)
        return [sums[one][0] for one in order], [sums[one][1] for one in order], after


@dataclass
class Read:
    """What the first statement answered.

    Attributes:
        runs: The stored runs of both windows.
        slow_ms: The duration above which a run is slow; 0.0 if that is not measured.
        steps: How many steps a block has.
        is_drawn: Whether blocks were drawn.
        places: The place of each block that was read, in order.
        series: All runs by step.
        total: All runs of the blocks.
        candidates: Those of each value that may be a cause.
        results: Those of each result of a run.
    """

    runs: tuple[int, int] = (0, 0)
    slow_ms: float = 0.0
    steps: int = 1
    is_drawn: bool = False
    places: list[int] = field(default_factory=list)
    series: Series = field(default_factory=lambda: Series([], [], []))
    total: Cells = field(default_factory=lambda: Cells((0, 0), (0, 0), [], []))
    candidates: dict[Key, Cells] = field(default_factory=dict)
    results: dict[Key, Cells] = field(default_factory=dict)

    @property
    def frame(self) -> Frame:
        """The blocks. Never raises."""
        return Frame(len(self.places), sum(place < AFTER for place in self.places))

    @property
    def is_enough(self) -> bool:
        """Whether each window has runs and blocks enough to be compared. Never raises."""
        frame = self.frame
        blocks = min(frame.after, frame.blocks - frame.after)
        return blocks >= LEAST_BLOCKS and min(self.runs) >= LEAST_RUNS


def read_cells(
    records: Sequence[Row],
    spans: Windows,
    most_runs: int,
    among: Collection[str] | None,
    measure: str,
) -> Generator[None, None, Read]:
    """The rows of sql/explain.sql. Yields between two of them. Never raises for such rows.

    Args:
        records: The rows.
        spans: The windows.
        most_runs: Of more runs, blocks were drawn.
        among: The attributes that are candidates; None: all but users.
        measure: What is measured; a case is no cause of its own share.
    """
    read = Read()
    whole = {record["kind"]: record for record in records if record["value"] is None}
    read.runs = _by_window(whole["stored"], "runs")
    read.slow_ms = float(whole["stored"]["weights"] or 0)
    read.is_drawn = sum(read.runs) > most_runs
    read.steps = spans.narrow if read.is_drawn else spans.wide
    if "all" not in whole:
        return read
    series = whole["series"]
    sums = (_floats(series[name]) for name in ("weights", "outcomes"))
    order = sorted(zip(_integers(series["places"]), *sums, strict=True))
    read.series = Series(*map(list, zip(*order, strict=True)))
    yield
    read.places = sorted(_integers(whole["all"]["places"]))
    number = {place: n for n, place in enumerate(read.places)}
    read.total = _cells(whole["all"], number)
    cases = _has_cases(whole["failed"]) and not measure.startswith("case:")
    for record in records:
        kind, value = record["kind"], record["value"]
        if value is None and kind != "no_case":
            continue
        yield
        if kind in SYMPTOMS and not (kind == "case_name" and cases):
            if kind != "status" or value != "ok":
                read.results[Key(kind, value or "")] = _cells(record, number)
        elif _is_candidate(kind, value, among):
            read.candidates[Key(kind, value)] = _cells(record, number)
    return read


class Lists:
    """The values whose combinations are asked for: a list for each attribute.

    Args:
        keys: The values.
    """

    def __init__(self, keys: Collection[Key]) -> None:
        """Sorts them by attribute. Never raises."""
        self._listed: dict[str, list[Key]] = {name: [] for name in _LISTS}
        self._keyed: list[Key] = []
        for key in dict.fromkeys(keys):
            self._listed.get(key.attribute, self._keyed).append(key)

    def arguments(self) -> dict[str, list[Any]]:
        """The parameters of the statement. Never raises."""
        found: dict[str, list[Any]] = {
            parameter: [key.value for key in self._listed[name]]
            for name, parameter in _LISTS.items()
        }
        found["keyed"] = [
            json.dumps({key.attribute.removeprefix(_KEYED): json.loads(key.value)})
            for key in self._keyed
        ]
        return found

    def mask(self, text: str) -> frozenset[Key]:
        """The values that a row of the statement stands for. Never raises for such a row."""
        *places, held = map(int, text.split(","))
        found = {
            keys[place - 1]
            for keys, place in zip(self._listed.values(), places, strict=True)
            if place
        }
        found |= {key for number, key in enumerate(self._keyed) if held >> number & 1}
        return frozenset(found)


def read_combinations(
    records: Sequence[Row], lists: Lists, places: Sequence[int]
) -> Generator[None, None, dict[frozenset[Key], Cells]]:
    """The runs of each combination. Yields between two. Never raises for such rows.

    Args:
        records: The rows.
        lists: What was asked for.
        places: The place of each block.
    """
    number = {place: n for n, place in enumerate(places)}
    found = {}
    for record in records:
        found[lists.mask(record["value"])] = _cells(record, number)
        yield
    return found


def _is_candidate(kind: str, value: str, among: Collection[str] | None) -> bool:
    if kind.startswith(_KEYED):
        return value != "null" and (among is None or kind in among)
    return kind in CANDIDATES and (among is None or kind in among)


def _has_cases(failed: Row) -> bool:
    """Whether nearly all failed runs of each window have a case."""
    of_case = _integers(failed["counted"])
    return all(
        having >= _LEAST_OF_CASE * runs
        for having, runs in zip(of_case, _integers(failed["runs"]), strict=True)
    )


def _by_window(record: Row, column: str) -> tuple[int, int]:
    places, values = _integers(record["places"]), _integers(record[column])
    found = dict(zip(places, values, strict=True))
    return found.get(0, 0), found.get(AFTER, 0)


def _integers(text: str | None) -> list[int]:
    return list(map(int, text.split(","))) if text else []


def _floats(text: str) -> list[float]:
    return list(map(float, text.split(",")))


def _cells(record: Row, number: Mapping[int, int]) -> Cells:
    weights, outcomes = [0.0] * len(number), [0.0] * len(number)
    runs, counted = [0, 0], [0, 0]
    counts = [_integers(record[name]) for name in ("places", "runs", "counted")]
    sums = [_floats(record[name]) for name in ("weights", "outcomes")]
    for place, stored, having, weight, outcome in zip(*counts, *sums, strict=True):
        n = number.get(place)
        if n is None:  # stored since the first statement
            continue
        side = int(place >= AFTER)
        runs[side] += stored
        counted[side] += having
        weights[n], outcomes[n] = weight, outcome
    return Cells((runs[0], runs[1]), (counted[0], counted[1]), weights, outcomes)
