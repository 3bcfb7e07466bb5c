"""What is not well with a log, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from execlog.figures import local, number, size
from execlog.healthcheck import Health, RollupState
from execlog.template import SCHEMA, filled

__all__ = ["Finding", "examined"]

_MAINTAIN = "run `execlog maintain`, and let cron run it every hour"
_ATTACH = (
    "alter table execlog.strategy_execution_log"
    " attach partition execlog.strategy_execution_log_default default"
)
_END = (
    "VACUUM waits for it: find it in pg_stat_activity by its xact_start,"
    " end it by pg_terminate_backend"
)
_REBUILD = "run `execlog rollup rebuild`"
_HOUR, _LAST = timedelta(hours=1), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; where it is not well, what to do."""

    about: str
    said: str
    remedy: str | None = None


def examined(
    health: Health,
    rollups: RollupState | None,
    *,
    ahead: timedelta = timedelta(days=7),
    skew: timedelta = timedelta(seconds=2),
    utc: bool = True,
    schema: str = SCHEMA,
) -> Iterator[Finding]:
    """Each fact, from the server inwards. Never raises.

    Args:
        health: What was found.
        rollups: What was found of them; None where that is not known.
        ahead: For how long partitions must be there already.
        skew: By how much the clocks may differ.
        utc: Show times in UTC, not in the local zone.
        schema: Where the log is.
    """
    rights = "" if health.writable else "; here we may only read"
    yield Finding("server", f"Postgres {health.server_version}{rights}")

    behind = health.missing_migrations
    yield Finding(
        "migrations",
        f"missing: {', '.join(behind)}" if behind else "all are applied",
        "run `execlog migrate`" if behind else None,
    )

    rows = health.estimated_rows
    about = "an unknown number of rows" if rows is None else f"about {number(rows)} rows"
    sizes = f"{size(health.table_bytes)} and {size(health.index_bytes)} of indexes"
    yield Finding("size", f"{about}, {sizes}")
    yield Finding("oldest run", local(health.oldest, utc))
    yield Finding("newest run", local(health.newest, utc))
    yield Finding("last stored", local(health.last_stored, utc))

    days = f"{number(health.partitions)}, for the next {health.days_ahead:,.1f} days"
    short = timedelta(days=min(health.days_ahead, 1e6)) < ahead
    yield Finding("partitions", days, _MAINTAIN if short else None)

    if health.has_default:
        stray = f"rows that no partition covers: {_at_most(health.stray_rows)}"
        stray += f"; without a time: {_at_most(health.undated_rows)}"
        yield Finding("DEFAULT", stray, _MAINTAIN if health.stray_rows else None)
    else:
        missing = "is not there: what no partition covers is refused"
        yield Finding("DEFAULT", missing, filled(_ATTACH, schema))

    if rollups is not None:
        yield _of_rollups(rollups, utc)

    seconds = health.clock_skew_seconds
    which = "ahead of" if seconds > 0 else "behind"
    apart = abs(seconds) > skew.total_seconds()
    yield Finding(
        "clock",
        f"the server's is {abs(seconds):.3f} s {which} this machine's" if seconds else "as here",
        "keep both by NTP (chrony, systemd-timesyncd)" if apart else None,
    )

    if health.oldest_write is not None:
        begun = health.oldest_write
        old_write = health.server_time - begun > timedelta(hours=1)
        yield Finding("oldest write", f"began {local(begun, utc)}", _END if old_write else None)


def _of_rollups(rollups: RollupState, utc: bool) -> Finding:
    """Where they lack runs, answers are right all the same, and slower."""
    if not rollups.enabled:
        return Finding("rollups", "are switched off: all is read from rows")
    if rollups.complete_from - rollups.rows_from < _HOUR:
        # They hold whole hours: one whose rows are gone in part can't be had any more.
        return Finding("rollups", "hold every run")
    if rollups.complete_from == _LAST:
        return Finding("rollups", "are not built yet: all is read from rows", _REBUILD)
    since = local(rollups.complete_from, utc)
    return Finding("rollups", f"hold the runs since {since}: others are read from rows", _REBUILD)


def _at_most(rows: int) -> str:
    """The statement stops counting at a million."""
    return f"{number(rows)} or more" if rows >= 1_000_000 else number(rows)
