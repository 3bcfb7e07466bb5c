-- Erases the user, and all that may tell of the user, from the user's runs in the next part of the log; newest first.
-- $1 external_user_id text
-- $2 before timestamptz? always
-- $3 rows bigint
-- $4 only_count boolean
-- Columns: found bigint, reached timestamptz?
-- Index: strategy_execution_log_time, strategy_execution_log_user_hash
--
-- A part goes from the end of the last one down to the time of the row at the limit, with all rows of that
-- time; reached is that time, and NULL after the last part, which includes the rows without a time. The user's
-- rows of a part are found by their index, or by reading all of it, whichever the planner takes for cheaper.
-- "is distinct from" excludes the part's end, which the index condition has to include.
with reached as materialized (
    select (
        select created_at
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at <= coalesce($2::timestamptz, 'infinity')
            and created_at is distinct from $2::timestamptz
        order by created_at desc nulls last, id desc
        offset $3::bigint - 1
        limit 1
    ) as created_at
),
part as materialized (
    select
        coalesce(created_at, '-infinity') as begins,
        created_at is null as is_last
    from reached
),
dated as (
    update execlog.strategy_execution_log
    set external_user_id = null,
        trace = null,
        trace_id = null,
        error_message = null,
        input = null,
        attributes = null,
        notes = 'erased'
    where strategy_id is distinct from ''
        and external_user_id = $1::text
        and pg_catalog.hashtextextended(external_user_id, 0) = pg_catalog.hashtextextended($1::text, 0)
        and not $4::boolean
        and created_at <= coalesce($2::timestamptz, 'infinity')
        and created_at is distinct from $2::timestamptz
        and created_at >= (select begins from part)
    returning 1
),
undated as (
    update execlog.strategy_execution_log
    set external_user_id = null,
        trace = null,
        trace_id = null,
        error_message = null,
        input = null,
        attributes = null,
        notes = 'erased'
    where strategy_id is distinct from ''
        and external_user_id = $1::text
        and pg_catalog.hashtextextended(external_user_id, 0) = pg_catalog.hashtextextended($1::text, 0)
        and not $4::boolean
        and created_at is null
        and (select is_last from part)
    returning 1
),
counted as (
    select 1
    from execlog.strategy_execution_log
    where strategy_id is distinct from ''
        and external_user_id = $1::text
        and pg_catalog.hashtextextended(external_user_id, 0) = pg_catalog.hashtextextended($1::text, 0)
        and $4::boolean
        and created_at <= coalesce($2::timestamptz, 'infinity')
        and created_at is distinct from $2::timestamptz
        and created_at >= (select begins from part)
    union all
    select 1
    from execlog.strategy_execution_log
    where strategy_id is distinct from ''
        and external_user_id = $1::text
        and pg_catalog.hashtextextended(external_user_id, 0) = pg_catalog.hashtextextended($1::text, 0)
        and $4::boolean
        and created_at is null
        and (select is_last from part)
)
select
    (select count(*) from dated)
        + (select count(*) from undated)
        + (select count(*) from counted) as found,
    (select created_at from reached) as reached
