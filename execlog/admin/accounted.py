"""What the accounts of all recorders say together: a sentence, and what somebody must act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from execlog.display.format import number, shown
from execlog.repository.accounts import RecorderAccount, total_of

__all__ = ["open_ones", "sentence", "shortfall"]

_SHOWN = 3  # recorders that are named; the others are counted


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
