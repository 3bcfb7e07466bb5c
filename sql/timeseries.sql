-- How a strategy ran over time, in buckets of equal width, the empty ones included.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 realm_ids text[]?
-- $5 width_us bigint
-- $6 buckets integer
-- Columns: number integer, total bigint, ok bigint, error bigint, timeout bigint, limit bigint, other bigint, error_rate double precision, duration_avg_ms double precision, duration_p50_ms double precision?, duration_p95_ms double precision?, duration_p99_ms double precision?, duration_min_ms double precision, duration_max_ms double precision, durations text?, points_sum double precision
-- Index: strategy_execution_log_newest
--
-- Rollups for the whole hours and minutes of each bucket, rows for its ragged ends; all from rows where
-- the window has few. Buckets that begin and end with a minute need no rows.
-- Of rows each bucket is a range of the index: no row is sorted by its bucket, and each percentile sorts
-- its own few. 120 buckets over 200,000 rows take as long as one percentile over all of them, GROUP BY on
-- date_bin() twice that.
-- A row stands for 1/sample_rate executions, and for a thousand million at most.
-- Widths are in microseconds: a day as an interval has 23 hours where the session's clock is set
-- forward. They are added in two steps, since the product of an interval is exact up to 2^53 only.
with whole as materialized (
    select count(grain) = 0 as is_exact
    from execlog.rollup_parts($1::text, $2::timestamptz, $3::timestamptz)
),
bucket as materialized (
    select
        number,
        $2::timestamptz
            + number * $5::bigint / 1000000 * interval '1 second'
            + number * $5::bigint % 1000000 * interval '1 microsecond' as start,
        case
            when number < $6::integer - 1
            then $2::timestamptz
                + (number + 1) * $5::bigint / 1000000 * interval '1 second'
                + (number + 1) * $5::bigint % 1000000 * interval '1 microsecond'
                - interval '1 microsecond'
            else $3::timestamptz
        end as last
    from generate_series(0, $6::integer - 1) as series (number)
),
part as materialized (
    select
        number,
        null::integer as grain,
        start as begins,
        last as ends
    from bucket
    where (select is_exact from whole)
    union all
    select
        bucket.number,
        cut.grain,
        cut.begins,
        cut.ends
    from bucket
    cross join lateral execlog.rollup_cut(bucket.start, bucket.last, bucket.number > 0) as cut
    where not (select is_exact from whole)
),
counted as materialized (
    select
        part.number,
        run.total,
        run.ok,
        run.error,
        run.timeout,
        run."limit",
        run.failed_weight,
        run.other_weight,
        run.duration_sum_ms,
        run.percentiles_ms,
        run.duration_min_ms,
        run.duration_max_ms,
        run.durations,
        run.points_sum
    from part
    cross join lateral (
        select
            count(*) as total,
            count(*) filter (where status = 'ok') as ok,
            count(*) filter (where status = 'error') as error,
            count(*) filter (where status = 'timeout') as timeout,
            count(*) filter (where status = 'limit') as "limit",
            sum(:weight) filter (where :is_error) as failed_weight,
            sum(:weight) filter (where not :is_error) as other_weight,
            sum(duration_ms) as duration_sum_ms,
            percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole)) as percentiles_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms,
            sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from whole)) as durations,
            sum(points) as points_sum
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and realm_id = any($4::text[])  -- if realm_ids
            -- The window, for the planner: its partitions are known from the start.
            and created_at >= $2::timestamptz
            and created_at <= $3::timestamptz
            -- The bucket.
            and created_at >= part.begins
            and created_at <= part.ends
    ) as run
    where part.grain is null
    union all
    select
        part.number,
        rollup.ok + rollup.error + rollup.timeout + rollup."limit" + rollup.other,
        rollup.ok,
        rollup.error,
        rollup.timeout,
        rollup."limit",
        rollup.failed_weight,
        rollup.ok_weight + rollup.other_weight,
        rollup.duration_sum_ms,
        null,
        rollup.duration_min_ms,
        rollup.duration_max_ms,
        rollup.durations,
        rollup.points_sum
    from part
    cross join lateral (
        select
            ok,
            error,
            timeout,
            "limit",
            other,
            ok_weight,
            failed_weight,
            other_weight,
            duration_sum_ms,
            duration_min_ms,
            duration_max_ms,
            durations,
            points_sum
        from execlog.rollup
        where strategy_id = $1::text
            and grain = part.grain
            and begins >= part.begins
            and begins <= part.ends
            and realm_id = any($4::text[])  -- if realm_ids
        offset 0
    ) as rollup
)
select
    bucket.number,
    coalesce(sum(counted.total), 0)::bigint as total,
    coalesce(sum(counted.ok), 0)::bigint as ok,
    coalesce(sum(counted.error), 0)::bigint as error,
    coalesce(sum(counted.timeout), 0)::bigint as timeout,
    coalesce(sum(counted."limit"), 0)::bigint as "limit",
    coalesce(sum(counted.total - counted.ok - counted.error - counted.timeout - counted."limit"), 0)::bigint as other,
    coalesce(sum(counted.failed_weight) / (sum(counted.failed_weight) + coalesce(sum(counted.other_weight), 0)), 0) as error_rate,
    case when sum(counted.duration_sum_ms) > 1e-290 then sum(counted.duration_sum_ms) / sum(counted.total)::double precision else 0 end as duration_avg_ms,
    (max(counted.percentiles_ms))[1] as duration_p50_ms,
    (max(counted.percentiles_ms))[2] as duration_p95_ms,
    (max(counted.percentiles_ms))[3] as duration_p99_ms,
    coalesce(min(counted.duration_min_ms), 0) as duration_min_ms,
    coalesce(max(counted.duration_max_ms), 0) as duration_max_ms,
    sum(counted.durations)::text as durations,
    coalesce(sum(counted.points_sum), 0) as points_sum
from bucket
left join counted on counted.number = bucket.number
group by bucket.number
order by bucket.number
