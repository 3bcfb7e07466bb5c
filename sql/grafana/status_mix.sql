-- How did runs end over time?
-- Columns: time timestamptz, ok bigint, error bigint, timeout bigint, limit bigint, other bigint
-- Index: none
--
-- It reads what runs_by_version.sql does.
select
    time,
    ok,
    error,
    timeout,
    "limit",
    other
from execlog.runs_over_time(
    $__timeFrom(),
    $__timeTo(),
    $__interval_ms * interval '1 millisecond',
    array[${strategy}]::text[],
    array[${realm}]::text[],
    array[${version}]::integer[],
    by_version => false
)
order by time
