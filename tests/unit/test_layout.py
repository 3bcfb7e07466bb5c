"""Which columns a table shows in a width, and how texts, times and ids become short."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from execlog.cli.executions import COLUMNS, cells
from execlog.display.format import short, zone
from execlog.display.layout import GAP, Column, cut, fit, id_length, whole
from execlog.display.tables import Table, print_table
from execlog.ids import uuid7
from tests.rows import row
from tests.unit.test_forms import Terminal

NOW = datetime(2026, 11, 24, 13, 5, 59, 123000, tzinfo=UTC)
THREE = (
    Column("id", rank=0),
    Column("name", rank=1, least=6),
    Column("took", right=True, rank=2),
)
ROWS = [("0192f0c1", "a long name of it", "10.5 ms"), ("0192f0c2", "short", "3 ms")]


def names(columns: Sequence[Column], places: Sequence[int]) -> list[str]:
    return [columns[place].name for place in places]


@pytest.mark.parametrize(
    ("width", "shown", "widths", "cuts"),
    [
        (36, ["id", "name", "took"], (8, 17, 7), []),
        (35, ["id", "name", "took"], (8, 16, 7), ["name"]),
        (25, ["id", "name", "took"], (8, 6, 7), ["name"]),
        (24, ["id", "name"], (8, 14), ["name"]),
        (16, ["id", "name"], (8, 6), ["name"]),
        (15, ["id"], (8,), []),
        (5, ["id"], (5,), ["id"]),
    ],
)
def test_texts_are_cut_before_a_column_is_left_out(
    width: int, shown: list[str], widths: tuple[int, ...], cuts: list[str]
) -> None:
    found = fit(THREE, ROWS, width)
    assert (names(THREE, found.shown), found.widths) == (shown, widths)
    assert names(THREE, found.cut) == cuts
    assert names(THREE, found.left_out) == [one for one in ("name", "took") if one not in shown]
    assert found.width <= width


def test_the_widest_text_is_cut_first() -> None:
    columns = [Column("a", least=3), Column("b", least=3), Column("c", least=3)]
    found = fit(columns, [("x" * 10**6, "y" * 9, "z" * 4)], 24)
    assert found.widths == (8, 8, 4)
    assert found.cut == (0, 1)


def test_columns_without_a_text_are_left_out_first_and_not_missed() -> None:
    rows = [("1", "", "5 ms")]
    assert fit(THREE, rows, 14).shown == (0, 1, 2)
    found = fit(THREE, rows, 13)
    assert (found.shown, found.left_out) == ((0, 2), ())
    followed = fit(THREE, rows, 11, more=True)
    assert (followed.shown, followed.left_out) == ((0, 1), (2,))


def test_rows_that_follow_have_room() -> None:
    columns = [Column("id", usual=13), Column("code", least=4, usual=12)]
    assert fit(columns, [], 80, more=True).widths == (13, 12)
    found = fit(columns, [("1", "E1")], 20, more=True)
    assert (found.widths, found.cut) == ((13, 5), ())
    assert whole(columns, [("1", "E" * 20)], more=True).widths == (13, 20)
    assert fit(columns, [("1", "E1")], 80).widths == (2, 4)


table = st.lists(st.tuples(*[st.text("ab é日🎲", max_size=30)] * 4), max_size=4)
four = st.tuples(
    *(
        st.builds(
            Column,
            st.just(name),
            rank=st.integers(0, 3),
            least=st.none() | st.integers(2, 12),
            usual=st.integers(0, 9),
        )
        for name in ("one", "two", "three", "日本")
    )
)


@given(four, table, st.integers(1, 120), st.booleans())
def test_no_line_is_wider_than_the_terminal(
    columns: tuple[Column, ...], rows: list[tuple[str, ...]], width: int, more: bool
) -> None:
    found = fit(columns, rows, width, more=more)
    assert 0 < found.width <= width or width == 1
    shown = {*found.shown}
    missing = {*found.left_out}
    assert shown and not shown & missing
    filled = {n for n in range(4) if more or any(line[n] for line in rows)}
    assert filled <= shown | missing
    for n in shown & filled:  # nothing that matters less stays
        assert all(columns[n].rank <= columns[other].rank for other in missing)
    if not missing and not found.cut:
        natural = [
            max(cell_len(line[n]) for line in [[c.name for c in columns], *rows]) for n in shown
        ]
        assert all(a >= b for a, b in zip(found.widths, natural, strict=True))
    for n, wide in zip(found.shown, found.widths, strict=True):
        least = columns[n].least
        if len(shown) > 1 and n in found.cut:
            assert least is not None and wide >= least
        for line in rows:
            assert cell_len(cut(line[n], wide, "…")) <= wide


@pytest.mark.parametrize(
    ("text", "width", "ellipsis", "expected"),
    [
        ("loyalty", 7, "…", "loyalty"),
        ("loyalty", 6, "…", "loyal…"),
        ("loyalty", 6, "...", "loy..."),
        ("loyalty points", 9, "…", "loyalty…"),
        ("loyalty", 2, "...", ".."),
        ("loyalty", 0, "…", ""),
        ("日本語です", 10, "…", "日本語です"),
        ("日本語です", 9, "…", "日本語で…"),
        ("日本語です", 8, "…", "日本語…"),
        ("🎲🎲🎲", 5, "…", "🎲🎲…"),
        ("e\u0301e\u0301e\u0301", 3, "…", "e\u0301e\u0301e\u0301"),
    ],
)
def test_a_text_in_so_many_cells(text: str, width: int, ellipsis: str, expected: str) -> None:
    assert cut(text, width, ellipsis) == expected


def test_the_shortest_ids_that_differ() -> None:
    def ids(*texts: str) -> list[UUID]:
        return [UUID(text.ljust(32, "0")) for text in texts]

    assert id_length([]) == id_length(ids("0192f0c17d3e")) == 13
    assert id_length(ids("0192f0c17d3e", "0192f0c17d3f")) == 13
    assert id_length(ids("0192f0c17d3e", "0192f0c17d3e")) == 13  # one id of two strategies
    assert id_length(ids("0192f0c17d3e7b01", "0192f0c17d3e7c01")) == 16
    assert id_length(ids("0192f0c17d3e7b018", "0192f0c17d3e7b019")) == 20  # not "...7b01-"
    many = [uuid7() for _ in range(2000)]
    length = id_length(many)
    assert len({str(one)[:length] for one in many}) == len(many)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (NOW, "13:05:59.123"),
        (NOW.replace(hour=0, minute=0, second=0, microsecond=0), "00:00:00.000"),
        (NOW - timedelta(days=1), "11-23 13:05:59"),
        (NOW + timedelta(hours=11), "11-25 00:05:59"),
        (NOW - timedelta(days=365), "2025-11-24 13:05:59"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31 23:59:59"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01 00:00:00"),
        (None, "-"),
    ],
)
def test_a_time_is_as_short_as_its_day_allows(time: datetime | None, expected: str) -> None:
    assert short(time, True, NOW) == expected
    assert zone(NOW, True) == "UTC"


def test_a_time_beyond_a_change_of_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert zone(NOW, False) == "+01:00"
        assert short(NOW, False, NOW) == "14:05:59.123"
        assert short(datetime(2026, 11, 23, 23, 30, tzinfo=UTC), False, NOW) == "00:30:00.000"
        assert short(datetime(2026, 7, 1, tzinfo=UTC), False, NOW) == "07-01 02:00:00+02:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def printed(call: object, width: int, monkeypatch: pytest.MonkeyPatch, encoding: str) -> list[str]:
    """The lines of a table on a terminal."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(data, encoding=encoding, errors="backslashreplace"))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    call()  # type: ignore[operator]
    sys.stdout.flush()
    return data.getvalue().decode(encoding).splitlines()


