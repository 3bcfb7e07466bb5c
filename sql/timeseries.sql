-- How a strategy ran over time, in buckets of equal width, the empty ones included.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 width_us bigint
-- $5 buckets integer
-- Columns: total bigint, ok bigint, error bigint, timeout bigint, limit bigint, other bigint, duration_avg_ms double precision, duration_p95_ms double precision, duration_max_ms double precision, points_sum double precision
-- Index: strategy_execution_log_newest
--
-- Each bucket is a range of the index: no row is sorted by its bucket, and each percentile sorts its
-- own few. 120 buckets over 200,000 rows take as long as one percentile over all of them, GROUP BY on
-- date_bin() twice that.
-- Widths are in microseconds: a day as an interval has 23 hours where the session's clock is set
-- forward. They are added in two steps, since the product of an interval is exact up to 2^53 only.
select
    run.total,
    run.ok,
    run.error,
    run.timeout,
    run."limit",
    run.total - run.ok - run.error - run.timeout - run."limit" as other,
    run.duration_avg_ms,
    run.duration_p95_ms,
    run.duration_max_ms,
    run.points_sum
from (
    select
        number,
        $2::timestamptz
            + number * $4::bigint / 1000000 * interval '1 second'
            + number * $4::bigint % 1000000 * interval '1 microsecond' as start,
        case
            when number < $5::integer - 1
            then $2::timestamptz
                + (number + 1) * $4::bigint / 1000000 * interval '1 second'
                + (number + 1) * $4::bigint % 1000000 * interval '1 microsecond'
            else 'infinity'
        end as next
    from generate_series(0, $5::integer - 1) as series (number)
) as bucket
cross join lateral (
    select
        count(*) as total,
        count(*) filter (where status = 'ok') as ok,
        count(*) filter (where status = 'error') as error,
        count(*) filter (where status = 'timeout') as timeout,
        count(*) filter (where status = 'limit') as "limit",
        case when sum(duration_ms) > 1e-290 then sum(duration_ms) / count(*) else 0 end as duration_avg_ms,
        coalesce(percentile_cont(0.95) within group (order by duration_ms), 0) as duration_p95_ms,
        coalesce(max(duration_ms), 0) as duration_max_ms,
        coalesce(sum(points), 0) as points_sum
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        -- The window, for the planner: its partitions are known from the start.
        and created_at >= $2::timestamptz
        and created_at <= $3::timestamptz
        -- The bucket.
        and created_at >= bucket.start
        and created_at < bucket.next
) as run
order by bucket.number
