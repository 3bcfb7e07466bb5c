"""The users whose points change most, in bounded memory."""

from __future__ import annotations

import heapq
from typing import Any

from execlog.replaying.result import Mover

__all__ = ["Movers"]

_MOST_USERS = 50_000
_SHOWN = 10


class Movers:
    """The change of points by user, of users with any change.

    Beyond 50,000 users the half with the smallest changes is forgotten.

    Attributes:
        forgot: Whether users were forgotten: a total may then lack earlier runs of a user.
    """

    def __init__(self) -> None:
        """Knows of none. Never raises."""
        self._users: dict[str, list[float]] = {}
        self.forgot = False

    def add(self, user: str, before: float, after: float) -> None:
        """Counts a run with other points. Never raises."""
        found = self._users.get(user)
        if found is None:
            if len(self._users) >= _MOST_USERS:
                self._forget()
            found = self._users[user] = [0, 0.0, 0.0]
        found[0] += 1
        found[1] += before
        found[2] += after

    def losing(self) -> list[Mover]:
        """Those who lose most, the greatest loss first. Never raises."""
        return [one for one in self._most(1) if one.delta < 0]

    def gaining(self) -> list[Mover]:
        """Those who gain most, the greatest gain first. Never raises."""
        return [one for one in self._most(-1) if one.delta > 0]

    def dump(self) -> dict[str, Any]:
        """The state as JSON. Never raises."""
        return {"users": self._users, "forgot": self.forgot}

    def load(self, state: dict[str, Any]) -> None:
        """Takes a dumped state. Raises KeyError: it is none."""
        self._users, self.forgot = state["users"], state["forgot"]

    def _most(self, sign: int) -> list[Mover]:
        order = heapq.nsmallest(
            _SHOWN,
            self._users.items(),
            key=lambda one: (sign * (one[1][2] - one[1][1]), one[0]),
        )
        return [
            Mover(
                external_user_id=user,
                runs=int(runs),
                points_before=before,
                points_after=after,
                delta=after - before,
            )
            for user, (runs, before, after) in order
        ]

    def _forget(self) -> None:
        kept = heapq.nlargest(
            _MOST_USERS // 2,
            self._users.items(),
            key=lambda one: (abs(one[1][2] - one[1][1]), one[0]),
        )
        self._users, self.forgot = dict(kept), True
