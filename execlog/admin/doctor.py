"""What is wrong with a log, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from execlog.admin.accounted import open_ones, sentence
from execlog.db.sqltext import SCHEMA, filled
from execlog.display.format import local, number, shown, size
from execlog.repository.accounts import RecorderAccount
from execlog.repository.health import ArchiveState, Health, MaintenanceState, RollupState

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
_ROLL_UP = (
    "have a recorder maintain, or cron run `execlog maintain`;"
    " a transaction that has written and stays open holds them up"
)
_ENDED = (
    "their processes were killed or can't reach the log: `execlog account` lists all;"
    " a process that ends by itself closes its recorder"
)
_VERIFY = "bring them back from a backup; `execlog archive verify` reads and names all"
_IDENTIFY = "alter table {} replica identity full"
_SHOWN = 3  # tables that are named; the others are counted
_HOUR, _FIRST = timedelta(hours=1), datetime.min.replace(tzinfo=UTC)
_DAY = timedelta(days=1)
_FEWEST_READS = 4


@dataclass(frozen=True)
class Finding:
    """One fact that was examined; if it is bad, with the remedy."""

    about: str
    said: str
    remedy: str | None = None


def examined(
    health: Health,
    rollups: RollupState | None,
    maintenance: MaintenanceState | None,
    accounts: Sequence[RecorderAccount] | None = None,
    archive: ArchiveState | None = None,
    *,
    amiss: Sequence[str] | None = None,
    ahead: timedelta = timedelta(days=7),
    skew: timedelta = timedelta(seconds=2),
    utc: bool = True,
    schema: str = SCHEMA,
) -> Iterator[Finding]:
    """The findings, from the server inwards. Never raises.

    Args:
        health: The health of the log.
        rollups: The state of its rollups; None: not known.
        maintenance: The state of its maintenance; None: not known.
        accounts: What recorders were offered in the last day; None: not known.
        archive: The state of its archive; None: not known.
        amiss: What the folder of the archive has or lacks; None: not looked at.
        ahead: For how long partitions must exist already.
        skew: By how much the clocks may differ.
        utc: Show times in UTC, not in the local zone.
        schema: The schema of the log.
    """
    rights = "" if health.writable else "; this role may only read"
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
    if accounts is not None:
        yield _of_recorders(accounts, utc)

    days = f"{number(health.partitions)}, for the next {health.days_ahead:,.1f} days"
    short = timedelta(days=min(health.days_ahead, 1e6)) < ahead
    yield Finding("partitions", days, _MAINTAIN if short else None)

    if maintenance is not None:
        yield _of_maintenance(maintenance, health.server_time, utc)
    yield _of_locks(health)
    if health.has_default:
        yield _of_default(health, 0 if maintenance is None else maintenance.left_in_default)
    else:
        missing = "is missing: rows that no partition covers are refused"
        yield Finding("DEFAULT", missing, filled(_ATTACH, schema))

    if unknown := health.without_replica_identity:
        effect = "a publication for all tables would stop writes to them"
        said = f"{number(len(unknown))} lack one ({_named(unknown)}): {effect}"
        remedy = "; ".join(_IDENTIFY.format(name) for name in unknown[:_SHOWN])
        yield Finding("identity", said, remedy)

    if rollups is not None:
        yield _of_rollups(rollups, health.server_time, utc)

    if archive is not None and archive.folder is not None:
        yield _of_archive(archive, amiss, utc)

    seconds = health.clock_skew_seconds
    which = "ahead of" if seconds > 0 else "behind"
    apart = abs(seconds) > skew.total_seconds()
    yield Finding(
        "clock",
        f"the server's is {abs(seconds):.3f} s {which} this machine's"
        if seconds
        else "the server's and this machine's agree",
        "keep both by NTP (chrony, systemd-timesyncd)" if apart else None,
    )

    if health.oldest_write is not None:
        begun = health.oldest_write
        old_write = health.server_time - begun > timedelta(hours=1)
        yield Finding("oldest write", f"began {local(begun, utc)}", _END if old_write else None)


def _of_recorders(accounts: Sequence[RecorderAccount], utc: bool) -> Finding:
    """Of the last day; a process that was killed is a finding until that day is over."""
    if not accounts:
        return Finding("recorders", "none was seen in the last day")
    said = f"{number(len(accounts))} in the last day: {sentence(accounts, utc=utc)}"
    lost = open_ones(accounts)
    return Finding("recorders", f"{said}; {lost}" if lost else said, _ENDED if lost else None)


def _of_maintenance(state: MaintenanceState, now: datetime, utc: bool) -> Finding:
    """If none was completed yet, its age counts from when the log began to keep the time."""
    at_it = f"; {shown(state.maintained_by)} maintains it now" if state.maintained_by else ""
    since = state.maintained_at or state.tracked_since
    remedy = None
    if since is None or now - since > _DAY:
        remedy = f"{_MAINTAIN}: its output names the problem"
    done = local(state.maintained_at, utc) if state.maintained_at else "not yet"
    return Finding("maintained", f"{done}{at_it}", remedy)


def _of_locks(health: Health) -> Finding:
    """The lock table holds 3.4 locks a slot, if readers share them, and fewer if it is small.

    Measured on servers of 15 and 18, which held that or up to a fifth less.
    """
    wanted = max(health.connections, _FEWEST_READS)
    room = health.lock_slots / health.locks_of_a_read
    fit = max(int(min(3.4 * room, 4.5 * room - 2)), 0)
    said = f"a read of all partitions takes {number(health.locks_of_a_read)}"
    said += f", and the server has room for {number(fit)} at once; connections: "
    said += number(health.connections)
    if fit >= wanted:
        return Finding("locks", said)
    needed = health.max_locks_per_transaction * max(wanted / 3.4, (wanted + 2) / 4.5) / room
    setting = f"max_locks_per_transaction = {math.ceil(needed / 64) * 64}"
    return Finding(
        "locks", said, f"set {setting} and restart, or have fewer partitions (--interval, --retain)"
    )


def _of_default(health: Health, left: int) -> Finding:
    """Only rows that a run of `maintain` would move are a reason to run it."""
    undated = f"without a time: {_at_most(health.undated_rows)}"
    new = health.stray_rows - left
    # Fewer new rows get no partition, unless they and those that were left are enough together.
    if new >= 1000 or (new > 0 and new * 100 >= health.stray_rows) or not health.stray_rows:
        said = f"rows that no partition covers: {_at_most(health.stray_rows)}; {undated}"
        return Finding("DEFAULT", said, _MAINTAIN if health.stray_rows else None)
    stay = f"{_at_most(health.stray_rows)} rows stay in DEFAULT"
    why = "too few of one time for a partition, or too far ahead"
    return Finding("DEFAULT", f"{stay}: {why}; {undated}")


def _of_rollups(rollups: RollupState, now: datetime, utc: bool) -> Finding:
    """If rollups lack runs, answers are right all the same, and slower."""
    if rollups.missing:
        said = "the row of rollup_state is missing: all is read from rows"
        return Finding("rollups", said, "run `execlog migrate --rollups`")
    if not rollups.enabled:
        return Finding("rollups", "are switched off: all is read from rows")
    marked = f"; {number(rollups.marks)} times are to be summed up again" if rollups.marks else ""
    if rollups.complete_until == _FIRST:
        said = "are not made yet: all is read from rows"
    else:
        said = f"hold the runs before {local(rollups.complete_until, utc)}{marked}"
    if rollups.changed:
        said += f"; {_named(rollups.changed)} changed by hand, read from rows until summed up again"
    if rollups.bytes:
        said += f"; {size(rollups.bytes)}"
    late = now - max(rollups.complete_until, rollups.begun_at) > _HOUR
    return Finding("rollups", said, _ROLL_UP if late else None)


def _of_archive(archive: ArchiveState, amiss: Sequence[str] | None, utc: bool) -> Finding:
    """Sizes of files are compared; `execlog archive verify` reads them."""
    said = f"{number(archive.files)} files in {shown(archive.folder)} on {shown(archive.host)}"
    if archive.files:
        held = f"{number(archive.rows)} rows until {local(archive.last_at, utc)}"
        said += f": {held}, {size(archive.bytes)}"
    if amiss is None:
        return Finding("archive", f"{said}; not looked at without --archive")
    if not amiss:
        return Finding("archive", f"{said}; all are there")
    more = f" and {number(len(amiss) - 1)} more" if len(amiss) > 1 else ""
    return Finding("archive", f"{said}; {shown(amiss[0])}{more}", _VERIFY)


def _named(tables: Sequence[str]) -> str:
    """The first few of their names."""
    return ", ".join([*tables[:_SHOWN], *(["..."] if len(tables) > _SHOWN else [])])


def _at_most(rows: int) -> str:
    """The number of rows; the statement stops counting at a million."""
    return f"{number(rows)} or more" if rows >= 1_000_000 else number(rows)
