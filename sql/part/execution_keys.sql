-- Times and ids of a page of executions of one strategy; with undated, those without a time.
-- switch undated
select
    created_at,
    id
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
    and created_at <= $4::timestamptz and (created_at, id) < ($4::timestamptz, $5::uuid)  -- if before_created_at, before_id, not undated
    and created_at is null and id < $6::uuid  -- if before_undated_id
    and created_at is null  -- if undated
    :filters
order by created_at desc nulls last, id desc
limit 200
