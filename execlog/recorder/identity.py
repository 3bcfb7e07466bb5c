"""Who a recorder is to the store, and which batch it claims: what makes a commit exactly-once.

A recorder numbers its batches. Beside the number of the last one that it stored, the store keeps
that batch's token, and lets only the holder of this token store the next one. All of it is random
and comes from the system at the moment that it is first needed: a process that was copied with its
memory (a snapshot that is resumed twice, a fork that Python does not hear of) finds that another
one has moved on, and goes on as somebody else.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID, uuid4

__all__ = ["Claim", "Identity"]


class Claim(NamedTuple):
    """What a transaction says of the batch that it stores.

    Attributes:
        recorder_id: Who claims.
        number: Of the batch.
        token: Of this batch; no other has it.
        last_token: Of the batch before, as proof; None for the first one.
    """

    recorder_id: UUID
    number: int
    token: UUID
    last_token: UUID | None


class Identity:
    """A recorder's identity, and the claim that it stands at."""

    def __init__(self) -> None:
        """Knows nothing yet: see `claim`. Never raises."""
        self._claim: Claim | None = None
        self._last: Claim | None = None

    def claim(self, *, again: bool) -> Claim:
        """The claim of the next transaction.

        Args:
            again: Whether the last one may be stored already, so that it must be the same again.

        Never raises.
        """
        if again and self._claim is not None:
            return self._claim
        # A token for each other set of rows: "stored" must never be said of rows that are not.
        last = self._last
        if last is not None:
            self._claim = Claim(last.recorder_id, last.number + 1, uuid4(), last.token)
        else:
            own = uuid4() if self._claim is None else self._claim.recorder_id
            self._claim = Claim(own, 1, uuid4(), None)
        return self._claim

    def advance(self) -> None:
        """What was claimed is stored. Never raises."""
        self._last = self._claim

    def forget(self) -> None:
        """The next claim is that of somebody new. Never raises."""
        self._claim = self._last = None
