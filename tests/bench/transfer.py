"""Measures export and import as a person runs them: the installed command, its memory included.

    python -m tests.bench.transfer [--rows 10000000]

Beside the export stands the same cursor read by asyncpg alone, in this process; beside the import,
`insert_rows` of models that are ready. Peak memory is that of the command's process; half of it is
the interpreter with its libraries.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.db.copy_format import COLUMNS
from execlog.db.executor import Store
from execlog.repository import statements
from tests import databases
from tests.bench.common import BATCH, FAILED, TRACE, bench_database, fields, load, print_line
from tests.databases import TABLE
from tests.types import Pool

COMMAND = str(Path(sys.executable).with_name("execlog"))
# Between this process and the command, which would begin with the peak of whoever starts it.
_MEASURED = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr);"
    " sys.exit(code)"
)
FEW = 100  # the part of the rows that is exported and imported for comparison


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    seconds: float
    peak_mb: float


async def bench_transfer(rows: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            end = datetime.now(UTC)
            await seed(pool, rows, end)
            version = await pool.fetchval("show server_version")
            print(
                f"Postgres {version}, {rows:,} rows, {FAILED:.0%} of them with a trace of"
                f" {len(TRACE)} entries\n{load()}\n"
            )
            line("work", "rows", "seconds", "rows/s", "peak memory")
            edge = await pool.fetchval(
                f"select created_at from {TABLE} order by created_at desc offset $1 limit 1",
                rows // FEW - 1,
            )
            with tempfile.TemporaryDirectory() as folder:
                await bench_export(pool, dsn, rows, edge, Path(folder) / "few.jsonl")
                await bench_import(dsn, rows // FEW, Path(folder) / "few.jsonl")


async def bench_export(pool: Pool, dsn: str, rows: int, edge: datetime, few: Path) -> None:
    begin = time.perf_counter()
    async for _ in Store(pool, 60).stream(statements()["stream"].query(realm_ids=None)):
        pass
    report("cursor alone", rows, Run(time.perf_counter() - begin, 0))
    since = ("--since", edge.isoformat())
    report("export", rows // FEW, await run(dsn, ("export", *since), few))
    report("export", rows, await run(dsn, ("export",), Path(os.devnull)))
    report("export -o csv", rows, await run(dsn, ("export", "-o", "csv"), Path(os.devnull)))


async def bench_import(dsn: str, rows: int, file: Path) -> None:
    async with databases.database(dsn, "imported", template="template0") as other:
        await execlog.migrate(other)
        for what in ("import", "import of what is there"):
            report(what, rows, await run(other, ("import", str(file)), Path(os.devnull)))
        dice = random.Random(3)
        async with asyncpg.create_pool(other, min_size=1, max_size=1) as pool:
            repository = StrategyExecutionLogRepository(pool)
            seconds = 0.0
            for _ in range(max(rows // BATCH, 1)):
                now = datetime.now(UTC)
                models = [StrategyExecutionLog(**fields(n, now, dice)) for n in range(BATCH)]
                begin = time.perf_counter()
                await repository.insert_rows(models)
                seconds += time.perf_counter() - begin
        report("insert_rows alone", max(rows // BATCH, 1) * BATCH, Run(seconds, 0))


async def run(dsn: str, words: Sequence[str], into: Path) -> Run:
    """Runs the command to its end, and asks the system what it took."""
    begin = time.perf_counter()
    with into.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", _MEASURED, COMMAND, *words, "--dsn", dsn,
            stdout=file,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate()
    seconds = time.perf_counter() - begin
    assert process.returncode == 0, said
    kilobytes = int(said.split()[-1]) / (1024 if sys.platform == "darwin" else 1)
    return Run(seconds, kilobytes / 1024)


def line(*cells: str) -> None:
    print_line((28, 14, 10, 12, 14), *cells)


def report(work: str, rows: int, found: Run) -> None:
    line(
        work,
        f"{rows:,}",
        f"{found.seconds:.1f}",
        f"{rows / found.seconds:,.0f}",
        f"{found.peak_mb:.0f} MB" if found.peak_mb else "",
    )


async def seed(pool: Pool, rows: int, end: datetime) -> None:
    """A hundredth by the repository; the server makes the others of them, earlier and earlier."""
    dice, few = random.Random(1), rows // FEW
    repository = StrategyExecutionLogRepository(pool)
    for first in range(0, few, BATCH):
        numbers = range(first, min(first + BATCH, few))
        await repository.insert_rows(
            StrategyExecutionLog(**fields(rows - few + n, end, dice)) for n in numbers
        )
    others = ", ".join(COLUMNS[2:])
    await pool.execute(
        f"insert into {TABLE} (id, created_at, {others})"
        f" select gen_random_uuid(), created_at + n * interval '{few} ms', {others}"
        f" from generate_series(1, {FEW - 1}) as n, {TABLE}",
        timeout=3600,
    )
    await pool.execute("vacuum analyze", timeout=3600)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transfer", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    await bench_transfer(parser.parse_args().rows)


if __name__ == "__main__":
    asyncio.run(main())
