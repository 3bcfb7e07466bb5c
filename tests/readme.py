"""What the documents show, as text: their blocks of code, the commands in them and between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "README", "TEXT", "Block", "block", "blocks", "commands"]

_ROOT = Path(__file__).parents[1]
README = (_ROOT / "README.md").read_text()
DOCUMENTS = [_ROOT / "README.md", *sorted(_ROOT.glob("[a-z]*/**/*.md"))]
DOCUMENTS += sorted(_ROOT.glob(".github/*.md"))
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)
"""Of all documents."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" if it names none) and its text."""

    language: str
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    found = re.findall(r"^```(\w*)\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in found]


def block(marker: str) -> str:
    """The text of the one block that holds the marker."""
    [found] = [one.text for one in blocks() if marker in one.text]
    return found


def commands() -> list[str]:
    """Each line that begins with `execlog `, or has it behind another command; each once."""
    fenced = [line for one in blocks() if one.language == "sh" for line in one.text.splitlines()]
    shown = [line.removeprefix("$ ") for line in TEXT.splitlines() if line.startswith("$ ")]
    spans = re.findall(r"`(execlog [^`]+)`", re.sub(r"```.+?```", "", TEXT, flags=re.DOTALL))
    lines = [re.sub(r" +#.*", "", line) for line in [*fenced, *shown, *spans]]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return list(dict.fromkeys(part for part in parts if part.startswith("execlog ")))
