-- What the runs of a strategy add up to in whole blocks of time, of which a window has 31 at most.
-- $1 strategy_id text
-- $2 since timestamptz? always
-- $3 until timestamptz? always
-- $4 realm_ids text[]?
-- $5 strategy_versions integer[]?
-- Columns: blocks text?
-- Index: strategy_execution_log_newest
--
-- A block is a minute at least, and begins at a multiple of its width: whole minutes, hours or days, as rollups are. An
-- open end is that of the runs (of rollups: their first hour). From rollups and rows as in a time series; all from rows
-- if the window has few runs.
-- As JSON: begin and width in seconds; runs, those that an error rate counts, those that are ok; the weights of these
-- three, all runs first; weighed durations and points; durations in bars of 2 %.
with ends as materialized (
    select
        coalesce(
            nullif($2::timestamptz, '-infinity'),
            least(
                (
                    select min(created_at)
                    from execlog.strategy_execution_log
                    where strategy_id = $1::text
                        and created_at > '-infinity'
                        and created_at < 'infinity'
                ),
                (
                    select
                        coalesce(
                            (
                                select min(begins)
                                from execlog.rollup
                                where strategy_id = $1::text
                                    and grain = 3600
                                    and begins >= day.begins
                                    and begins < day.begins + interval '24 hours'
                            ),
                            day.begins
                        )
                    from (
                        select min(begins) as begins
                        from execlog.rollup
                        where strategy_id = $1::text
                            and grain = 86400
                    ) as day
                )
            )
        ) as since,
        coalesce(
            nullif($3::timestamptz, 'infinity'),
            (
                select max(created_at)
                from execlog.strategy_execution_log
                where strategy_id = $1::text
                    and created_at > '-infinity'
                    and created_at < 'infinity'
            )
        ) as until
),
size as materialized (
    select
        since,
        until,
        width,
        date_bin(width * interval '1 second', since, '2000-01-01 00:00:00+00') as first
    from (
        select
            since,
            until,
            coalesce(
                (
                    select min(usual)
                    from unnest('{60,120,300,600,900,1800,3600,7200,10800,21600,43200,86400}'::double precision[]) as width (usual)
                    where usual * 30 >= date_part('epoch', until - since)
                ),
                ceil(date_part('epoch', until - since) / 30 / 86400) * 86400
            ) as width
        from ends
    ) as sized
),
block as materialized (
    select
        number,
        width,
        first + number * width * interval '1 second' as begins,
        greatest(since, first + number * width * interval '1 second') as start,
        least(until, first + (number + 1) * width * interval '1 second' - interval '1 microsecond') as last
    from size
    cross join generate_series(0, 31) as series (number)
    where first + number * width * interval '1 second' <= until
),
few as materialized (
    select
        count(grain) = 0 as is_exact,
        execlog.rollup_dirty($1::text) as dirty
    from execlog.rollup_parts($1::text, $2::timestamptz, $3::timestamptz)
),
part as materialized (
    select
        block.number,
        cut.grain,
        cut.begins,
        cut.ends
    from few
    cross join block
    cross join lateral execlog.rollup_cut($1::text, block.start, block.last, block.number > 0, few.dirty) as cut
    where not few.is_exact
    union all
    select
        number,
        null,
        start,
        last
    from block
    where (select is_exact from few)
),
piece as (
    select
        part.number,
        made.*
    from part
    cross join lateral (
        select
            sum(runs) as runs,
            sum(failed) as failed,
            sum(ok) as ok,
            sum(weight) as weight,
            sum(failed_weight) as failed_weight,
            sum(ok_weight) as ok_weight,
            sum(duration_ms) as duration_ms,
            sum(points) as points,
            sum((units::text || 'e' || 24 * bar)::numeric) as durations
        from (
            select
                execlog.rollup_bar(duration_ms) as bar,
                count(*) as runs,
                count(*) filter (where :is_error) as failed,
                count(*) filter (where status = 'ok') as ok,
                sum(:weight) as weight,
                coalesce(sum(:weight) filter (where :is_error), 0) as failed_weight,
                coalesce(sum(:weight) filter (where status = 'ok'), 0) as ok_weight,
                sum(duration_ms * case when duration_ms < 1e290 then :weight else 1 end) as duration_ms,
                coalesce(sum(points * case when abs(points) < 1e290 then :weight else 1 end), 0) as points,
                sum((1e8::double precision * :weight)::bigint) as units
            from (
                :stored_runs($1, $4, $5)
                    and created_at >= coalesce($2::timestamptz, '-infinity')
                    and created_at <= coalesce($3::timestamptz, 'infinity')
                    and created_at >= part.begins
                    and created_at <= part.ends
            ) as run
            group by execlog.rollup_bar(duration_ms)
        ) as bars
    ) as made
    where part.grain is null
        and made.runs > 0
    union all
    select
        part.number,
        kept.*
    from part
    cross join lateral (
        select
            ok + error + timeout + "limit" + other,
            error + timeout + "limit",
            ok,
            ok_weight + failed_weight + other_weight,
            failed_weight,
            ok_weight,
            duration_weighed_ms,
            coalesce(points_weighed, 0),
            durations
        :stored_rollups($1, $4, $5)
    ) as kept
    where part.grain is not null
)
select
    json_agg(
        json_build_array(
            begins,
            width,
            runs,
            failed,
            ok,
            weight,
            failed_weight,
            ok_weight,
            duration_ms,
            points,
            durations
        )
        order by begins
    )::text as blocks
from (
    select
        date_part('epoch', block.begins)::bigint as begins,
        block.width::bigint as width,
        sum(runs)::bigint as runs,
        sum(failed)::bigint as failed,
        sum(ok)::bigint as ok,
        sum(weight) as weight,
        sum(failed_weight) as failed_weight,
        sum(ok_weight) as ok_weight,
        sum(duration_ms) as duration_ms,
        sum(points) as points,
        sum(durations)::text as durations
    from piece
    join block on block.number = piece.number
    group by
        block.begins,
        block.width
) as total
