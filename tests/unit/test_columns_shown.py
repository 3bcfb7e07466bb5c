"""A column that the views of an execution have no place for is shown by its name."""

from __future__ import annotations

import pytest

from execlog import StrategyExecutionLog
from execlog.cli import show
from execlog.display.columns import others
from tests.rows import fields, row


class Later(StrategyExecutionLog):
    """With a column that came later."""

    ran_in_region: str | None = None


def test_today_all_have_a_place() -> None:
    assert others(row()) == []


def test_one_that_comes_later_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    one = Later(**fields(ran_in_region="north"))
    assert others(one) == [("ran in region", "north")]
    show._print(one, utc=True)
    assert "ran in region north" in " ".join(capsys.readouterr().out.split())
