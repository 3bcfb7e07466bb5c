"""SQL for other tools: single statements without `%` and without `:word`.

A tool that prepares what it sends, as SQLAlchemy does on asyncpg, refuses a script. `%` begins a
placeholder of psycopg as soon as there are parameters, and `:word` one of SQLAlchemy's `text()`,
which Alembic's `op.execute` uses for strings. An escape that one tool needs, another one sends
unchanged; a statement without these means the same to all.
"""

from __future__ import annotations

import re

__all__ = ["statements"]

_LEXEME = re.compile(
    r"""
      (?P<end>;(?:[ ]*--[^\n]*)?)               # with the comment on the same line
    | (?P<comment>--[^\n]*)
    | \b[Ee]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENTS = re.compile(r"\A(?:--[^\n]*\n\s*)*")
_COLON = r"(?<![:\w]):(?=[\w$])|(?<=\\):"
_READ_BY_TOOLS = re.compile(rf"%|{_COLON}")
_TAG = "$execlog$"  # a schema's name can't contain it: see `validation.schema`


def statements(script: str) -> list[str]:
    """The statements of a script, each to be sent by itself, without its semicolon. Never raises.

    Comments are kept, except behind a statement. BEGIN ATOMIC and comments between `/*` and `*/`
    are not supported: our scripts have none.
    """
    found, parts, place = [], [""], 0
    for lexeme in _LEXEME.finditer(script):
        parts.append(script[place : lexeme.start()])
        place = lexeme.end()
        if lexeme["end"]:
            found.append(_joined(parts))
            parts = []
        else:
            parts.append(_plain(lexeme[0]) if lexeme["comment"] else lexeme[0])
    found.append(_joined([*parts, script[place:]]))
    return [_portable(statement) for statement in found if statement]


def _joined(parts: list[str]) -> str:
    """The text without comments at its end, where a tool may add a semicolon."""
    last = len(parts)
    while last and (not parts[last - 1].strip() or parts[last - 1].startswith("--")):
        last -= 1
    return "".join(parts[:last]).strip()


def _plain(comment: str) -> str:
    return re.sub(_COLON, "", re.sub(r" ?%", " percent", comment))


def _portable(statement: str) -> str:
    """The statement; if it holds what tools read as placeholders, a block that executes it."""
    if not _READ_BY_TOOLS.search(statement):
        return statement
    body = _COMMENTS.sub("", statement, count=1)
    comments = statement.removesuffix(body)
    block = f"begin\nexecute {_TAG}\n{body}\n{_TAG};\nend"
    text = block.replace("\\", r"\\").replace("'", "''")
    text = _READ_BY_TOOLS.sub(lambda read: rf"\x{ord(read[0]):02x}", text)
    return f"{comments}do E'{text}'"
