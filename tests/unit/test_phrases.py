"""Plain technical English: what these phrases hide is who does what, and when."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import execlog
from execlog.cli import app
from execlog.db.files import folder
from tests.readme import DOCUMENTS

PACKAGE = Path(execlog.__file__).parent
BANNED = re.compile(
    r"""
    \b(?:
        whoever | nobody | is\ had | to\ be\ had | not\ had | begins?\ anew | made\ anew
      | where\ it\ can't | than\ before | a\ stored\ run | a\ row\ of\ pauses | what\ such\ an?
      | looked\ for\ as | be\ bothered | is\ taken\ for | what\ became\ of | the\ asker
      | takes?\ the\ wishes | is\ not\ said | good\ as\ not\ there | in\ no\ time | wished\ for
      | whose\ business | born\ deaf
    )\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
SUFFIXES = {".py", ".html", ".js", ".css"}
# Not those of the rollups yet, nor the migrations: their wording changes when they are rewritten.
SQL = {path for path in folder("sql").rglob("*.sql") if "rollup" not in path.parts}
OWN = {path for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES}
FILES = sorted(OWN | SQL | {*DOCUMENTS})


def spoken(text: str) -> Iterator[str]:
    """The docstrings, help, messages and comments of a module, a block of comments as one text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    block: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            block.append(token.string.lstrip("# "))
        elif token.type != tokenize.NL:
            yield " ".join(block)
            block = []


def comments(text: str) -> Iterator[str]:
    """The comments of an SQL file, lines of one block as one text."""
    block: list[str] = []
    for line in text.splitlines():
        _, dashes, comment = line.partition("--")
        block.append(comment.strip())
        if not dashes:
            yield " ".join(block)
            block = []
    yield " ".join(block)


def said(path: Path) -> Iterator[str]:
    """All that a file says to a reader."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from spoken(text)
    elif path.suffix == ".sql":
        yield from comments(text)
    else:
        yield text


def helps() -> Iterator[tuple[str, str]]:
    """The help of each command as it is printed, in which typer has filled in defaults."""
    commands = [("execlog", get_command(app))]
    while commands:
        name, command = commands.pop()
        yield name, command.get_help(command.make_context(name, [], resilient_parsing=True))
        inner = getattr(command, "commands", {})
        commands += [(f"{name} {word}", one) for word, one in inner.items()]


def phrases(text: str) -> list[str]:
    """The banned ones, across the ends of lines, names in backticks left out."""
    return BANNED.findall(re.sub(r"\s+", " ", re.sub(r"`[^`]*`", "", text)))


def test_no_phrase_hides_its_subject() -> None:
    found = {
        f"{path.relative_to(PACKAGE.parent)}: {phrase}"
        for path in FILES
        for text in said(path)
        if text != "nobody"  # the user of that name
        for phrase in phrases(text)
    }
    assert len(FILES) > 180
    assert found == set()


def test_no_help_hides_its_subject() -> None:
    printed = dict(helps())
    assert len(printed) > 20
    assert {name: phrases(text) for name, text in printed.items() if phrases(text)} == {}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", "x = 1  # for whoever\n"),
        (".py", "# is\n# had\nx = 1\n"),
        (".py", 'def f() -> None:\n    """What such a\n    thing is."""\n'),
        (".sql", "-- Locks are to be\n-- had.\nselect 1\n"),
        (".sql", "select 1  -- nobody\n"),
        (".html", "<p>than before</p>"),
    ],
)
def test_a_banned_phrase_is_found(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text(text)
    assert [phrase for part in said(path) for phrase in phrases(part)]
