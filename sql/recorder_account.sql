-- How many executions were offered, and how did they end? One row for each recorder that was seen in these hours.
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- Columns: recorder_id uuid, host text, pid integer, application text, started_at timestamptz, last_seen timestamptz, closed_at timestamptz?, offered bigint, recovered bigint, sampled_out bigint, rejected text, dropped text, written bigint, pending bigint, spooled bigint, capacity bigint, last_dropped_at timestamptz?, earlier_rejected text?, earlier_dropped text?, server_time timestamptz
-- Index: none
--
-- It uses recorder_account_hour, and recorder_account_pkey for each recorder. $1 is the first instant of an
-- hour. Kept are counts since the recorder began: those of a window are the ones at its end less the ones before
-- it, and what was pending then is offered in it. When it was seen last is told as of now. All recorders are
-- needed for the sum, so there is no limit: a recorder has a row an hour, for 400 days. All joins are of one
-- recorder with itself, so that a cluster can send them on.
-- The last row is the one that says most, and not the latest: if the server's clock was ahead and was set back,
-- a row of an hour that is still to come is older than those of now. Counts never go back. Of rows that say the
-- same, one of an hour that has begun comes before others.
-- The upper bound tells the planner, which may not know $1, that few hours are asked for.
with span as (
    select
        recorder_id,
        (min(array[hour, case when earlier < coalesce($1::timestamptz, '-infinity') then earlier end]))[2] as earlier,
        max(place) filter (where hour <= coalesce($2::timestamptz, 'infinity')) as last,
        max(place) as newest
    from (
        select
            recorder_id,
            hour,
            earlier,
            array[
                offered + recovered - pending,
                (closed_at is not null)::integer,
                (hour <= statement_timestamp())::integer,
                (1000000 * date_part('epoch', hour - '2000-01-01 00:00:00+00'::timestamptz))::bigint
            ] as place
        from execlog.recorder_account
        where hour >= coalesce($1::timestamptz, '-infinity')
            and hour <= 'infinity'
    ) as seen
    group by recorder_id
)
select
    own.recorder_id,
    own.host,
    own.pid,
    own.application,
    own.started_at,
    newest.last_seen,
    newest.closed_at,
    own.offered - coalesce(earlier.offered - earlier.pending, 0) as offered,
    own.recovered - coalesce(earlier.recovered, 0) as recovered,
    own.sampled_out - coalesce(earlier.sampled_out, 0) as sampled_out,
    own.rejected::text as rejected,
    own.dropped::text as dropped,
    own.written - coalesce(earlier.written, 0) as written,
    own.pending,
    own.spooled,
    newest.capacity,
    own.last_dropped_at,
    earlier.rejected::text as earlier_rejected,
    earlier.dropped::text as earlier_dropped,
    statement_timestamp() as server_time
from span
join execlog.recorder_account as own
    on own.recorder_id = span.recorder_id
    and own.hour = '2000-01-01 00:00:00+00'::timestamptz + span.last[4] * interval '1 microsecond'
join execlog.recorder_account as newest
    on newest.recorder_id = span.recorder_id
    and newest.hour = '2000-01-01 00:00:00+00'::timestamptz + span.newest[4] * interval '1 microsecond'
left join execlog.recorder_account as earlier
    on earlier.recorder_id = span.recorder_id
    and earlier.hour = span.earlier
order by own.host, own.pid, own.started_at, own.recorder_id
