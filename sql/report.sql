-- What the page of a strategy shows: its card, its time series, and the window of the same length before.
-- $1 strategy_id text
-- $2 since timestamptz
-- $3 until timestamptz
-- $4 realm_ids text[]?
-- $5 width_us bigint
-- $6 buckets integer
-- $7 since_before timestamptz
-- $8 until_before timestamptz
-- $9 width_us_before bigint
-- $10 buckets_before integer
-- $11 strategy_versions integer[]?
-- Columns: :metrics, timeseries text, before text, blocks text?, blocks_before text?
-- Index: strategy_execution_log_newest
--
-- The window before is a time series of one bucket. A bucket goes as JSON, its doubles as the hexadecimal
-- digits of their bytes: as numbers they would have as many digits as the session's extra_float_digits says.
-- Both windows by whole blocks of time tell which changes are more than chance.
with card as (
    :metrics($1, $2, $3, $4, $11)
),
series as (
    :timeseries($1, $2, $3, $4, $5, $6, $11)
),
before as (
    :timeseries($1, $7, $8, $4, $9, $10, $11)
),
bucket as (
    select
        is_before,
        number,
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
        ) as bucket
    from (
        select false as is_before, series.* from series
        union all
        select true, before.* from before
    ) as bucket
)
select
    card.*,
    (select json_agg(bucket order by number) from bucket where not is_before)::text as timeseries,
    (select bucket from bucket where is_before)::text as before,
    block.blocks,
    block_before.blocks as blocks_before
from card
cross join (
    :block_sums($1, $2, $3, $4, $11)
) as block
cross join (
    :block_sums($1, $7, $8, $4, $11)
) as block_before
