-- A page of executions or failures as rows of the table; with undated, those without a time.
-- switch undated
select
    :columns(stored)
from execlog.strategy_execution_log
where true
    and strategy_id = $1::text  -- if strategy_id
    and strategy_id is distinct from ''  -- if of_all, not failed_of_all, not external_user_ids
    and strategy_id = any($2::text[])  -- if strategy_ids
    and status is distinct from 'ok'  -- if failed_of_all
    and created_at >= $3::timestamptz  -- if since
    and created_at <= $4::timestamptz  -- if until
    and created_at <= $5::timestamptz and (created_at, id, strategy_id) < ($5::timestamptz, $6::uuid, $8::text)  -- if before_created_at, before_id, before_strategy_id, not undated
    and created_at is null and (id, strategy_id) < ($7::uuid, $9::text)  -- if before_undated_id, before_undated_strategy_id
    and created_at is null  -- if undated
    :filters
order by realm_id, created_at desc nulls last, id desc, strategy_id desc  -- if of_one_realm
order by created_at desc nulls last, id desc, strategy_id desc  -- if not of_one_realm
limit 200  -- if not spread
