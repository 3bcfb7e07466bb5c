-- How often each case and each error code of a card occurred, in rows and in the rollups `kept`.
name as materialized (
    select
        is_code,
        name,
        sum(runs)::bigint as runs
    from (
        select
            false as is_code,
            case_name as name,
            runs
        from kind
        union all
        select
            true,
            error_code,
            runs
        from kind
        where error_code is not null
        union all
        select
            false,
            named.*
        from kept
        cross join lateral unnest(case_names, case_runs) as named
        union all
        select
            true,
            named.*
        from kept
        cross join lateral unnest(error_codes, error_runs) as named
    ) as named
    group by is_code, name
)
