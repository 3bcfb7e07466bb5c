"""`python -m pydoc execlog` is a reference: a map, each public name, nothing of pydantic's."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import re
import textwrap

import pytest

import execlog
from execlog import StrategyExecutionLogRepository

MAP = execlog.__doc__ or ""
TEXT = pydoc.plain(pydoc.render_doc(execlog))
METHODS = [
    name
    for name, _ in inspect.getmembers(StrategyExecutionLogRepository, inspect.isfunction)
    if not name.startswith("_")
]


def test_the_map_names_all_that_is_public() -> None:
    wanted = {*execlog.__all__, *METHODS} - {"ExeclogError"}
    assert {name for name in wanted if not re.search(rf"\b{name}\b", MAP)} == set()
    recorder = ("run", "recorded", "record", "stats", "on_reject", "maintenance")
    quoted = set(re.findall(r"`(\w+)`", MAP))
    assert quoted <= {*METHODS, *recorder}


@pytest.mark.parametrize("name", execlog.__all__)
def test_each_public_name_is_explained(name: str) -> None:
    value = getattr(execlog, name)
    first = (inspect.getdoc(value) or "").partition("\n")[0]
    assert first.endswith((".", ":", "?")), first
    if inspect.isclass(value):
        assert re.search(rf"^    class {name}\(", TEXT, re.MULTILINE)
    assert f"{first}\n" in TEXT


def test_there_is_nothing_of_pydantics() -> None:
    for noise in ("model_fields", "__pydantic", "Create a new model", "FieldInfo", "<function _"):
        assert noise not in TEXT
    assert TEXT.count("\n") < 4000


def test_a_signature_names_the_fields_and_their_types() -> None:
    found = inspect.signature(execlog.StrategyExecutionLog).parameters
    assert list(found) == list(execlog.StrategyExecutionLog.model_fields)
    assert found["strategy_id"].annotation is str
    assert found["strategy_id"].default is inspect.Parameter.empty
    assert found["sample_rate"].default == 1.0
    assert "value: str | int | None, runs: int" in str(inspect.signature(execlog.Breakdown))


async def test_the_first_example_runs(empty_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = MAP.partition("\n\n")[2].partition("\n\nA target")[0]
    code = textwrap.dedent(example)
    assert code.count("postgresql://...") == 1
    code = code.replace("postgresql://...", empty_dsn)
    await asyncio.to_thread(exec, compile(code, "execlog", "exec"), {})
    assert "strategy_id='loyalty'" in capsys.readouterr().out
