"""The header of an SQL file: its parameters, its switches, and what else it promises.

The grammar is in `execlog.db.statements`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Header", "Parameter", "columns_of", "completed", "read_header"]

_PARAMETER = re.compile(r"-- \$(\d+) (\w+) ([a-z ]+?(?:\[\])?)(\?(?: always)?)?")
_FOLLOWING = re.compile(r"-- \$(\d+) and on: ([a-z_]+)")
_SWITCH = re.compile(r"-- switch ([a-z_]+(?: \| [a-z_]+)*)")
_FIELD = re.compile(r"-- (Columns|Index): (.+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `$n` of a statement.

    Attributes:
        name: Its name.
        type: Its type in SQL.
        nullable: Whether it may be NULL although it is no filter.
        is_filter: Whether the lines that use it are left out if it is not given.
    """

    name: str
    type: str
    nullable: bool
    is_filter: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """The contract of a file.

    Attributes:
        lines: Its text.
        parameters: Its parameters, in order.
        switches: Its switches.
        alternatives: Switches of which at most one may be on, for each such choice.
        fields: Its columns and indexes, as they are written.
        follows: The file whose parameters and switches follow its own; None: none do.
    """

    lines: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    switches: frozenset[str]
    alternatives: tuple[frozenset[str], ...]
    fields: Mapping[str, str]
    follows: str | None = None

    def place(self, name: str) -> int | None:
        """The number of a parameter. Never raises."""
        return next((n for n, one in enumerate(self.parameters, 1) if one.name == name), None)


def read_header(lines: Sequence[str]) -> Header:
    """The header that these lines are.

    Args:
        lines: The comments that a file begins with.

    Raises:
        ValueError: What is wrong with them.
    """
    found = [match for line in lines if (match := _PARAMETER.fullmatch(line))]
    following = [match for line in lines if (match := _FOLLOWING.fullmatch(line))]
    numbers = [int(match[1]) for match in [*found, *following]]
    if numbers != list(range(1, len(numbers) + 1)) or len(following) > 1:
        raise ValueError("has a gap in the parameters of its header")
    parameters = tuple(
        Parameter(match[2], match[3], match[4] is not None, match[4] == "?") for match in found
    )
    choices = [match[1].split(" | ") for line in lines if (match := _SWITCH.fullmatch(line))]
    names = [*(one.name for one in parameters), *(name for choice in choices for name in choice)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"names {', '.join(sorted(twice))} twice")
    return Header(
        tuple(lines),
        parameters,
        frozenset(name for choice in choices for name in choice),
        tuple(frozenset(choice) for choice in choices if len(choice) > 1),
        {match[1]: match[2] for line in lines if (match := _FIELD.fullmatch(line))},
        following[0][2] if following else None,
    )


def completed(header: Header, other: Callable[[str], Header]) -> Header:
    """The header with the parameters and switches of the file that follows its own, if one does.

    Args:
        header: The header.
        other: Finds the header of a file.

    Raises:
        ValueError: What is wrong with either.
    """
    if header.follows is None:
        return header
    lines: list[str] = []
    for line in header.lines:
        found = _FOLLOWING.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        for one in other(found[2]).lines:
            if parameter := _PARAMETER.fullmatch(one):
                number = int(parameter[1]) + int(found[1]) - 1
                lines.append(f"-- ${number}{one[parameter.end(1) :]}")
            elif _SWITCH.fullmatch(one):
                lines.append(one)
    return read_header(lines)


def columns_of(header: Header, other: Callable[[str], Header | None]) -> str:
    """The result columns, with those of other files filled in.

    Args:
        header: The header of a statement.
        other: Finds the header of a file; None: there is no such file.

    Raises:
        ValueError: Another file is missing, or names no columns.
    """

    def columns(found: re.Match[str]) -> str:
        name = found[1]
        named = other(name)
        inner = None if named is None else named.fields.get("Columns")
        if inner is None or ":" in inner:
            raise ValueError(f"has the columns of {name}.sql, which names none")
        return inner

    return re.sub(r":([a-z_]+)", columns, header.fields["Columns"])
