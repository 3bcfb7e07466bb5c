-- How many executions were offered, and how did they end? One row for each recorder that was seen in these hours.
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- Columns: recorder_id uuid, host text, pid integer, application text, started_at timestamptz, last_seen timestamptz, closed_at timestamptz?, offered bigint, recovered bigint, sampled_out bigint, rejected text, dropped text, written bigint, pending bigint, capacity bigint, last_dropped_at timestamptz?, earlier_offered bigint, earlier_recovered bigint, earlier_sampled_out bigint, earlier_rejected text, earlier_dropped text, earlier_written bigint, earlier_pending bigint, server_time timestamptz
-- Index: none
--
-- It uses recorder_account_hour, and recorder_account_pkey for each recorder. $1 is the first instant of an
-- hour. Counts are those since the recorder began, at the end of these hours and before them (earlier); when it
-- was seen last is told as of now. All recorders are needed for the sum, so there is no limit: a recorder has
-- a row an hour, for 400 days.
with latest as materialized (
    select distinct on (recorder_id)
        recorder_id,
        hour
    from execlog.recorder_account
    where hour >= coalesce($1::timestamptz, '-infinity')
        and hour <= coalesce($2::timestamptz, 'infinity')
    order by recorder_id, hour desc
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
from latest
join execlog.recorder_account as own on own.recorder_id = latest.recorder_id and own.hour = latest.hour
cross join lateral (
    select
        last_seen,
        closed_at,
        capacity
    from execlog.recorder_account
    where recorder_id = latest.recorder_id
    order by hour desc
    limit 1
) as newest
left join lateral (
    select
        offered,
        recovered,
        sampled_out,
        rejected,
        dropped,
        written,
        pending
    from execlog.recorder_account
    where recorder_id = latest.recorder_id
        and hour < coalesce($1::timestamptz, '-infinity')
    order by hour desc
    limit 1
) as earlier on true
order by own.host, own.pid, own.started_at, own.recorder_id