RUNS = [
    row(
        created_at=NOW + timedelta(milliseconds=n),
        strategy_id="loyalty-of-the-north-and-south" if n % 2 else "ポイント",
        status="error" if n % 3 else "ok",
        error_code="E42" if n % 3 else None,
        realm_id="acme",
        external_user_id=f"user-{n:040}",
        points=1234.5 * n,
    )
    for n in range(6)
]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_executions_in_widths(
    width: int,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [cells(one) for one in RUNS]
    header, rule, *lines = printed(
        lambda: print_table(COLUMNS, rows, utc=True), width, monkeypatch, encoding
    )
    assert len(lines) == len(RUNS)
    assert max(map(cell_len, [header, rule, *lines])) <= width
    assert header.split()[:3] == ["time", "(UTC)", "strategy"]
    for one, line in zip(RUNS, lines, strict=True):
        assert str(one.id).startswith(line.split()[-1])
    wanted = {80: ["code", "realm"], 100: ["code", "realm", "version", "took"]}
    for name in wanted.get(width, [column.name for column in COLUMNS]):
        assert name in header.split()
    said = capsys.readouterr().err
    assert ("--wide" in said) == (width < 200)
    left_out = said.partition("adds ")[2].partition(";")[0].split()
    assert not {name.strip(",") for name in left_out} & {*header.split()}
    assert ("…" in "".join(lines)) == (encoding == "utf-8" and width < 200)


def test_rows_that_come_later_stay_in_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = row(
        created_at=NOW,
        strategy_id="loyalty-of-the-north",
        status="interrupted",
        error_code="E" * 500,
        realm_id="r" * 500,
    )

    def follow() -> None:
        found = Table(COLUMNS, utc=True, more=True)
        found.print([])
        found.print([cells(RUNS[0])])
        found.print([])
        found.print([cells(later)])

    header, rule, first, second = printed(follow, 100, monkeypatch, "utf-8")
    assert max(map(cell_len, [header, first, second])) <= cell_len(rule) <= 100
    for line in (first, second):
        assert cell_len(line[: line.rindex(" ") + 1]) == header.index("id")
    assert capsys.readouterr().err.startswith("execlog: --wide adds ")
    assert len(printed(lambda: Table(COLUMNS).print([]), 80, monkeypatch, "utf-8")) == 0


def test_wide_is_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [cells(one) for one in RUNS]
    lines = printed(
        lambda: print_table(COLUMNS, rows, utc=True, wide=True), 40, monkeypatch, "utf-8"
    )
    assert lines[0].split() == [column.name for column in COLUMNS]
    for one, line in zip(RUNS, lines[2:], strict=True):
        assert line.endswith(str(one.id))
        assert f"{one.external_user_id}" in line
        assert line.startswith("2026-11-24 13:05:59.")
    assert capsys.readouterr().err == ""
    assert GAP == 2
