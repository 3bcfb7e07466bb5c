"""Stores the executions of a table that another program made.

`find_table` looks the table up, `matched` decides which column becomes which, and a `Mover` stores
the rows: on the server, or through the client.
"""

from __future__ import annotations

from execlog.moving.account import Account
from execlog.moving.archived import has_files
from execlog.moving.matching import Match, Source, Wishes, matched
from execlog.moving.mover import Mover
from execlog.moving.script import Script
from execlog.moving.table import Field, Table, check_zone, find_table, is_cluster

__all__ = [
    "Account",
    "Field",
    "Match",
    "Mover",
    "Script",
    "Source",
    "Table",
    "Wishes",
    "check_zone",
    "find_table",
    "has_files",
    "is_cluster",
    "matched",
]
