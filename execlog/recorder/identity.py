"""A recorder's identity, and the batches that it claims: what makes a commit exactly-once.

A recorder numbers its batches. With the number of the last batch stored, the store keeps that
batch's token, and lets only the holder of this token store the next one. Ids and tokens are random
and fetched from the system when they are first needed: a process that was copied with its memory (a
snapshot that is resumed twice, a fork that Python does not notice) finds that another process has
stored since, and takes a new identity.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID, uuid4

__all__ = ["Claim", "Identity"]


class Claim(NamedTuple):
    """What a transaction claims for the batch that it stores.

    Attributes:
        recorder_id: The recorder.
        number: The batch's number.
        token: The batch's token, which no other batch has.
        last_token: The token of the batch before, as proof; None for the first one.
    """

    recorder_id: UUID
    number: int
    token: UUID
    last_token: UUID | None


class Identity:
    """A recorder's identity, and its present claim."""

    def __init__(self) -> None:
        """Fetches nothing yet: see `claim`. Never raises."""
        self._claim: Claim | None = None
        self._last: Claim | None = None

    def claim(self, *, again: bool) -> Claim:
        """The claim of the next transaction.

        Args:
            again: Whether the last one may be stored already: then the same claim is returned.

        Never raises.
        """
        if again and self._claim is not None:
            return self._claim
        # Other rows get another token: "stored" must never be said of rows that are not.
        last = self._last
        if last is not None:
            self._claim = Claim(last.recorder_id, last.number + 1, uuid4(), last.token)
        else:
            own = uuid4() if self._claim is None else self._claim.recorder_id
            self._claim = Claim(own, 1, uuid4(), None)
        return self._claim

    def advance(self) -> None:
        """Records that the claimed batch is stored. Never raises."""
        self._last = self._claim

    def forget(self) -> None:
        """Takes a new identity with the next claim. Never raises."""
        self._claim = self._last = None
