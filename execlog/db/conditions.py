"""Whether each line that may be left out is one condition, and the one that it seems to be.

A statement is looked at as tokens, with all of its lines. A filter that is left out, or that the
text around it makes meaningless, would show the rows of others: what is not plainly a conjunct of a
`where` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from execlog.db.sqlfile import Line, Parameter

__all__ = ["check"]

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$[0-9]+|\w+|\S""")
_CLAUSES = frozenset(
    """
    select from where group having window order limit offset fetch for union intersect except
    returning on set values join with
    """.split()
)
_PREDICATES = frozenset({"exists", "not", "in", "any", "all", "some", "or", "filter"})


class _Token(NamedTuple):
    text: str
    line: int
    depth: int  # brackets around it
    groups: tuple[int, ...]  # where each of these begins, as tokens


def check(lines: Sequence[Line], parameters: Sequence[Parameter]) -> None:
    """Each line that uses a filter is marked with it, and is one whole conjunct of a `where`.

    Args:
        lines: All lines of a statement, what it includes with them.
        parameters: Its parameters, in order.

    Raises:
        ValueError: What is wrong with a line.
    """
    filters = {f"${n}": one.name for n, one in enumerate(parameters, 1) if one.is_filter}
    tokens = list(_tokens(lines))
    places: dict[int, list[int]] = {}
    for place, token in enumerate(tokens):
        places.setdefault(token.line, []).append(place)
    for number, line in enumerate(lines):
        own = places.get(number, [])
        used = {filters[tokens[place].text] for place in own if tokens[place].text in filters}
        marked = line.wanted.intersection(filters.values())
        text = line.text.strip()
        if missing := used - marked:
            name = min(missing)
            dollar = next(key for key, value in filters.items() if value == name)
            raise ValueError(f"uses {dollar} ({name}, which may be left out) without a mark")
        if not marked:
            continue
        if unused := marked - used:
            raise ValueError(f"marks a line with {min(unused)} that does not use it: {text}")
        if not _is_conjunct(tokens, own, lines, marked):
            raise ValueError(f"marks with {min(marked)} what is no whole condition: {text}")


def _tokens(lines: Sequence[Line]) -> Iterator[_Token]:
    groups: list[int] = []
    count = 0
    before = ""
    for number, line in enumerate(lines):
        if line.text.lstrip().startswith("--"):
            continue
        for found in _TOKEN.findall(_plain(line.text)):
            text = found if found[0] in "'\"" else found.lower()
            # Two words that are not what the second one is by itself.
            if (before, text) in (("distinct", "from"), ("union", "all")):
                text = f"{before} {text}"
            before = text
            if text == ")" and groups:
                groups.pop()
            yield _Token(text, number, len(groups), tuple(groups))
            if text == "(":
                groups.append(count)
            count += 1


def _plain(text: str) -> str:
    """The line, if its words are what they seem to be. Raises ValueError."""
    bare = re.sub(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""", "''", text)
    if "--" in bare or "/*" in bare or "*/" in bare:
        raise ValueError(f"has a comment within a line: {text.strip()}")
    if "'" in bare.replace("''", "") or '"' in bare:
        raise ValueError(f"has a text that goes on in another line: {text.strip()}")
    if re.search(r"\$(?![1-9][0-9]*(?![\w$]))", bare):
        raise ValueError(f"has a $ that is no parameter: {text.strip()}")
    return text


def _is_conjunct(
    tokens: Sequence[_Token], own: Sequence[int], lines: Sequence[Line], marked: frozenset[str]
) -> bool:
    first, last = tokens[own[0]], tokens[own[-1]]
    depth = first.depth
    within = [tokens[place] for place in own]
    if first.text != "and" or any(token.depth < depth for token in within):
        return False
    if last.depth != depth or last.text == "(" or first.groups != last.groups:
        return False
    begin = _where(tokens, own[0], depth)
    if begin is None:
        return False
    line, where = lines[first.line], lines[tokens[begin].line]
    if (line.wanted - marked, line.unwanted) != (where.wanted, where.unwanted):
        return False  # one could be sent without the other, though the filter is given
    end = _end(tokens, own[-1], depth)
    following = tokens[own[-1] + 1] if own[-1] + 1 < len(tokens) else None
    if following is not None and own[-1] + 1 < end and following.text != "and":
        return False
    clause = [
        (place, tokens[place].text)
        for place in range(begin + 1, end)
        if tokens[place].depth == depth
    ]
    if any(text in ("or", "case") for _, text in clause):
        return False
    if any(start > 0 and tokens[start - 1].text in _PREDICATES for start in first.groups):
        return False
    return _joins(clause, own)


def _where(tokens: Sequence[_Token], place: int, depth: int) -> int | None:
    """The `where` of the clause in which a token is."""
    for before in range(place - 1, -1, -1):
        token = tokens[before]
        if token.depth < depth:
            return None
        if token.depth == depth and token.text in _CLAUSES:
            return before if token.text == "where" else None
    return None


def _end(tokens: Sequence[_Token], place: int, depth: int) -> int:
    """Where the clause ends in which a token is."""
    for after in range(place + 1, len(tokens)):
        token = tokens[after]
        if token.depth < depth or (token.depth == depth and token.text in _CLAUSES):
            return after
    return len(tokens)


def _joins(clause: Sequence[tuple[int, str]], own: Sequence[int]) -> bool:
    """Whether a line's `and` is no half of a `between`, and each `between` in it has its own."""
    open_betweens = 0
    for place, text in clause:
        if place == own[0] and open_betweens:
            return False
        if text == "between":
            open_betweens += 1
        elif text == "and" and open_betweens:
            open_betweens -= 1
        if place == own[-1] and open_betweens:
            return False
    return True
