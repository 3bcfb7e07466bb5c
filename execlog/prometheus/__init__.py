"""Recorders, their account over all processes, and strategies, for Prometheus (extra `prometheus`).

    prometheus_client.REGISTRY.register(RecorderCollector(recorder))

Each scrape reads `stats()` once, so its figures add up. The names and what to alert on:

- `execlog_executions_total{outcome, reason}`: all executions offered, by outcome; alert on
  any rate of outcome "dropped" or "rejected";
- `execlog_pending_executions`, `execlog_pending_bytes`: what waits; alert if it grows for minutes:
  the store is away or refuses, and is retried until it accepts;
- `execlog_altered_total{reason}`, `execlog_batches_total`, `execlog_retries_total`;
- `execlog_seconds_since_success`: missing until the first rows are stored;
- `execlog_alive`: 0 if it was not started, was closed, or can't connect at all; alert on that.

The sum over all processes is in the log. `LogCollector` exports it, as it was read last:

- `execlog_day_executions{outcome, reason}`: the executions of the last day, by outcome; alert on
  outcome "dropped" or "rejected";
- `execlog_day_offered`, `execlog_day_recovered`: their sum is that of all outcomes;
- `execlog_day_open_recorders`, `execlog_day_most_missing`: recorders that were neither closed nor
  seen for two minutes, and how many executions are missing of them at most; alert on any;
- `execlog_day_read_seconds`: how long ago that was read; alert if it grows.

What strategies do, from rollups, `StrategyCollector` exports, as it was read last. Counters start
again at midnight UTC, which Prometheus takes for a restart:

- `execlog_strategy_runs_total{strategy, status}`: the stored executions; `rate` of status "error",
  "timeout" and "limit" by that of all is the error rate;
- `execlog_strategy_duration_seconds{strategy}`: a histogram with the dashboard's bounds;
- `execlog_strategy_read_seconds`: how long ago that was read; alert if it grows.

No label is a user, a realm or an id.
"""

from __future__ import annotations

try:
    import prometheus_client  # noqa: F401 - to say at once what is missing
except ImportError as error:
    raise ImportError(
        "execlog.prometheus needs its extra: pip install 'execlog[prometheus]'"
    ) from (error)

from execlog.prometheus.account import LogCollector
from execlog.prometheus.recorders import RecorderCollector
from execlog.prometheus.strategies import StrategyCollector

__all__ = ["LogCollector", "RecorderCollector", "StrategyCollector"]
