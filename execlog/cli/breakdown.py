"""The command that splits executions by what they have in common: which version, tenant, case."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any

import typer

from execlog import Breakdown, NodeTimes, StrategyExecutionLogRepository
from execlog.cli.filters import filtered, nothing_found
from execlog.cli.forms import print_models
from execlog.cli.options import (
    AnyStrategy,
    ArchiveToRead,
    Dsn,
    Json,
    Output,
    OutputOption,
    Schema,
    Since,
    Spreadsheet,
    Until,
    Utc,
    Wide,
    form,
)
from execlog.cli.server import ask
from execlog.context import is_attribute
from execlog.db.sqltext import SCHEMA
from execlog.display.format import milliseconds, number, percent, points, shown
from execlog.display.tables import Cell, Column, print_table
from execlog.repository.breakdown import BY, MOST_GROUPS
from execlog.repository.filters import Filters
from execlog.repository.groups import BreakdownOrder, of_nodes

__all__ = ["breakdown"]

_DAY = timedelta(days=1)
_IN_A_TABLE = 50
# The filters' words on the command line.
_WORDS = {
    "version": "strategy_version",
    "realm": "realm_id",
    "code": "error_code",
    "case": "case_name",
    "user": "external_user_id",
    "game": "external_game_id",
    "task": "external_task_id",
    "type": "strategy_type",
    "status": "status",
    "parent": "parent_strategy_id",
    "trace-id": "trace_id",
    "strategy": "strategy_id",
    "node": "node",
}


class Order(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    """The order of a breakdown."""

    failures = "failures"
    runs = "runs"
    error_rate = "error_rate"
    p99 = "p99"


def _by(text: str) -> str:
    prefix, _, key = text.partition(".")
    if prefix in ("attr", "attributes") and text != prefix:
        if not is_attribute(key, ""):
            raise typer.BadParameter(f"{text!r} has a key that no attribute has")
        return f"attributes.{key}"
    if text in BY:
        return text
    if text not in _WORDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_WORDS)}, attr.KEY")
    return _WORDS[text]


@filtered
def breakdown(
    by: Annotated[
        list[str],
        typer.Option(
            "--by",
            parser=_by,
            metavar="WHAT",
            help=f"{', '.join(_WORDS)} or attr.KEY; repeat it for several tables.",
        ),
    ],
    filters: Filters,
    strategy: AnyStrategy = None,
    since: Since = None,
    until: Until = None,
    order: Annotated[
        Order | None,
        typer.Option("--order", help="The largest first; else failures, for nodes p99."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            max=MOST_GROUPS,
            help="Else 50 in a table, and 10,000 in other forms.",
        ),
    ] = None,
    details: Annotated[
        bool,
        typer.Option(
            "--details/--no-details", help="Percentiles and users, which take most of the time."
        ),
    ] = True,
    output: OutputOption = Output.table,
    as_json: Json = False,
    spreadsheet: Spreadsheet = False,
    utc: Utc = False,
    wide: Wide = False,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Split executions by version, realm, code, user, ...: how many ran and failed, how long.

    Without a window, the last day is split. By node, the newest 2,000 traces of failed runs are
    read, and as many of runs that took longer than the p95; times are the nodes' own.

    Example: execlog breakdown loyalty --by version --status failed --since 1h
    """
    output = form(output, as_json, spreadsheet)
    if len(by) > 1 and output is not Output.table:
        raise typer.BadParameter("may be given once for -o csv, json or jsonl", param_hint="--by")
    if since is None and until is None:
        print("execlog: the last day; --since goes back further", file=sys.stderr)
        since = datetime.now(UTC) - _DAY
    most = limit or (_IN_A_TABLE if output is Output.table else MOST_GROUPS)
    question = _Question(
        strategy, since, until, filters, order, min(most + 1, MOST_GROUPS), details
    )
    answers = ask(dsn, schema, lambda log: question.answers(log, by), archive=archive)
    for what, groups, nodes in answers:
        if nodes is not None:
            _say_nodes(nodes)
        if output is not Output.table:
            print_models(Breakdown, groups[:most], output, spreadsheet=spreadsheet)
        elif groups:
            _print(what, groups[:most], utc, wide)
            _say_sketched(groups[:most])
        _say_more(groups, most)


