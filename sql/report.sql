-- What the page of a strategy shows: its card, its time series, and the window of the same length before.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 realm_ids text[]?
-- $5 width_us bigint
-- $6 buckets integer
-- $7 before timestamptz
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_sum_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations text?, durations_above text, bars text?, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, points_runs bigint, points text?, points_below text?, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text, rows_from timestamptz?, timeseries text, before text
-- Index: strategy_execution_log_newest
--
-- The columns of metrics.sql, and rows of timeseries.sql as JSON: a line of a colon and a name stands for
-- the statement of that file, which takes the first parameters of this one. The window before is what
-- timeseries.sql says of it as one bucket.
-- Doubles go as the hexadecimal digits of their bytes: as numbers in JSON they would have as many digits
-- as the session's extra_float_digits says.
with card as (
    :metrics
),
series as (
    :timeseries
),
earlier as materialized (
    select
        grain,
        begins,
        ends
    from execlog.rollup_parts($1::text, $7::timestamptz, $2::timestamptz - interval '1 microsecond')
),
earlier_whole as materialized (
    select count(grain) = 0 as is_exact
    from earlier
),
earlier_execution as not materialized (
    select
        status,
        duration_ms,
        points,
        sample_rate
    from earlier
    cross join lateral (
        select
            status,
            duration_ms,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and created_at >= $7::timestamptz
            and created_at < $2::timestamptz
            and created_at >= earlier.begins
            and created_at <= earlier.ends
    ) as stored
    where earlier.grain is null
        and $4::text[] is null
    union all
    select
        status,
        duration_ms,
        points,
        sample_rate
    from earlier
    cross join lateral (
        select
            status,
            duration_ms,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and realm_id = any($4::text[])
            and created_at >= $7::timestamptz
            and created_at < $2::timestamptz
            and created_at >= earlier.begins
            and created_at <= earlier.ends
    ) as stored
    where earlier.grain is null
        and $4::text[] is not null
),
earlier_counted as materialized (
    select
        count(*) as total,
        count(*) filter (where status = 'ok') as ok,
        count(*) filter (where status = 'error') as error,
        count(*) filter (where status = 'timeout') as timeout,
        count(*) filter (where status = 'limit') as "limit",
        sum(1 / greatest(sample_rate, 1e-9)) filter (where status in ('error', 'timeout', 'limit')) as failed_weight,
        sum(1 / greatest(sample_rate, 1e-9)) filter (where status not in ('error', 'timeout', 'limit')) as other_weight,
        sum(duration_ms) as duration_sum_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from earlier_whole)) as percentiles_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from earlier_whole)) as durations,
        sum(points) as points_sum
    from earlier_execution
    union all
    select
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
    from earlier
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
            and grain = earlier.grain
            and begins >= earlier.begins
            and begins <= earlier.ends
            and ($4::text[] is null or realm_id = any($4::text[]))
        offset 0
    ) as rollup
),
before as (
    select
        0 as number,
        coalesce(sum(total), 0)::bigint as total,
        coalesce(sum(ok), 0)::bigint as ok,
        coalesce(sum(error), 0)::bigint as error,
        coalesce(sum(timeout), 0)::bigint as timeout,
        coalesce(sum("limit"), 0)::bigint as "limit",
        coalesce(sum(total - ok - error - timeout - "limit"), 0)::bigint as other,
        coalesce(sum(failed_weight) / (sum(failed_weight) + coalesce(sum(other_weight), 0)), 0) as error_rate,
        case when sum(duration_sum_ms) > 1e-290 then sum(duration_sum_ms) / sum(total)::double precision else 0 end as duration_avg_ms,
        (max(percentiles_ms))[1] as duration_p50_ms,
        (max(percentiles_ms))[2] as duration_p95_ms,
        (max(percentiles_ms))[3] as duration_p99_ms,
        coalesce(min(duration_min_ms), 0) as duration_min_ms,
        coalesce(max(duration_max_ms), 0) as duration_max_ms,
        sum(durations)::text as durations,
        coalesce(sum(points_sum), 0) as points_sum
    from earlier_counted
)
select
    card.ok,
    card.error,
    card.timeout,
    card."limit",
    card.other,
    card.ok_weight,
    card.failed_weight,
    card.weight,
    card.duration_sum_ms,
    card.duration_min_ms,
    card.duration_max_ms,
    card.p50_ms,
    card.p95_ms,
    card.p99_ms,
    card.durations,
    card.durations_above,
    card.bars,
    card.points_sum,
    card.points_weighed,
    card.points_min,
    card.points_step,
    card.points_max,
    card.points_at_least,
    card.points_runs,
    card.points,
    card.points_below,
    card.nodes_avg,
    card.nodes_max,
    card.top_errors,
    card.top_cases,
    card.rows_from,
    (
        select json_agg(
            json_build_object(
                'number', number,
                'total', total,
                'ok', ok,
                'error', error,
                'timeout', timeout,
                'limit', "limit",
                'other', other,
                'error_rate', encode(float8send(error_rate), 'hex'),
                'duration_avg_ms', encode(float8send(duration_avg_ms), 'hex'),
                'duration_p50_ms', encode(float8send(duration_p50_ms), 'hex'),
                'duration_p95_ms', encode(float8send(duration_p95_ms), 'hex'),
                'duration_p99_ms', encode(float8send(duration_p99_ms), 'hex'),
                'duration_min_ms', encode(float8send(duration_min_ms), 'hex'),
                'duration_max_ms', encode(float8send(duration_max_ms), 'hex'),
                'durations', durations,
                'points_sum', encode(float8send(points_sum), 'hex')
            )
            order by number
        )
        from series
    )::text as timeseries,
    (
        select json_build_object(
            'number', number,
            'total', total,
            'ok', ok,
            'error', error,
            'timeout', timeout,
            'limit', "limit",
            'other', other,
            'error_rate', encode(float8send(error_rate), 'hex'),
            'duration_avg_ms', encode(float8send(duration_avg_ms), 'hex'),
            'duration_p50_ms', encode(float8send(duration_p50_ms), 'hex'),
            'duration_p95_ms', encode(float8send(duration_p95_ms), 'hex'),
            'duration_p99_ms', encode(float8send(duration_p99_ms), 'hex'),
            'duration_min_ms', encode(float8send(duration_min_ms), 'hex'),
            'duration_max_ms', encode(float8send(duration_max_ms), 'hex'),
            'durations', durations,
            'points_sum', encode(float8send(points_sum), 'hex')
        )
        from before
    )::text as before
from card
