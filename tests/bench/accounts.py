"""What it costs the recorder that each batch keeps the account too.

Rounds with the account and without it alternate, in one recorder, so that both have the same load
of the machine; a pair of neighbours gives a ratio, and the median of these is the figure. Beside it
the claim alone, in transactions that store nothing: the difference is a tenth of a millisecond,
which is small beside a batch of 2,000 rows and less than rounds differ by chance.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field

import asyncpg

from execlog import ExecutionRecorder
from execlog.recorder.flusher import Delivery
from execlog.recorder.ledger import Ledger
from tests.bench import flow
from tests.types import Connection

PAIRS, ROUND_ROWS = 12, 30_000
CLAIMS = 400


@dataclass
class Cost:
    """Executions a second and microseconds a claim: a figure for each round."""

    kept: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)
    kept_claim_us: list[float] = field(default_factory=list)
    claim_us: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        """The median of the neighbours' ratios of throughput."""
        pairs = zip(self.kept, self.without, strict=True)
        return statistics.median(kept / without for kept, without in pairs)

    def share(self, batch_rows: int) -> float:
        """The part of a batch's time that the account takes, by claims alone."""
        more = statistics.median(self.kept_claim_us) - statistics.median(self.claim_us)
        return more / (batch_rows / statistics.median(self.without) * 1e6)


async def cost(dsn: str) -> Cost:
    """Both ways, in turn."""
    made = Cost()
    mixed = flow.runs(1000, failures=True)
    async with ExecutionRecorder(dsn) as recorder:
        delivery: Delivery = recorder._delivery
        ledger: Ledger = delivery._ledger
        await flow.saturate(recorder, mixed, ROUND_ROWS)
        for pair in range(PAIRS):
            for keeps in (True, False) if pair % 2 else (False, True):
                ledger._absent_until = 0.0 if keeps else math.inf
                rate = await flow.saturate(recorder, mixed, ROUND_ROWS)
                (made.kept if keeps else made.without).append(rate)
    # As the recorder's own connection is.
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    for _ in range(CLAIMS):
        for keeps, times in ((True, made.kept_claim_us), (False, made.claim_us)):
            ledger._absent_until = 0.0 if keeps else math.inf
            times.append(await _claimed(connection, delivery))
    await connection.close()
    return made


async def _claimed(connection: Connection, delivery: Delivery) -> float:
    """Microseconds of a claim, begin and commit left out."""
    transaction = connection.transaction()
    await transaction.start()
    begin = time.perf_counter()
    await delivery._claim(connection, 0)
    taken = time.perf_counter() - begin
    await transaction.commit()
    delivery._identity.advance()
    return taken * 1e6
