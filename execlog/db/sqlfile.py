"""Reads an SQL file into its header and its lines, with those of the files that it includes.

The grammar is in `execlog.db.statements`. Anything unexpected in a file is an error: a line that is
left out by mistake is a missing filter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from execlog.db.sqlheader import Header, completed, read_header

__all__ = ["NUMBER", "File", "Line", "numbers", "read_file"]

NUMBER = re.compile(r"\$([0-9]+)")
"""How a line uses a parameter."""

_MARK = re.compile(r" +-- if ((?:not )?\w+(?:, (?:not )?\w+)*)$")
_ODD_MARK = re.compile(r"--\s*if\b")
_INCLUDE = re.compile(r"( *):([a-z_]+)(?:\((.*)\))?(,?)")
_ARGUMENT = re.compile(r"\$(\d+)|((?:not )?)([a-z_]+)")
_PIECE = re.compile(r"""'(?:[^']|'')*'|--.*|(?<![:\w]):(\w+)""")
_TEXT = re.compile(r"'(?:[^']|'')*'")


class Line(NamedTuple):
    """A line of a statement, and when it is sent.

    Attributes:
        text: The line, without its mark.
        wanted: Filters and switches that must be given or on.
        unwanted: Filters and switches that must not be.
    """

    text: str
    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()

    def is_sent(self, chosen: frozenset[str]) -> bool:
        """Whether the line is sent for these filters and switches. Never raises."""
        return self.wanted <= chosen and not self.unwanted & chosen


