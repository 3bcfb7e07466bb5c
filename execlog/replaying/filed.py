"""The runs of files that are replayed: in the order of those of the log, and drawn as they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from execlog.archive.asking import Held, asked_of, batches, newer_first, switches_of
from execlog.archive.reading import Reach
from execlog.db.rows import Row

__all__ = ["Filed", "drawn_of", "execution_text", "stratum_of"]

_TICK = timedelta(microseconds=1)
_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=1000)
_NEVER = datetime.min.replace(tzinfo=UTC)
_LOWEST = 2**63  # is taken from a hash by the log, whose numbers have a sign
_PAGES_AHEAD = 8  # a read of files takes as long for one page
_SPLICED = ("input", "attributes")  # are JSON already
_HANDED = """
id created_at strategy_id strategy_version strategy_type realm_id external_game_id external_task_id
external_user_id status error_code points case_name duration_ms nodes_executed sampled sample_rate
parent_strategy_id notes trace_id error_message
""".split()


class Filed:
    """Reads pages of runs from files: a span of time at once that holds about as many as a page.

    Args:
        deadline: When a read that begins now must be done.
        switches: The switches of the log's statement.
        values: Its values.
    """

    def __init__(
        self, deadline: Callable[[], float], switches: Sequence[str], values: Mapping[str, Any]
    ) -> None:
        """Takes the parts. Never raises."""
        self._deadline = deadline
        self._switches, self._values = switches_of(switches), values
        self._span: timedelta | None = None
        self._ahead: list[dict[str, Any]] = []
        self._files: Sequence[Held] = ()

    async def page(
        self, reach: Reach, most: int, after: datetime | None, *switches: str, **place: Any
    ) -> list[dict[str, Any]]:
        """The newest runs, at most so many.

        Args:
            reach: The files.
            most: How many.
            after: Only those that are not before this time, if one is given.
            switches: The page's own switches.
            place: The page's own values: the cursor, which are drawn.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: A read takes too long.
        """
        kept = self._kept(reach, most, **place)
        if kept is None:
            kept = await self._newest(reach, _PAGES_AHEAD * most, after, *switches, **place)
            self._files = reach.listed
        self._ahead = kept
        return kept[:most]

    def _kept(
        self,
        reach: Reach,
        most: int,
        before_created_at: datetime | None = None,
        before_id: UUID | None = None,
        **others: Any,
    ) -> list[dict[str, Any]] | None:
        """What was read ahead, after a place, if it is a page, and files hold the same still."""
        if before_created_at is None or before_id is None or not self._ahead:
            return None
        lowest, place = self._ahead[-1]["created_at"], (before_created_at, before_id.int)

        def between(files: Sequence[Held]) -> list[Held]:
            return [
                one for one in files if one.first_at <= before_created_at and one.last_at >= lowest
            ]

        rest = [row for row in self._ahead if (row["created_at"], row["id"].int) < place]
        is_same = between(reach.listed) == between(self._files)
        return rest if len(rest) >= most and is_same else None

    async def _newest(
        self, reach: Reach, most: int, after: datetime | None, *switches: str, **place: Any
    ) -> list[dict[str, Any]]:
        asked = {**asked_of(self._values), **place}
        given = [self._values["until"], place.get("before_created_at")]
        ends = min([reach.listed[0].last_at, *(one for one in given if one is not None)])
        lowest = min(one.first_at for one in reach.listed)
        begins = max([lowest, *(one for one in (self._values["since"], after) if one is not None)])
        rows: list[dict[str, Any]] = []
        while ends >= begins and len(rows) < most:
            span = self._span or _span_of(reach.listed, most)
            since = max(begins, ends - min(span, ends - begins))
            some = [one for one in reach.listed if one.first_at <= ends and one.last_at >= since]
            window = {"since": since, "until": ends, "limit": most - len(rows)}
            new = await self._read(reach, some, *switches, **{**asked, **window})
            rows += new[: most - len(rows)]
            self._span = _next_span(span, len(new), most)
            ends = since - _TICK
            if not any(one.first_at <= ends <= one.last_at for one in reach.listed):
                ends = max(
                    [one.last_at for one in reach.listed if one.last_at < ends], default=_NEVER
                )
        return rows

    async def _read(
        self, reach: Reach, some: Sequence[Held], *switches: str, **asked: Any
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for few in batches(some):
            now = dataclasses.replace(reach, deadline=self._deadline())
            found += await now.read("next_runs", few, *self._switches, *switches, **asked)
        return sorted(found, key=newer_first, reverse=True)

    async def strata(self, reach: Reach) -> list[dict[str, Any]]:
        """The groups of runs; some are listed several times, once for some of the files.

        Args:
            reach: The files.

        Raises:
            ArchiveError: As `page`.
            QueryRejected: As `page`.
            StoreUnavailable: As `page`.
        """
        found: list[dict[str, Any]] = []
        for few in batches(reach.listed):
            now = dataclasses.replace(reach, deadline=self._deadline())
            found += await now.read("strata", few, *self._switches, **asked_of(self._values))
        return found


def stratum_of(status: str, case_name: str | None) -> str:
    """What a run is drawn by, as `replay_stratum.sql` of the log has it. Never raises."""
    return json.dumps([status, case_name], ensure_ascii=False)


def drawn_of(bounds: str) -> dict[str, Any]:
    """Which runs are drawn, as the statement of files takes them. Never raises for such a text.

    Args:
        bounds: As the log's statement takes them.
    """
    hashes = {stratum: str(hashed + _LOWEST) for stratum, hashed in json.loads(bounds).items()}
    others = hashes.pop("")
    kinds = [_kind_of(*json.loads(stratum)) for stratum in hashes]
    return {
        "drawn_kinds": kinds,
        "drawn_hashes": [*hashes.values()],
        "drawn_others": others,
    }


def execution_text(row: Row) -> str | None:
    """The JSON that a candidate is given; None if the run can't be replayed. Never raises."""
    if row["reason"] is not None:
        return None
    handed = {name: row[name] for name in _HANDED}
    handed["id"], handed["created_at"] = str(row["id"]), row["created_at"].isoformat()
    handed["trace_id"] = None if row["trace_id"] is None else str(row["trace_id"])
    parts = [f'"{name}":{row[name] or "null"}' for name in _SPLICED]
    return f"{json.dumps(handed, ensure_ascii=False)[:-1]}, {', '.join(parts)}}}"


def _kind_of(status: str, case_name: str | None) -> str:
    """As `archive/reading/part/replay_kind.sql`."""
    case = "" if case_name is None else f"/{case_name}"
    return f"{len(status.encode())}:{status}{case}"


def _span_of(files: Sequence[Held], most: int) -> timedelta:
    """The time that holds about as many rows, as far as the table tells."""
    length = files[0].last_at - min(one.first_at for one in files)
    return max(length * most / max(sum(one.rows for one in files), 1), _SHORTEST)


def _next_span(span: timedelta, found: int, most: int) -> timedelta:
    """It grows while few runs pass the filters."""
    if found < most // 4:
        return min(span * 4, _LONGEST)
    return max(span / 2, _SHORTEST) if found >= most else span
