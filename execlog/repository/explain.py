"""What changed in a strategy, since when, and which values explain it: few statements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Unpack

from execlog.db import validation
from execlog.db.rows import Row
from execlog.db.slices import finished
from execlog.errors import CANCELLED, InvalidArgument, StoreUnavailable
from execlog.repository.explain_answer import Findings, answer
from execlog.repository.explain_both import OfBoth, explaining
from execlog.repository.explain_reading import Lists, Read, read_cells, read_combinations
from execlog.repository.explain_windows import Windows, windows
from execlog.repository.explanation import CANDIDATES, Explanation
from execlog.repository.filters import Filters, conditions
from execlog.repository.questions import Questions
from execlog.statistics.causes import Screened, named, screened, strata_of, strongest

__all__ = ["FEWER_RUNS", "MEASURES", "MOST_RUNS", "Explanations"]

MOST_RUNS = 250_000
"""Of more runs, blocks are drawn."""

FEWER_RUNS = 50_000
"""The same, if the server was not done in time."""

_DRAWN = 0.6  # of that many; so the answer is there in two seconds

_LEAST_BLOCKS = 12  # of each window, however many runs they have
_MOST_LOOKED_AT = 12  # values whose combinations are read
_MOST_STRATA = 3  # attributes, and so many values of each
MEASURES: dict[str, tuple[str, ...]] = {
    "error_rate": (),
    "duration": ("slower",),
    "points": ("awarded",),
}
"""The switches of each measure; the share of a case is another."""


class Explanations(Questions):
    """Explains a change between two windows."""

    async def explain(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        baseline_since: datetime | None = None,
        baseline_until: datetime | None = None,
        measure: str = "error_rate",
        by: str | Collection[str] | None = None,
        level: float = 0.05,
        **filters: Unpack[Filters],
    ) -> Explanation:
        """What changed since the window before, since when, and which values explain it.

        Each value of each attribute is tested: whether its runs changed beyond all other runs of
        the same blocks of time. Candidates are what is known before a run: version, type, realm,
        game, task, parent and keys of `attributes` with at most 200 values; the case if at least
        90 % of the failed runs have one; and pairs of the strongest. Correlation is all that it
        sees. It is one statement, and a second one if a value stands; if the server is not done in
        time, they are sent once more for fewer blocks, and `method` says so. If files hold runs of
        the windows, sums of the log and of files are added, by two or three statements.

        Args:
            strategy_id: The strategy.
            since: The window's begin; None: a day before its end.
            until: Its end; None: now.
            baseline_since: The begin of the window before; None: so that it is equally long.
            baseline_until: Its end; None: just before the window.
            measure: "error_rate"; "duration", the share of runs that took longer than 95 % of the
                baseline's; "points", their mean; or "case:NAME", the share of that case.
            by: Only these candidates, one or several, by the names of the filters or as
                `attributes.KEY`; None: all but `external_user_id`, which must be asked for.
            level: The share of false causes among those that are named, at most; intervals hold
                with a probability of 1 - level.
            filters: See `Filters`; only runs that pass are read.

        Raises:
            InvalidArgument: As for `list_executions`; or the baseline is not before the window,
                `measure` or `by` is none of these, or `level` is not within (0, 0.5).
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
            ArchiveError: A file that holds runs of the windows is missing or damaged.
        """
        wanted = conditions("explain", filters)
        name = validation.name("strategy_id", strategy_id)
        spans = windows(since, until, baseline_since, baseline_until)
        switches, case = _measured(measure)
        scope = {"strategy_id": name, "measured_case": case, **wanted.values}
        asked = _Asked(
            spans, (*wanted.switches, *switches), scope, _among(by), measure, _level(level)
        )
        deadline = self._store.deadline()
        window = {"since": spans.baseline_since, "until": spans.until}
        if not await self._is_in_files("explain", window, deadline):
            found = await self._of_rows(asked, deadline)
            if self._archive is None or not await self._is_in_files("explain", window, deadline):
                return found
        both = OfBoth(self, spans, asked.switches, asked.scope, deadline)
        return await self._explained(asked, MOST_RUNS, deadline, None, both)

    async def _of_rows(self, asked: _Asked, deadline: float) -> Explanation:
        """Of rows of the log; of fewer blocks, if it takes too long."""
        half = self._store.remaining(deadline) / 2
        try:
            return await self._explained(asked, MOST_RUNS, deadline, half)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, TimeoutError) and error.sqlstate != CANCELLED:
                raise
        return await self._explained(asked, FEWER_RUNS, deadline, None)

    async def _explained(
        self,
        asked: _Asked,
        most_runs: int,
        deadline: float,
        budget: float | None,
        both: OfBoth | None = None,
    ) -> Explanation:
        sizes = {
            "most_runs": most_runs,
            "drawn_runs": int(_DRAWN * most_runs),
            "least_blocks": _LEAST_BLOCKS,
        }
        found: Sequence[Row]
        if both is not None:
            found = await both.cells(of_users=asked.of_users, **sizes)
        else:
            switches = [*asked.switches, *(["of_users"] if asked.of_users else [])]
            query = self._statements["explain"].query(
                *switches, **asked.scope, **asked.spans.arguments(), **sizes
            )
            found = await self._store.fetch(query, budget=budget, deadline=deadline)
        read = await finished(read_cells(found, asked.spans, most_runs, asked.among, asked.measure))
        findings = Findings(is_fewer=most_runs < MOST_RUNS)
        if read.is_enough:
            tried = await finished(
                screened(
                    read.total,
                    read.candidates,
                    read.frame,
                    is_rate=asked.is_rate,
                    level=asked.level,
                )
            )
            findings.tried = tried
            if tried.stands:
                await self._search(asked, read, tried, findings, deadline, both)
        return await finished(answer(asked.measure, read, asked.spans, findings, asked.level))

    async def _search(
        self,
        asked: _Asked,
        read: Read,
        tried: Screened,
        findings: Findings,
        deadline: float,
        both: OfBoth | None,
    ) -> None:
        """The causes, from the combinations of the strongest values."""
        layers = strata_of(read.candidates, read.frame, most=_MOST_STRATA)
        among = [
            *strongest(tried, _MOST_LOOKED_AT),
            *(key for keys in layers.values() for key in keys),
        ]
        lists = Lists(among)
        found: Sequence[Row]
        if both is not None:
            found = await both.combinations(read.places, read.steps, lists)
        else:
            query = explaining(self._schema)["combinations"].query(
                *asked.switches,
                **asked.scope,
                **asked.spans.of_blocks(read.places, read.steps),
                **lists.arguments(),
                slow_ms=read.slow_ms,
            )
            found = await self._store.fetch(query, deadline=deadline)
        masks = await finished(read_combinations(found, lists, read.places))
        findings.causes, findings.pairs = await finished(
            named(
                masks,
                tried,
                read.frame,
                is_rate=asked.is_rate,
                level=asked.level,
                strata=layers,
            )
        )


class _Asked(NamedTuple):
    """What was asked, checked."""

    spans: Windows
    switches: tuple[str, ...]
    scope: dict[str, Any]
    among: frozenset[str] | None
    measure: str
    level: float

    @property
    def is_rate(self) -> bool:
        return self.measure != "points"

    @property
    def of_users(self) -> bool:
        return self.among is not None and "external_user_id" in self.among


def _measured(measure: object) -> tuple[tuple[str, ...], str | None]:
    """The switches for a measure, and the case that it is about."""
    found = validation.text("measure", measure)
    if found.startswith("case:"):
        return ("of_case",), found.removeprefix("case:")
    if found not in MEASURES:
        known = ", ".join([*MEASURES, "case:NAME"])
        raise InvalidArgument("measure", f"must be one of {known}")
    return MEASURES[found], None


def _among(by: object) -> frozenset[str] | None:
    names = validation.texts("by", by)
    if names is None:
        return None
    for name in names:
        if name not in CANDIDATES and not (
            name.startswith("attributes.") and name != "attributes."
        ):
            known = ", ".join([*CANDIDATES, "attributes.KEY"])
            raise InvalidArgument("by", f"must be one of {known}, or several")
    return frozenset(names)


def _level(value: object) -> float:
    found = validation.number("level", value)
    if found is None or not 0 < found < 0.5:
        raise InvalidArgument("level", "must be above 0 and below 0.5")
    return found
