"""Measures the recorder against its targets, beside the peer, COPY and the floor.

    python -m tests.bench.recorder [--outage-seconds 60]

All sides run in this one run, in turn, on the same rows and the same server, which is durable: see
`tests.bench`. Only the outage has a server and a process of its own. What is measured, and why like
that, is said in the modules that do it: `calls`, `flow`, `lag`, `outage`, `spooled`. A target is a
ratio where both sides can be measured here; a time that was stated for one machine is scaled as
well, by the peer's row, which took 72 us there.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Sequence

import asyncpg

import execlog
from tests.bench import accounts, calls, flow, lag, outage, spooled, ways
from tests.bench.common import (
    DURABLE,
    FAILED,
    TRACE,
    Report,
    bench_database,
    load,
    peer_repository,
)
from tests.types import Connection

_PEER_ROW_US = 72.0
_MIB = 1024 * 1024
_BATCH_ROWS = 2000  # of the recorder
_SPOOLED_ROUNDS, _SPOOLED_ROWS = 5, 200_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--outage-seconds", type=float, default=60.0)


def report_calls(report: Report) -> None:
    us = calls.microseconds()
    ours, peer, traced = us["record"], us["peer"], us["record, trace"]
    scaled = 15 / _PEER_ROW_US

    def cell(side: str, of: str = "") -> str:
        return f"{of}{us[side]:.2f} us"

    def row(measure: str, side: str, beside: str, of: str) -> None:
        report.row(measure, cell(side), cell(beside, of), us[side] / us[beside])

    report.row(
        "record(), ok",
        cell("record"),
        cell("peer", "peer's row "),
        ours / peer,
        target="<= 1/15 (0.067)",
        met=ours <= peer / 15,
    )
    row("  the floor of that", "record", "floor", "id, clock, floats ")
    report.row(
        "run(), ok",
        cell("run"),
        cell("record", "record() "),
        us["run"] / ours,
        target="<= 2 us more",
        met=us["run"] <= ours + 2,
    )
    report.row(
        f"record(), trace of {len(TRACE)}",
        cell("record, trace"),
        cell("peer, trace", "peer's row with it "),
        traced / us["peer, trace"],
        target="<= 15 us",
        met=traced <= 15,
    )
    report.row(
        "  scaled by the peer's row",
        cell("record, trace"),
        cell("peer", "peer's row without "),
        traced / peer,
        target=f"<= 15/72 ({scaled:.3f})",
        met=traced <= scaled * peer,
    )
    row("  the floor of that", "record, trace", "floor, trace", "and JSON ")
    row("record(), trace, mask of 2 paths", "record, mask", "record, trace", "without mask ")


async def report_throughput(report: Report, dsn: str, connection: Connection) -> None:
    async with peer_repository(dsn) as peer:
        rates = await flow.throughput(dsn, connection, peer)
    ours, copy, drain = map(statistics.median, (rates.recorder, rates.copy, rates.peer))
    stored = f"{ours:,.0f} /s{_spread(rates.recorder, ',.0f')}"
    report.row(
        "sustained, all stored",
        stored,
        f"COPY of tuples {copy:,.0f} /s",
        ours / copy,
        target=">= 0.4",
        met=ours >= 0.4 * copy,
    )
    peers = f"peer's drain {drain:,.0f} /s"
    report.row("", stored, peers, ours / drain, target=">= 200", met=ours >= 200 * drain)
    report.row("  COPY of tuples", f"{copy:,.0f} /s", peers, copy / drain)


async def report_account(report: Report, dsn: str) -> None:
    made = await accounts.cost(dsn)
    kept, without = map(statistics.median, (made.kept, made.without))
    report.row(
        "COPY with the account",
        f"{kept:,.0f} /s{_spread(made.kept, ',.0f')}",
        f"without {without:,.0f} /s",
        made.ratio(),
    )
    share = made.share(_BATCH_ROWS)
    report.row(
        "  the claim of a batch, with the account",
        f"{statistics.median(made.kept_claim_us):.0f} us",
        f"without {statistics.median(made.claim_us):.0f} us",
        1 + share,
        target=f"<= 1 % of {_BATCH_ROWS:,} rows",
        met=share <= 0.01,
    )


async def report_paced(report: Report, dsn: str) -> None:
    made = await flow.paced_runs(dsn)
    taken = [sorted(each) for each in made.calls]
    floors = [sorted(each) for each in made.floor]
    cpu, own = statistics.median(made.cpu), statistics.median(made.own_cpu)
    call = statistics.median(_microseconds(taken, 0.5))
    report.row(
        f"CPU per execution at {statistics.median(made.rate):,.0f} /s",
        f"{cpu:.2f} us{_spread(made.cpu, '.2f')}",
        f"record() {call:.2f} us, this loop {own:.2f} us",
        cpu / call,
        target="<= 12 us",
        met=cpu <= 12,
    )
    for share in (0.5, 0.99, 0.999):
        each = _microseconds(taken, share)
        ours, beside = statistics.median(each), statistics.median(_microseconds(floors, share))
        measure = f"record() at that rate, p{share * 100:g}"
        cells = f"{ours:.1f} us{_spread(each, '.1f')}", f"floor in that loop {beside:.1f} us"
        target, met = ("<= 50 us", ours <= 50) if share == 0.999 else ("", None)
        report.row(measure, *cells, ours / beside, target, met)


def _microseconds(rounds: Sequence[Sequence[int]], share: float) -> list[float]:
    return [_percentile(ordered, share) / 1000 for ordered in rounds]


async def report_lag(report: Report, dsn: str) -> None:
    made = await lag.lag(dsn)
    for share in (0.5, 0.99):
        ours, alone = _percentile(made.saturated, share), _percentile(made.alone, share)
        measure = f"loop lag while saturated, p{share * 100:g}"
        cells = f"{ours:.2f} ms", f"producer alone {alone:.2f} ms"
        target, met = ("<= 5 ms", ours <= 5) if share == 0.99 else ("", None)
        report.row(measure, *cells, ours / alone, target, met)


async def report_outage(report: Report, seconds: float) -> None:
    made = await outage.run(seconds, flow.RATE, None)
    ratio = made.grown / outage.MAX_BYTES
    report.row(
        f"memory, outage of {seconds:g} s",
        f"+{made.grown / _MIB:.1f} MiB at most",
        f"max_bytes {outage.MAX_BYTES / _MIB:.0f} MiB",
        ratio,
        target="<= 1.5",
        met=ratio <= 1.5,
    )
    beside = f"pending at most {made.most_pending_bytes / _MIB:.1f} MiB"
    report.row(
        "  after it",
        f"+{made.grown_after / _MIB:.1f} MiB",
        beside,
        made.grown_after / made.most_pending_bytes,
    )
    sums = made.written + made.dropped + made.pending
    report.row(
        f"  executions, at {made.rate:,.0f} /s",
        f"{made.offered:,} offered",
        f"{made.written:,} written, {made.dropped:,} dropped",
        sums / made.offered,
        target="all, 0 pending",
        met=sums == made.offered and made.pending == 0,
    )
    report.row(
        "  count(*)",
        f"{made.stored:,}",
        f"{made.written:,} written",
        made.stored / made.written,
        target="all",
        met=made.stored == made.written,
    )
    report.row(
        "  failures among them",
        f"{made.stored_failures:,}",
        f"{made.offered_failures:,} offered",
        made.stored_failures / made.offered_failures,
    )


def _spread(values: Sequence[float], form: str) -> str:
    return f" ({min(values):{form}}-{max(values):{form}})"


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


async def bench_recorder(outage_seconds: float) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        connection = await asyncpg.connect(dsn)
        try:
            version = await connection.fetchval("show server_version")
            settings = [f"{name} {await connection.fetchval(f'show {name}')}" for name in DURABLE]
            print(
                f"Postgres {version}: {', '.join(settings)}\n"
                f"{FAILED:.0%} failures with a trace of {len(TRACE)} entries where not said"
                f" otherwise, medians of {flow.ROUNDS} rounds (least-most),"
                f" of {flow.PACED_ROUNDS} at {flow.RATE:,} /s, of {calls.ROUNDS} for calls alone\n"
                f"{load()}\n"
            )
            report = Report()
            report_calls(report)
            await report_throughput(report, dsn, connection)
            await report_account(report, dsn)
            await report_paced(report, dsn)
            await report_lag(report, dsn)
            await ways.report_ways(report, dsn, flow.ROUNDS)
            await spooled.report_spooled(report, dsn, _SPOOLED_ROUNDS, _SPOOLED_ROWS)
        finally:
            await connection.close()
    await report_outage(report, outage_seconds)
    await spooled.report_outage(report, outage_seconds)
    print(f"\n{load()}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m tests.bench.recorder", description=__doc__)
    add_arguments(options)
    asyncio.run(bench_recorder(options.parse_args().outage_seconds))
