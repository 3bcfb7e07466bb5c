-- What a dashboard of another program asks, over all strategies at once: runs over time, error codes, names, recorders.
--
-- Locks: none. Expected stall: none.
--
-- All of them read with the rights of the role that calls them: a tenant's role sees the rows of its realm. Of names,
-- realms and versions NULL stands for all, and so does a NULL among them, which is what a dashboard sends for "All".
-- They are planned for each call, so that a name that is not asked for costs nothing.

-- Which parts of each bucket of a window are read from where, as execlog.rollup_cut says it: those of a strategy that a
-- mark names, and of one that has no minutes in that hour, are its own; NULL are all the others. Buckets are cut
-- at multiples of the width, the first begins and the last ends with the window; without a width there is one.
create function execlog.window_parts(since timestamptz, until timestamptz, width interval, strategies text[])
returns table (starts timestamptz, strategy_id text, grain integer, begins timestamptz, ends timestamptz)
language plpgsql
stable
rows 500
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    tick constant interval := '1 microsecond';
    hour constant interval := '1 hour';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    -- In seconds, since a day of an interval has 23 hours where the session's clock is set forward.
    seconds constant numeric := extract(epoch from width);
    step constant interval := make_interval(secs => seconds::double precision);
    edge constant timestamptz := case when seconds is null then since else date_bin(step, since, origin) end;
    buckets constant numeric := coalesce(greatest(ceil(extract(epoch from until - edge) / seconds), 1), 1);
begin
    if buckets > 1000 then
        raise invalid_parameter_value using message = 'more than 1,000 points in time: choose a longer interval';
    end if;
    return query
    with bucket as materialized (
        select
            number,
            greatest(since, edge + number * step) as starts,
            case when number < buckets - 1 then edge + (number + 1) * step - tick else until end as last
        from generate_series(0, buckets::integer - 1) as series (number)
    ),
    marked as materialized (
        select distinct strategy_id
        from execlog.rollup_mark
        where strategies is null
            or strategy_id = any(strategies)
    ),
    dirty as materialized (
        select
            null::text as strategy_id,
            execlog.rollup_dirty(null) as dirty
        union all
        select
            strategy_id,
            execlog.rollup_dirty(strategy_id)
        from marked
    ),
    cut as materialized (
        select
            bucket.starts,
            dirty.strategy_id,
            cut.grain,
            cut.begins,
            cut.ends
        from bucket
        cross join dirty
        cross join lateral execlog.rollup_cut(dirty.strategy_id, bucket.starts, bucket.last, bucket.number > 0, dirty.dirty) as cut
    ),
    -- Strategies of which no minutes are kept in an hour.
    thin as materialized (
        select
            cut_hour.begins,
            kept.strategy_id
        from (
            select distinct date_bin(hour, begins, origin) as begins
            from cut
            where grain = -60
        ) as cut_hour
        cross join lateral (
            select distinct strategy_id
            from execlog.rollup
            where grain = 3600
                and begins = cut_hour.begins
                and not has_minutes
                and (strategies is null or strategy_id = any(strategies))
                and strategy_id not in (select strategy_id from marked)
            offset 0
        ) as kept
    )
    select
        cut.starts,
        cut.strategy_id,
        cut.grain,
        cut.begins,
        cut.ends
    from cut
    where cut.grain is distinct from -60
    union all
    select
        cut.starts,
        thin.strategy_id,
        null::integer,
        cut.begins,
        cut.ends
    from cut
    join thin on thin.begins = date_bin(hour, cut.begins, origin)
    where cut.grain = -60;
end
$$;

comment on function execlog.window_parts(timestamptz, timestamptz, interval, text[]) is 'Which parts of each bucket of a window are read from where.';