@dataclass(frozen=True)
class _Question:
    """What is asked of each column that the executions are split by."""

    strategy: str | None
    since: datetime | None
    until: datetime | None
    filters: Filters
    order: Order | None
    limit: int
    details: bool

    async def answers(
        self, log: StrategyExecutionLogRepository, by: Sequence[str]
    ) -> list[tuple[str, list[Breakdown], NodeTimes | None]]:
        """By each of these: the groups, and by node the runs that they are of."""
        found = [(what, *(await self._groups(log, what))) for what in by]
        empty = [what for what, groups, _ in found if not groups]
        if empty:
            kind = "trace" if empty == ["node"] else "execution"
            of = "" if self.strategy is None else f" of {shown(self.strategy)}"
            said = f"no {kind}{of}{' passes these filters' if self.filters else ''}"
            await nothing_found(log, said, self.filters, self.strategy, self.since, self.until)
        return found

    async def _groups(
        self, log: StrategyExecutionLogRepository, what: str
    ) -> tuple[list[Breakdown], NodeTimes | None]:
        usual: BreakdownOrder = "p99" if what == "node" else "failures"
        order: BreakdownOrder = self.order.value if self.order else usual
        scope = {"strategy_id": self.strategy, "since": self.since, "until": self.until}
        asked: dict[str, Any] = {**scope, **self.filters}
        if what == "node":
            nodes = await log.node_times(**asked)
            return of_nodes(nodes, order, self.limit, details=self.details), nodes
        groups = await log.breakdown(
            by=what, order=order, limit=self.limit, details=self.details, **asked
        )
        return groups, None


def _print(what: str, groups: Sequence[Breakdown], utc: bool, wide: bool) -> None:
    words = {name: word for word, name in _WORDS.items()}
    columns = [
        Column(words.get(what, what.replace("attributes.", "attr.")), least=12),
        Column("runs", right=True, rank=2),
        Column("failed", right=True, rank=1),
        Column("error rate", right=True, rank=3),
        Column("95 %", right=True, rank=9),
        Column("avg", right=True, rank=7),
        Column("p50", right=True, rank=8),
        Column("p95", right=True, rank=6),
        Column("p99", right=True, rank=4),
        Column("points", right=True, rank=12),
        Column("users", right=True, rank=5),
        Column("first", is_time=True, rank=11),
        Column("last", is_time=True, rank=10),
    ]
    print_table(columns, [_cells(what, one) for one in groups], utc=utc, wide=wide)


def _cells(what: str, one: Breakdown) -> tuple[Cell, ...]:
    name = "(none)" if one.value is None else shown(one.value)
    return (
        f"v{name}" if what == "strategy_version" else name,
        number(one.runs),
        number(one.failures),
        percent(one.error_rate),
        f"{points(one.error_rate_low)}-{points(one.error_rate_high)}",
        *(
            "" if value is None else milliseconds(value)
            for value in (one.avg_ms, one.p50_ms, one.p95_ms, one.p99_ms)
        ),
        "" if one.points_avg is None else f"{one.points_avg:,.4g}",
        number(one.users),
        one.first_seen,
        one.last_seen,
    )


def _say_nodes(nodes: NodeTimes) -> None:
    """Says of which runs the nodes are."""
    slow = f"{number(nodes.runs - nodes.failures)} slow"
    if nodes.slower_than_ms is not None:
        slow += f" (over {milliseconds(nodes.slower_than_ms)}, the p95)"
    left_out = f"; {number(nodes.left_out)} traces are too large" if nodes.left_out else ""
    print(
        f"execlog: nodes of {number(nodes.failures)} failed and {slow} runs,"
        f" the newest {number(nodes.newest)} of either at most{left_out}",
        file=sys.stderr,
    )


def _say_sketched(groups: Sequence[Breakdown]) -> None:
    """Says how near the percentiles are, and why there are no users, if they are of rollups."""
    errors = [one.relative_error for one in groups if one.p50_ms is not None]
    if groups[0].method == "exact" or not errors:
        return
    off = "may be more than 1 % off" if None in errors else "are within 1 %"
    print(f"execlog: of rollups: percentiles {off}, users are not counted", file=sys.stderr)


def _say_more(groups: Sequence[Breakdown], most: int) -> None:
    """Says if there are more groups than are shown."""
    if len(groups) > most:
        more = "--limit shows more, -o csv all" if most < MOST_GROUPS else "that is the most"
        print(f"execlog: the first {number(most)}; {more}", file=sys.stderr)
    elif len(groups) == MOST_GROUPS:
        print(f"execlog: the first {number(most)}, the most; there may be more", file=sys.stderr)
