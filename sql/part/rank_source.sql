-- What a ranking is made of: which `part` of its window is read from where, and the rows, `execution`. A strategy that
-- a mark names is cut by itself. With in_total all are one, whose name is empty. With grouped each row has the value
-- and what else a breakdown needs. With of_one, `general` is of one strategy, its marks included.
-- switch in_total
-- switch grouped
-- switch of_one
-- switch by_realm_id | by_strategy_version
whole as materialized (
    select
        count(grain) = 0 as is_exact,
        count(*) filter (where grain = 0) = 0 and $3::timestamptz is null and $4::timestamptz is null as has_timeless
    from general
),
marked as materialized (
    select distinct strategy_id
    from execlog.rollup_mark
    where not (select is_exact from whole)
        and false  -- if of_one
),
part as materialized (
    select
        0 as number,
        null::text as strategy_id,
        grain,
        begins,
        ends
    from general
    union all
    select
        0,
        marked.strategy_id,
        cut.grain,
        cut.begins,
        cut.ends
    from marked
    cross join lateral execlog.rollup_cut(marked.strategy_id, $3::timestamptz, $4::timestamptz) as cut
    union all
    -- Strategies of which no minutes are kept in that hour.
    select distinct
        0,
        kept.strategy_id,
        null::integer,
        general.begins,
        general.ends
    from general
    join execlog.rollup as kept
        on kept.grain = 3600
        and kept.begins = date_bin('1 hour', general.begins, '2000-01-01 00:00:00+00')
        and not kept.has_minutes
    where general.grain = -60
        and kept.strategy_id not in (select strategy_id from marked)
),
execution as not materialized (
    select stored.*
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
            :weight as weight
        from execlog.strategy_execution_log
        where true
            and strategy_id is distinct from ''  -- if not of_one
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_id = any($2::text[])  -- if strategy_ids
            and strategy_version = any($7::integer[])  -- if strategy_versions
            and created_at >= coalesce($3::timestamptz, '-infinity')
            and created_at <= coalesce($4::timestamptz, 'infinity')
            and created_at >= part.begins
            and created_at <= part.ends
            and strategy_id not in (select strategy_id from marked)
    ) as stored
    where part.grain is null
        and part.strategy_id is null
    :rank_marked  -- if not of_one
    union all
    select
        strategy_id,  -- if not in_total
        '',  -- if in_total
        status,
        duration_ms,
        created_at,
        strategy_id as value,  -- if grouped, not by_realm_id, not by_strategy_version
        realm_id as value,  -- if by_realm_id
        strategy_version as value,  -- if by_strategy_version
        external_user_id as user_id,  -- if grouped
        points,  -- if grouped
        :weight
    from execlog.strategy_execution_log
    where created_at is null
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and strategy_version = any($7::integer[])  -- if strategy_versions
        and (select has_timeless from whole)
)