-- How each version of each strategy ran over time: what is in no bucket did not run. Both ends are included. Counts are of
-- stored rows; a row weighs 1/sample_rate. With histograms, `durations` is for execlog.quantile, else it is NULL. Unless it is
-- by version, names and versions are NULL, and all are counted together: histograms are most of the work then.
-- OFFSET 0 keeps the planner from joining all parts with all rows, and the window function has rows of a strategy
-- found by its name and time.
create function execlog.runs_over_time(
    since timestamptz,
    until timestamptz,
    width interval,
    strategies text[] default null,
    realms text[] default null,
    versions integer[] default null,
    histograms boolean default false,
    by_version boolean default true
)
returns table (
    "time" timestamptz,
    strategy_id text,
    strategy_version integer,
    runs bigint,
    ok bigint,
    error bigint,
    timeout bigint,
    "limit" bigint,
    other bigint,
    failed_weight double precision,
    weight double precision,
    duration_weighed_ms double precision,
    duration_min_ms double precision,
    duration_max_ms double precision,
    durations numeric
)
language plpgsql
stable
rows 1000
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    named constant text[] := case when array_position(strategies, null) is null then strategies end;
    tenants constant text[] := case when array_position(realms, null) is null then realms end;
    numbered constant integer[] := case when array_position(versions, null) is null then versions end;
begin
    return query
    with part as materialized (
        select
            starts,
            strategy_id,
            grain,
            begins,
            ends
        from execlog.window_parts(since, until, width, named)
    ),
    marked as materialized (
        select distinct strategy_id
        from execlog.rollup_mark
    ),
    execution as not materialized (
        select
            part.starts,
            stored.*
        from part
        cross join lateral (
            select
                strategy_id,
                strategy_version,
                status,
                duration_ms,
                1 / greatest(sample_rate, 1e-9) as weight
            from execlog.strategy_execution_log
            where created_at >= since
                and created_at <= until
                and created_at >= part.begins
                and created_at <= part.ends
                and (named is not null or strategy_id is distinct from '')
                and (named is null or strategy_id = any(named))
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
                and strategy_id not in (select strategy_id from marked)
            offset 0
        ) as stored
        where part.grain is null
            and part.strategy_id is null
        union all
        select
            part.starts,
            stored.strategy_id,
            stored.strategy_version,
            stored.status,
            stored.duration_ms,
            stored.weight
        from part
        cross join lateral (
            select
                strategy_id,
                strategy_version,
                status,
                duration_ms,
                1 / greatest(sample_rate, 1e-9) as weight,
                row_number() over (partition by strategy_id)
            from execlog.strategy_execution_log
            where strategy_id = part.strategy_id
                and created_at >= since
                and created_at <= until
                and created_at >= part.begins
                and created_at <= part.ends
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
        ) as stored
        where part.grain is null
            and part.strategy_id is not null
    ),
    kind as (
        select
            starts,
            case when by_version then strategy_id end as strategy_id,
            case when by_version then strategy_version end as strategy_version,
            status,
            case when histograms then execlog.rollup_bar(duration_ms) end as bar,
            count(*) as runs,
            sum(weight) as weight,
            sum((1e8::double precision * weight)::bigint) as units,
            sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end) as duration_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms
        from execution
        group by 1, 2, 3, 4, 5
    ),
    counted as (
        select
            starts,
            strategy_id,
            strategy_version,
            sum(runs) filter (where status = 'ok') as ok,
            sum(runs) filter (where status = 'error') as error,
            sum(runs) filter (where status = 'timeout') as timeout,
            sum(runs) filter (where status = 'limit') as "limit",
            sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')) as other,
            sum(weight) filter (where status in ('error', 'timeout', 'limit')) as failed_weight,
            sum(weight) filter (where status not in ('error', 'timeout', 'limit')) as other_weight,
            sum(duration_ms) as duration_ms,
            min(duration_min_ms) as duration_min_ms,
            max(duration_max_ms) as duration_max_ms,
            sum((units::text || 'e' || 24 * bar)::numeric) as durations
        from kind
        group by starts, strategy_id, strategy_version
        union all
        select
            part.starts,
            kept.*
        from part
        cross join lateral (
            select
                case when by_version then strategy_id end as strategy_id,
                case when by_version then strategy_version end as strategy_version,
                ok,
                error,
                timeout,
                "limit",
                other,
                failed_weight,
                ok_weight + other_weight as other_weight,
                duration_weighed_ms,
                duration_min_ms,
                duration_max_ms,
                case when histograms then durations end as durations
            from execlog.rollup
            where strategy_id not in (select strategy_id from marked)
                and grain = part.grain
                and begins >= part.begins
                and begins <= part.ends
                and (named is null or strategy_id = any(named))
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
            offset 0
        ) as kept
        where part.grain is not null
            and part.strategy_id is null
        union all
        select
            part.starts,
            kept.*
        from part
        cross join lateral (
            select
                case when by_version then strategy_id end as strategy_id,
                case when by_version then strategy_version end as strategy_version,
                ok,
                error,
                timeout,
                "limit",
                other,
                failed_weight,
                ok_weight + other_weight as other_weight,
                duration_weighed_ms,
                duration_min_ms,
                duration_max_ms,
                case when histograms then durations end as durations
            from execlog.rollup
            where strategy_id = part.strategy_id
                and grain = part.grain
                and begins >= part.begins
                and begins <= part.ends
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
            offset 0
        ) as kept
        where part.grain is not null
            and part.strategy_id is not null
    ),
    total as (
        select
            starts,
            strategy_id,
            strategy_version,
            coalesce(sum(ok), 0)::bigint as ok,
            coalesce(sum(error), 0)::bigint as error,
            coalesce(sum(timeout), 0)::bigint as timeout,
            coalesce(sum("limit"), 0)::bigint as "limit",
            coalesce(sum(other), 0)::bigint as other,
            coalesce(sum(failed_weight), 0) as failed_weight,
            coalesce(sum(other_weight), 0) as other_weight,
            sum(duration_ms) as duration_ms,
            min(duration_min_ms) as duration_min_ms,
            max(duration_max_ms) as duration_max_ms,
            sum(durations) as durations
        from counted
        group by starts, strategy_id, strategy_version
    )
    select
        starts,
        strategy_id,
        strategy_version,
        ok + error + timeout + "limit" + other,
        ok,
        error,
        timeout,
        "limit",
        other,
        failed_weight,
        failed_weight + other_weight,
        duration_ms,
        duration_min_ms,
        duration_max_ms,
        durations
    from total
    order by starts, strategy_id, strategy_version;
