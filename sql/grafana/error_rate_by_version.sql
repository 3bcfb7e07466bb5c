-- Which share of the runs of each version ended in error, timeout or limit? The 20 with the most of them by their names.
-- Columns: time timestamptz, metric text, error_rate double precision
-- Index: none
--
-- A row weighs 1/sample_rate. It reads what runs_by_version.sql does.
with run as materialized (
    select
        time,
        strategy_id || coalesce(' v' || strategy_version, '') as name,
        failed_weight,
        weight
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
        row_number() over (order by sum(failed_weight) desc, name) as place
    from run
    group by name
)
select
    time,
    case when place <= 20 then name else 'others' end as metric,
    sum(failed_weight) / sum(weight) as error_rate
from run
join ranked using (name)
group by 1, 2
order by 1, 2
