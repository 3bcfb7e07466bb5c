"""Stores the executions of a table that another program made."""

from __future__ import annotations

from execlog.moving.account import Account
from execlog.moving.matching import Match, Wishes, matched
from execlog.moving.mover import Mover
from execlog.moving.table import Field, Table, find_table

__all__ = ["Account", "Field", "Match", "Mover", "Table", "Wishes", "find_table", "matched"]
