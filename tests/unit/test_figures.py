"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.display.format import percent
from execlog.web import rendering


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0.00 %"),
        (1, "100.00 %"),
        (0.1, "10.00 %"),
        (1 / 40_001, "0.0025 %"),
        (40_000 / 40_001, "99.9975 %"),
        (0.000049, "0.0049 %"),
        (0.999951, "99.9951 %"),
        (1e-9, "0.00000010 %"),
        (1e-12, "1e-10 %"),
        (math.nextafter(1, 0), "99.999999999999986 %"),
    ],
)
def test_a_share(share: float, shown: str) -> None:
    assert percent(share) == shown


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.sampled_from([".2f", ".6g"]))
def test_no_share_is_rounded_onto_none_or_all(share: float, form: str) -> None:
    number = float(percent(share, form).removesuffix(" %"))
    assert 0 < number < 100
    assert math.isclose(number, share * 100, rel_tol=0.05, abs_tol=0.01)


def test_a_change_of_shares_on_a_page() -> None:
    """It is none where only the noise of a division is left."""
    shown = [rendering._points(rate) for rate in (0.0, 1e-16, 1 / 40_001, 0.25)]
    assert shown == ["0.00", "0.00", "0.0025", "25.00"]
