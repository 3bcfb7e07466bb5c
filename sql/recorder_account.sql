-- How many executions were offered, and how did they end? One row for each recorder that was seen in these hours.
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- Columns: recorder_id uuid, host text, pid integer, application text, started_at timestamptz, last_seen timestamptz, closed_at timestamptz?, offered bigint, recovered bigint, sampled_out bigint, rejected text, dropped text, written bigint, pending bigint, spooled bigint, capacity bigint, last_dropped_at timestamptz?, earlier_offered bigint, earlier_recovered bigint, earlier_sampled_out bigint, earlier_rejected text, earlier_dropped text, earlier_written bigint, earlier_pending bigint, server_time timestamptz
-- Index: none
--
-- It uses recorder_account_hour, and recorder_account_pkey for each recorder. $1 is the first instant of an
-- hour. Counts are those since the recorder began, at the end of these hours and before them (earlier); when it
-- was seen last is told as of now. All recorders are needed for the sum, so there is no limit: a recorder has
-- a row an hour, for 400 days. All joins are of one recorder with itself, so that a cluster can send them on.
-- The upper bound tells the planner, which may not know $1, that few hours are asked for.
with span as (
    select
        recorder_id,
        min(hour) as first_hour,
        max(hour) filter (where hour <= coalesce($2::timestamptz, 'infinity')) as last_hour,
        max(hour) as newest_hour
    from execlog.recorder_account
    where hour >= coalesce($1::timestamptz, '-infinity')
        and hour <= 'infinity'
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
    own.offered,
    own.recovered,
    own.sampled_out,
    own.rejected::text as rejected,
    own.dropped::text as dropped,
    own.written,
    own.pending,
    own.spooled,
    newest.capacity,
    own.last_dropped_at,
    coalesce(earlier.offered, 0) as earlier_offered,
    coalesce(earlier.recovered, 0) as earlier_recovered,
    coalesce(earlier.sampled_out, 0) as earlier_sampled_out,
    coalesce(earlier.rejected::text, '{}') as earlier_rejected,
    coalesce(earlier.dropped::text, '{}') as earlier_dropped,
    coalesce(earlier.written, 0) as earlier_written,
    coalesce(earlier.pending, 0) as earlier_pending,
    statement_timestamp() as server_time
from span
join execlog.recorder_account as own on own.recorder_id = span.recorder_id and own.hour = span.last_hour
join execlog.recorder_account as newest on newest.recorder_id = span.recorder_id and newest.hour = span.newest_hour
join execlog.recorder_account as begun on begun.recorder_id = span.recorder_id and begun.hour = span.first_hour
left join execlog.recorder_account as earlier
    on earlier.recorder_id = begun.recorder_id
    and earlier.hour = begun.earlier
    and earlier.hour < coalesce($1::timestamptz, '-infinity')
order by own.host, own.pid, own.started_at, own.recorder_id
