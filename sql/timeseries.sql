-- How a strategy ran over time, in buckets of equal width, the empty ones included.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 realm_ids text[]?
-- $5 width_us bigint
-- $6 buckets integer
-- $7 strategy_versions integer[]?
-- Columns: number integer, total bigint, ok bigint, error bigint, timeout bigint, limit bigint, other bigint, error_rate double precision, duration_avg_ms double precision, duration_p50_ms double precision?, duration_p95_ms double precision?, duration_p99_ms double precision?, duration_min_ms double precision, duration_max_ms double precision, durations text?, points_sum double precision
-- Index: strategy_execution_log_newest
--
-- Rollups for the whole days, hours and minutes of each bucket, rows for its ragged ends and for what is not summed
-- up yet; all from rows if the window has few runs. Buckets that begin and end with a minute need no rows.
-- Of rows each bucket is a range of the index: no row is sorted by its bucket, and each percentile sorts
-- its own few. 120 buckets over 200,000 rows take as long as one percentile over all of them, GROUP BY on
-- date_bin() twice that.
-- Widths are in microseconds: a day as an interval has 23 hours where the session's clock is set
-- forward. They are added in two steps, since the product of an interval is exact up to 2^53 only.
with few as materialized (
    select
        count(grain) = 0 as is_exact,
        execlog.rollup_dirty($1::text) as dirty
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
        bucket.number,
        cut.grain,
        cut.begins,
        cut.ends
    from few
    cross join bucket
    cross join lateral execlog.rollup_cut($1::text, bucket.start, bucket.last, bucket.number > 0, few.dirty) as cut
    where not few.is_exact
),
whole as materialized (
    select count(grain) = 0 as is_exact
    from part
),
counted as materialized (
    select
        bucket.number,
        piece.*
    from bucket
    cross join lateral (
        select
            count(*) as total,
            count(*) filter (where status = 'ok') as ok,
            count(*) filter (where status = 'error') as error,
            count(*) filter (where status = 'timeout') as timeout,
            count(*) filter (where status = 'limit') as "limit",
            sum(:weight) filter (where :is_error) as failed_weight,
            sum(:weight) as weight,
            sum(duration_ms * case when duration_ms < 1e290 then :weight else 1 end) as duration_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms,
            sum(points) as points_sum,
            min(sample_rate) as sample_rate,
            percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as percentiles_ms,
            null::numeric as durations
        from (
            :stored_runs($1, $4, $7)
                -- The window, for the planner: its partitions are known from the start.
                and created_at >= $2::timestamptz
                and created_at <= $3::timestamptz
                -- The bucket.
                and created_at >= bucket.start
                and created_at <= bucket.last
        ) as run
    ) as piece
    where (select is_exact from whole)
    union all
    :bucket_rows
    union all
    select
        part.number,
        kept.ok + kept.error + kept.timeout + kept."limit" + kept.other,
        kept.ok,
        kept.error,
        kept.timeout,
        kept."limit",
        kept.failed_weight,
        kept.ok_weight + kept.failed_weight + kept.other_weight,
        kept.duration_weighed_ms,
        kept.duration_min_ms,
        kept.duration_max_ms,
        kept.points_sum,
        null,
        null,
        kept.durations
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
            duration_weighed_ms,
            duration_min_ms,
            duration_max_ms,
            durations,
            points_sum
        :stored_rollups($1, $4, $7)
    ) as kept
),
total as materialized (
    select
        number,
        sum(total)::bigint as total,
        sum(ok)::bigint as ok,
        sum(error)::bigint as error,
        sum(timeout)::bigint as timeout,
        sum("limit")::bigint as "limit",
        sum(failed_weight) / sum(weight) as error_rate,
        case when sum(duration_ms) > 1e-290 then sum(duration_ms) / sum(weight) end as duration_avg_ms,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        max(percentiles_ms) as percentiles_ms,
        min(sample_rate) as sample_rate,
        sum(durations)::text as durations,
        sum(points_sum) as points_sum
    from counted
    group by number
)
select
    bucket.number,
    coalesce(total.total, 0) as total,
    coalesce(total.ok, 0) as ok,
    coalesce(total.error, 0) as error,
    coalesce(total.timeout, 0) as timeout,
    coalesce(total."limit", 0) as "limit",
    coalesce(total.total - total.ok - total.error - total.timeout - total."limit", 0) as other,
    coalesce(total.error_rate, 0) as error_rate,
    coalesce(total.duration_avg_ms, 0) as duration_avg_ms,
    percentile.values_ms[1] as duration_p50_ms,
    percentile.values_ms[2] as duration_p95_ms,
    percentile.values_ms[3] as duration_p99_ms,
    coalesce(total.duration_min_ms, 0) as duration_min_ms,
    coalesce(total.duration_max_ms, 0) as duration_max_ms,
    total.durations,
    coalesce(total.points_sum, 0) as points_sum
from bucket
left join total on total.number = bucket.number
left join lateral (
    select total.percentiles_ms as values_ms
    where total.sample_rate = 1
    union all
    (
        with run as not materialized (
            select
                duration_ms,
                :weight as weight
            from (
                :stored_runs($1, $4, $7)
                    and created_at >= $2::timestamptz
                    and created_at <= $3::timestamptz
                    and created_at >= bucket.start
                    and created_at <= bucket.last
            ) as stored
            where total.sample_rate < 1
        ),
        :weighed_percentiles
    )
) as percentile on (select is_exact from whole)
order by bucket.number