end
$$;

comment on function execlog.runs_over_time(timestamptz, timestamptz, interval, text[], text[], integer[], boolean, boolean) is 'How each version of each strategy ran over time.';

-- How often each error code was stored in a window, by strategy and version. NULL are the codes that are not among the 200
-- most frequent ones of an hour.
create function execlog.error_codes(
    since timestamptz,
    until timestamptz,
    strategies text[] default null,
    realms text[] default null,
    versions integer[] default null
)
returns table (strategy_id text, strategy_version integer, error_code text, runs bigint)
language plpgsql
stable
rows 100
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    named constant text[] := case when array_position(strategies, null) is null then strategies end;
    tenants constant text[] := case when array_position(realms, null) is null then realms end;
    numbered constant integer[] := case when array_position(versions, null) is null then versions end;
begin
    return query
    with part as materialized (
        select
            strategy_id,
            grain,
            begins,
            ends
        from execlog.window_parts(since, until, null, named)
    ),
    marked as materialized (
        select distinct strategy_id
        from execlog.rollup_mark
    ),
    counted as (
        select stored.*
        from part
        cross join lateral (
            select
                strategy_id,
                strategy_version,
                error_code,
                1::bigint as runs
            from execlog.strategy_execution_log
            where created_at >= since
                and created_at <= until
                and created_at >= part.begins
                and created_at <= part.ends
                and error_code is not null
                and (named is not null or strategy_id is distinct from '')
                and (named is null or strategy_id = any(named))
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
                and strategy_id not in (select strategy_id from marked)
            offset 0
        ) as stored
        where part.grain is null
            and part.strategy_id is null
        union all
        select
            stored.strategy_id,
            stored.strategy_version,
            stored.error_code,
            1
        from part
        cross join lateral (
            select
                strategy_id,
                strategy_version,
                error_code,
                row_number() over (partition by strategy_id)
            from execlog.strategy_execution_log
            where strategy_id = part.strategy_id
                and created_at >= since
                and created_at <= until
                and created_at >= part.begins
                and created_at <= part.ends
                and error_code is not null
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
        ) as stored
        where part.grain is null
            and part.strategy_id is not null
        union all
        select
            kept.strategy_id,
            kept.strategy_version,
            code.name,
            code.runs
        from part
        cross join lateral (
            select
                strategy_id,
                strategy_version,
                error_codes || null::text as names,
                error_runs || other_errors as runs
            from execlog.rollup
            where grain = part.grain
                and begins >= part.begins
                and begins <= part.ends
                and (error_codes <> '{}' or other_errors > 0)
                and (
                    part.strategy_id is null
                    and strategy_id not in (select strategy_id from marked)
                    and (named is null or strategy_id = any(named))
                    or strategy_id = part.strategy_id
                )
                and (tenants is null or realm_id = any(tenants))
                and (numbered is null or strategy_version = any(numbered))
            offset 0
        ) as kept
        cross join lateral unnest(kept.names, kept.runs) as code (name, runs)
        where part.grain is not null
            and code.runs > 0
    )
    select
        strategy_id,
        strategy_version,
        error_code,
        sum(runs)::bigint
    from counted
    group by strategy_id, strategy_version, error_code
    order by 4 desc, strategy_id, strategy_version, error_code;
