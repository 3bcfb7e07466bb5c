-- Which of these values no execution of a window has.
-- $1 strategies text[]
-- $2 realms text[]
-- $3 versions text[]
-- $4 codes text[]
-- $5 cases text[]
-- $6 words text[]
-- $7 since timestamptz?
-- $8 until timestamptz?
-- Columns: filter text, value text
-- Index: none
--
-- One row that has it is enough; a value that is absent costs one look at the rows of the window. Strategies, and
-- statuses but ok, are found in an index. `words` are statuses, or the words for several.
select
    filter,
    value
from (
    select
        'strategy_id' as filter,
        asked.value as value
    from unnest($1::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where strategy_id = asked.value
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where found.is_there is null
    union all
    select
        'realm_id' as filter,
        asked.value as value
    from unnest($2::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where realm_id = asked.value
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where found.is_there is null
    union all
    select
        'strategy_version' as filter,
        asked.value::text as value
    from unnest($3::text[]::integer[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where strategy_version = asked.value
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where found.is_there is null
    union all
    select
        'error_code' as filter,
        asked.value as value
    from unnest($4::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where error_code = asked.value
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where found.is_there is null
    union all
    select
        'case_name' as filter,
        asked.value as value
    from unnest($5::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where case_name = asked.value
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where found.is_there is null
    union all
    select
        'status' as filter,
        asked.value as value
    from unnest($6::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where status = 'ok'
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where asked.value = 'ok'
        and found.is_there is null
    union all
    select
        'status' as filter,
        asked.value as value
    from unnest($6::text[]) as asked (value)
    left join lateral (
        select true as is_there
        from execlog.strategy_execution_log
        where status is distinct from 'ok'
            and (case asked.value when 'failed' then true when 'errors' then :is_error when 'other' then :is_other else status = asked.value end)
            and created_at >= $7::timestamptz  -- if since
            and created_at <= $8::timestamptz  -- if until
        limit 1
    ) as found on true
    where asked.value <> 'ok'
        and found.is_there is null
) as absent
order by filter, value
