-- How executions do by strategy, realm or version, in windows of many runs.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- $5 order text
-- $6 limit bigint
-- $7 strategy_versions integer[]?
-- $8 strategy_id text? always
-- switch of_one
-- switch by_realm_id | by_strategy_version
-- switch details
-- switch slowest_first
-- Columns: value text?, runs bigint, failures bigint, failed_weight double precision, other_weight double precision, weight double precision, weight_squares double precision, duration_ms double precision, points double precision?, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, duration_min_ms double precision?, duration_max_ms double precision?, durations text?, users bigint?, first_seen timestamptz?, last_seen timestamptz?, is_exact boolean
-- Index: strategy_execution_log_newest, strategy_execution_log_time
--
-- By strategy if no other switch is on. Rollups for the whole days, hours and minutes of the window, rows for the rest; all
-- from rows if the window has few runs, as in sql/breakdown.sql. Of a sum of weights the rollups do not hold the squares:
-- runs of a class in a rollup are taken to weigh the same. When a group was first seen they hold by the day,
-- and by the hour beside it, which is looked for in the first days of the groups that are wanted.
-- Histograms are most of the work; without details they are not read.
with
general as materialized (
    select
        grain,
        begins,
        ends
    from execlog.rollup_parts($8::text, $3::timestamptz, $4::timestamptz)
),
:rank_source(grouped),
kept as materialized (
    :group_rollups($1, $2, $7, not of_marked)
    union all  -- if not of_one
    :group_rollups($1, $2, $7, of_marked)  -- if not of_one
),
bar as (
    select
        value,
        execlog.rollup_bar(duration_ms) as bar,
        sum((1e8::double precision * weight)::bigint) as weight
    from execution
    where not (select is_exact from whole)
    group by value, execlog.rollup_bar(duration_ms)
),
counted as (
    select
        value,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(weight) filter (where :is_other), 0) as other_weight,
        sum(weight) as weight,
        sum(weight * weight) as weight_squares,
        max(weight) as weight_max,
        sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end) as duration_ms,
        sum(points * case when abs(points) < 1e290 then weight else 1 end) as points,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        null::numeric as durations,
        min(created_at) as first_seen,
        null::timestamptz as first_day,
        max(created_at) as last_seen
    from execution
    group by value
    union all
    select
        value,
        sum(ok + failed + other),
        sum(failed + other),
        sum(failed_weight),
        sum(other_weight),
        sum(ok_weight + failed_weight + other_weight),
        sum(
            coalesce(ok_weight * ok_weight / nullif(ok, 0), 0)
            + coalesce(failed_weight * failed_weight / nullif(failed, 0), 0)
            + coalesce(other_weight * other_weight / nullif(other, 0), 0)
        ),
        null,
        sum(duration_weighed_ms),
        sum(points_weighed),
        min(duration_min_ms),
        max(duration_max_ms),
        sum(durations),  -- if details
        null,  -- if not details
        min(begins) filter (where grain in (60, 3600)),
        min(begins) filter (where grain = 86400),
        max(last_run)
    from kept
    group by value
    union all  -- if details
    select  -- if details
        value,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        null,  -- if details
        sum((weight::text || 'e' || 24 * bar)::numeric),  -- if details
        null,  -- if details
        null,  -- if details
        null  -- if details
    from bar  -- if details
    group by value  -- if details
),
summed as (
    select
        value,
        sum(runs)::bigint as runs,
        sum(failures)::bigint as failures,
        sum(failed_weight) as failed_weight,
        sum(other_weight) as other_weight,
        sum(weight) as weight,
        sum(weight_squares) as weight_squares,
        max(weight_max) as weight_max,
        sum(duration_ms) as duration_ms,
        sum(points) as points,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(durations) as durations,
        min(first_seen) as first_seen,
        min(first_day) as first_day,
        max(last_seen) as last_seen
    from counted
    group by value
),
wanted as materialized (
    select
        summed.*,
        case $5::text
            when 'failures' then failures
            when 'error_rate' then failed_weight / weight
            when 'runs' then runs
            else greatest(least(execlog.quantile(durations, 0.99), duration_max_ms), duration_min_ms)
        end as measure
    from summed
    order by measure desc, value  -- if not slowest_first
    limit $6::bigint  -- if not slowest_first
),
:breakdown_details(of_rollups),  -- if details
answer as materialized (
    select
        detail.values_ms,  -- if details
        detail.users,  -- if details
        null::double precision[] as values_ms,  -- if not details
        null::bigint as users,  -- if not details
        wanted.*
    from wanted
    left join detail  -- if details
        on (detail.value is null) = (wanted.value is null)  -- if details
        and coalesce(detail.value::text, '') = coalesce(wanted.value::text, '')  -- if details
    order by
        coalesce(detail.values_ms[3], wanted.measure) desc,  -- if slowest_first, details
        wanted.measure desc,  -- if not slowest_first
        wanted.value
    limit $6::bigint
),
day as materialized (
    select distinct first_day as begins
    from answer
    where first_day < coalesce(first_seen, 'infinity')
),
hour as (
    select
        day.begins as day,
        kept.value,
        min(kept.begins) as begins
    from day
    cross join lateral (
        select
            strategy_id as value,  -- if not by_realm_id, not by_strategy_version
            realm_id as value,  -- if by_realm_id
            strategy_version as value,  -- if by_strategy_version
            strategy_id,
            begins
        from execlog.rollup
        where grain = 3600
            and begins >= day.begins
            and begins < day.begins + interval '24 hours'
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_id = any($2::text[])  -- if strategy_ids
            and strategy_version = any($7::integer[])  -- if strategy_versions
        offset 0
    ) as kept
    where kept.strategy_id not in (select strategy_id from marked)
        or exists (
            select
            from part
            where part.strategy_id = kept.strategy_id
                and part.grain = 86400
                and part.begins <= day.begins
                and part.ends >= day.begins
        )
    group by day.begins, kept.value
)
select
    answer.value::text as value,
    runs,
    failures,
    failed_weight,
    other_weight,
    weight,
    weight_squares,
    duration_ms,
    points,
    values_ms[1] as p50_ms,
    values_ms[2] as p95_ms,
    values_ms[3] as p99_ms,
    duration_min_ms,
    duration_max_ms,
    durations::text as durations,
    users,
    least(first_seen, coalesce(hour.begins, first_day)) as first_seen,
    last_seen,
    (select is_exact from whole) as is_exact
from answer
left join hour
    on hour.day = answer.first_day
    and (hour.value is null) = (answer.value is null)
    and coalesce(hour.value::text, '') = coalesce(answer.value::text, '')
order by
    coalesce(values_ms[3], measure) desc,  -- if slowest_first
    measure desc,  -- if not slowest_first
    answer.value
