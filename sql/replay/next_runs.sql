-- The next runs of a strategy to be replayed, newest first, each as the JSON that a candidate is given.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 before_created_at timestamptz?
-- $5 before_id uuid?
-- $6 before_undated_id uuid?
-- $7 bounds text?
-- $8 limit bigint
-- $9 and on: filters
-- switch undated
-- switch drawn
-- Columns: id uuid, created_at timestamptz?, status text, error_code text?, points double precision?, case_name text?, duration_ms double precision, sample_rate double precision, external_user_id text?, reason text?, stratum text?, execution text?
-- Index: strategy_execution_log_newest
--
-- The JSON is made in the outer list, so that inputs are fetched for the rows of this page alone; its trace is
-- left out. A draw is by a hash of the id: the same runs each time, and no order but that of the index. Its bounds
-- are an object of the greatest hash by stratum, with one for all others under the empty name; what can't be
-- replayed is counted by strata.sql, and not read again.
select
    id,
    created_at,
    status,
    error_code,
    points,
    case_name,
    duration_ms,
    sample_rate,
    external_user_id,
    reason,
    stratum,
    case
        when reason is null then (
            select row_to_json(handed)::text
            from (
                select
                    run.id,
                    run.created_at,
                    run.strategy_id,
                    run.strategy_version,
                    run.strategy_type,
                    run.realm_id,
                    run.external_game_id,
                    run.external_task_id,
                    run.external_user_id,
                    run.status,
                    run.error_code,
                    run.points,
                    run.case_name,
                    run.duration_ms,
                    run.nodes_executed,
                    run.sampled,
                    run.sample_rate,
                    run.parent_strategy_id,
                    run.notes,
                    run.trace_id,
                    run.error_message,
                    run.input,
                    run.attributes
            ) as handed
        )
    end as execution
from (
    select
        :columns(stored),
        :replay_reason as reason,
        null::text as stratum  -- if not drawn
        :replay_stratum as stratum  -- if drawn
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at is not null  -- if not undated
        and created_at is null  -- if undated
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
        and created_at <= $4::timestamptz and (created_at, id) < ($4::timestamptz, $5::uuid)  -- if before_created_at, before_id
        and id < $6::uuid  -- if before_undated_id
        and :replay_reason is null  -- if drawn
        and pg_catalog.uuid_hash_extended(id, 0) <= coalesce(((select $7::text::jsonb) ->> :replay_stratum)::bigint, ((select $7::text::jsonb) ->> '')::bigint)  -- if bounds
        :filters
    order by created_at desc nulls last, id desc
    limit 500
) as run
order by created_at desc nulls last, id desc
limit $8::bigint