end
$$;

comment on function execlog.error_codes(timestamptz, timestamptz, text[], text[], integer[]) is 'How often each error code was stored in a window.';

-- What ran in a window: each strategy, realm and version. Hours that an end of the window cuts are taken whole.
create function execlog.names_in(since timestamptz, until timestamptz)
returns table (strategy_id text, realm_id text, strategy_version integer)
language plpgsql
stable
rows 100
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    hour constant interval := '1 hour';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    first constant timestamptz := date_bin(hour, since, origin);
    last constant timestamptz := date_bin(hour, until, origin) + hour - interval '1 microsecond';
begin
    return query
    with part as materialized (
        select
            strategy_id,
            grain,
            begins,
            ends
        from execlog.window_parts(first, last, null, null)
    ),
    marked as materialized (
        select distinct strategy_id
        from execlog.rollup_mark
    )
    select
        stored.strategy_id,
        stored.realm_id,
        stored.strategy_version
    from part
    cross join lateral (
        select
            strategy_id,
            realm_id,
            strategy_version
        from execlog.strategy_execution_log
        where created_at >= first
            and created_at <= last
            and created_at >= part.begins
            and created_at <= part.ends
            and strategy_id is distinct from ''
        offset 0
    ) as stored
    where part.grain is null
        and part.strategy_id is null
    union
    select
        stored.strategy_id,
        stored.realm_id,
        stored.strategy_version
    from part
    cross join lateral (
        select
            strategy_id,
            realm_id,
            strategy_version,
            row_number() over (partition by strategy_id)
        from execlog.strategy_execution_log
        where strategy_id = part.strategy_id
            and created_at >= first
            and created_at <= last
            and created_at >= part.begins
            and created_at <= part.ends
    ) as stored
    where part.grain is null
        and part.strategy_id is not null
    union
    select
        kept.strategy_id,
        kept.realm_id,
        kept.strategy_version
    from part
    cross join lateral (
        select
            strategy_id,
            realm_id,
            strategy_version
        from execlog.rollup
        where grain = part.grain
            and begins >= part.begins
            and begins <= part.ends
            and (
                part.strategy_id is null and strategy_id not in (select strategy_id from marked)
                or strategy_id = part.strategy_id
            )
        offset 0
    ) as kept
    where part.grain is not null
    order by 1, 2, 3;
end
$$;

comment on function execlog.names_in(timestamptz, timestamptz) is 'Each strategy, realm and version that ran in a window.';

