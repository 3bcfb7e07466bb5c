-- Percentiles, and users unless they are the groups, of the groups that a breakdown needs them of, `wanted`, made of its rows, `execution`.
--
-- Of the rows without a value these are made even if that group is not wanted: IN finds no NULL. With of_rollups, they
-- are made only if all of the answer `is_exact`.
-- switch of_rollups
-- switch by_external_user_id
asked as (
    :asked
),
run as not materialized (
    select
        value as strategy_id,
        duration_ms,
        weight
    from execution
    where (select bool_or(weight_max > 1) from wanted)
        and (value is null or value in (select value from wanted where weight_max > 1))
        and (select is_exact from whole)  -- if of_rollups
),
weighed as (
    with
    :weighed_values(by_strategy)
),
detail as materialized (
    select
        value,
        coalesce(max(weighed_ms), max(plain_ms)) as values_ms,
        max(users) as users
    from (
        select
            value,
            percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as plain_ms,
            null::double precision[] as weighed_ms,
            null::bigint as users
        from execution
        where (value is null or value in (select value from wanted where weight_max = 1))
            and (select is_exact from whole)  -- if of_rollups
        group by value
        union all
        select
            strategy_id,
            null,
            values_ms,
            null
        from weighed
        union all  -- if not by_external_user_id
        select  -- if not by_external_user_id
            value,  -- if not by_external_user_id
            null,  -- if not by_external_user_id
            null,  -- if not by_external_user_id
            count(user_id)  -- if not by_external_user_id
        from (  -- if not by_external_user_id
            select distinct  -- if not by_external_user_id
                value,  -- if not by_external_user_id
                user_id  -- if not by_external_user_id
            from execution  -- if not by_external_user_id
            where (value is null or value in (select value from wanted))  -- if not by_external_user_id
                and (select is_exact from whole)  -- if of_rollups, not by_external_user_id
        ) as pair  -- if not by_external_user_id
        group by value  -- if not by_external_user_id
    ) as found
    group by value
)
