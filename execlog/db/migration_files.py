"""The migration files: their names, their checksums, and the SQL that is sent."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass

from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA
from execlog.errors import MigrationError

__all__ = ["Migration", "load", "migration_names", "script", "sent"]

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+")
# The part of 0001 that makes the schema; a script that needs fewer rights is sent instead.
_OF_SCHEMA = re.compile(rf"^create schema [^;]+;\n\ncomment on schema {SCHEMA} is '[^']+';\n", re.M)


@dataclass(frozen=True)
class Migration:
    """One file: its name without `.sql`, its text, and the SHA-256 of its bytes."""

    name: str
    sql: str
    checksum: str


def load() -> list[Migration]:
    """All migrations of this install, in order.

    Raises:
        MigrationError: The files' numbers have a gap.
        QueryFileError: The install lacks the migrations.
    """
    paths = sorted(folder("migrations").glob("*.sql"))
    for expected, path in enumerate(paths, 1):
        found = _NAME.fullmatch(path.stem)
        if found is None or int(found[1]) != expected:
            raise MigrationError(f"migrations/{path.name}: expected number {expected:04d} here")
    if not paths:
        raise MigrationError("this install holds no migrations: install execlog again")
    return [
        Migration(path.stem, data.decode(), hashlib.sha256(data).hexdigest())
        for path in paths
        for data in [path.read_bytes()]
    ]


def migration_names() -> list[str]:
    """The names of all migrations of this install, in order.

    Raises:
        MigrationError: The files' numbers have a gap.
        QueryFileError: The install lacks the migrations.
    """
    return [file.name for file in load()]


@functools.cache
def script(name: str) -> str:
    """A script of `sql/schema/step`. Raises QueryFileError: the install lacks it."""
    return (folder("sql") / "schema" / "step" / f"{name}.sql").read_text()


def sent(file: Migration) -> str:
    """The SQL that is sent for a file; the checksum stays the file's. Raises: see `script`."""
    return _OF_SCHEMA.sub(lambda _: script("create_schema"), file.sql)
