"""How long the dashboard of Grafana waits for each panel, beside the same log without rollups.

    python -m tests.bench.grafana [--rounds 9] [--scale 1]

Two million runs of 20 strategies, 3 versions and 10 realms, half of the rows with a rate of 0.25:
one million over 30 days, and one over the last day. The points are as wide as Grafana makes them of
120: 2 minutes, 10 minutes and 6 hours. Least times, since rows are read from the cache.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import execlog
from execlog.cli.grafana_board import board
from tests.bench.common import PATIENCE, Bench, Sections, run_sections
from tests.bench.rollup_shapes import DAY, HOUR, MINUTE
from tests.grafana import interpolated, query_of, variables_of
from tests.rolling import rolled_up

_STORE = """
    insert into execlog.strategy_execution_log (
        id, created_at, strategy_id, strategy_version, strategy_type, realm_id, status, error_code,
        points, case_name, duration_ms, nodes_executed, sample_rate
    )
    select
        gen_random_uuid(), $1::timestamptz + (n + random()) * ($2::interval / $3::integer),
        's' || n % 20, 1 + n / 20 % 3, 'DSL', 'r' || n / 60 % 10,
        case when random() < 0.97 then 'ok' else 'error' end,
        case when random() < 0.03 then 'E' || floor(random() * 20) end,
        floor(random() * 20), 'c' || floor(random() * 8), exp(random() * 6),
        1 + floor(random() * 20), case when n % 2 = 0 then 1 else 0.25 end
    from generate_series(0, $3::integer - 1) as series (n)
"""
WINDOWS = {
    "6 h": (6 * HOUR, 2 * MINUTE),
    "24 h": (DAY, 10 * MINUTE),
    "30 d": (30 * DAY, 6 * HOUR),
}


async def bench_panels(bench: Bench) -> None:
    """Each panel and each variable, of all that ran."""
    now = datetime.now(UTC)
    await execlog.migrate(bench.pool)
    for days in range(30, 0, -1):
        rows = bench.scaled(1_000_000) // 30
        await bench.pool.execute(_STORE, now - days * DAY, DAY, rows, timeout=PATIENCE)
    for hours in range(24, 0, -1):
        rows = bench.scaled(1_000_000) // 24
        await bench.pool.execute(_STORE, now - hours * HOUR, HOUR, rows, timeout=PATIENCE)
    await rolled_up(bench.pool)
    await bench.pool.execute("vacuum (analyze) execlog.strategy_execution_log", timeout=PATIENCE)
    await bench.pool.execute("vacuum (analyze) execlog.rollup", timeout=PATIENCE)
    made = board()
    queries = {one["title"]: query_of(made, one["title"]) for one in made["panels"]}
    queries |= {f"variable {name}": one["query"] for name, one in variables_of(made).items()}
    for what, (window, width) in WINDOWS.items():
        for title, sql in queries.items():
            until = datetime.now(UTC)
            width_ms = width // timedelta(milliseconds=1)
            text = interpolated(sql, made, until - window, until, interval_ms=width_ms)
            taken = []
            for enabled in (True, False):
                await bench.pool.execute("update execlog.rollup_state set enabled = $1", enabled)
                taken.append(await _least(bench, text))
            ours, beside = taken
            shown = f"from rows {1000 * beside:,.0f} ms"
            bench.report.row(f"{what}, {title}", f"{1000 * ours:,.0f} ms", shown, ours / beside)


async def _least(bench: Bench, sql: str) -> float:
    found = []
    for _ in range(bench.rounds):
        begin = time.perf_counter()
        await bench.pool.fetch(sql, timeout=PATIENCE)
        found.append(time.perf_counter() - begin)
    return min(found)


SECTIONS: Sections = {"panels": bench_panels}


if __name__ == "__main__":
    run_sections("tests.bench.grafana", __doc__, SECTIONS)
