"""What is said of a replay: each sentence, whatever was replayed."""

from __future__ import annotations

from typing import Any

import pytest

from execlog.display import replayed as words
from execlog.display.replay_tables import print_replay
from execlog.replaying.result import Estimate, PointsDelta, Sampling
from tests import replays

NOTHING = {"changed": 0, "newly_failing": 0, "newly_passing": 0}


def delta(value: float, low: float, high: float, is_relative: bool = True) -> PointsDelta:
    """A change of points, as a share of what was or of a run."""
    rates = (value, low, high) if is_relative else (None, None, None)
    names = ("relative", "relative_low", "relative_high")
    shares: dict[str, Any] = dict(zip(names, rates, strict=True))
    return PointsDelta(before=1, after=1 + value, delta=value, low=low, high=high, **shares)


def drawn(failures: int, is_whole: bool) -> Sampling:
    """A sample."""
    return Sampling(asked=900, runs=5000, whole=1, failures=failures, failures_are_whole=is_whole)


def test_the_sentences_of_the_document() -> None:
    assert words.sentences_of(replays.sampled()) == [
        "20,000 of 1,204,311 runs replayed (all 312 that failed, the rest drawn by case);"
        " 19,480 same, 391 changed, 12 newly failing, 117 newly passing;"
        " 1,204 can't be replayed (no input 1,100, masked 104).",
        "Noise: rules.v4:evaluate itself answers differently in 3. Points -1.8 % [-2.1, -1.5]."
        " Changed or newly failing: 1.87 % [1.69, 2.07].",
    ]
    assert words.notes_of(replays.sampled()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "All 900 runs were replayed; 900 same,"),
        ({"replayed": 1, "same": 1}, "The only run was replayed; 1 same,"),
        ({"not_replayable": {"erased": 2}}, "900 of 902 runs replayed; 900 same,"),
        ({"sampling": drawn(1, True)}, "900 of 5,000 runs replayed (the one that failed, the rest"),
        ({"sampling": drawn(0, True)}, "900 of 5,000 runs replayed (drawn by case; none failed);"),
        ({"sampling": drawn(4000, False)}, "(drawn by status and case, 4,000 of all failed);"),
    ],
)
def test_how_many(changes: dict[str, Any], said: str) -> None:
    found = replays.exact(**changes)
    assert said in words.headline_of(found)
    assert words.headline_of(found).startswith(words.extent_of(found).removesuffix("."))


def test_nothing_to_replay() -> None:
    assert words.headline_of(replays.empty()) == "Nothing was replayed: the log has no such runs."
    found = replays.empty(not_replayable={"no_input": 1})
    assert words.extent_of(found) == "None of 1 run can be replayed (no input 1)."
    assert words.verdict_of(found) == "Nothing was replayed."
    assert words.points_of(found) == "Points: nothing was compared."
    assert words.share_of(found) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (NOTHING, "All 900 runs are decided as in the log."),
        ({**NOTHING, "replayed": 1}, "The only run is decided as in the log."),
        ({**NOTHING, "changed": 1}, "1 of 900 runs is decided differently; none fails newly."),
        (
            {**NOTHING, "changed": 2, "newly_failing": 1},
            "3 of 900 runs are decided differently, and 1 of them fails newly.",
        ),
    ],
)
def test_the_verdict(changes: dict[str, Any], said: str) -> None:
    assert words.verdict_of(replays.exact(**changes)) == said


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (delta(0.0, 0.0, 0.0), "Points are unchanged."),
        (delta(0.0, -0.001, 0.001), "Points 0 % [-0.1, +0.1]."),
        (delta(-0.00002, -0.00004, -0.000001), "Points -0.002 % [-0.004, -0.0001]."),
        (delta(12.5, 12.5, 12.5), "Points +1,250.0 %."),
        (delta(0.25, 0.25, 0.25, is_relative=False), "Points +0.25 a run."),
        (delta(0.25, -0.5, 1.0, is_relative=False), "Points +0.25 a run [-0.5, 1]."),
    ],
)
def test_points(points: PointsDelta, said: str) -> None:
    assert words.points_of(replays.exact(points_delta=points)) == said


def test_noise() -> None:
    assert words.noise_of(replays.exact()) == "Noise is unknown without a baseline."
    clean = replays.exact(baseline="rules.v4:evaluate", noise=0)
    assert words.noise_of(clean) == "No noise: rules.v4:evaluate answers as in the log."
    assert words.unchanged_of(clean) == "900 runs are as in the log."
    assert words.unchanged_of(replays.sampled()).endswith("as in the log, 3 of them noise.")


def test_a_rare_share_is_not_none() -> None:
    rare = replays.exact(fail_share=Estimate(share=0.000001, low=0.0, high=0.00001))
    assert words.share_of(rare) == "Changed or newly failing: 0.00010 % [0.00, 0.0010]."


def test_notes() -> None:
    assert words.notes_of(replays.exact(recorder_calls=1, moves_left_out=7)) == [
        "No time limit: a closure.",
        "1 call of a recorder recorded nothing.",
        "7 runs of further pairs of cases are not listed.",
    ]


def test_filters() -> None:
    asked = {"realm_id": "acme", "status": ["ok", "error"], "no_case": True, "min_nodes": None}
    assert words.filters_of(asked) == ["realm id acme", "status error, ok", "no case"]
    assert words.filters_of({"attributes": {"plan": "gold", "vip": True}}) == [
        "plan gold",
        "vip True",
    ]


def test_what_is_stored_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_replay(replays.evil())
    said = capsys.readouterr().out
    assert "\\x1b[31m" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_many_moves_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    one = replays.sampled().moves[0]
    print_replay(replays.sampled(moves=[one.model_copy(update={"changed": 2})] * 23))
    said = capsys.readouterr().out
    assert said.count("\tsilver\t") == 20
    assert "3 further pairs of cases with 6 runs: -o json has all. 19,480 runs are" in said


@pytest.mark.parametrize(
    ("share", "is_over"), [(0.3, False), (0.1 + 0.2, False), (0.300001, True), (0.29, False)]
)
def test_an_equal_share_is_not_over_its_limit(share: float, is_over: bool) -> None:
    found = replays.exact(fail_share=Estimate(share=share, low=share, high=share))
    assert words.is_over(found, 0.3) is is_over


def test_what_a_small_sample_can_not_say() -> None:
    found = replays.exact(replayed=0, same=0, sampling=drawn(0, True))
    assert words.headline_of(found) == "None of 5,000 runs was drawn: the sample is too small."
    unsure = Estimate(share=0, low=0, high=0.3)
    found = replays.exact(points_delta=delta(0, 0, 0), fail_share=unsure)
    assert words.points_of(found) == "Points are unchanged in these runs."
    found = replays.exact(points_delta=None, fail_share=unsure)
    assert words.points_of(found) == "Points: too large to be added up."
