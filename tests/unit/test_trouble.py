"""What the overview says is wrong now, and when a log is silent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from execlog import LevelChange, StrategyActivity
from execlog.display.lengths import lasting
from execlog.repository.verdicts import Interval
from execlog.web.trouble import findings, silence
from tests.rows import T0

MINUTE = timedelta(minutes=1)
NO = Interval(low=None, high=None, significant=None)


def activity(
    name: str = "loyalty",
    then: float = 0.01,
    since: float = 0.1,
    p_value: float | None = 1e-6,
    runs: list[int] | None = None,
    at: int = 30,
    runs_before: int = 100,
) -> StrategyActivity:
    """An hour in buckets of a minute, at whose end T0 is; what changed, changed `at` a minute."""
    counts = [10] * 60 if runs is None else runs
    change = None
    if p_value is not None:
        change = LevelChange(
            changed_at=T0 - (60 - at) * MINUTE,
            error_rate_then=then,
            error_rate_since=since,
            p_value=p_value,
            significant=p_value < 0.05,
        )
    return StrategyActivity(
        strategy_id=name,
        starts=[T0 - (60 - n) * MINUTE for n in range(60)],
        runs=counts,
        failures=[0] * 60,
        weights=[float(count) for count in counts],
        error_rates=[0.0] * 60,
        runs_before=runs_before,
        error_rate_before=0.0,
        error_rate_change=NO,
        level_change=change,
    )


def test_the_worst_is_first_and_what_is_better_is_apart() -> None:
    found = findings(
        [
            activity("a little", since=0.05),
            activity("much", since=0.5),
            activity("mended", then=0.3, since=0.01),
            activity("as ever", p_value=0.4),
            activity("few", p_value=None),
        ]
    )
    assert [one.strategy_id for one in found.worse] == ["much", "a little"]
    assert [one.strategy_id for one in found.better] == ["mended"]
    assert (found.judged, found.unjudged) == (4, 1)
    assert found.worse[0].runs == 300
    assert found.of("as ever") is None
    assert found.of("mended") == found.better[0]


def test_a_rate_that_rose_for_many_is_worse_than_one_of_few() -> None:
    few = activity("few", since=0.5, runs=[1] * 60)
    many = activity("many", since=0.2, runs=[1000] * 60)
    assert [one.strategy_id for one in findings([few, many]).worse] == ["many", "few"]


def test_all_that_a_page_looks_at_is_judged_together() -> None:
    """What one of them would be by itself is no finding among fifty."""
    alone = activity(p_value=0.03)
    assert findings([alone]).worse
    assert not findings([alone, *(activity(f"s{n}", p_value=0.6) for n in range(49))]).worse
    assert not findings([alone], [activity(p_value=0.9)]).worse


def test_the_finest_buckets_tell_the_time() -> None:
    found = findings([activity(at=10)], [activity(at=55, since=0.2)])
    assert found.worse[0].changed_at == T0 - 5 * MINUTE
    assert found.worse[0].since == 0.2
    # Without a finding there, the others hold.
    found = findings([activity(at=10)], [activity(at=55, p_value=0.9)])
    assert found.worse[0].changed_at == T0 - 50 * MINUTE


@pytest.mark.parametrize(
    ("runs", "silent_for", "is_finding"),
    [
        ([10] * 60, 2, False),
        ([10] * 46 + [0] * 14, 14, True),
        ([10] * 55 + [0] * 5, 5, True),
        (([10] + [0] * 9) * 5 + [0] * 10, 14, False),  # it has had gaps of nine minutes
        (([10] + [0] * 4) * 6 + [0] * 30, 30, True),  # of four
        ([0] * 57 + [10] * 3, 4, False),  # too little to tell what is usual
        ([0] * 60, 60, False),
    ],
)
def test_a_log_is_silent_for_longer_than_usual(
    runs: list[int], silent_for: int, is_finding: bool
) -> None:
    halves = [activity(runs=[n // 2 for n in runs]), activity("b", runs=[n - n // 2 for n in runs])]
    found = silence(T0 - silent_for * MINUTE, T0, halves)
    assert (found is not None) is is_finding
    if found is not None:
        assert found.lasts == silent_for * MINUTE


def test_a_young_log_has_no_gap_before_its_first_run() -> None:
    runs = [0] * 30 + [10] * 20 + [0] * 10
    last = T0 - 10 * MINUTE
    assert silence(last, T0, [activity(runs=runs, runs_before=0)]) is not None
    assert silence(last, T0, [activity(runs=runs, runs_before=50)]) is None


def test_every_series_has_to_find_it_unusual() -> None:
    usual, rare = activity(runs=[10] * 50 + [0] * 10), activity(runs=[10] * 5 + [0] * 50 + [10] * 5)
    assert silence(T0 - 10 * MINUTE, T0, [usual]) is not None
    assert silence(T0 - 10 * MINUTE, T0, [usual], [rare]) is None
    assert silence(None, T0, [usual]) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (12, "12 s"),
        (60, "1 min"),
        (90, "1 min"),
        (14 * 60 + 5, "14 min"),
        (3 * 3600, "3 h"),
        (3 * 3600 + 125, "3 h 2 min"),
        (11 * 3600 + 125, "11 h"),
        (86_400, "1 day"),
        (86_400 + 3600, "1 day 1 h"),
        (40 * 86_400, "40 days"),
        (4000 * 86_400, "4,000 days"),
    ],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said
