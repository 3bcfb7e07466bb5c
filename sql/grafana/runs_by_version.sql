-- How often did each version run over time? The 20 that ran most by their names, the others as one.
-- Columns: time timestamptz, metric text, runs numeric
-- Index: none
--
-- execlog.runs_over_time reads rollups, and strategy_execution_log_time for what is in none; of chosen strategies
-- strategy_execution_log_newest.
with run as materialized (
    select
        time,
        strategy_id || coalesce(' v' || strategy_version, '') as name,
        runs
    from execlog.runs_over_time(
        $__timeFrom(),
        $__timeTo(),
        $__interval_ms * interval '1 millisecond',
        array[${strategy}]::text[],
        array[${realm}]::text[],
        array[${version}]::integer[]
    )
),
ranked as (
    select
        name,
        row_number() over (order by sum(runs) desc, name) as place
    from run
    group by name
)
select
    time,
    case when place <= 20 then name else 'others' end as metric,
    sum(runs) as runs
from run
join ranked using (name)
group by 1, 2
order by 1, 2
