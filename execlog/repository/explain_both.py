"""What an explanation reads if its windows reach into files: sums of the log and of files, added.

The statements are those of the log alone, cut in two: the runs by steps tell which blocks are
drawn, and these are read by value. Each pair of a statement and its files is of one snapshot.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from execlog.archive.asking import asked_of, batches, switches_of
from execlog.archive.attributes import patterns
from execlog.archive.reading import Reach
from execlog.db.files import folder
from execlog.db.rows import Row
from execlog.db.slices import finished
from execlog.db.statements import Query, Statement, load_statements
from execlog.repository.explain_drawing import drawn
from execlog.repository.explain_reading import Lists
from execlog.repository.explain_windows import AFTER, Windows
from execlog.repository.percentiles import percentile_cont
from execlog.repository.questions import Questions

__all__ = ["OfBoth", "explaining"]

_MOST_VALUES = 20_000  # of a column; those of the fewest runs are left out before they are added
_SHOWN_VALUES = 200  # of a column; a key of attributes with more values is no candidate
_SLOW = 0.95  # of the durations of the window before
_MEASURES = frozenset({"slower", "awarded", "of_case"})
_HELD = "attributes."
_COLUMNS = ("places", "runs", "counted", "weights", "outcomes")
_Sums = dict[int, list[float]]


class OfBoth:
    """Reads both windows from the log and from files.

    Args:
        log: The repository.
        spans: The windows.
        switches: The switches of the log's statements.
        scope: The strategy, the measured case and the filters, as these take them.
        deadline: When all must be done.
    """

    def __init__(
        self,
        log: Questions,
        spans: Windows,
        switches: Sequence[str],
        scope: Mapping[str, Any],
        deadline: float,
    ) -> None:
        """Takes the parts. Never raises."""
        self._log, self._spans, self._deadline = log, spans, deadline
        self._switches, self._scope = switches, scope
        self._filters = [one for one in switches if one not in _MEASURES]
        self._slow_ms = 0.0

    async def cells(
        self, *, of_users: bool, most_runs: int, drawn_runs: int, least_blocks: int
    ) -> list[Row]:
        """The rows that sql/explain.sql would have of all runs.

        Args:
            of_users: Whether users are candidates.
            most_runs: Of more runs, blocks are drawn.
            drawn_runs: Up to so many.
            least_blocks: Of each window, at least so many.

        Raises:
            ArchiveError: A file is missing or damaged, or memory does not suffice.
            QueryRejected: The server refuses, or the role is subject to row level security.
            StoreUnavailable: It takes too long.
            SchemaOutdated: The database is not migrated.
        """
        if "slower" in self._switches:
            self._slow_ms = await self._threshold()
        step = self._spans.arguments()["step_us"]
        steps = await self._series(step)
        runs = {place: int(sums[0]) for place, sums in steps.items()}
        places, width = drawn(runs, self._spans, most_runs, drawn_runs, least_blocks)
        rows = _whole(steps, self._slow_ms)
        if not places:
            return rows
        sizes = {"most": _MOST_VALUES, "most_held": _SHOWN_VALUES + 1}
        blocks = {"places": ",".join(map(str, places)), "block_us": width * step}
        own = ["of_users"] if of_users else []
        found, more = await self._both("cells", *own, **blocks, **sizes)
        return [*rows, *await finished(_ranked([*found, *more]))]

    async def combinations(
        self, places: Sequence[int], steps: int, lists: Lists
    ) -> list[Mapping[str, Any]]:
        """The rows that sql/explaining/combinations.sql would have of all runs.

        Args:
            places: The blocks.
            steps: How many steps each has.
            lists: The values.

        Raises:
            As `cells`.
        """
        blocks = self._spans.of_blocks(places, steps)
        blocks = {name: blocks[name] for name in ("places", "block_us")}
        found, more = await self._both("combinations", **blocks, **lists.arguments())
        added = await finished(_added(("", one["value"], one) for one in [*found, *more]))
        return [_packed("", value, sums) for (_, value), sums in added.items()]

    async def _threshold(self) -> float:
        """The 95th percentile of the durations of the window before; infinite without runs."""
        window = {"since": self._spans.baseline_since, "until": self._spans.baseline_until}
        values = {name: value for name, value in self._scope.items() if name != "measured_case"}
        query = self._statement("baseline_durations").query(*self._filters, **values, **window)
        log, reach = await self._asked(query, window)
        durations = [row["duration_ms"] for row in log]
        weights = [row["weight"] for row in log]
        if not reach.listed:  # files hold runs of the other window only
            [slow_ms] = await asyncio.to_thread(percentile_cont, durations, [_SLOW], weights)
            return slow_ms if log else math.inf
        found = await reach.read(
            "duration_percentiles",
            reach.listed,
            *switches_of(self._filters),
            **{**asked_of(values), **window},
            fractions=f"[{_SLOW}]",
            durations=durations,
            weights=weights,
        )
        if found:
            return float(found[0]["value_ms"])
        return math.inf

    async def _series(self, step_us: int) -> dict[int, list[float]]:
        """Runs, counted, weight, outcome, failed, and failed ones with a case, by step."""
        found, more = await self._both("series", step_us=step_us)
        steps: dict[int, list[float]] = {}
        names = ("runs", "counted", "weight", "outcome", "failed", "failed_of_case")
        for row in [*found, *more]:
            sums = steps.setdefault(row["place"], [0.0] * len(names))
            for n, name in enumerate(names):
                sums[n] += row[name]
        return dict(sorted(steps.items()))

    async def _both(
        self, name: str, *switches: str, **values: Any
    ) -> tuple[Sequence[Row], list[dict[str, Any]]]:
        """The rows of a statement of the log, and those of files, each with parts of the sums."""
        spans = self._spans
        times = {
            "baseline_since": spans.baseline_since,
            "baseline_until": spans.baseline_until,
            "since": spans.since,
            "until": spans.until,
        }
        given = {**self._scope, **times, "slow_ms": self._slow_ms, **values}
        query = self._statement(name).query(*self._switches, *switches, **given)
        window = {"since": spans.baseline_since, "until": spans.until}
        found, reach = await self._asked(query, window)
        if "keyed" in values:
            values["keyed"] = [patterns(one, None)[0] for one in values["keyed"]]
        asked = {
            **asked_of(self._scope),
            **window,
            **values,
            "baseline_since": spans.baseline_since,
            "baseline_until": spans.baseline_until,
            "window_since": spans.since,
            "measured_case": self._scope["measured_case"],
            "slow_ms": self._slow_ms,
        }
        own = {*switches_of(self._filters), *(_MEASURES & {*self._switches}), *switches}
        more: list[dict[str, Any]] = []
        for some in batches(reach.listed):
            more += await reach.read(f"explain_{name}", some, *own, **asked)
        return found, more

    def _statement(self, name: str) -> Statement:
        return explaining(self._log._schema)[name]

    async def _asked(self, query: Query, window: Mapping[str, Any]) -> tuple[Sequence[Row], Reach]:
        listed, found = await self._log._together(window, query, None, self._deadline)
        return found, self._log._reach_of(listed, self._deadline, window)


@functools.lru_cache
def explaining(schema: str) -> Mapping[str, Statement]:
    """The statements that read blocks, for the log in this schema. Raises QueryFileError.

    Args:
        schema: The schema of the log.
    """
    files = folder("sql")
    names = {"baseline_durations", "cells", "combinations", "series"}
    return load_statements(files / "explaining", names, schema, parts=files / "part")


def _whole(steps: Mapping[int, Sequence[float]], slow_ms: float) -> list[Row]:
    """The rows about the whole, from the sums by step."""
    windows: dict[int, list[float]] = {}
    for place, sums in steps.items():
        total = windows.setdefault(place // AFTER * AFTER, [0.0] * len(sums))
        for n, value in enumerate(sums):
            total[n] += value
    runs, failed, of_case = ([sums[n] for sums in windows.values()] for n in (0, 4, 5))
    slow = None if math.isinf(slow_ms) else repr(slow_ms)
    stored = {"runs": _integers(runs), "counted": None, "weights": slow, "outcomes": None}
    failures = {"runs": _integers(failed), "counted": _integers(of_case)}
    both = {"value": None, "places": _integers(windows)}
    return [
        _packed("series", None, {place: list(sums[:4]) for place, sums in steps.items()}),
        {"kind": "failed", **both, **failures, "weights": None, "outcomes": None},
        {"kind": "stored", **both, **stored},
    ]


def _ranked(rows: Iterable[Row]) -> Generator[None, None, list[Row]]:
    """The sums of each value: of a column the values with the most runs, of a key all or none."""
    added = yield from _added((_kind(one["kind"]), one["value"], one) for one in rows)
    kinds: dict[str, list[tuple[float, str | None]]] = defaultdict(list)
    for (kind, value), sums in added.items():
        kinds[kind].append((-math.fsum(one[0] for one in sums.values()), value))
    found: list[Row] = []
    for kind, values in kinds.items():
        if len(values) > _SHOWN_VALUES and kind.startswith(_HELD):
            continue
        values.sort(key=lambda one: (one[0], one[1] or ""))
        found += [_packed(kind, value, added[kind, value]) for _, value in values[:_SHOWN_VALUES]]
        yield
    return found


def _kind(kind: str) -> str:
    """The kind, of which files have the key as it is in JSON."""
    if "\\" not in kind:
        return kind
    try:
        key: str = json.loads(f'"{kind.removeprefix(_HELD)}"')
    except ValueError:  # a key of the log
        return kind
    return f"{_HELD}{key}"


def _added(
    rows: Iterable[tuple[str, str | None, Row]],
) -> Generator[None, None, dict[tuple[str, str | None], _Sums]]:
    """Runs, counted, weight and outcome of each value by place. Yields between two rows."""
    found: dict[tuple[str, str | None], _Sums] = {}
    for kind, value, row in rows:
        sums = found.setdefault((kind, value), {})
        columns = [_numbers(row[name]) for name in _COLUMNS]
        for place, *more in zip(*columns, strict=True):
            one = sums.setdefault(int(place), [0.0] * len(more))
            for n, number in enumerate(more):
                one[n] += number
        yield
    return found


def _numbers(packed: str | Sequence[float]) -> Sequence[float]:
    """The numbers of a list: as a text, which the log has."""
    return [*map(float, packed.split(","))] if isinstance(packed, str) else packed


def _packed(kind: str, value: str | None, sums: _Sums) -> dict[str, Any]:
    """Sums as the log's statements have them."""
    runs, counted, weights, outcomes = ([one[n] for one in sums.values()] for n in range(4))
    return {
        "kind": kind,
        "value": value,
        "places": _integers(sums),
        "runs": _integers(runs),
        "counted": _integers(counted),
        "weights": ",".join(map(repr, weights)),
        "outcomes": ",".join(map(repr, outcomes)),
    }


def _integers(values: Iterable[float]) -> str:
    return ",".join(str(int(value)) for value in values)
