"""What is lost when a process is killed, without a spool and with one.

    python -m tests.bench.kills [--kills 1000] [--rate 5000,20000]

For each rate, in turns: a process records at it and is killed at a random moment; the next one
begins on the same spool. All count that `record` accepted, as an outside counter saw it (see
`tests/kills.py`). `pending` is what was accepted and not stored yet at a kill: median and worst.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
from pathlib import Path

import execlog
from tests.bench.common import DURABLE, alone, load, print_line
from tests.kills import Killing, Outcome, killed
from tests.outage import Outage

_WIDTHS = (22, 7, 7, 10, 8, 8, 14, 12)
_SPOOLS = {"without": None, "with a spool": "process", "with, durable": "disk"}


async def measure(rate: int, durability: str | None, kills: int, dice: random.Random) -> Outcome:
    """One log, and so many kills."""
    with Outage(DURABLE) as server, tempfile.TemporaryDirectory(prefix="execlog-") as folder:
        await execlog.migrate(server.dsn)
        (ids := Path(folder, "ids")).mkdir()
        spool = Path(folder, "spool") if durability else None
        what = Killing(server.dsn, ids, spool, rate, measured=True)
        what.durability = durability or what.durability
        return await killed(what, kills, dice)


async def compare(rates: list[int], kills: int, seed: int) -> None:
    """Prints a line for each rate, without and with a spool."""
    print(f"seed {seed}, {load()}\n")
    head = ("", "rate", "kills", "accepted", "lost", "doubled", "pending median", "worst")
    print_line(_WIDTHS, *head)
    dice = random.Random(seed)
    for rate in rates:
        for name, durability in _SPOOLS.items():
            outcome = await measure(rate, durability, kills, dice)
            middle, worst = statistics.median(outcome.pending), max(outcome.pending)
            counts = (outcome.kills, outcome.accepted, outcome.lost, outcome.doubled)
            numbers = [f"{count:,}" for count in (rate, *counts, int(middle), worst)]
            print_line(_WIDTHS, name, *numbers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--rate", default="5000,20000")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    logging.getLogger("execlog.recorder").setLevel(logging.ERROR)
    rates = [int(rate) for rate in options.rate.split(",")]
    with alone():
        asyncio.run(compare(rates, options.kills, options.seed))


if __name__ == "__main__":
    main()
