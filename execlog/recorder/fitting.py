"""Fits what surrounds a run into its columns: what breaks a rule is left out, the run is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from execlog import context
from execlog.db import traces, values
from execlog.models import StrategyExecutionLog

__all__ = ["Fitted", "Fitting"]

_LEFT_OUT = "{}_left_out"
_NAMES = ("trace_id", "error_message", "input", "attributes")
_ALIASES = {str(StrategyExecutionLog.model_fields[name].alias): name for name in _NAMES}
# Beyond this, nothing of a message is read: what is stored is shorter, even without its secrets.
_READ = 4 * context.LONGEST_MESSAGE


class Fitted:
    """The columns of one run, and what was changed in them.

    Attributes:
        trace_id: The id.
        error_message: The message, without secrets.
        input: JSON text.
        attributes: JSON text.
        notes: What is missing, in words.
        altered: The changes, each as a word to count by.
    """

    __slots__ = ("altered", "attributes", "error_message", "input", "notes", "trace_id")

    def __init__(self) -> None:
        """Holds nothing. Never raises."""
        self.trace_id: UUID | None = None
        self.error_message: Any = None
        self.input: str | None = None
        self.attributes: str | None = None
        self.notes: list[str] = []
        self.altered: list[str] = []

    def leave_out(self, name: str, note: str = "") -> None:
        """Counts a column that is left out, with a note if there is something to say.

        Never raises.
        """
        self.altered.append(_LEFT_OUT.format(name))
        if note:
            self.notes.append(note)


class Fitting:
    """Fits values of any kind.

    Args:
        input_bytes: The most bytes of an input's JSON text.
    """

    def __init__(self, input_bytes: int) -> None:
        """Takes the limit. Never raises."""
        self._input_bytes = input_bytes
        self._array_room = input_bytes // 2 + 1

    def usual_input(self, value: Any) -> str:
        """The JSON text of a usual input. Raises Exception: of any kind, it is unusual."""
        text, replaced = traces.lenient_text(value, self._array_room)
        if text is None or replaced or text == "null" or not self._has_room(text):
            raise ValueError
        return text

    def usual_attributes(self, given: dict[str, Any]) -> str:
        """The JSON text of usual attributes. Raises Exception: of any kind, they are unusual."""
        if given.__class__ is not dict or not 0 < len(given) <= context.MOST_ATTRIBUTES:
            raise ValueError
        for key, value in given.items():
            if value.__class__ not in (str, int, float, bool):
                raise TypeError
            if key.__class__ is not str or not context.is_attribute(key, value):
                raise ValueError
        text = context.attributes_text(given)
        if len(text) * 4 > context.ATTRIBUTES_BYTES:
            raise ValueError
        return text

    def fit(self, fields: dict[str, Any]) -> Fitted:
        """Takes the columns out of the arguments of `record`, by either spelling. Never raises."""
        fitted = Fitted()
        for alias, name in _ALIASES.items():
            if alias != name and name not in fields and alias in fields:
                fields[name] = fields.pop(alias)
        for name, fit in (
            ("trace_id", self._trace_id),
            ("error_message", self._error_message),
            ("input", self._input),
            ("attributes", self._attributes),
        ):
            value = fields.pop(name, None)
            if value is not None:
                try:
                    fit(fitted, value)
                except Exception:  # a type of the engine's own may raise anything
                    fitted.leave_out(name)
        return fitted

    def _trace_id(self, fitted: Fitted, value: object) -> None:
        given = value if isinstance(value, str | UUID) else values.integer(value)
        try:
            fitted.trace_id = context.trace_id(given)
        except ValueError:
            fitted.leave_out("trace_id")

    def _error_message(self, fitted: Fitted, value: object) -> None:
        given = str(value) if isinstance(value, BaseException) else values.text(value)
        if not isinstance(given, str):
            fitted.leave_out("error_message")
            return
        text = str.__str__(given)  # a subclass may have its own
        head = traces.mended_text(text[:_READ])
        clean = context.without_secrets(head, is_head=len(text) > _READ)
        if len(text) > context.LONGEST_MESSAGE:
            fitted.altered.append("error_message_cut")
        fitted.error_message = clean[: context.LONGEST_MESSAGE]

    def _input(self, fitted: Fitted, value: Any) -> None:
        text, replaced = traces.lenient_text(value, self._array_room)
        if text is None:
            mended = traces.mended([value], self._array_room)
            if mended is not None:
                text, replaced = traces.lenient_text(mended[0], self._array_room)[0], True
        if text is None:
            fitted.leave_out("input", "input left out: it is no JSON value")
        elif not self._has_room(text):
            fitted.leave_out("input", f"input left out: {len(text.encode())} bytes")
        elif text != "null":
            fitted.input = text
            if replaced:
                fitted.altered.append("input_repaired")

    def _attributes(self, fitted: Fitted, value: object) -> None:
        try:
            pairs = dict(value) if isinstance(value, Mapping) else None
        except Exception:  # a mapping of the engine's own may raise anything
            pairs = None
        if pairs is None:
            fitted.leave_out("attributes", "attributes left out: they are no object")
            return
        kept: dict[str, Any] = {}
        room = context.ATTRIBUTES_BYTES - 2
        for key, given in pairs.items():
            found = _attribute(given)
            if not context.is_attribute(key, found) or len(kept) == context.MOST_ATTRIBUTES:
                continue
            size = len(context.attributes_text({key: found}).encode()) - 1  # with a comma
            if size <= room:
                kept[str.__str__(key)], room = found, room - size
        if kept:
            fitted.attributes = context.attributes_text(kept)
        if len(kept) < len(pairs):
            left_out = len(pairs) - len(kept)
            fitted.leave_out("attributes", f"attributes left out: {left_out} of {len(pairs)}")

    def _has_room(self, text: str) -> bool:
        # At most four bytes for a character: most inputs need not be encoded.
        return len(text) * 4 <= self._input_bytes or len(text.encode()) <= self._input_bytes


def _attribute(value: object) -> object:
    """The value as one of Python's own types; None if it can't be converted."""
    if issubclass(type(value), str):
        return traces.mended_text(value)  # type: ignore[arg-type]
    found = values.scalar(value)
    if found is not None:
        return found
    text = values.text(value)
    return text if type(text) is str else None
