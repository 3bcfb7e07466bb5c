-- Times and ids of a page of executions behind a number of a card; with undated, those without a time.
-- switch undated
select
    created_at,
    id
from execlog.strategy_execution_log
where strategy_id = $1::text
    and realm_id = any($2::text[])  -- if realm_ids
    and created_at >= $3::timestamptz  -- if since
    and created_at <= $4::timestamptz  -- if until
    and status <> 'ok'  -- if failed
    and :is_error  -- if errors
    and :is_other  -- if other
    and status = $5::text  -- if status
    and error_code = $6::text  -- if error_code
    and case_name is not distinct from nullif($7::text, '')  -- if case_name
    and duration_ms >= $8::double precision  -- if min_duration_ms
    and duration_ms <= $9::double precision  -- if max_duration_ms
    and duration_ms > $10::double precision  -- if above_duration_ms
    and points >= $11::double precision  -- if min_points
    and points <= $12::double precision  -- if max_points
    and points < $13::double precision  -- if below_points
    and created_at <= $14::timestamptz and (created_at, id) < ($14::timestamptz, $15::uuid)  -- if before_created_at, before_id, not undated
    and created_at is null and id < $16::uuid  -- if before_undated_id
    and created_at is null  -- if undated
order by created_at desc nulls last, id desc
limit 200
