-- What follows a WITH: the percentiles of each part of `weighing` (part, duration_ms, weight) at the places that are `asked`
-- (part, number, place): a place is a fraction of the sum of weights less 1.
--
-- The same positions as in `part/weighed_values.sql` of the log. First in bars of 2 %, of which few are then sorted.
bar as materialized (
    select
        part,
        floor(50 * ln(greatest(duration_ms, 1e-300)))::integer as bar,
        sum(weight) as weight,
        max(duration_ms) as most_ms
    from weighing
    group by all
),
reached as materialized (
    select
        part,
        bar,
        sum(weight) over ascending - weight as before,
        sum(weight) over ascending - 1 as upto,
        lag(most_ms) over ascending as before_ms
    from bar
    window ascending as (
        partition by part
        order by bar
        rows unbounded preceding
    )
),
hit as materialized (
    select
        asked.part,
        number,
        place,
        coalesce(min(bar) filter (where upto >= place), max(bar)) as bar
    from asked
    join reached on reached.part is not distinct from asked.part
    group by asked.part, number, place
),
value as (
    select
        weighing.part,
        few.bar,
        duration_ms,
        sum(weight) as weight
    from weighing
    join (select distinct part, bar from hit) as few on few.part is not distinct from weighing.part
        and few.bar = floor(50 * ln(greatest(duration_ms, 1e-300)))::integer
    group by weighing.part, few.bar, duration_ms
),
ordered as (
    select
        value.part,
        value.bar,
        duration_ms,
        reached.before + sum(weight) over ascending - weight - 1 as before,
        reached.before + sum(weight) over ascending - 1 as upto,
        coalesce(lag(duration_ms) over ascending, reached.before_ms, duration_ms) as before_ms
    from value
    join reached on reached.part is not distinct from value.part
        and reached.bar = value.bar
    window ascending as (
        partition by value.part, value.bar
        order by duration_ms
        rows unbounded preceding
    )
)
select
    part,
    list(value_ms order by number) as values_ms
from (
    select
        hit.part,
        number,
        coalesce(min(case when place - before >= 1 then duration_ms when place > before then before_ms + (place - before) * (duration_ms - before_ms) else before_ms end) filter (where upto >= place), max(duration_ms)) as value_ms
    from hit
    join ordered on ordered.part is not distinct from hit.part
        and ordered.bar = hit.bar
    group by hit.part, number
) as percentile
group by part
