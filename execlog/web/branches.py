"""A trace's nodes as they are read, and what stands out among them: faults, and where time went."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DRAWN", "Branch", "Branches", "Fault", "Notable", "Visits"]

DRAWN = 1000
"""The most nodes that are kept, from the first one on; of others only what stands out is."""

_FAULTS = 5  # failed nodes that are told
_NAMES = 1000  # names of nodes whose times are added up


@dataclass(slots=True, eq=False)
class Branch:
    """A node.

    Attributes:
        name: Its own name; None if it has none.
        took_ms: How long it took; None if it does not say.
        span_ms: The same; without it, the sum of its child nodes.
        facts: What else it holds, as names and positions in the text; the first ones only.
        members: The number of its facts.
        below: Its child nodes; None if there are none.
        has_failed: Whether it says that it failed.
    """

    name: str | None = None
    took_ms: float | None = None
    span_ms: float = 0.0
    facts: list[tuple[str, int, int]] = field(default_factory=list)
    members: int = 0
    below: Branches | None = None
    has_failed: bool = False


@dataclass(slots=True)
class Branches:
    """A list of nodes.

    Attributes:
        key: Its key in the entry that holds it.
        begin: Its position in the text.
        nodes: The nodes that may be drawn.
        kept: The number of these, with their descendants.
        total: The number of all, with their descendants.
        span_ms: The duration of all, one after the other.
        is_pure: Whether it holds nothing but objects.
        notable: What stands out among all.
    """

    key: str
    begin: int
    nodes: list[Branch] = field(default_factory=list)
    kept: int = 0
    total: int = 0
    span_ms: float = 0.0
    is_pure: bool = True
    notable: Notable = field(default_factory=lambda: Notable())

    def add(self, one: Branch) -> None:
        """Adds the next node, whose own list is complete. Never raises."""
        below = one.below
        self.span_ms += one.span_ms
        self.total += 1 + (below.total if below else 0)
        self.notable.add(one)
        if self.kept < DRAWN:
            self.nodes.append(one)
            self.kept += 1 + (below.kept if below else 0)


@dataclass(slots=True)
class Fault:
    """A node that failed, while none below it did.

    Attributes:
        node: The node.
        path: The names of the nodes around it, the inner ones first.
    """

    node: Branch
    path: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Visits:
    """All visits of the nodes of one name.

    Attributes:
        longest: The one that took the most time itself.
        longest_ms: That time, without the nodes below it.
        own_ms: The same of all visits together.
        count: How many there are.
    """

    longest: Branch
    longest_ms: float
    own_ms: float
    count: int = 1

    def add(self, other: Visits) -> None:
        """Adds other visits of this name. Never raises."""
        self.own_ms += other.own_ms
        self.count += other.count
        if other.longest_ms > self.longest_ms:
            self.longest, self.longest_ms = other.longest, other.longest_ms


@dataclass(slots=True)
class Notable:
    """What stands out among nodes.

    Attributes:
        faults: The first nodes that failed.
        failures: How many did.
        last: The node that was entered last.
        times: The visits of nodes that tell their times, by name.
        is_whole: Whether all names are among them.
    """

    faults: list[Fault] = field(default_factory=list)
    failures: int = 0
    last: Branch | None = None
    times: dict[str, Visits] = field(default_factory=dict)
    is_whole: bool = True

    @property
    def slowest(self) -> Visits | None:
        """The name that took the most time itself; None if none tells its time. Never raises."""
        return max(self.times.values(), key=lambda one: one.own_ms, default=None)

    def add(self, one: Branch) -> None:
        """Adds a node, whose own list is complete. Never raises."""
        below = one.below.notable if one.below else Notable()
        self.last = below.last or one
        if below.failures:
            for fault in below.faults:
                fault.path.append(one.name or "")
        elif one.has_failed:
            below.faults, below.failures = [Fault(one)], 1
        self.failures += below.failures
        self.faults += below.faults[: _FAULTS - len(self.faults)]
        self._add_times(below)
        if one.took_ms is not None:
            own = max(one.took_ms - (one.below.span_ms if one.below else 0.0), 0.0)
            self._count(one.name or "", Visits(one, own, own))

    def _add_times(self, below: Notable) -> None:
        """Adds the shorter list to the longer one, so that deep traces are as fast as wide ones."""
        self.is_whole = self.is_whole and below.is_whole
        if len(below.times) > len(self.times):
            self.times, below.times = below.times, self.times
        for name, visits in below.times.items():
            self._count(name, visits)

    def _count(self, name: str, visits: Visits) -> None:
        if name in self.times:
            self.times[name].add(visits)
        elif len(self.times) < _NAMES:
            self.times[name] = visits
        else:
            self.is_whole = False
