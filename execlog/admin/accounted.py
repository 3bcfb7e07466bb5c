"""What the accounts of all recorders say together: a sentence, and what somebody must act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from execlog.display.format import local, number, shown
from execlog.repository.accounts import RecorderAccount, total_of

__all__ = ["by_weight", "open_ones", "reservation", "sentence", "shortfall"]

_HOUR, _FIRST = timedelta(hours=1), datetime.min.replace(tzinfo=UTC)
_SHOWN = 3  # recorders that are named; the others are counted


def by_weight(accounts: Iterable[RecorderAccount]) -> list[RecorderAccount]:
    """Those to look at first: open ones, then those that dropped, each seen last first.

    Never raises.
    """
    newest_first = sorted(accounts, key=lambda one: one.last_seen, reverse=True)
    return sorted(newest_first, key=lambda one: (one.state != "open", not one.dropped))


def sentence(accounts: Sequence[RecorderAccount], *, utc: bool = True) -> str:
    """What was offered and how it ended, by its terms that are not 0. Never raises.

    Args:
        accounts: The accounts of all recorders.
        utc: Show times in UTC, not in the local zone.
    """
    total = total_of(accounts)
    recovered = f" + {number(total.recovered)} recovered" if total.recovered else ""
    terms = [f"{number(total.written)} written"]
    for count, what in ((total.sampled_out, "sampled out"), (total.pending, "pending")):
        if count:
            terms.append(f"{number(count)} {what}")
    for why, count in _largest_first(total.rejected):
        terms.append(f"{number(count)} rejected ({shown(why)})")
    for why, count in _largest_first(total.dropped):
        losers = [one for one in accounts if one.dropped.get(why)]
        terms.append(f"{number(count)} dropped ({shown(why)}, {_when_and_where(losers, utc)})")
    return f"{number(total.offered)} offered{recovered} = {' + '.join(terms)}"


def shortfall(accounts: Iterable[RecorderAccount], held: int | None) -> str | None:
    """What the log lacks of what was written; None: nothing, or it is not known. Never raises.

    Args:
        accounts: The accounts of all recorders.
        held: How many rows the log holds of that time; None: not known.
    """
    written = total_of(accounts).written
    if held is None or held >= written:
        return None
    missing = number(written - held)
    return f"written {number(written)}, the log holds {number(held)}: {missing} are missing"


def reservation(
    rows_from: datetime, since: datetime, is_short: bool, *, utc: bool = True
) -> str | None:
    """How far off the number of rows that the log holds may be; None: it is right.

    Of rows that were removed it is known when they ran, and not when they were stored.
    Never raises.

    Args:
        rows_from: Rows of runs before this were removed, all or some.
        since: The begin of the window.
        is_short: Whether the log holds less than was written.
        utc: Show times in UTC, not in the local zone.
    """
    if rows_from == _FIRST:
        return None
    removed = f"rows of runs before {local(rows_from, utc)} were removed"
    if rows_from + _HOUR > since:
        counted = "counted are those that ran in these hours or in the one before"
        return f"{removed}: {counted}, whenever they were stored"
    return (
        f"{removed}: those that were stored in these hours count as missing" if is_short else None
    )


def open_ones(accounts: Iterable[RecorderAccount]) -> str | None:
    """The recorders that are neither closed nor alive, and what is missing at most.

    None: there are none. Never raises.
    """
    found = [one for one in accounts if one.state == "open"]
    if not found:
        return None
    named = [f"{shown(one.host)} process {one.pid}" for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        named.append(f"{number(len(found) - _SHOWN)} more")
    most = number(sum(one.most_missing for one in found))
    said = f"not closed, and silent: {', '.join(named)}; at most {most} executions are missing"
    if spooled := sum(one.spooled for one in found):
        said += f", and {number(spooled)} were left in files, which the next recorder there stores"
    return said


def _largest_first(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    yield from sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _when_and_where(losers: Sequence[RecorderAccount], utc: bool) -> str:
    """The time of the last loss, and the host, or how many there are."""
    times = [one.last_dropped_at for one in losers if one.last_dropped_at is not None]
    hosts = {one.host for one in losers}
    where = f"host {shown(hosts.pop())}" if len(hosts) == 1 else f"{number(len(hosts))} hosts"
    return f"{_clock(max(times), utc)}, {where}" if times else where


def _clock(time: datetime, utc: bool) -> str:
    zone = UTC if utc else None
    is_today = time.astimezone(zone).date() == datetime.now(UTC).astimezone(zone).date()
    return time.astimezone(zone).strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")
