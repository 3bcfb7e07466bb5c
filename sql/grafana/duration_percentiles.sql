-- How long did runs take over time: the 50th, the 95th and the 99th percentile?
-- Columns: time timestamptz, p50 double precision, p95 double precision, p99 double precision
-- Index: none
--
-- Of histograms with bars of 2 %: each is at most 1 % off. A row weighs 1/sample_rate. It reads what runs_by_version.sql does.
select
    time,
    greatest(least(execlog.quantile(durations, 0.5), duration_max_ms), duration_min_ms) as p50,
    greatest(least(execlog.quantile(durations, 0.95), duration_max_ms), duration_min_ms) as p95,
    greatest(least(execlog.quantile(durations, 0.99), duration_max_ms), duration_min_ms) as p99
from execlog.runs_over_time(
    $__timeFrom(),
    $__timeTo(),
    $__interval_ms * interval '1 millisecond',
    array[${strategy}]::text[],
    array[${realm}]::text[],
    array[${version}]::integer[],
    histograms => true,
    by_version => false
)
order by time
