"""What explains a change: the models, and how they are made of what the statistics found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from execlog.models import Model
from execlog.statistics.blocks import Estimate, Tested, ratio
from execlog.statistics.causes import Found, Key
from execlog.statistics.cells import Cells, Frame
from execlog.statistics.multiplicity import stand

__all__ = [
    "CANDIDATES",
    "SYMPTOMS",
    "Cause",
    "Explanation",
    "cause_of",
    "filters_of",
    "symptoms_of",
]

CANDIDATES = (
    "strategy_version",
    "strategy_type",
    "realm_id",
    "external_game_id",
    "external_task_id",
    "external_user_id",
    "parent_strategy_id",
    "case_name",
)
"""The filters whose values may be causes, beside `attributes`: known before the run."""
SYMPTOMS = ("status", "error_code", "case_name", "no_case", "nodes")
"""What is a result of the run: listed apart."""

_MOST_SYMPTOMS = 10


class Cause(Model):
    """A value, or a pair of values, of runs that changed beyond all others.

    Attributes:
        attributes: The filters that give its executions: `list_executions(**cause.attributes)`.
        before: The measure of its runs in the window before; None: there were none.
        after: The same in the window after.
        runs_before: Its stored runs in the window before, of the blocks that were read.
        runs_after: The same in the window after.
        share: The part of the whole change that is due to it, 1 for all of it; None if the whole
            did not change.
        share_low: The lower end of its interval.
        share_high: The upper end.
        p_value: The probability of a change as large by chance, for this one test.
    """

    attributes: dict[str, Any]
    before: float | None
    after: float | None
    runs_before: int
    runs_after: int
    share: float | None
    share_low: float | None
    share_high: float | None
    p_value: float


class Explanation(Model):
    """What changed between two windows of a strategy, since when, and what explains it.

    Attributes:
        measure: What was measured.
        before: The measure in the baseline, each run weighed by 1/sample_rate; 0.0 without runs.
        after: The measure in the window.
        change: after - before.
        low: The lower end of the interval of the change; None: too few runs.
        high: The upper end.
        changed: Whether chance does not explain the change, or not that of a cause.
        runs_before: The stored runs of the baseline.
        runs_after: The stored runs of the window.
        since: Since when, if it changed: the begin of a minute, or of more in a long window.
        since_low: The begin of the interval of `since`.
        since_high: The end.
        causes: What explains it, the strongest first; empty: nothing that was tried does.
        symptoms: Results of the runs (statuses, codes, cases, nodes) whose share of all runs
            changed; each says what the change looks like, not where it comes from. Here before and
            after are parts of the measure of all runs, and runs those that count in it.
        unexplained: The part of the change that no cause explains; None if nothing changed.
        tested: How many values and pairs were tried.
        tested_attributes: Of how many attributes.
        blocks: How many blocks of time were compared.
        method: What was read: all runs, or blocks that were drawn.
        needs: What would be needed if there are too few runs; else None.
    """

    measure: str
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    changed: bool
    runs_before: int
    runs_after: int
    since: datetime | None = None
    since_low: datetime | None = None
    since_high: datetime | None = None
    causes: list[Cause] = Field(default_factory=list)
    symptoms: list[Cause] = Field(default_factory=list)
    unexplained: float | None = None
    tested: int = 0
    tested_attributes: int = 0
    blocks: int = 0
    method: str
    needs: str | None = None


def filters_of(keys: Iterable[Key]) -> dict[str, Any]:
    """The filters that give the executions of these values. Never raises for such keys."""
    found: dict[str, Any] = {}
    for name, value in keys:
        if name.startswith("attributes."):
            held = found.setdefault("attributes", {})
            held[name.removeprefix("attributes.")] = json.loads(value)
        elif name == "strategy_version":
            found[name] = int(value)
        elif name == "no_case":
            found[name] = True
        elif name == "nodes":
            bits = int(value)
            found["min_nodes"] = 1 << (bits - 1) if bits else 0
            found["max_nodes"] = (1 << bits) - 1
        else:
            found[name] = value
    return found


def cause_of(found: Found, change: Estimate | None, frame: Frame, level: float) -> Cause:
    """The model of a cause. Never raises.

    Args:
        found: What the statistics found.
        change: The whole change; None: there was none.
        frame: The blocks.
        level: The interval holds the share with a probability of 1 - level.
    """
    share = None
    if change is not None and change.value:
        share = found.contribution.over(change).tested(level)
    return Cause(
        attributes=filters_of(found.keys),
        before=_mean(found.cells, frame.before_window),
        after=_mean(found.cells, frame.after_window),
        runs_before=found.cells.runs[0],
        runs_after=found.cells.runs[1],
        p_value=found.effect.p_value,
        **_shares(share),
    )


def symptoms_of(
    total: Cells, values: Mapping[Key, Cells], change: Estimate | None, frame: Frame, level: float
) -> list[Cause]:
    """The results of the runs whose share of all runs changed, the largest change first.

    Args:
        total: All runs.
        values: The runs of each result.
        change: The whole change; None: there was none.
        frame: The blocks.
        level: The share of false ones among them, at most.

    Never raises.
    """
    changes = {
        key: tuple(
            ratio(cells.outcomes, total.weights, window)
            for window in (frame.before_window, frame.after_window)
        )
        for key, cells in values.items()
        if sum(cells.counted)
    }
    keys = list(changes)
    tested = [(changes[key][1].minus(changes[key][0])) for key in keys]
    kept = stand([one.p_value(frame.blocks) for one in tested], level)
    found = sorted(
        ((key, one) for key, one, is_kept in zip(keys, tested, kept, strict=True) if is_kept),
        key=lambda pair: (-abs(pair[1].value), pair[0]),
    )
    return [
        Cause(
            attributes=filters_of([key]),
            before=changes[key][0].value,
            after=changes[key][1].value,
            runs_before=values[key].counted[0],
            runs_after=values[key].counted[1],
            p_value=one.p_value(frame.blocks),
            **_shares(
                one.over(change).tested(level) if change is not None and change.value else None
            ),
        )
        for key, one in found[:_MOST_SYMPTOMS]
    ]


def _shares(share: Tested | None) -> dict[str, float | None]:
    if share is None:
        return {"share": None, "share_low": None, "share_high": None}
    return {"share": share.value, "share_low": share.low, "share_high": share.high}


def _mean(cells: Cells, window: range) -> float | None:
    weights: Sequence[float] = cells.weights[window.start : window.stop]
    if not sum(weights):
        return None
    return ratio(cells.outcomes, cells.weights, window).value