class File:
    """A file that is read once, on first use.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        """Takes the path; nothing is read. Never raises."""
        self.path = path
        self.whole: tuple[Header, list[Line]] | None = None  # with all that it includes

    @functools.cached_property
    def content(self) -> tuple[Header, list[Line]]:
        """Its header, and the lines below it.

        Raises:
            ValueError: What is wrong with them (UnicodeDecodeError is one too).
        """
        data = self.path.read_bytes()
        if data.startswith(b"\xef\xbb\xbf"):
            raise ValueError("begins with a byte order mark")
        if b"\r" in data:
            raise ValueError("holds a carriage return")
        lines = data.decode().rstrip("\n").split("\n")
        end = next((i for i, line in enumerate(lines) if line[:2] != "--"), len(lines))
        body = lines[end:]
        return read_header(lines[:end]), [*map(_marked, body)] if any(map(str.strip, body)) else []


def numbers(lines: Iterable[Line]) -> set[int]:
    """The parameters that lines use. Never raises."""
    return set(map(int, NUMBER.findall("\n".join(line.text for line in lines))))


def read_file(
    name: str,
    files: Mapping[str, File],
    within: tuple[str, ...] = (),
    around: Header | None = None,
) -> tuple[Header, list[Line]]:
    """The header of a file, and its lines with all that it includes.

    Args:
        name: The file.
        files: All files by name.
        within: The files that include it.
        around: The header of the file that includes it. A file that names no parameters of its own
            uses the parameters and switches of that header.

    Raises:
        ValueError: What is wrong with it (UnicodeDecodeError is one too).
    """
    file = files[name]
    if file.whole is not None:
        return file.whole
    own, body = file.content
    if not body:
        raise ValueError("has no statement")
    if not own.lines:
        raise ValueError("has no header")
    own = completed(own, lambda name: _found(name, files).content[0])
    header = own
    if around is not None and not own.parameters:
        switches = own.switches | around.switches
        header = replace(own, parameters=around.parameters, switches=switches)
    lines: list[Line] = []
    filters = frozenset(one.name for one in header.parameters if one.is_filter)
    for line in body:
        found = _INCLUDE.fullmatch(line.text)
        _check(line, header, filters, is_include=found is not None)
        if found:
            lines += _included(found, line, header, files, (*within, name))
        else:
            lines.append(line._replace(text=_expanded(line.text, files)))
    if header is own and numbers(lines) != set(range(1, len(own.parameters) + 1)):
        raise ValueError("uses other parameters than its header names")
    for one in sorted(own.switches):
        if not any(one in line.wanted | line.unwanted for line in lines):
            raise ValueError(f"has a switch {one} and no line that is marked with it")
    if own.parameters:  # else its text is another one in each file around it
        file.whole = header, lines
    return header, lines


def _marked(text: str) -> Line:
    if ";" in text:
        raise ValueError("holds a semicolon; one statement a file, without its end")
    found = _MARK.search(text)
    if found is None:
        if _ODD_MARK.search(_TEXT.sub("''", text)):
            raise ValueError(f"has a mark that says nothing: {text.strip()}")
        return Line(text)
    names = found[1].split(", ")
    line = Line(
        text[: found.start()],
        frozenset(name for name in names if not name.startswith("not ")),
        frozenset(name.removeprefix("not ") for name in names if name.startswith("not ")),
    )
    if line.wanted & line.unwanted or len(line.wanted) + len(line.unwanted) < len(names):
        raise ValueError(f"has a mark that says a name twice: {text.strip()}")
    return line


def _check(line: Line, header: Header, filters: frozenset[str], *, is_include: bool) -> None:
    """Checks that a line is marked with names of the header."""
    if odd := (line.wanted | line.unwanted) - filters - header.switches:
        is_known = header.place(min(odd)) is not None
        what = "may not be left out" if is_known else "is in no line of its header"
        raise ValueError(f"is marked with {min(odd)}, which {what}")
    if is_include and line.wanted & filters:
        text = line.text.strip()
        raise ValueError(f"marks {text} with a filter, which is for a condition")
    if max(numbers([line]), default=0) > len(header.parameters):
        raise ValueError("uses other parameters than its header names")


def _found(name: str, files: Mapping[str, File]) -> File:
    if name not in files:
        raise ValueError(f"includes {name}.sql, which is missing")
    return files[name]


def _expanded(text: str, files: Mapping[str, File]) -> str:
    """The line, with expressions of other files filled in."""

    def piece(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        header, body = _found(name, files).content
        if len(body) != 1 or not header.lines or not _is_expression(body[0]):
            raise ValueError(f"includes {name}.sql within a line, which is no plain expression")
        return _expanded(body[0].text, {key: file for key, file in files.items() if key != name})

    return _PIECE.sub(piece, text)


def _is_expression(line: Line) -> bool:
    """Whether a line is one pair of brackets with all that is in it, and uses no parameter."""
    bare = _TEXT.sub("", line.text)
    depth, ends = 0, []
    for place, character in enumerate(bare):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            ends.append(place)
    odd = any(part in bare for part in ("--", "/*", "$", ";", "'", '"'))
    is_marked = line.wanted or line.unwanted
    return bare.startswith("(") and ends == [len(bare) - 1] and not odd and not is_marked


def _included(
    found: re.Match[str],
    around: Line,
    header: Header,
    files: Mapping[str, File],
    within: tuple[str, ...],
) -> list[Line]:
    """The lines of another file, in the names of this header."""
    indent, name, given, comma = found.groups()
    if name in within:
        raise ValueError(f"includes {name}.sql, which includes it")
    _found(name, files)
    try:
        inner, lines = read_file(name, files, within, header)
    except ValueError as error:
        raise ValueError(f"includes {name}.sql, which {error}") from None
    places, known, on = _arguments(name, given, header, inner)
    names = {
        one.name: header.parameters[place - 1] if place else None
        for one, place in zip(inner.parameters, places, strict=True)
    }

    def choices(marks: frozenset[str], *, wanted: bool) -> frozenset[str] | None:
        """The marks in the names of this header; None: they never hold."""
        kept = set()
        for mark in marks:
            if mark in names:
                outer = names[mark]
                if outer is not None and outer.is_filter:
                    kept.add(outer.name)
                elif (outer is not None) is not wanted:
                    return None
            elif mark in known:
                kept.add(mark)
            elif (mark in on) is not wanted:
                return None
        return frozenset(kept)

    answer = []
    for line in lines:
        wanted = choices(line.wanted, wanted=True)
        unwanted = choices(line.unwanted, wanted=False)
        if wanted is None or unwanted is None:
            continue
        text = NUMBER.sub(lambda found: f"${places[int(found[1]) - 1]}", line.text)
        if (wanted | around.wanted) & (unwanted | around.unwanted):
            raise ValueError(f"includes {name}.sql, of which a line would never be sent")
        answer.append(
            Line(indent + text if text else "", wanted | around.wanted, unwanted | around.unwanted)
        )
    if comma:
        if not answer:
            raise ValueError(f"includes {name}.sql before a comma, and nothing of it is left")
        if answer[-1].wanted | answer[-1].unwanted != around.wanted | around.unwanted:
            raise ValueError(f"includes {name}.sql before a comma, and its end may be left out")
        answer[-1] = answer[-1]._replace(text=answer[-1].text + ",")
    return answer


def _arguments(
    name: str, given: str | None, header: Header, inner: Header
) -> tuple[list[int], frozenset[str], frozenset[str]]:
    """The number here of each parameter there; the switches passed on; the switches set."""
    places: list[int] = []
    said: dict[str, bool] = {}
    for text in filter(None, (given or "").split(", ")):
        found = _ARGUMENT.fullmatch(text)
        if found is None:
            raise ValueError(f"includes {name}.sql with {text}, which is no parameter or switch")
        if found[1]:
            places.append(int(found[1]))
        elif found[3] in said:
            raise ValueError(f"includes {name}.sql, and says its switch {found[3]} twice")
        else:
            said[found[3]] = not found[2]
    if not places:
        places = [header.place(one.name) or 0 for one in inner.parameters]
    if len(places) != len(inner.parameters):
        raise ValueError(f"includes {name}.sql with {len(places)} parameters")
    for place, wanted in zip(places, inner.parameters, strict=True):
        if place == 0 and wanted.is_filter:
            continue  # it is never given here
        one = header.parameters[place - 1] if 0 < place <= len(header.parameters) else None
        fits = one is not None and one.type == wanted.type
        if one is None or not fits or (one.nullable and not wanted.nullable):
            raise ValueError(f"includes {name}.sql, and has no {wanted.name} as it has")
        if one.is_filter is not wanted.is_filter and one.nullable:
            raise ValueError(f"includes {name}.sql, and {one.name} may be left out in one only")
    if odd := said.keys() - inner.switches:
        raise ValueError(f"includes {name}.sql, which has no switch {min(odd)}")
    known = inner.switches & header.switches - said.keys()
    return places, known, frozenset(switch for switch, is_on in said.items() if is_on)
