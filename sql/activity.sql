-- How often each strategy ran and failed over time, and in the window of the same length before.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 before timestamptz
-- $4 since timestamptz
-- $5 until timestamptz
-- $6 first_us bigint
-- $7 width_us bigint
-- $8 buckets integer
-- $9 strategy_versions integer[]?
-- $10 buckets_before integer
-- switch spread
-- Columns: strategy_id text, buckets text, runs_before bigint, error_rate_before double precision
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- Buckets that hold anything, as JSON: number, runs, failures, the weight of those that an error rate counts, that of all.
-- Those of the window before count down from -1, so that both windows are cut at the same multiples of width_us.
-- Rollups for the whole hours and minutes of each bucket, rows for its ragged ends: counts are exact either
-- way. Buckets that begin and end with an hour are a few rollups each, so all but the
-- first, of first_us, and the last are width_us wide from a multiple of it on.
-- All strategies of a time are read by the time, some by their names.
-- OFFSET 0 keeps the planner from joining all parts with all rows; a cluster (spread) can't send it on.
-- A row stands for 1/sample_rate executions, and for a thousand million at most.
with bucket as materialized (
    select
        number,
        start,
        last
    from (
        select
            -number as number,
            greatest(
                $3::timestamptz,
                $4::timestamptz
                    + ($6::bigint - number * $7::bigint) / 1000000 * interval '1 second'
                    + ($6::bigint - number * $7::bigint) % 1000000 * interval '1 microsecond'
            ) as start,
            least(
                $4::timestamptz,
                $4::timestamptz
                    + ($6::bigint - (number - 1) * $7::bigint) / 1000000 * interval '1 second'
                    + ($6::bigint - (number - 1) * $7::bigint) % 1000000 * interval '1 microsecond'
            ) - interval '1 microsecond' as last
        from generate_series(1, $10::integer) as series (number)
    ) as earlier
    where start <= last
    union all
    select
        number,
        case
            when number > 0
            then $4::timestamptz
                + ($6::bigint + (number - 1) * $7::bigint) / 1000000 * interval '1 second'
                + ($6::bigint + (number - 1) * $7::bigint) % 1000000 * interval '1 microsecond'
            else $4::timestamptz
        end,
        case
            when number < $8::integer - 1
            then $4::timestamptz
                + ($6::bigint + number * $7::bigint) / 1000000 * interval '1 second'
                + ($6::bigint + number * $7::bigint) % 1000000 * interval '1 microsecond'
                - interval '1 microsecond'
            else $5::timestamptz
        end
    from generate_series(0, $8::integer - 1) as series (number)
),
marked as materialized (
    select distinct strategy_id
    from execlog.rollup_mark
),
dirty as materialized (
    select
        null::text as strategy_id,
        execlog.rollup_dirty(null) as dirty
    union all
    select
        strategy_id,
        execlog.rollup_dirty(strategy_id)
    from marked
),
cut as materialized (
    select
        bucket.number,
        dirty.strategy_id,
        cut.grain,
        cut.begins,
        cut.ends
    from bucket
    cross join dirty
    cross join lateral execlog.rollup_cut(dirty.strategy_id, bucket.start, bucket.last, bucket.start > $3::timestamptz, dirty.dirty) as cut
),
part as materialized (
    select
        number,
        strategy_id,
        grain,
        begins,
        ends
    from cut
    union all
    -- Strategies of which no minutes are kept in that hour.
    select distinct
        cut.number,
        kept.strategy_id,
        null::integer,
        cut.begins,
        cut.ends
    from cut
    join execlog.rollup as kept
        on kept.grain = 3600
        and kept.begins = date_bin('1 hour', cut.begins, '2000-01-01 00:00:00+00')
        and not kept.has_minutes
    where cut.grain = -60
        and kept.strategy_id not in (select strategy_id from marked)
),
execution as not materialized (
    select
        part.number,
        stored.strategy_id,
        stored.status,
        stored.sample_rate
    from part
    cross join lateral (
        select
            strategy_id,
            status,
            sample_rate
        from execlog.strategy_execution_log
        where created_at >= $3::timestamptz
            and created_at <= $5::timestamptz
            and created_at >= part.begins
            and created_at <= part.ends
            and strategy_id is distinct from ''  -- if not strategy_ids
            and strategy_id = any($2::text[])  -- if strategy_ids
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_version = any($9::integer[])  -- if strategy_versions
            and strategy_id not in (select strategy_id from marked)
        offset 0  -- if not spread
    ) as stored
    where part.grain is null
        and part.strategy_id is null
    union all
    -- The window function, as OFFSET 0 above, keeps this a loop over the parts: rows are found by name and time, never hashed.
    select
        part.number,
        stored.strategy_id,
        stored.status,
        stored.sample_rate
    from part
    cross join lateral (
        select
            strategy_id,
            status,
            sample_rate,
            row_number() over (partition by strategy_id)
        from execlog.strategy_execution_log
        where strategy_id = part.strategy_id
            and created_at >= $3::timestamptz
            and created_at <= $5::timestamptz
            and created_at >= part.begins
            and created_at <= part.ends
            and strategy_id = any($2::text[])  -- if strategy_ids
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_version = any($9::integer[])  -- if strategy_versions
    ) as stored
    where part.grain is null
        and part.strategy_id is not null
),
counted as (
    select
        number,
        strategy_id,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(:weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(:weight) filter (where not :is_error), 0) as other_weight
    from execution
    group by number, strategy_id
    union all
    select
        kept.number,
        kept.strategy_id,
        kept.runs,
        kept.failures,
        kept.failed_weight,
        kept.other_weight
    from (
        :part_rollups($1, $2, $9)
    ) as kept
),
run as (
    select
        strategy_id,
        number,
        sum(runs)::bigint as runs,
        sum(failures)::bigint as failures,
        sum(failed_weight) as failed_weight,
        sum(other_weight) as other_weight
    from counted
    group by strategy_id, number
)
select
    strategy_id,
    json_agg(json_build_array(number, runs, failures, failed_weight, failed_weight + other_weight) order by number)::text as buckets,
    coalesce(sum(runs) filter (where number < 0), 0)::bigint as runs_before,
    coalesce(sum(failed_weight) filter (where number < 0) / (sum(failed_weight + other_weight) filter (where number < 0)), 0) as error_rate_before
from run
group by strategy_id
order by strategy_id
