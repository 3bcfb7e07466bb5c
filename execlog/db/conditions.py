"""Checks that each line that may be left out is exactly one conjunct of a `where`.

The statement is split into tokens, with all of its lines. A filter that is left out by mistake, or
that the text around it disables, would show the rows of other tenants: a marked line that is not
plainly a conjunct is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from execlog.db.sqlfile import Line
from execlog.db.sqlheader import Parameter

__all__ = ["check"]

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$[0-9]+|\w+|\S""")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_NO_PARAMETER = re.compile(r"\$(?![1-9][0-9]*(?![\w$]))")
_CLAUSES = frozenset(
    """
    select from where group having window order limit offset fetch for union intersect except
    returning on set values join with
    """.split()
)
_PREDICATES = frozenset({"exists", "not", "in", "any", "all", "some", "or", "filter"})


def check(lines: Sequence[Line], parameters: Sequence[Parameter]) -> None:
    """Checks that a line that uses a filter is marked with it, and is one conjunct of a `where`.

    Args:
        lines: All lines of a statement, with the files that it includes expanded.
        parameters: Its parameters, in order.

    Raises:
        ValueError: What is wrong with a line.
    """
    filters = {f"${n}": one.name for n, one in enumerate(parameters, 1) if one.is_filter}
    names = frozenset(filters.values())
    tokens = _Tokens(lines)
    for number, line in enumerate(lines):
        marked = line.wanted & names
        if not marked and "$" not in line.text:
            continue
        own = tokens.of_line(number)
        used = {filters[text] for text in tokens.texts[own.start : own.stop] if text in filters}
        text = line.text.strip()
        if missing := used - marked:
            name = min(missing)
            dollar = next(key for key, value in filters.items() if value == name)
            raise ValueError(f"uses {dollar} ({name}, which may be left out) without a mark")
        if unused := marked - used:
            raise ValueError(f"marks a line with {min(unused)} that does not use it: {text}")
        if marked and not _is_conjunct(tokens, own, lines, marked):
            raise ValueError(f"marks with {min(marked)} what is no whole condition: {text}")


class _Tokens:
    """The tokens of a statement, by position.

    Attributes:
        texts: The tokens, in lower case.
        lines: The line number of each.
        depths: The depth of brackets around each.
        groups: The position of the innermost bracket that is open there; -1: there is none.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        """Splits the lines. Raises ValueError: a line can't be split without doubt."""
        self.texts: list[str] = []
        self.lines: list[int] = []
        self.depths: list[int] = []
        self.groups: list[int] = []
        self._begins: list[int] = []
        opened = [-1]
        before = ""
        for number, line in enumerate(lines):
            self._begins.append(len(self.texts))
            for text in [] if line.text.lstrip().startswith("--") else _words(line.text):
                # Pairs in which the second word does not have the meaning that it has alone.
                if (before, text) in (("distinct", "from"), ("union", "all")):
                    text = f"{before} {text}"
                before = text
                if text == ")" and len(opened) > 1:
                    opened.pop()
                self.texts.append(text)
                self.lines.append(number)
                self.depths.append(len(opened) - 1)
                self.groups.append(opened[-1])
                if text == "(":
                    opened.append(len(self.texts) - 1)
        self._begins.append(len(self.texts))

    def of_line(self, number: int) -> range:
        """The positions of a line's tokens. Never raises."""
        return range(self._begins[number], self._begins[number + 1])


def _words(text: str) -> list[str]:
    """The tokens of a line. Raises ValueError: a comment, an open quote or a stray `$`."""
    bare = _QUOTED.sub("''", text)
    if "--" in bare or "/*" in bare or "*/" in bare:
        raise ValueError(f"has a comment within a line: {text.strip()}")
    if "'" in bare.replace("''", "") or '"' in bare:
        raise ValueError(f"has a quoted text that goes on in another line: {text.strip()}")
    if _NO_PARAMETER.search(bare):
        raise ValueError(f"has a $ that is no parameter: {text.strip()}")
    return [word.lower() for word in _TOKEN.findall(text)]


def _is_conjunct(
    tokens: _Tokens, own: range, lines: Sequence[Line], marked: frozenset[str]
) -> bool:
    texts, depths, groups = tokens.texts, tokens.depths, tokens.groups
    first, last = own[0], own[-1]
    depth = depths[first]
    if texts[first] != "and" or any(depths[place] < depth for place in own):
        return False
    if depths[last] != depth or texts[last] == "(" or groups[first] != groups[last]:
        return False
    begin = _where(tokens, first)
    if begin is None:
        return False
    line, where = lines[tokens.lines[first]], lines[tokens.lines[begin]]
    if (line.wanted - marked, line.unwanted) != (where.wanted, where.unwanted):
        return False  # one could be sent without the other, though the filter is given
    end = _end(tokens, last)
    if last + 1 < end and texts[last + 1] != "and":
        return False
    clause = [place for place in range(begin + 1, end) if depths[place] == depth]
    if any(texts[place] in ("or", "case") for place in clause):
        return False
    return not _is_in_predicate(tokens, first) and _joins(texts, clause, own)


def _where(tokens: _Tokens, place: int) -> int | None:
    """The position of the `where` of a token's clause; None: it is in another clause."""
    depth = tokens.depths[place]
    for before in range(place - 1, -1, -1):
        if tokens.depths[before] < depth:
            return None
        if tokens.depths[before] == depth and tokens.texts[before] in _CLAUSES:
            return before if tokens.texts[before] == "where" else None
    return None


def _end(tokens: _Tokens, place: int) -> int:
    """The position after a token's clause."""
    depth = tokens.depths[place]
    for after in range(place + 1, len(tokens.texts)):
        here = tokens.depths[after]
        if here < depth or (here == depth and tokens.texts[after] in _CLAUSES):
            return after
    return len(tokens.texts)


def _is_in_predicate(tokens: _Tokens, place: int) -> bool:
    """Whether a token is inside the brackets of `exists`, `in` or the like."""
    while (place := tokens.groups[place]) > 0:
        if tokens.texts[place - 1] in _PREDICATES:
            return True
    return False


def _joins(texts: Sequence[str], clause: Sequence[int], own: range) -> bool:
    """Whether the line's `and` is not that of a `between`, and its own `between`s are complete."""
    open_betweens = 0
    for place in clause:
        if place == own[0] and open_betweens:
            return False
        if texts[place] == "between":
            open_betweens += 1
        elif texts[place] == "and" and open_betweens:
            open_betweens -= 1
        if place == own[-1] and open_betweens:
            return False
    return True
