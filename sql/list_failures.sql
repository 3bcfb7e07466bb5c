-- The newest failed runs of all strategies, or of those of one realm.
-- $1 realm_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest_failures, strategy_execution_log_realm_failures
--
-- Four lists, each in the order of an index: with a realm or without, with a time or without. A call
-- reads two at most, and no further than a page: see list_for_strategy.sql, which also says why a
-- list that is not read has NULL as its bound, and why the page's limit stands within.
select
    (page.log).id,
    (page.log).created_at,
    (page.log).strategy_id,
    (page.log).strategy_version,
    (page.log).strategy_type,
    (page.log).realm_id,
    (page.log).external_game_id,
    (page.log).external_task_id,
    (page.log).external_user_id,
    (page.log).status,
    (page.log).error_code,
    (page.log).points,
    (page.log).case_name,
    (page.log).duration_ms,
    (page.log).nodes_executed,
    (page.log).trace::text as trace,
    (page.log).sampled,
    (page.log).sample_rate,
    (page.log).parent_strategy_id,
    (page.log).notes
from (
    select
        log,
        created_at,
        id
    from (
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and created_at >= case when $1::text is null then coalesce($2::timestamptz, '-infinity') end
                and created_at <= case when $1::text is null then coalesce($3::timestamptz, 'infinity') end
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and realm_id = $1::text
                and created_at >= case when $1::text is not null then coalesce($2::timestamptz, '-infinity') end
                and created_at <= case when $1::text is not null then coalesce($3::timestamptz, 'infinity') end
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and created_at is null
                and $2::timestamptz is null
                and $3::timestamptz is null
                and $1::text is null
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and realm_id = $1::text
                and created_at is null
                and $2::timestamptz is null
                and $3::timestamptz is null
            order by created_at desc nulls last, id desc
            limit 200
        )
    ) as candidate
    order by candidate.created_at desc nulls last, candidate.id desc
    limit 200
) as page
order by page.created_at desc nulls last, page.id desc
limit $4::bigint
