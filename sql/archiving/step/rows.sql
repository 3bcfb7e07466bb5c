-- The rows of one file.
select
    id,
    created_at,
    strategy_id,
    strategy_version,
    strategy_type,
    realm_id,
    external_game_id,
    external_task_id,
    external_user_id,
    status,
    error_code,
    points,
    case_name,
    duration_ms,
    nodes_executed,
    trace,
    sampled,
    sample_rate,
    parent_strategy_id,
    notes,
    trace_id,
    error_message,
    stored_at,
    input,
    attributes
from execlog.:"partition"
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at >= :'begins'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'failures_before')
