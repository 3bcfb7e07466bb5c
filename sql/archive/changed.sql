-- Those of the offered rows that other files hold as they were before they were changed. What `maintain` has cleared of
-- inputs, and noted, is no change; and a file may hold a row that was erased from it and not from the log yet.
create or replace temp table changed as
select
    offered.*,
    held.filename,
    coalesce(held.notes = 'erased', false)
    and held.external_user_id is null
    and offered.external_user_id is not null as is_erased,
    held.status is distinct from 'ok'
    and offered.status = 'ok' as is_ok_now
from offered
join held
    on held.id = offered.id
    and held.strategy_id = offered.strategy_id
    and held.created_at = offered.created_at
where (
        offered.strategy_version,
        offered.strategy_type,
        offered.realm_id,
        offered.external_game_id,
        offered.external_task_id,
        offered.external_user_id,
        offered.status,
        offered.error_code,
        offered.points,
        offered.case_name,
        offered.duration_ms,
        offered.nodes_executed,
        offered.trace,
        offered.sampled,
        offered.sample_rate,
        offered.parent_strategy_id,
        offered.trace_id,
        offered.error_message,
        offered.attributes
    ) is distinct from (
        held.strategy_version,
        held.strategy_type,
        held.realm_id,
        held.external_game_id,
        held.external_task_id,
        held.external_user_id,
        held.status,
        held.error_code,
        held.points,
        held.case_name,
        held.duration_ms,
        held.nodes_executed,
        held.trace,
        held.sampled,
        held.sample_rate,
        held.parent_strategy_id,
        held.trace_id,
        held.error_message,
        held.attributes
    )
    or (
        (offered.input, offered.notes) is distinct from (held.input, held.notes)
        and not coalesce(
            held.input is not null
            and offered.input is null
            and offered.notes = concat_ws('; ', nullif(held.notes, ''), 'input expired'),
            false
        )
    );
