-- The newest executions of one strategy that a number of its card counts, a page at a time.
-- $1 strategy_id text
-- $2 realm_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 status text?
-- $6 error_code text?
-- $7 case_name text?
-- $8 min_duration_ms double precision?
-- $9 max_duration_ms double precision?
-- $10 above_duration_ms double precision?
-- $11 min_points double precision?
-- $12 max_points double precision?
-- $13 below_points double precision?
-- $14 limit bigint
-- $15 before_created_at timestamptz?
-- $16 before_id uuid?
-- $17 payloads boolean
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_id
--
-- The page is found in the index alone, which holds all that is asked about but the realm, and only its rows
-- are fetched, by their ids: what is passed over costs no look into the table. Where realms are given
-- it does, in lists of their own.
-- Failures are a list of their own too, so that the planner may find few of them by their own index and
-- sort them. Why a list that is not read has NULL as its bound, and why the page's limit stands
-- within: see list_for_strategy.sql.
select
    execution.id,
    execution.created_at,
    execution.strategy_id,
    execution.strategy_version,
    execution.strategy_type,
    execution.realm_id,
    execution.external_game_id,
    execution.external_task_id,
    execution.external_user_id,
    execution.status,
    execution.error_code,
    execution.points,
    execution.case_name,
    execution.duration_ms,
    execution.nodes_executed,
    execution.trace,
    execution.sampled,
    execution.sample_rate,
    execution.parent_strategy_id,
    execution.notes
from (
    select
        created_at,
        id
    from (
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and $2::text[] is null
                and ($5::text is null or status = 'ok')
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when coalesce($5::text, 'ok') = 'ok' and ($16::uuid is null or $15::timestamptz is not null)
                    then least($4::timestamptz, $15::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($15::timestamptz, 'infinity'),
                    coalesce($16::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($16::uuid is null or (created_at, id) <> ($15::timestamptz, $16::uuid))
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and $2::text[] is null
                and status <> 'ok'
                and ($5::text = 'failed' or status = $5::text or ($5::text = 'errors' and status in ('error', 'timeout', 'limit')) or ($5::text = 'other' and status not in ('ok', 'error', 'timeout', 'limit')))
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when $5::text <> 'ok' and ($16::uuid is null or $15::timestamptz is not null)
                    then least($4::timestamptz, $15::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($15::timestamptz, 'infinity'),
                    coalesce($16::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($16::uuid is null or (created_at, id) <> ($15::timestamptz, $16::uuid))
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and realm_id = any($2::text[])
                and $2::text[] is not null
                and ($5::text is null or status = 'ok')
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when coalesce($5::text, 'ok') = 'ok' and ($16::uuid is null or $15::timestamptz is not null)
                    then least($4::timestamptz, $15::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($15::timestamptz, 'infinity'),
                    coalesce($16::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($16::uuid is null or (created_at, id) <> ($15::timestamptz, $16::uuid))
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and realm_id = any($2::text[])
                and $2::text[] is not null
                and status <> 'ok'
                and ($5::text = 'failed' or status = $5::text or ($5::text = 'errors' and status in ('error', 'timeout', 'limit')) or ($5::text = 'other' and status not in ('ok', 'error', 'timeout', 'limit')))
                and created_at >= coalesce($3::timestamptz, '-infinity')
                and created_at <= case
                    when $5::text <> 'ok' and ($16::uuid is null or $15::timestamptz is not null)
                    then least($4::timestamptz, $15::timestamptz, 'infinity')
                end
                and (created_at, id) <= (
                    coalesce($15::timestamptz, 'infinity'),
                    coalesce($16::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
                and ($16::uuid is null or (created_at, id) <> ($15::timestamptz, $16::uuid))
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and $2::text[] is null
                and created_at is null
                and $3::timestamptz is null
                and $4::timestamptz is null
                and ($5::text is null or status = $5::text or ($5::text = 'failed' and status <> 'ok') or ($5::text = 'errors' and status in ('error', 'timeout', 'limit')) or ($5::text = 'other' and status not in ('ok', 'error', 'timeout', 'limit')))
                and id <= coalesce(case when $15::timestamptz is null then $16::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($15::timestamptz is not null or $16::uuid is null or id <> $16::uuid)
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
        union all
        (
            select created_at, id
            from execlog.strategy_execution_log
            where strategy_id = $1::text
                and realm_id = any($2::text[])
                and $2::text[] is not null
                and created_at is null
                and $3::timestamptz is null
                and $4::timestamptz is null
                and ($5::text is null or status = $5::text or ($5::text = 'failed' and status <> 'ok') or ($5::text = 'errors' and status in ('error', 'timeout', 'limit')) or ($5::text = 'other' and status not in ('ok', 'error', 'timeout', 'limit')))
                and id <= coalesce(case when $15::timestamptz is null then $16::uuid end, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                and ($15::timestamptz is not null or $16::uuid is null or id <> $16::uuid)
                and ($6::text is null or error_code = $6::text)
                and ($7::text is null or case_name is not distinct from nullif($7::text, ''))
                and ($8::double precision is null or duration_ms >= $8::double precision)
                and ($9::double precision is null or duration_ms <= $9::double precision)
                and ($10::double precision is null or duration_ms > $10::double precision)
                and ($11::double precision is null or points >= $11::double precision)
                and ($12::double precision is null or points <= $12::double precision)
                and ($13::double precision is null or points < $13::double precision)
            order by created_at desc nulls last, id desc
            limit 200
        )
    ) as candidate
    order by created_at desc nulls last, id desc
    limit least($14::bigint, 200)
) as page
cross join lateral (
    (
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
            case when $17::boolean then trace::text end as trace,
            sampled,
            sample_rate,
            parent_strategy_id,
            notes
        from execlog.strategy_execution_log
        where id = page.id
            and strategy_id = $1::text
            -- The window, for the planner: its partitions are known from the start.
            and created_at >= coalesce($3::timestamptz, '-infinity')
            and created_at <= least($4::timestamptz, $15::timestamptz, 'infinity')
            and created_at = page.created_at
    )
    union all
    (
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
            case when $17::boolean then trace::text end as trace,
            sampled,
            sample_rate,
            parent_strategy_id,
            notes
        from execlog.strategy_execution_log
        where id = page.id
            and strategy_id = $1::text
            and created_at is null
            and page.created_at is null
    )
) as execution
order by page.created_at desc nulls last, page.id desc
