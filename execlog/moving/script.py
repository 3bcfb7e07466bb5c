"""Writes the statements that read a table of another program, of the files in `sql/moving/step`.

All SQL is in those files. Names of the table are filled in as the server quoted them; what is
filled in is never searched again (see `execlog.db.sqltext`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from execlog.db.copy_format import COLUMNS
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled
from execlog.moving.matching import KEYS, REQUIRED, Match, Source, kind_of
from execlog.moving.table import Field

__all__ = ["Script"]

_VALIDATES = 16  # the version of Postgres that can ask whether a text is JSON
_JSON_KINDS = frozenset({"json", "list", "object"})
_ATTRIBUTES = "attributes"
_UNKNOWN = {
    "created_at": "unknown time",
    "sampled": "unknown flag",
    "sample_rate": "unknown number",
}


class Piece(NamedTuple):
    """A piece of SQL, and what `--plan` says of it."""

    sql: str
    said: str


@dataclass(frozen=True)
class Script:
    """The statements for one table.

    Attributes:
        match: How the table is read.
        version: The major version of the server that reads it.
        schema: The schema of the log.
    """

    match: Match
    version: int
    schema: str = SCHEMA

    def statement(self, name: str, *, begins: bool) -> str:
        """The text of a statement, whose parameters are what is given and a number of rows.

        Args:
            name: `store`, `count`, `read` or `next_key`.
            begins: Whether it begins with the first row; else after the key that is given.

        Raises:
            QueryFileError: The install lacks the files.
        """
        after = "at the beginning" if begins else "after"
        words = {
            "table": self.match.table.quoted,
            "keys": self._keys("key"),
            "key_texts": self._keys("key text"),
            "after": self._word(after, keys=self._keys("key"), reached=self._reached()),
            "given": _file("given"),
            "kept": _file("kept"),
            "summary": _file("summary"),
            "columns": _listed(self._stored(), 8),
        }
        if name != "next_key":
            words["part"] = self._part(words)
        return filled(_file(name), self.schema, words)

    def conversion(self, source: Source) -> str:
        """How a column is converted, for a person. Never raises."""
        if source.constant is not None:
            return "the same in all rows"
        if source.field is None:
            return _pieces("values")["id from key"].said
        kind, form = kind_of(source.ours), _form(source)
        known = _pieces("values")
        found = known.get(f"{kind} from {form}") or known.get(f"{kind} from text")
        return found.said if found and kind != "text" else known[_text_name(form)].said

    def _part(self, words: Mapping[str, str]) -> str:
        stored = self._stored()
        lists = {
            "others": [f"converted.{ours}" for ours in stored if ours not in _RATED],
            "values": list(self._values()),
            "raw": list(self._raw()),
        }
        texts = {name: _listed(found, 12) for name, found in lists.items()}
        checks = "\n".join(self._checks())
        return filled(_file("part"), SCHEMA, {**words, **texts, "checks": checks})

    def _stored(self) -> list[str]:
        """Our columns that are stored: those that have a source, and those that always have one."""
        found = {source.ours for source in self.match.sources} | _UNKNOWN.keys()
        if self._attributes():
            found.add(_ATTRIBUTES)
        return [ours for ours in COLUMNS if ours in found]

    def _attributes(self) -> list[Source]:
        return [one for one in self.match.sources if kind_of(one.ours) == "attribute"]

    def _raw(self) -> Iterator[str]:
        """What the table holds."""
        texts = self._keys("key text")
        for place, source in enumerate(self.match.sources):
            if source.field is not None:
                raw = self._piece(_raw_name(source), column=source.field.quoted)
                yield self._word("named", value=raw, name=f"raw_{place}")
            elif source.constant is not None:
                raw = self._piece("raw constant", column=source.ours)
                yield self._word("named", value=raw, name=f"raw_{place}")
            if source.ours == "id":
                if source.field is not None:
                    texts = self._word("key text", column=source.field.quoted)
                if source.field is None or source.field.form != "uuid":
                    yield self._word("named", value=self._piece("hash", texts=texts), name="hash")

    def _values(self) -> Iterator[str]:
        """What that means here."""
        known, whole, pairs = set(), None, []
        for place, source in enumerate(self.match.sources):
            value, ours = self._value(place, source), source.ours
            known.add(ours)
            if kind_of(ours) == "attribute":
                key = ours.partition(".")[2]
                pairs.append(self._piece("pair", name=key, value=value))
            elif kind_of(ours) == "object":
                whole = value
                yield self._word("has no object", raw=f"raw_{place}", value=value, name=ours)
            else:
                yield self._word("named", value=value, name=ours)
                if ours != "id":
                    yield self._word("has", raw=f"raw_{place}", name=ours)
        if pairs or whole:
            value = self._all_attributes(whole, ", ".join(pairs))
            yield self._word("named", value=value, name=_ATTRIBUTES)
        if pairs and not whole:
            yield self._word("has nothing", name=_ATTRIBUTES)
        for ours, word in _UNKNOWN.items():
            if ours not in known:
                yield self._word("named", value=self._word(word), name=ours)

    def _all_attributes(self, whole: str | None, pairs: str) -> str:
        if whole is None:
            return self._piece("attributes of keys", pairs=pairs)
        heading = "attributes and keys" if pairs else "attributes"
        return self._piece(heading, value=whole, pairs=pairs)

    def _value(self, place: int, source: Source) -> str:
        if source.ours == "id" and source.field is None:
            return self._piece("id from key", made=self._piece("made"))
        return self._converted(kind_of(source.ours), _form(source), f"part.raw_{place}")

    def _converted(self, kind: str, form: str, value: str) -> str:
        """A value of this form as one of this kind."""
        name = _text_name(form) if kind == "text" else f"{kind} from {form}"
        if name not in _pieces("values"):
            if form != "text":
                value = self._converted("text", form, value)
            name = f"{kind} from text"
        parsed = "parsed" if self.version >= _VALIDATES else "parsed before 16"
        words = {
            "value": value,
            "made": self._piece("made"),
            "parsed": self._piece(parsed, value=value),
            "time_pattern": self._piece("time pattern"),
            "uuid_pattern": self._piece("uuid pattern"),
            "before_password": self._piece("before password"),
        }
        if name in ("list from jsonb", "list from json"):
            words["parsed_json"] = self._piece("parsed json", **words)
            text = self._converted("text", form, value)
            words["inner_list"] = self._converted("list", "text", text)
        return self._piece(name, **words)

    def _checks(self) -> Iterator[str]:
        """What keeps a row from being stored, in the order of our columns."""
        known = _pieces("checks")
        for source in self.match.sources:
            ours = source.ours
            names = [kind_of(ours)] if ours != "id" else []
            names += ["required"] if ours in REQUIRED else []
            names += ["key"] if ours in KEYS else []
            for name in (*reversed(names), f"column {ours}"):
                if name in known:
                    yield filled(known[name].sql, SCHEMA, {"column": ours, "name": ours})
        if self._attributes() and not self.match.has(_ATTRIBUTES):
            words = {"column": _ATTRIBUTES, "name": _ATTRIBUTES}
            yield filled(known["object of keys"].sql, SCHEMA, words)

    def _keys(self, word: str) -> str:
        return ", ".join(
            self._word(word if one.is_ordered else "key text", column=one.quoted)
            for one in self.match.table.key
        )

    def _reached(self) -> str:
        return ", ".join(
            self._word("reached", place=str(place), type=one.type if one.is_ordered else "text")
            for place, one in enumerate(self.match.table.key)
        )

    def _word(self, word: str, **words: str) -> str:
        return filled(_pieces("words")[word].sql, SCHEMA, words)

    def _piece(self, heading: str, **words: str) -> str:
        return filled(_pieces("values")[heading].sql, SCHEMA, words)


_RATED = frozenset({"sampled", "sample_rate"})  # which `part.sql` itself decides


def _form(source: Source) -> str:
    """The form of the raw values."""
    if source.field is None:
        return "text"
    form = source.field.form
    # A list of type json is known to be JSON; for the others reading it is cheap enough.
    return "text" if form == "json" and kind_of(source.ours) in ("json", "object") else form


def _raw_name(source: Source) -> str:
    field: Field | None = source.field
    form = "text" if field is None else field.form
    if form == "json" or (form == "text" and kind_of(source.ours) in _JSON_KINDS):
        return "raw json"
    return f"raw {form}" if form in ("text", "jsonb") else "raw any"


def _text_name(form: str) -> str:
    name = f"text from {form}"
    return name if name in _pieces("values") else "text from any"


def _listed(items: Sequence[str], indent: int) -> str:
    return (",\n" + " " * indent).join(items)


@functools.cache
def _pieces(name: str) -> Mapping[str, Piece]:
    """The pieces of a file by their headings; the first block is its comment."""
    found = {}
    for block in _file(name, bare=False).split("\n\n")[1:]:
        heading, _, sql = block.strip("\n").partition("\n")
        title, _, said = heading.removeprefix("-- ").partition(": ")
        found[title] = Piece(sql, said)
    return found


@functools.cache
def _file(name: str, *, bare: bool = True) -> str:
    """The text of a file; bare: without its comment, unless it is a statement."""
    text = (folder("sql") / "moving" / "step" / f"{name}.sql").read_text().rstrip("\n")
    if bare and name in ("given", "kept", "summary", "part"):
        lines = text.split("\n")
        first = next(place for place, line in enumerate(lines) if not line.startswith("--"))
        text = "\n".join(lines[first:])
    return text
