"""Numbers of windows that reach into files: of the rows of the log and of files, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg

from execlog.archive.asking import TRIES, Moved, TooMuch
from execlog.archive.files import durations, earlier, runs
from execlog.archive.joined import MOST_OF_LOG, card, groups, points, sampled
from execlog.archive.measuring import percentiles
from execlog.archive.reading import Reach
from execlog.archive.summing import MOST_GROUPS_OF_EITHER, sums
from execlog.archive.traced import traced
from execlog.db.rows import Row
from execlog.db.statements import Query
from execlog.errors import StoreUnavailable
from execlog.models import DurationPercentiles
from execlog.repository.percentiles import percentile_cont
from execlog.repository.questions import LARGEST_SAMPLE, Questions

__all__ = ["Both"]

_MOST_DURATIONS = 300_000  # of the log; more would not fit into the memory of a read
_HINTS = {"breakdown": ", or without details"}
_OF_TRACES = frozenset({"newest", "most_bytes", "trace_bytes"})

Answer = TypeVar("Answer")


class Both(Questions):
    """Reads the runs of the log that go with those of files."""

    async def _settled(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What is answered; it is asked again if rows were moved to files or back meanwhile."""
        for _ in range(TRIES - 1):
            try:
                return await ask()
            except Moved:
                continue
        return await ask()

    async def _of_log(self, name: str, *switches: str, **values: Any) -> list[asyncpg.Record]:
        """The rows of the log, of a window that reached into no file a moment before.

        Raises:
            Moved: It does now.
        """
        found, reach = await self._fetch_both(name, *switches, **values)
        if reach.listed:
            raise Moved(name)
        return found

    async def _with_files(
        self, query: Query, values: Mapping[str, Any], deadline: float
    ) -> tuple[Reach, list[asyncpg.Record]]:
        """The files of a window and the rows of a statement, of one snapshot."""
        listed, log = await self._together(values, query, None, deadline)
        return self._reach_of(listed, deadline, values), log

    async def _both(
        self,
        name: str,
        *switches: str,
        attribute: str | None = None,
        deadline: float,
        **values: Any,
    ) -> tuple[Reach, list[asyncpg.Record]]:
        """The files of a window and the runs of the log, in pieces, of one snapshot.

        Raises:
            TooMuch: The log has too many.
        """
        query = runs(self._schema).query(*switches, **values, attribute=attribute, most=MOST_OF_LOG)
        reach, log = await self._with_files(query, values, deadline)
        reach.allow(name)
        if reach.listed and log and log[0]["runs"] > MOST_OF_LOG:
            raise TooMuch(
                f"{name}: beside those in files, the log holds more than {MOST_OF_LOG:,} runs of"
                f" these times: ask about fewer{_HINTS.get(name, '')}"
            )
        return reach, log

    async def _begins_before_files(self, values: Mapping[str, Any]) -> bool:
        """Whether rollups alone hold runs of a window: those that went before all files began."""
        if self._archive is None:
            return False
        names = ("strategy_id", "strategy_ids", "since", "until")
        query = earlier(self._schema).query(**{name: values.get(name) for name in names})
        return bool((await self._store.fetch(query))[0]["earlier"])

    async def _card_of_both(
        self, record: asyncpg.Record, scope: Mapping[str, Any], seconds: float, deadline: float
    ) -> Row:
        """The row of a card, of all rows; as it is if rollups hold them and more, or too many."""
        if record["durations"] is not None and await self._begins_before_files(scope):
            return record
        end = asyncio.get_running_loop().time() + seconds
        asked = {**scope, "strategy_versions": _texts(scope["strategy_versions"])}
        try:
            reach, log = await self._both("metrics", **asked, deadline=min(end, deadline))
            if not reach.listed:  # what the log has now, the row that was read before has not
                raise Moved("metrics")
            found = await card(reach, log, **asked)
        except (TooMuch, StoreUnavailable):
            if record["durations"] is None:
                raise
            return record
        # Blocks of time are of rollups; without them, of the log's rows only.
        known = {} if record["durations"] is not None else {"blocks": None}
        return {**dict(record), **found, **known}

    async def _groups_of_both(
        self,
        switches: Sequence[str],
        more: Sequence[str],
        values: Mapping[str, Any],
        by: str,
        wanted: Mapping[str, Any],
    ) -> list[dict[str, Any]] | None:
        """The rows of a breakdown, of all rows; None: files hold none of them."""
        if not await self._is_in_files("breakdown", values):
            return None
        if "details" not in more:
            return await self._sums_of_both(switches, more, values, wanted)
        reach, log = await self._both(
            "breakdown",
            *switches,
            by,
            **values,
            attribute=wanted["attribute"],
            deadline=self._store.deadline(),
        )
        if not reach.listed:
            return None
        return await groups(reach, log, *switches, *more, by, **values, **wanted)

    async def _sums_of_both(
        self,
        switches: Sequence[str],
        more: Sequence[str],
        values: Mapping[str, Any],
        wanted: Mapping[str, Any],
    ) -> list[dict[str, Any]] | None:
        """The same of numbers that add up, of however many runs."""
        asked = {**values, "attribute": wanted["attribute"], "order": "runs"}
        query = self._statements["breakdown"].query(
            *switches, *more, **asked, limit=MOST_GROUPS_OF_EITHER + 1
        )
        reach, log = await self._with_files(query, values, self._store.deadline())
        if not reach.listed:
            return None
        return await sums(reach, log, *switches, *more, **values, **wanted)

    async def _exact_percentiles(
        self, fractions: tuple[float, ...], deadline: float, *switches: str, **values: Any
    ) -> DurationPercentiles:
        """The percentiles of the durations of all rows.

        Raises:
            TooMuch: The log has too many of them.
            Moved: Files hold none of them any more.
        """
        query = durations(self._schema).query(*switches, **values, limit=_MOST_DURATIONS + 1)
        reach, log = await self._with_files(query, values, deadline)
        if not reach.listed:
            raise Moved("percentiles")
        if sum(row["durations"] for row in log) > _MOST_DURATIONS:
            raise TooMuch(f"percentiles: the log holds more than {_MOST_DURATIONS:,} durations")
        found, size = await percentiles(reach, log, fractions, *switches, **values)
        return DurationPercentiles(
            fractions=fractions,
            values_ms=tuple(found) if size else (0.0,) * len(fractions),
            method="exact",
            sample_size=size,
        )

    async def _traces_of_both(
        self, switches: Sequence[str], values: Mapping[str, Any]
    ) -> list[dict[str, Any]] | None:
        """The runs that `node_times` reads, of all rows; None: files hold none of them."""
        if not await self._is_in_files("node_times", values):
            return None
        deadline = self._store.deadline()
        scope = {name: value for name, value in values.items() if name not in _OF_TRACES}
        found = await self._exact_percentiles((0.95,), deadline, *switches, **scope)
        slow = found.values_ms[0] if found.sample_size else None
        # What is stored meanwhile may be slow too, by what was slow before.
        asked = {**values, "slower_than_ms": slow}
        query = self._statements["node_times"].query(*switches, **asked)
        log, reach = await self._asked(query, values, deadline=deadline)
        return await traced(reach, log, *switches, **asked)

    async def _points_of_both(self, **scope: Any) -> list[dict[str, Any]] | None:
        """The bars of points, of all rows; None: files hold none of them."""
        if not await self._is_in_files("count_by_points", scope):
            return None
        asked = {**scope, "strategy_versions": _texts(scope["strategy_versions"])}
        reach, log = await self._both("count_by_points", **asked, deadline=self._store.deadline())
        return await points(reach, log, **asked) if reach.listed else None

    async def _sampled(
        self, name: str, *switches: str, deadline: float | None = None, **values: Any
    ) -> Sequence[Row]:
        """The newest rows of a sample, of the log and of files."""
        query = self._statements[name].query(**values)
        found, reach = await self._asked(query, values, deadline=deadline)
        asked = {**values, "strategy_versions": _texts(values.get("strategy_versions"))}
        return await sampled(reach, found, *switches, **asked)

    async def _sample_percentiles(
        self, fractions: tuple[float, ...], deadline: float, **scope: Any
    ) -> DurationPercentiles:
        found = await self._sampled(
            "sample_durations", **scope, limit=LARGEST_SAMPLE, deadline=deadline
        )
        sample = [record["duration_ms"] for record in found]
        weights = [record["weight"] for record in found]
        return DurationPercentiles(
            fractions=fractions,
            values_ms=percentile_cont(sample, fractions, weights),
            method="sample",
            sample_size=len(sample),
        )


def _texts(versions: Sequence[int] | None) -> list[str] | None:
    """Versions as the shared filters have them."""
    return None if versions is None else [*map(str, versions)]
