"""The dashboard for Grafana, as JSON: what it must hold to be imported, and that it is stable."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from typing import Any

import pytest

from execlog import InvalidArgument
from execlog.cli.grafana_board import board
from execlog.db.files import folder
from tests.command import run
from tests.extras import needs
from tests.grafana import variables_of
from tests.readme import block

FOLDER = folder("sql") / "grafana"
FILES = {path.stem: path.read_text() for path in FOLDER.glob("*.sql")}
BOARD = board()
PANELS = BOARD["panels"]


def test_each_file_is_a_query_of_the_board() -> None:
    asked = [one["targets"][0]["rawSql"] for one in PANELS]
    asked += [one["query"] for one in variables_of(BOARD).values()]
    assert sorted(asked) == sorted(FILES.values())


def test_each_panel_can_be_shown() -> None:
    for one in PANELS:
        [target] = one["targets"]
        series = one["type"] == "timeseries"
        assert target["refId"] == "A"
        assert target["format"] == ("time_series" if series else "table")
        assert target["rawQuery"] is True
        assert one["fieldConfig"]["defaults"]["unit"] in ("ms", "none", "percentunit", "short")
        assert ("$__interval_ms" in target["rawSql"]) == series == ("interval" in one)
        assert one["description"] and one["title"]
    units = {one["title"]: one["fieldConfig"]["defaults"]["unit"] for one in PANELS}
    assert units["Error rate by version"] == "percentunit"
    assert units["Duration"] == "ms"


def test_ids_are_unique_and_places_do_not_overlap() -> None:
    assert len({one["id"] for one in PANELS}) == len(PANELS)
    places = [one["gridPos"] for one in PANELS]
    cells = [
        {*itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))}
        for at in places
    ]
    assert all(at["x"] + at["w"] <= 24 for at in places)
    assert len(set().union(*cells)) == sum(len(own) for own in cells)


def test_the_data_source_is_a_variable() -> None:
    source = BOARD["templating"]["list"][0]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    text = json.dumps(BOARD)
    uids = re.findall(r'"datasource": (\{[^}]*\}[^}]*\})', text)
    assert {json.loads(one)["uid"] for one in uids} == {"${datasource}"}
    assert {json.loads(one)["type"] for one in uids} == {source["query"]}
    assert "__inputs" not in BOARD


def test_each_variable_in_a_query_is_one_of_the_board() -> None:
    known = list(variables_of(BOARD))
    for name, sql in FILES.items():
        assert set(re.findall(r"\$\{(.*?)\}", sql)) <= set(known), name
    for name, one in variables_of(BOARD).items():
        assert one["multi"] and one["includeAll"] and one["allValue"] == "null"
        # What is offered depends on those before it only.
        used = re.findall(r"\$\{(.*?)\}", one["query"])
        assert set(used) <= set(known[: known.index(name)])


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_query_reads_what_only_some_may_see(name: str) -> None:
    code = "\n".join(line.partition("--")[0] for line in FILES[name].splitlines())
    words = set(re.findall(r"\w+", code))
    assert not words & {"input", "attributes", "error_message", "trace", "external_user_id"}
    assert not re.search(r"select\s+\*|\w\.\*", code)
    assert re.match(r"-- [A-Z].*\?.*\n-- Columns: .+\n-- Index: .+\n", FILES[name])


def test_the_command_prints_the_same_twice() -> None:
    first, second = run("grafana"), run("grafana")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    assert json.loads(first.stdout) == json.loads(json.dumps(BOARD))
    keys = list(json.loads(first.stdout))
    assert keys == sorted(keys)


def test_its_options() -> None:
    made = json.loads(run("grafana", "--title", "Wertung é", "--schema", 'a "log"').stdout)
    assert made["title"] == "Wertung é"
    assert made["uid"] != BOARD["uid"]
    assert re.fullmatch(r"[a-z0-9-]{1,40}", made["uid"])
    assert 'from "a ""log""".runs_over_time(' in made["panels"][0]["targets"][0]["rawSql"]
    for words in (("--title", ""), ("--schema", "")):
        done = run("grafana", *words)
        assert (done.returncode, done.stdout) == (2, "")
    with pytest.raises(InvalidArgument) as error:
        board(title=3)  # type: ignore[arg-type]
    assert error.value.argument == "title"


@needs("yaml")
def test_what_provisions_it() -> None:
    yaml: Any = importlib.import_module("yaml")
    [source] = yaml.safe_load(block("datasources:"))["datasources"]
    [provider] = yaml.safe_load(block("providers:"))["providers"]
    assert source["type"] == BOARD["templating"]["list"][0]["query"]
    assert source["user"] == "execlog_reader"
    assert provider["options"]["path"].startswith("/")
