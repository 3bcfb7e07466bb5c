"""The answer of an explanation: what changed, since when, and what was found to explain it."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime

from execlog.repository.explain_reading import LEAST_BLOCKS, Read, Series
from execlog.repository.explain_windows import Windows
from execlog.repository.explanation import Cause, Explanation, cause_of, symptoms_of
from execlog.statistics.blocks import Estimate, Tested, change, ratio
from execlog.statistics.causes import Found, Screened
from execlog.statistics.change_point import step
from execlog.statistics.effects import LEAST_COUNTED, LEAST_RUNS

__all__ = ["Findings", "answer"]

_MINUTE = 60.0


@dataclass
class Findings:
    """What the statistics found.

    Attributes:
        tried: The values that were tested; None: there were too few runs.
        causes: What was named.
        pairs: How many pairs were tried.
        is_fewer: Whether the server was not done in time, and asked for fewer blocks.
    """

    is_fewer: bool
    tried: Screened | None = None
    causes: list[Found] = field(default_factory=list)
    pairs: int = 0


def answer(
    measure: str, read: Read, spans: Windows, findings: Findings, level: float
) -> Generator[None, None, Explanation]:
    """The model. Yields in between. Never raises.

    Args:
        measure: What was measured.
        read: The runs.
        spans: The windows.
        findings: What the statistics found.
        level: Intervals hold with a probability of 1 - level.
    """
    before, after = _means(read)
    tested = _tested(read, level)
    is_shown = tested is not None and tested.p_value <= level
    changed = is_shown or bool(findings.causes)
    whole = _whole_change(read) if changed else None
    yield
    causes = [cause_of(one, whole, read.frame, level) for one in findings.causes]
    symptoms: list[Cause] = []
    if changed:
        symptoms = symptoms_of(read.total, read.results, whole, read.frame, level)
    yield
    times: tuple[datetime | None, ...] = (None, None, None)
    if is_shown:
        times = _since(read.series, spans, level, measure)
    elif findings.causes:
        # What all runs did shows nothing: only those of the cause, of which blocks are known.
        own = findings.causes[0].cells
        series = Series(read.places, own.weights, own.outcomes)
        times = _since(series, spans, level, measure, read.steps)
    tried = findings.tried
    explained = math.fsum(one.share or 0.0 for one in causes)
    return Explanation(
        measure=measure,
        before=before,
        after=after,
        change=after - before,
        low=None if tested is None else tested.low,
        high=None if tested is None else tested.high,
        changed=changed,
        runs_before=read.runs[0],
        runs_after=read.runs[1],
        since=times[0],
        since_low=times[1],
        since_high=times[2],
        causes=causes,
        symptoms=symptoms,
        unexplained=1 - explained if changed else None,
        tested=0 if tried is None else tried.tried + findings.pairs,
        tested_attributes=0 if tried is None else tried.attributes,
        blocks=read.frame.blocks,
        method=_method(read, spans, findings),
        needs=_needs(read),
    )


def _means(read: Read) -> tuple[float, float]:
    outcomes, weights, after = read.series.blocks(read.steps)
    sides = (slice(0, after), slice(after, None))
    sums = [(math.fsum(outcomes[side]), math.fsum(weights[side])) for side in sides]
    before, later = (outcome / weight if weight else 0.0 for outcome, weight in sums)
    return before, later


def _tested(read: Read, level: float) -> Tested | None:
    """The change of all runs, of blocks that were not drawn too; None: too few."""
    if not read.is_enough:
        return None
    found = change(*read.series.blocks(read.steps), level)
    return found if math.isfinite(found.low) else None


def _whole_change(read: Read) -> Estimate:
    """The change of the runs whose values were read: what causes are shares of."""
    total, frame = read.total, read.frame
    after = ratio(total.outcomes, total.weights, frame.after_window)
    return after.minus(ratio(total.outcomes, total.weights, frame.before_window))


def _since(
    series: Series, spans: Windows, level: float, measure: str, steps: int = 1
) -> tuple[datetime | None, ...]:
    found = step(series.weights, series.outcomes, level, is_rate=measure != "points")
    if found is None:
        return None, None, None
    return tuple(spans.time(series.places[n], steps) for n in found)


def _method(read: Read, spans: Windows, findings: Findings) -> str:
    width = f"{read.steps * spans.step.total_seconds() / _MINUTE:g} min"
    runs = sum(read.total.runs)
    if not read.is_drawn:
        return f"all {runs:,} runs in {read.frame.blocks} blocks of {width}"
    late = ", fewer because the server was not done in time" if findings.is_fewer else ""
    return (
        f"{read.frame.blocks} blocks of {width}, drawn at random{late}: {runs:,} of"
        f" {sum(read.runs):,} runs; before, after and since are of all runs"
    )


def _needs(read: Read) -> str | None:
    if min(read.runs) < LEAST_RUNS:
        return f"at least {LEAST_RUNS} runs in each window"
    if not read.is_enough:
        return f"runs in at least {LEAST_BLOCKS} blocks of a minute or more in each window"
    if not read.candidates:
        return None
    counted = sum(read.total.counted)
    if counted < LEAST_COUNTED:
        return (
            f"at least {LEAST_COUNTED} runs that count in the measure, such as failures; there"
            f" are {counted:.0f}"
        )
    return None
