"""The command that prints the SQL of the log's roles."""

from __future__ import annotations

from typing import Annotated

import typer

from execlog import dump_alerter, dump_realm_reader, dump_roles
from execlog.cli.forms import print_text
from execlog.cli.options import Schema
from execlog.db.sqltext import SCHEMA

__all__ = ["roles"]


def roles(
    realm: Annotated[
        str | None, typer.Option("--realm", help="Only a role that sees one tenant: this one.")
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="The name of that role.", show_default=False)
    ] = None,
    alerter: Annotated[
        bool, typer.Option("--alerter", help="Only the role of `check --webhook`.")
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="The beginning of their names; else the schema."),
    ] = None,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Readers may read what strategies were given.")
    ] = False,
    schema: Schema = SCHEMA,
) -> None:
    """Print the SQL that makes roles: owner, writer and reader; one realm's reader; the alerter.

    Example: execlog roles | psql -v ON_ERROR_STOP=1
    """
    if (realm is None) != (role is None):
        raise typer.BadParameter("--realm and --role go together", param_hint="--realm")
    if alerter and (realm is not None or inputs):
        raise typer.BadParameter("is a role by itself", param_hint="--alerter")
    if alerter:
        print_text(dump_alerter(schema=schema, prefix=prefix))
    elif realm is None or role is None:
        print_text(dump_roles(schema=schema, prefix=prefix, inputs=inputs))
    else:
        print_text(
            dump_realm_reader(
                realm_id=realm, role=role, schema=schema, prefix=prefix, inputs=inputs
            )
        )
