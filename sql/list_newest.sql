-- The newest executions of all strategies, or those of one status, a page at a time.
-- $1 status text?
-- $2 limit bigint
-- $3 before_created_at timestamptz?
-- $4 before_id uuid?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_time, strategy_execution_log_newest_failures
--
-- Four lists, each in the order of an index: with a time or without, and those that failed apart. A call
-- reads two at most, and no further than a page: see list_for_strategy.sql, which also says why a list
-- that is not read has NULL as its bound, and why the page's limit stands within. Where one status is
-- asked for, the others among the failures are passed over.
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
            where strategy_id is distinct from ''
                and ($1::text is null or status = 'ok')
                and created_at <= case
                    when coalesce($1::text, 'ok') = 'ok' and ($4::uuid is null or $3::timestamptz is not null)
                    then coalesce($3::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($3::timestamptz, 'infinity'),
                    coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($4::uuid is null or (created_at, id) <> ($3::timestamptz, $4::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and status = $1::text
                and created_at <= case
                    when $1::text <> 'ok' and ($4::uuid is null or $3::timestamptz is not null)
                    then coalesce($3::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($3::timestamptz, 'infinity'),
                    coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($4::uuid is null or (created_at, id) <> ($3::timestamptz, $4::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where strategy_id is distinct from ''
                and coalesce($1::text, 'ok') = 'ok'
                and ($1::text is null or status = 'ok')
                and created_at is null
                and id <= coalesce(case when $3::timestamptz is null then $4::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($3::timestamptz is not null or $4::uuid is null or id <> $4::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and status = $1::text
                and created_at is null
                and id <= coalesce(case when $3::timestamptz is null then $4::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($3::timestamptz is not null or $4::uuid is null or id <> $4::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
    ) as candidate
    order by candidate.created_at desc nulls last, candidate.id desc
    limit 200
) as page
order by page.created_at desc nulls last, page.id desc
limit $2::bigint
