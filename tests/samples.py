"""Of cases that are alike each run tries one, and those that may take long try all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet

__all__ = ["one_of"]


def one_of(cases: Iterable[Any], *, several: bool = False) -> list[ParameterSet]:
    """The cases for `parametrize`, those after the first one marked as long.

    Args:
        cases: The cases.
        several: Whether a case is a tuple of several arguments.
    """
    return [
        pytest.param(*(case if several else (case,)), marks=[pytest.mark.long][: place > 0])
        for place, case in enumerate(cases)
    ]
