"""Plain technical English: what these phrases hide is who does what, and when."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import execlog
from tests.readme import DOCUMENTS

PACKAGE = Path(execlog.__file__).parent
BANNED = re.compile(
    r"\b(whoever|nobody|is had|begins? anew|where it can't|than before|a stored run)\b", re.I
)
FILES = sorted({*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html"), *DOCUMENTS})


def said(path: Path) -> Iterator[str]:
    """Docstrings, help and messages of a module; all of a page or a document."""
    text = path.read_text()
    if path.suffix != ".py":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_phrase_hides_its_subject() -> None:
    found = {
        f"{path.relative_to(PACKAGE.parent)}: {phrase}"
        for path in FILES
        for text in said(path)
        if text != "nobody"  # the user of that name
        for phrase in BANNED.findall(re.sub(r"`[^`]*`", "", text))
    }
    assert len(FILES) > 100
    assert found == set()
