"""The SQL that makes the log's roles, for a superuser to read and to run."""

from __future__ import annotations

from execlog.db import validation
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled
from execlog.errors import InvalidArgument

__all__ = ["dump_alerter", "dump_realm_reader", "dump_roles"]


def dump_roles(*, schema: str = SCHEMA, prefix: str | None = None, inputs: bool = False) -> str:
    """The SQL for three roles, `<prefix>_owner`, `<prefix>_writer` and `<prefix>_reader`.

    The owner changes tables and partitions, the writer stores executions and can't read, the reader
    answers all questions, in transactions that can't write and within 30 s each.

    Args:
        schema: The schema of the log.
        prefix: The beginning of the roles' names; the schema's name if it is left out.
        inputs: Whether the reader may read what strategies were given. If not, answers say None.

    Raises:
        InvalidArgument: A name is invalid or too long; or the log is in the
            schema `public`, where any role may have objects; or `inputs` is no boolean.
        QueryFileError: The install lacks the file.
    """
    where = _schema(schema)
    return filled(_file("roles"), where, {**_names(where, prefix), "inputs": _flag(inputs)})


def dump_alerter(*, schema: str = SCHEMA, prefix: str | None = None) -> str:
    """The SQL for a role `<prefix>_alerter`: a reader that keeps what fires, and nothing else.

    Args:
        schema: The schema of the log.
        prefix: The same as for `dump_roles`.

    Raises:
        InvalidArgument: As for `dump_roles`.
        QueryFileError: The install lacks the file.
    """
    where = _schema(schema)
    return filled(_file("alerter"), where, _names(where, prefix))


def dump_realm_reader(
    *,
    realm_id: str,
    role: str,
    schema: str = SCHEMA,
    prefix: str | None = None,
    inputs: bool = False,
) -> str:
    """The SQL for a role that reads the executions of one realm and sees no others.

    Args:
        realm_id: The realm.
        role: The role's name; it is made if it is missing.
        schema: The schema of the log.
        prefix: The same as for `dump_roles`.
        inputs: Whether the role may read what strategies were given.

    Raises:
        InvalidArgument: As for `dump_roles`; or `realm_id` is empty, or holds a
            backslash or $$, or `role` is one of the three.
        QueryFileError: The install lacks the file.
    """
    where = _schema(schema)
    names = _names(where, prefix)
    tenant = validation.object_name("role", role)
    if tenant in names.values():
        raise InvalidArgument("role", "is one of those that see all realms")
    realm = validation.name("realm_id", realm_id)
    if "\\" in realm:
        # Its meaning within a quoted text depends on a setting of the server.
        raise InvalidArgument("realm_id", "holds a backslash")
    if "$$" in realm:
        raise InvalidArgument("realm_id", "holds $$, which ends a function in SQL")
    words = {"role": tenant, "realm_id": realm, "inputs": _flag(inputs)}
    return filled(_file("realm_reader"), where, {**names, **words})


def _schema(given: object) -> str:
    found = validation.schema(given)
    if found == "public":
        raise InvalidArgument("schema", "is public, where any role may have made objects")
    return found


def _names(schema: str, prefix: str | None) -> dict[str, str]:
    begin = schema if prefix is None else validation.object_name("prefix", prefix)
    argument = "schema" if prefix is None else "prefix"
    kinds = ("owner", "writer", "reader", "alerter")
    return {kind: validation.object_name(argument, f"{begin}_{kind}") for kind in kinds}


def _flag(inputs: object) -> str:
    return "true" if validation.flag("inputs", inputs) else "false"


def _file(name: str) -> str:
    return (folder("sql") / "roles" / f"{name}.sql").read_text()
