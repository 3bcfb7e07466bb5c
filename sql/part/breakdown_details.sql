-- Percentiles and users of the groups that a breakdown needs them of, `wanted`, made of its rows, `execution`.
--
-- Of the rows without a value they are made even if that group is not wanted: IN finds no NULL.
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
        where value is null or value in (select value from wanted where weight_max = 1)
        group by value
        union all
        select
            strategy_id,
            null,
            values_ms,
            null
        from weighed
        union all
        select
            value,
            null,
            null,
            count(user_id)
        from (
            select distinct
                value,
                user_id
            from execution
            where value is null or value in (select value from wanted)
        ) as pair
        group by value
    ) as found
    group by value
)