-- The account of each recorder in the hours of a window, as execlog.recorder_account is to be read. Accounts are of all
-- realms: a role that may not read them has none.
create function execlog.accounts_in(since timestamptz, until timestamptz)
returns table (
    host text,
    pid integer,
    application text,
    last_seen timestamptz,
    state text,
    offered bigint,
    recovered bigint,
    sampled_out bigint,
    rejected bigint,
    dropped bigint,
    written bigint,
    pending bigint,
    spooled bigint,
    most_missing bigint
)
language plpgsql
stable
rows 10
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
    if not has_table_privilege('execlog.recorder_account', 'select') then
        return;
    end if;
    return query
    with span as (
        select
            recorder_id,
            (min(array[hour, case when earlier < date_trunc('hour', since, 'UTC') then earlier end]))[2] as earlier,
            max(place) filter (where hour <= until) as last,
            max(place) as newest
        from (
            select
                recorder_id,
                hour,
                earlier,
                array[
                    offered + recovered - pending,
                    (closed_at is not null)::integer,
                    (hour <= statement_timestamp())::integer,
                    (1000000 * date_part('epoch', hour - '2000-01-01 00:00:00+00'::timestamptz))::bigint
                ] as place
            from execlog.recorder_account
            where hour >= date_trunc('hour', since, 'UTC')
                and hour <= 'infinity'
        ) as seen
        group by recorder_id
    )
    select
        own.host,
        own.pid,
        own.application,
        newest.last_seen,
        case
            when newest.closed_at is not null then 'closed'
            when newest.last_seen between statement_timestamp() - interval '2 minutes' and statement_timestamp() + interval '2 minutes' then 'alive'
            else 'open'
        end,
        own.offered - coalesce(earlier.offered - earlier.pending, 0),
        own.recovered - coalesce(earlier.recovered, 0),
        own.sampled_out - coalesce(earlier.sampled_out, 0),
        (
            select coalesce(sum(sign * value::bigint), 0)::bigint
            from (values (1, own.rejected), (-1, earlier.rejected)) as side (sign, reasons)
            cross join lateral jsonb_each_text(side.reasons)
        ),
        (
            select coalesce(sum(sign * value::bigint), 0)::bigint
            from (values (1, own.dropped), (-1, earlier.dropped)) as side (sign, reasons)
            cross join lateral jsonb_each_text(side.reasons)
        ),
        own.written - coalesce(earlier.written, 0),
        own.pending,
        own.spooled,
        case when newest.closed_at is null then greatest(own.pending - own.spooled, newest.capacity) else 0 end
    from span
    join execlog.recorder_account as own
        on own.recorder_id = span.recorder_id
        and own.hour = '2000-01-01 00:00:00+00'::timestamptz + span.last[4] * interval '1 microsecond'
    join execlog.recorder_account as newest
        on newest.recorder_id = span.recorder_id
        and newest.hour = '2000-01-01 00:00:00+00'::timestamptz + span.newest[4] * interval '1 microsecond'
    left join execlog.recorder_account as earlier
        on earlier.recorder_id = span.recorder_id
        and earlier.hour = span.earlier
    order by own.host, own.pid, own.started_at, own.recorder_id;
end
$$;

comment on function execlog.accounts_in(timestamptz, timestamptz) is 'The account of each recorder in the hours of a window.';

-- They are whose the log is. Who may cut windows may call them.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    propagation constant text := coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on');
    log_owner oid;
    routine regprocedure;
    granted text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform set_config('citus.enable_ddl_propagation', 'off', true);
    select relowner
    into log_owner
    from pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    for routine in
        select unnest(array[
            'execlog.accounts_in(timestamptz, timestamptz)',
            'execlog.error_codes(timestamptz, timestamptz, text[], text[], integer[])',
            'execlog.names_in(timestamptz, timestamptz)',
            'execlog.runs_over_time(timestamptz, timestamptz, interval, text[], text[], integer[], boolean, boolean)',
            'execlog.window_parts(timestamptz, timestamptz, interval, text[])'
        ]::regprocedure[])
    loop
        for granted in
            select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
            from pg_proc
            cross join lateral aclexplode(proacl)
            where oid = 'execlog.rollup_cut(text, timestamptz, timestamptz, boolean, tstzmultirange)'::regprocedure
                and privilege_type = 'EXECUTE'
                and grantee <> proowner
        loop
            execute format('grant execute on function %s to %s', routine, granted);
        end loop;
        if pg_get_userbyid(log_owner) <> current_user then
            execute format('alter function %s owner to %I', routine, pg_get_userbyid(log_owner));
        end if;
    end loop;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
    perform set_config('search_path', path, true);
end
$$;
