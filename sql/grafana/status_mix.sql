-- How did runs end over time?
-- Columns: time timestamptz, ok numeric, error numeric, timeout numeric, limit numeric, other numeric
-- Index: none
--
-- It reads what runs_by_version.sql does.
select
    time,
    sum(ok) as ok,
    sum(error) as error,
    sum(timeout) as timeout,
    sum("limit") as "limit",
    sum(other) as other
from execlog.runs_over_time(
    $__timeFrom(),
    $__timeTo(),
    $__interval_ms * interval '1 millisecond',
    array[${strategy}]::text[],
    array[${realm}]::text[],
    array[${version}]::integer[]
)
group by time
order by time
