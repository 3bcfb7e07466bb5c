"""A verdict of `execlog check`: numbers beside the limits that they may exceed, and its words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from execlog.display.format import milliseconds, number, percent
from execlog.models import Model

__all__ = ["Breach", "Limits", "Numbers", "Verdict", "badness", "judged", "length", "line"]


Breach = Literal["error_rate", "failed_rate", "p99", "silence"]
"""A limit that can be exceeded."""


class Limits(NamedTuple):
    """What is allowed; None: anything.

    Attributes:
        error_rate: The largest share of errors, timeouts and limits.
        failed_rate: The largest share of all that are not ok.
        p99: The longest 99th percentile.
        silence: The longest time without a run.
        min_runs: The fewest runs whose rates and percentile are judged.
    """

    error_rate: float | None
    failed_rate: float | None
    p99: timedelta | None
    silence: timedelta | None
    min_runs: int

    @property
    def are_none(self) -> bool:
        """Whether anything is allowed. Never raises."""
        return self[:4] == (None,) * 4

    @property
    def p99_ms(self) -> float | None:
        """The longest 99th percentile in milliseconds. Never raises."""
        return None if self.p99 is None else self.p99 / timedelta(milliseconds=1)


class Numbers(NamedTuple):
    """What is judged: the stored runs, weighed shares, and the 99th percentile in milliseconds."""

    runs: int = 0
    error_rate: float = 0.0
    failed_rate: float = 0.0
    p99_ms: float = 0.0


class Verdict(Model):
    """One strategy, or all of a scope at once (`strategy_id` None), against the limits.

    Attributes:
        name: What is checked, as it is shown.
        verdict: "breach", "ok", or "too few runs": then rates and p99 were not judged.
        is_silent: Whether nothing ran for longer than is allowed.
        breaches: The limits that are exceeded: "error_rate", "failed_rate", "p99", "silence".
    """

    strategy_id: str | None
    name: str
    verdict: Literal["breach", "ok", "too few runs"]
    runs: int
    error_rate: float
    failed_rate: float
    p99_ms: float
    is_silent: bool
    breaches: list[Breach]


def judged(
    numbers: Numbers, strategy: str | None, name: str, limits: Limits, *, is_silent: bool
) -> Verdict:
    """The verdict on numbers. Never raises.

    Args:
        numbers: The numbers.
        strategy: The strategy; None: all of a scope at once.
        name: What is checked, as it is shown.
        limits: The limits.
        is_silent: Whether nothing ran for longer than is allowed.
    """
    is_judged = numbers.runs >= limits.min_runs
    values: tuple[tuple[Breach, float, float | None], ...] = (
        ("error_rate", numbers.error_rate, limits.error_rate),
        ("failed_rate", numbers.failed_rate, limits.failed_rate),
        ("p99", numbers.p99_ms, limits.p99_ms),
    )
    breaches: list[Breach] = ["silence"] if is_silent else []
    breaches += [
        what
        for what, value, limit in values
        if is_judged and limit is not None and _above(value, limit)
    ]
    return Verdict(
        strategy_id=strategy,
        name=name,
        verdict="breach" if breaches else "ok" if is_judged else "too few runs",
        **numbers._asdict(),
        is_silent=is_silent,
        breaches=breaches,
    )


def badness(one: Verdict, limits: Limits) -> Sequence[float]:
    """The less, the worse: whether a limit is exceeded, and how many times. Never raises."""
    values = (
        (one.error_rate, limits.error_rate),
        (one.failed_rate, limits.failed_rate),
        (one.p99_ms, limits.p99_ms),
    )
    times = [
        value / limit if limit else math.inf
        for value, limit in values
        if limit is not None and value
    ]
    worst = math.inf if one.is_silent else max(times, default=0.0)
    return (not one.breaches, one.verdict != "ok" and not one.breaches, -worst)


def line(one: Verdict, limits: Limits) -> str:
    """A verdict as it is shown after its name. Never raises."""
    runs = f"  ({number(one.runs)} runs)" if one.runs != 1 else "  (1 run)"
    said = []
    if "silence" in one.breaches:
        silence = 0.0 if limits.silence is None else limits.silence.total_seconds()
        said.append(f"nothing ran for {length(silence)}")
    for name, words in (("error_rate", "error rate"), ("failed_rate", "failed")):
        if name in one.breaches:
            said.append(f"{words} {_pair(getattr(one, name), getattr(limits, name))}")
    if "p99" in one.breaches:
        said.append(f"p99 {_longer(one.p99_ms, limits.p99_ms or 0.0)}")
    if not one.runs:
        said = said or ["no runs, no verdict"]
    elif one.runs < limits.min_runs:
        said.append(f"fewer than {number(limits.min_runs)} runs: no verdict on rates")
    elif not said:
        rates = f"error rate {percent(one.error_rate)}, failed {percent(one.failed_rate)}"
        said.append(f"ok: {rates}, p99 {milliseconds(one.p99_ms)}")
    return ", ".join(said) + runs


def _above(value: float, limit: float) -> bool:
    """Whether the value is above the limit by more than the noise of a division."""
    return value > limit and not math.isclose(value, limit, rel_tol=1e-9)


def _pair(rate: float, limit: float) -> str:
    """Both, in as many digits as tell them apart."""
    form = ".2f" if f"{rate * 100:.2f}" != f"{limit * 100:.2f}" else ".6g"
    return f"{percent(rate, form)} > {percent(limit, '.6g')}"


def _longer(p99: float, limit: float) -> str:
    shown, most = milliseconds(p99), milliseconds(limit)
    return f"{shown} > {most}" if shown != most else f"{p99:.6g} ms > {limit:.6g} ms"


def length(seconds: float) -> str:
    """A length of time as it is given, such as 1h30m. Never raises."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if count := int(seconds // size):
            parts.append(f"{count}{unit}")
            seconds -= count * size
    return "".join([*parts, f"{seconds:g}s"] if seconds or not parts else parts)
