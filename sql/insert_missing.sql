-- Stores many executions, except those that are stored already.
-- $1 rows text
-- Columns: stored bigint
-- Index: strategy_execution_log_id
--
-- A row is stored already where its id, strategy and time are. Rows are the columns by
-- their names, as one text: for arrays of their values asyncpg would have to ask for the arrays' types.
with stored as (
    insert into execlog.strategy_execution_log (
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
        notes
    )
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
        trace::jsonb,
        sampled,
        sample_rate,
        parent_strategy_id,
        notes
    from json_to_recordset($1::text::json) as given (
        id uuid,
        created_at timestamptz,
        strategy_id text,
        strategy_version integer,
        strategy_type text,
        realm_id text,
        external_game_id text,
        external_task_id text,
        external_user_id text,
        status text,
        error_code text,
        points double precision,
        case_name text,
        duration_ms double precision,
        nodes_executed integer,
        trace text,
        sampled boolean,
        sample_rate double precision,
        parent_strategy_id text,
        notes text
    )
    on conflict do nothing
    returning 1
)
select count(*) as stored
from stored
