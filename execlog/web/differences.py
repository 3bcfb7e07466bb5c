"""By how much B differs from A, in words: measure by measure, code by code and case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from execlog.display.format import milliseconds, number, percent, points
from execlog.repository.comparison import StrategyComparison
from execlog.repository.metrics import StrategyMetrics
from execlog.repository.verdicts import Interval

__all__ = ["Measure", "Share", "cases", "codes", "is_whole", "lead", "measures", "share_of"]

_TOP = 10  # codes and cases of a card
_NOISE = 1e-12  # of a difference of two shares
_Pair = tuple[str | None, tuple[float | None, float | None]]
_MINUS = "\u2212"


class Measure(NamedTuple):
    """A number of both cards.

    Attributes:
        name: What it measures.
        a: Its value in A, as the next one a text.
        b: Its value in B.
        moved: By how much it is higher or lower in B; empty: the page leaves that open.
        verdict: "better" or "worse" in B if chance does not explain it; else why not, or empty.
        is_sure: Whether the verdict is one of these two.
        interval: The ends of the interval of the difference; empty: there is none.
    """

    name: str
    a: str
    b: str
    moved: str
    verdict: str = ""
    is_sure: bool = False
    interval: str = ""


class Share(NamedTuple):
    """The share of runs that have a code or a case.

    Attributes:
        name: The code or case; None: no rule matched.
        shares: Of A and of B; None: it is not among its ten most frequent ones.
        is_exact: Whether they are exact; else ok runs were sampled.
    """

    name: str | None
    shares: tuple[float | None, float | None]
    is_exact: bool

    @property
    def highest(self) -> float:
        """The larger of both. Never raises."""
        return max(one or 0.0 for one in self.shares)


class _Form(NamedTuple):
    """How a measure is written: a value, a difference, its unit, and which direction is better."""

    value: Callable[[float], str]
    moved: Callable[[float], str]
    unit: str
    better: int


_RATE = _Form(percent, lambda moved: points(moved if moved > _NOISE else 0.0), " points", 0)
_TIME = _Form(milliseconds, milliseconds, "", -1)
_PLAIN = _Form(lambda value: number(round(value, 2)), lambda moved: number(round(moved, 2)), "", 0)


def measures(both: StrategyComparison) -> list[Measure]:
    """The measures of both cards, the error rate first. Never raises."""
    a, b, sure = both.a, both.b, both.intervals
    ran = min(a.status_breakdown.total, b.status_breakdown.total) > 0
    fewer = _fewer(both)
    points_a, points_b = (card.points_sum / max(card.status_breakdown.total, 1) for card in (a, b))
    rows: list[tuple[str, _Form, float, float, Interval | None]] = [
        ("Error rate", _RATE._replace(better=-1), a.error_rate, b.error_rate, sure.error_rate),
        (
            "Success rate",
            _RATE._replace(better=1),
            a.success_rate,
            b.success_rate,
            sure.success_rate,
        ),
        ("p50", _TIME, a.duration.p50_ms, b.duration.p50_ms, None),
        ("p95", _TIME, a.duration.p95_ms, b.duration.p95_ms, sure.p95_ms),
        ("p99", _TIME, a.duration.p99_ms, b.duration.p99_ms, None),
        ("Average", _TIME, a.duration.avg_ms, b.duration.avg_ms, sure.avg_ms),
    ]
    found = [
        Measure(name, form.value(one), form.value(two), *_moved(form, two - one, interval, fewer))
        if ran
        else Measure(name, form.value(one), form.value(two), "")
        for name, form, one, two, interval in rows
    ]
    found.append(Measure("Points", _PLAIN.value(a.points_sum), _PLAIN.value(b.points_sum), ""))
    # Of what the rows stand for, the difference; of the stored rows, the values.
    is_sampled = any(not is_whole(card) for card in (a, b))
    values = ("", "") if is_sampled else (_PLAIN.value(points_a), _PLAIN.value(points_b))
    moved = _moved(_PLAIN, both.delta.points_avg, sure.points_avg, fewer) if ran else ("",)
    found.append(Measure("Points per run", *values, *moved))
    # What did not run has no rate and no time.
    if not a.status_breakdown.total:
        found = [one._replace(a="") for one in found]
    if not b.status_breakdown.total:
        found = [one._replace(b="") for one in found]
    return found


def lead(both: StrategyComparison) -> str:
    """What is said first: the difference of the error rates. Never raises."""
    names = ("A", "B")
    empty = [
        name
        for name, card in zip(names, (both.a, both.b), strict=True)
        if not card.status_breakdown.total
    ]
    if empty:
        return f"Nothing ran in {' and in '.join(empty)}."
    first = measures(both)[0]
    said = "the same in both" if first.moved == "the same" else first.moved
    more = f", {first.verdict}" if first.verdict and not first.is_sure else ""
    return f"Error rate is {said}{more}: {first.a} in A, {first.b} in B."


def codes(both: StrategyComparison) -> list[Share]:
    """The codes of both, those with the largest difference first. Never raises."""
    is_exact = is_whole(both.a) and is_whole(both.b)
    sides: list[dict[str | None, float]] = [
        {one.code: share_of(card, one.count)[0] for one in card.top_errors}
        for card in (both.a, both.b)
    ]
    return [Share(name, shares, is_exact) for name, shares in _joined(*sides)]


def cases(both: StrategyComparison) -> list[Share]:
    """The cases of both, as shares of stored runs, as `codes`. Never raises."""
    is_exact = is_whole(both.a) and is_whole(both.b)
    sides = [
        {one.case_name: one.count / card.status_breakdown.total for one in card.top_cases}
        for card in (both.a, both.b)
    ]
    return [Share(name, shares, is_exact) for name, shares in _joined(*sides)]


def share_of(card: StrategyMetrics, count: int) -> tuple[float, bool]:
    """The share of runs that rows with an error code are of all, and whether it is exact.

    If ok runs were sampled, it is of what the rows stand for, as if all failures weighed the same.

    Args:
        card: The card.
        count: How many rows have the code.

    Never raises.
    """
    total = card.status_breakdown.total
    if is_whole(card):
        return count / max(total, 1), True
    failures = total - card.status_breakdown.ok
    return (min((1.0 - card.success_rate) * count / failures, 1.0) if failures else 0.0), False


def is_whole(card: StrategyMetrics) -> bool:
    """Whether each row of a card stands for itself. Never raises."""
    return abs(card.estimated_total - card.status_breakdown.total) < 0.5


def _moved(
    form: _Form, moved: float, sure: Interval | None, fewer: str
) -> tuple[str, str, bool, str]:
    """The words of a difference, its verdict and its interval."""
    size = form.moved(abs(moved))
    if size == form.moved(0.0):
        return "the same", "", False, ""
    words = f"{size}{form.unit} {'higher' if moved > 0 else 'lower'} in B"
    if sure is None:
        return words, "", False, ""
    interval = ""
    if sure.low is not None and sure.high is not None:
        interval = f"{_signed(form, sure.low)} to {_signed(form, sure.high)}{form.unit}"
    if sure.significant:
        verdict = "" if not form.better else "better" if moved * form.better > 0 else "worse"
        return words, verdict, bool(verdict), interval
    why = "too few runs" if sure.significant is None else "not significant"
    return words, f"{why} ({fewer})", False, interval


def _signed(form: _Form, end: float) -> str:
    return f"{'+' if end > 0 else _MINUS}{form.moved(abs(end))}"


def _fewer(both: StrategyComparison) -> str:
    """How many runs the smaller side has."""
    a, b = both.a.status_breakdown.total, both.b.status_breakdown.total
    runs = min(a, b)
    return f"{number(runs)} {'run' if runs == 1 else 'runs'} in {'A' if a <= b else 'B'}"


def _joined(one: Mapping[str | None, float], two: Mapping[str | None, float]) -> list[_Pair]:
    """The names of both sides with their shares, the largest difference first."""

    def share(side: Mapping[str | None, float], name: str | None) -> float | None:
        return side.get(name, None if len(side) == _TOP else 0.0)

    def difference(pair: _Pair) -> float:
        first, second = pair[1]
        return abs((second or 0.0) - (first or 0.0))

    found = {name: (share(one, name), share(two, name)) for name in [*one, *two]}
    return sorted(found.items(), key=difference, reverse=True)[:_TOP]
