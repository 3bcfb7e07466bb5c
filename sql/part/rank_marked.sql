-- The rows of strategies that a mark names, after those of the others.
-- switch in_total
-- switch grouped
-- switch by_realm_id | by_strategy_version
--
-- The window function keeps this a loop over the parts: rows are found by name and time, never hashed.
union all
select
    stored.strategy_id,
    stored.status,
    stored.duration_ms,
    stored.created_at,
    stored.value,  -- if grouped
    stored.user_id,  -- if grouped
    stored.points,  -- if grouped
    stored.weight
from part
cross join lateral (
    select
        strategy_id,  -- if not in_total
        ''::text as strategy_id,  -- if in_total
        status,
        duration_ms,
        created_at,
        strategy_id as value,  -- if grouped, not by_realm_id, not by_strategy_version
        realm_id as value,  -- if by_realm_id
        strategy_version as value,  -- if by_strategy_version
        external_user_id as user_id,  -- if grouped
        points,  -- if grouped
        :weight as weight,
        row_number() over (partition by strategy_id)
    from execlog.strategy_execution_log
    where strategy_id = part.strategy_id
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and strategy_version = any($7::integer[])  -- if strategy_versions
        and created_at >= part.begins
        and created_at <= part.ends
) as stored
where part.grain is null
    and part.strategy_id is not null
