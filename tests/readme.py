"""What the README shows, as text: its blocks of code, and the commands in them and between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["README", "Block", "block", "blocks", "commands"]

README = (Path(__file__).parents[1] / "README.md").read_text()


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" if it names none) and its text."""

    language: str
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    found = re.findall(r"^```(\w*)\n(.+?)^```$", README, re.DOTALL | re.MULTILINE)
    return [Block(language, text) for language, text in found]


def block(marker: str) -> str:
    """The text of the one block that holds the marker."""
    [found] = [one.text for one in blocks() if marker in one.text]
    return found


def commands() -> list[str]:
    """Each line that begins with `execlog `, or has it behind another command; each once."""
    fenced = [line for one in blocks() if one.language == "sh" for line in one.text.splitlines()]
    shown = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ ")]
    spans = re.findall(r"`(execlog [^`]+)`", re.sub(r"```.+?```", "", README, flags=re.DOTALL))
    lines = [re.sub(r" +#.*", "", line) for line in [*fenced, *shown, *spans]]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return list(dict.fromkeys(part for part in parts if part.startswith("execlog ")))
