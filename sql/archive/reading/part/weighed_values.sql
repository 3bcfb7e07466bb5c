-- What follows a WITH: the percentiles of each part of `value` (part, duration_ms, weight), of 50, 95 and 99 %.
--
-- The same positions as in `part/weighed_values.sql` of the log.
ordered as (
    select
        part,
        duration_ms,
        lag(duration_ms) over (partition by part order by duration_ms) as before_ms,
        sum(weight) over (partition by part order by duration_ms rows unbounded preceding) - weight - 1 as before,
        sum(weight) over (partition by part order by duration_ms rows unbounded preceding) - 1 as upto
    from value
),
placed as (
    select
        part,
        unnest([0.5, 0.95, 0.99]) as fraction,
        max(upto) as last
    from ordered
    group by part
)
select
    part,
    list(value_ms order by fraction) as values_ms
from (
    select
        ordered.part,
        fraction,
        min(case when fraction * last - before >= 1 then duration_ms when fraction * last > before then before_ms + (fraction * last - before) * (duration_ms - before_ms) else before_ms end) as value_ms
    from ordered
    join placed on ordered.part is not distinct from placed.part and upto >= fraction * last
    group by ordered.part, fraction
) as percentile
group by part
