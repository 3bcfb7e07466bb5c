-- The newest executions of one strategy, all or of one status, a page at a time.
-- $1 strategy_id text
-- $2 status text?
-- $3 limit bigint
-- $4 before_created_at timestamptz?
-- $5 before_id uuid?
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest, strategy_execution_log_failures
--
-- Rows without a time come after all others, so they are a list of their own, and so are the
-- failures, which have an index of their own: four lists, each in the order of an index, of which a
-- call reads at most two, and no further than its page. Only status 'ok' has to pass over the
-- failures among the rows: an index for it would cost a third of COPY.
-- A list that a call does not read has NULL as its bound: then all of its partitions are pruned
-- before they are opened.
-- The limit of 200, the largest page, lets the planner see that a page is cheap whatever $3 is: then
-- the generic plan serves after five calls, and 0.3 ms of planning are saved on each.
-- A page of the last list starts at before_id alone; on the first page both are NULL.
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
            where strategy_id = $1::text
                and ($2::text is null or status = 'ok')
                and created_at <= case
                    when coalesce($2::text, 'ok') = 'ok' and ($5::uuid is null or $4::timestamptz is not null)
                    then coalesce($4::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($4::timestamptz, 'infinity'),
                    coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($5::uuid is null or (created_at, id) <> ($4::timestamptz, $5::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where strategy_id = $1::text
                and status = $2::text
                and status <> 'ok'
                and created_at <= case
                    when $2::text <> 'ok' and ($5::uuid is null or $4::timestamptz is not null)
                    then coalesce($4::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($4::timestamptz, 'infinity'),
                    coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($5::uuid is null or (created_at, id) <> ($4::timestamptz, $5::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where strategy_id = $1::text
                and coalesce($2::text, 'ok') = 'ok'
                and ($2::text is null or status = 'ok')
                and created_at is null
                and id <= coalesce(case when $4::timestamptz is null then $5::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($4::timestamptz is not null or $5::uuid is null or id <> $5::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where strategy_id = $1::text
                and status = $2::text
                and status <> 'ok'
                and created_at is null
                and id <= coalesce(case when $4::timestamptz is null then $5::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($4::timestamptz is not null or $5::uuid is null or id <> $5::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
    ) as candidate
    order by candidate.created_at desc nulls last, candidate.id desc
    limit 200
) as page
order by page.created_at desc nulls last, page.id desc
limit $3::bigint
