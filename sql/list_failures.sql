-- The newest failed runs of all strategies and realms, or of some.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 limit bigint
-- $6 before_created_at timestamptz?
-- $7 before_id uuid?
-- $8 payloads boolean
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest_failures, strategy_execution_log_realm_failures
--
-- Lists, each in the order of an index: of all realms, of one, or of several, with a time or without. A call
-- reads two at most, and of all realms or one no further than a page: see list_for_strategy.sql, which
-- also says why a list that is not read has NULL as its bound, and why the page's limit stands within.
-- One realm is looked for as a list, and its page ordered by it too: then no other index has that order, and
-- the planner, which may not know how few failures it has, does not look for it among everybody's.
-- Several are looked for there, or all of theirs are sorted, whichever the planner takes for less. A
-- lateral list of each would be a page each, but Citus knows none that has a limit.
-- Where strategies are given, the failures of others are passed over.
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
    case when $8::boolean then (page.log).trace::text end as trace,
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
                and ($2::text[] is null or strategy_id = any($2::text[]))
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when $1::text[] is null and ($7::uuid is null or $6::timestamptz is not null)
                    then least($4::timestamptz, $6::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($6::timestamptz, 'infinity'),
                    coalesce($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($7::uuid is null or (created_at, id) <> ($6::timestamptz, $7::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from (
                select log, realm_id, created_at, id
                from execlog.strategy_execution_log as log
                where status is distinct from 'ok'
                    and realm_id = any($1::text[])
                    and ($2::text[] is null or strategy_id = any($2::text[]))
                    and created_at >= coalesce($3::timestamptz, '-infinity')
                    and created_at <= case
                        when cardinality($1::text[]) = 1 and ($7::uuid is null or $6::timestamptz is not null)
                        then least($4::timestamptz, $6::timestamptz, 'infinity')
                    end
                    and (created_at, id) <= (
                        coalesce($6::timestamptz, 'infinity'),
                        coalesce($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                    )
                    and ($7::uuid is null or (created_at, id) <> ($6::timestamptz, $7::uuid))
                order by realm_id, created_at desc nulls last, id desc
                limit 200
            ) as failure
            order by realm_id, created_at desc nulls last, id desc
            limit $5::bigint
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and realm_id = any($1::text[])
                and ($2::text[] is null or strategy_id = any($2::text[]))
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when cardinality($1::text[]) > 1 and ($7::uuid is null or $6::timestamptz is not null)
                    then least($4::timestamptz, $6::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($6::timestamptz, 'infinity'),
                    coalesce($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($7::uuid is null or (created_at, id) <> ($6::timestamptz, $7::uuid))
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and ($2::text[] is null or strategy_id = any($2::text[]))
                and created_at is null
                and $3::timestamptz is null
                and $4::timestamptz is null
                and $1::text[] is null
                and id <= coalesce(case when $6::timestamptz is null then $7::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($6::timestamptz is not null or $7::uuid is null or id <> $7::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select log, created_at, id
            from (
                select log, realm_id, created_at, id
                from execlog.strategy_execution_log as log
                where status is distinct from 'ok'
                    and realm_id = any($1::text[])
                    and ($2::text[] is null or strategy_id = any($2::text[]))
                    and created_at is null
                    and $3::timestamptz is null
                    and $4::timestamptz is null
                    and cardinality($1::text[]) = 1
                    and id <= coalesce(case when $6::timestamptz is null then $7::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                    and ($6::timestamptz is not null or $7::uuid is null or id <> $7::uuid)
                order by realm_id, created_at desc nulls last, id desc
                limit 200
            ) as failure
            order by realm_id, created_at desc nulls last, id desc
            limit $5::bigint
        )
        union all
        (
            select log, created_at, id
            from execlog.strategy_execution_log as log
            where status is distinct from 'ok'
                and realm_id = any($1::text[])
                and ($2::text[] is null or strategy_id = any($2::text[]))
                and created_at is null
                and $3::timestamptz is null
                and $4::timestamptz is null
                and cardinality($1::text[]) > 1
                and id <= coalesce(case when $6::timestamptz is null then $7::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($6::timestamptz is not null or $7::uuid is null or id <> $7::uuid)
            order by created_at desc nulls last, id desc
            limit 200
        )
    ) as candidate
    order by candidate.created_at desc nulls last, candidate.id desc
    limit 200
) as page
order by page.created_at desc nulls last, page.id desc
limit $5::bigint
