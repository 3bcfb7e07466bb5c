-- The rows of each `part` of a time series that rollups are added to: their durations in bars of 2 %.
select
    part.number,
    piece.*
from part
cross join lateral (
    select
        sum(runs),
        coalesce(sum(runs) filter (where status = 'ok'), 0),
        coalesce(sum(runs) filter (where status = 'error'), 0),
        coalesce(sum(runs) filter (where status = 'timeout'), 0),
        coalesce(sum(runs) filter (where status = 'limit'), 0),
        sum(weight) filter (where :is_error),
        sum(weight),
        sum(duration_ms),
        min(duration_min_ms),
        max(duration_max_ms),
        sum(points),
        null::double precision,
        null::double precision[],
        sum((units::text || 'e' || 24 * bar)::numeric)
    from (
        select
            status,
            execlog.rollup_bar(duration_ms) as bar,
            count(*) as runs,
            sum(:weight) as weight,
            sum((1e8::double precision * :weight)::bigint) as units,
            sum(duration_ms * case when duration_ms < 1e290 then :weight else 1 end) as duration_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms,
            sum(points) as points
        from (
            :stored_runs($1, $4, $7)
                and created_at >= $2::timestamptz
                and created_at <= $3::timestamptz
                and created_at >= part.begins
                and created_at <= part.ends
        ) as run
        group by status, execlog.rollup_bar(duration_ms)
    ) as kind
) as piece
where part.grain is null
    and not (select is_exact from whole)
