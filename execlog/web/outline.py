"""Reads the nodes of a trace's JSON text in steps, so that the event loop continues meanwhile.

A parser in C would hold the interpreter for the whole text, in any thread. Here a step is short,
however large, deep or odd the trace is: only what is drawn is parsed, and of everything else only
the end is searched. `execlog.display.trace_tree` defines what a node is, and its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator

from execlog.display.trace_tree import BELOW, FAULTS, NAMES, TIMES, is_fault, taken
from execlog.web.branches import DRAWN, Branch, Branches

__all__ = ["Outline"]

_FACTS = 50  # of a node
_LONGEST_NAME = 200
_KNOWN = frozenset({*NAMES, *TIMES, *FAULTS})
_FAULTS = frozenset(FAULTS)
_TOLD = 3  # a node's name, time and children are no facts
_WINDOW = 16 * 1024  # the most characters of one match
_STEP = 2 * _WINDOW  # characters between two yields, each match counted as some: a millisecond
_TURN = 160

_GAP = re.compile(r"[\s,:]*+")
_INTEGER = re.compile(r"-?\d+")
# The usual scalars, in one match; longer ones are read piece by piece.
_SCALAR = r'"[^"\\]{0,500}+"|[-\dtfn][^\s,\]}]{0,50}+(?=[\s,\]}])'
_SHORT = re.compile(_SCALAR)
_MEMBER = re.compile(rf'[\s,]*+"(?P<key>[^"\\]{{0,200}}+)"\s*+:\s*+(?P<value>{_SCALAR})')
_LONG_NUMBER = re.compile(r"[^\s,\]}]*+")
# Atomic groups, since Python before 3.11.5 leaves a possessive one in the middle of what fails.
_WITHIN_TEXT = re.compile(r'[^"\\]*+(?>(?:\\.[^"\\]*+)*)', re.DOTALL)
_BETWEEN_BRACKETS = re.compile(r'(?>(?:[^"\[\]{}]++|"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")*)', re.DOTALL)
_WHOLE_ESCAPES = re.compile(r"(?>(?:[^\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)", re.DOTALL)


class _Entry:
    """An object that is being read."""

    __slots__ = ("facts", "known", "lists", "members")

    def __init__(self) -> None:
        self.facts: list[tuple[str, int, int]] = []
        self.known: dict[str, tuple[int, int]] = {}
        self.lists: dict[str, Branches] = {}
        self.members = 0

    def take(self, key: str, begin: int, end: int) -> None:
        self.members += 1
        if len(self.facts) < _FACTS + _TOLD:
            self.facts.append((key, begin, end))
        if key in _KNOWN:
            self.known[key] = (begin, end)

    def take_list(self, found: Branches, end: int) -> None:
        self.take(found.key, found.begin, end)
        if found.is_pure and found.total:
            self.lists[found.key] = found


class Outline:
    """Reads the nodes of a trace.

    Args:
        text: The trace as Postgres writes it.
        verdicts: Whether a node whose verdict is false, as in `"ok": false`, counts as failed.
    """

    def __init__(self, text: str, *, verdicts: bool = False) -> None:
        """Takes the text. Never raises."""
        self._text = text
        self._verdicts = verdicts
        self._spent = 0  # since the last yield

    def read(self) -> Generator[None, None, Branches]:
        """The trace's own entries, in steps. Never raises for JSON."""
        text, at = self._text, 1
        top = Branches("", 0)
        if not text.startswith("["):
            top.add(Branch(facts=[("", 0, len(text))], members=1))
            return top
        stack: list[Branches | _Entry] = [top]
        member, begin = _MEMBER.match, at
        while stack:
            if self._is_step(at - begin):
                yield
            begin = at
            inner = stack[-1]
            if isinstance(inner, Branches):
                at = begin = yield from self._element(inner, stack, at)
            elif found := member(text, at):
                inner.take(found["key"], *found.span("value"))
                at = found.end()
            else:
                at = begin = yield from self._member(inner, stack, at)
        return top

    def _is_step(self, characters: int) -> bool:
        """Whether a step ends after a match of so many characters."""
        self._spent += _TURN + characters
        if self._spent < _STEP:
            return False
        self._spent = 0
        return True

    def text_of(self, begin: int, end: int, longest: int) -> tuple[str, int]:
        """A value, a text as it is and others as JSON; and the number of characters cut off.

        Never raises for a place of this text.
        """
        if self._text[begin] != '"':
            return self._text[begin : min(end, begin + longest)], max(end - begin - longest, 0)
        whole = self._text[begin + 1 : end - 1] if end - begin - 2 <= longest else None
        raw = whole if whole is not None else self._text[begin + 1 : begin + 1 + longest]
        if whole is None and (found := _WHOLE_ESCAPES.match(raw)):
            raw = found[0]
        decoded: str = json.loads(f'"{raw}"', strict=False) if "\\" in raw else raw
        return decoded, end - begin - 2 - len(raw)

    def _element(
        self, inner: Branches, stack: list[Branches | _Entry], at: int
    ) -> Generator[None, None, int]:
        """Reads one element of a list of entries; returns the position after it."""
        at = self._after_gap(at)
        character = self._text[at]
        if character == "{":
            stack.append(_Entry())
            return at + 1
        if character == "]":
            stack.pop()
            if stack and isinstance(stack[-1], _Entry):
                stack[-1].take_list(inner, at + 1)
            return at + 1
        end = yield from self._end(at)
        if len(stack) == 1:
            inner.add(Branch(facts=[("", at, end)], members=1))
        else:
            inner.is_pure = False
        return end

    def _member(
        self, inner: _Entry, stack: list[Branches | _Entry], at: int
    ) -> Generator[None, None, int]:
        """Reads one unusual member of an object, or its end; returns the position after it."""
        at = self._after_gap(at)
        if self._text[at] == "}":
            stack.pop()
            around = stack[-1]
            if isinstance(around, Branches):
                around.add(self._branch(inner, around.kept < DRAWN))
            return at + 1
        end = yield from self._end(at)
        key, _ = self.text_of(at, end, _LONGEST_NAME)
        at = self._after_gap(end)
        if self._text[at] == "[" and key in BELOW:
            stack.append(Branches(key, at))
            return at + 1
        end = yield from self._end(at)
        inner.take(key, at, end)
        return end

    def _branch(self, entry: _Entry, is_drawn: bool) -> Branch:
        below = timed = None
        one = Branch()
        for key in BELOW if entry.lists else ():
            if below := entry.lists.get(key):
                one.below, one.span_ms = below, below.span_ms
                break
        for key in TIMES:
            if key in entry.known and (took := self._time(*entry.known[key])) is not None:
                timed, one.took_ms, one.span_ms = key, took, took
                break
        named, one.name = self._named(entry)
        one.has_failed = self._has_failed(entry)
        if is_drawn or one.has_failed:
            told = {named, timed, below.key if below else None} - {None}
            one.members = entry.members - len(told)
            one.facts = [fact for fact in entry.facts if fact[0] not in told][:_FACTS]
        return one

    def _named(self, entry: _Entry) -> tuple[str | None, str]:
        """The key of an object's name, and the name."""
        for key in NAMES:
            if key not in entry.known:
                continue
            begin, end = entry.known[key]
            text, more = self.text_of(begin, end, _LONGEST_NAME)
            text += "…" if more else ""
            if self._text[begin] == '"' or _INTEGER.fullmatch(text):
                return key, text
        return None, "node"

    def _has_failed(self, entry: _Entry) -> bool:
        """Whether a member says that the node failed."""
        found = entry.known.keys() & _FAULTS
        return any(
            is_fault(key, self._short(*entry.known[key]), verdicts=self._verdicts) for key in found
        )

    def _short(self, begin: int, end: int) -> object:
        """The beginning of a value; of a list or an object, whether it holds anything."""
        character = self._text[begin]
        if character == '"':
            return self.text_of(begin, end, _LONGEST_NAME)[0]
        if character in "[{":
            return self._after_gap(begin + 1) < end - 1
        return json.loads(self._text[begin:end]) if end - begin <= _LONGEST_NAME else True

    def _time(self, begin: int, end: int) -> float | None:
        if self._text[begin] == '"':
            return taken(self.text_of(begin, end, _LONGEST_NAME)[0])
        return taken(float(self._text[begin:end])) if self._text[begin] in "-0123456789" else None

    def _after_gap(self, at: int) -> int:
        found = _GAP.match(self._text, at)
        return found.end() if found else at

    def _end(self, at: int) -> Generator[None, None, int]:
        """The position after the value that begins here."""
        text, depth = self._text, 0
        if found := _SHORT.match(text, at):
            return found.end()
        if text[at] == '"':
            return (yield from self._end_of_text(at))
        if text[at] not in "[{":
            found = _LONG_NUMBER.match(text, at)
            return found.end() if found else at
        while True:
            begin = at
            found = _BETWEEN_BRACKETS.match(text, at, at + _WINDOW)
            at = found.end() if found else at
            if self._is_step(at - begin):
                yield
            if at == len(text):
                return at
            character = text[at]
            if character == '"':
                at = yield from self._end_of_text(at)
            elif character in "[{":
                depth, at = depth + 1, at + 1
            elif character in "]}":
                depth, at = depth - 1, at + 1
            if depth == 0:
                return at

    def _end_of_text(self, at: int) -> Generator[None, None, int]:
        at += 1
        while True:
            begin = at
            found = _WITHIN_TEXT.match(self._text, at, at + _WINDOW)
            at = found.end() if found else at
            if self._is_step(at - begin):
                yield
            if at == len(self._text):
                return at
            if self._text[at] == '"':
                return at + 1
