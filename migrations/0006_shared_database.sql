-- The log lives in a database that others use too: they publish its tables, hold locks, take rights from
-- PUBLIC, make functions of the same names, and restore its schema without its rows.
--
-- Locks: each partition, share update exclusive (VACUUM waits, nobody else); then
-- execlog.strategy_execution_log, its partitions, execlog.rollup and execlog.rollup_name, access
-- exclusive: who stores and who reads waits. Expected stall: 0.15 ms for each partition, beyond the wait for
-- those who are at it, and a second if autovacuum is at the rollups.
--
-- Price of the replica identity in WAL: none with wal_level replica; with logical 4 % in batches of 2,000
-- rows and 25 % in batches of 200, whose rollups are updated as often. Price of the slots: a COPY of 2,000
-- rows by each of four writers takes 1.01 times as long.

-- Each transaction that stores has one of these slots to itself, by a lock on its row: only who may change
-- the row can lock it.
create table execlog.rollup_slot (
    slot integer not null,
    constraint rollup_slot_pkey primary key (slot)
);

comment on table execlog.rollup_slot is 'One row for each slot of execlog.rollup that a transaction can have to itself while it stores.';

insert into execlog.rollup_slot (slot)
select slot
from generate_series(0, 63) as slot;

-- These three are part of the statement that calls them, and so have no search_path of their own: their
-- bodies are read here, once, and not by the search_path of each caller.
create or replace function execlog.rollup_bar(value double precision)
returns integer
language sql
immutable
parallel safe
return case
    when value < 0.001 then 0
    when value < 1e12 then 1 + pg_catalog.floor(pg_catalog.ln(value * 1000) / 0.01980262729617973)::integer
    else 1745
end;

create or replace function execlog.rollup_edge(value double precision)
returns integer
language sql
immutable
parallel safe
return 12 - pg_catalog.width_bucket(-value, '{-5000,-2500,-1000,-500,-250,-200,-150,-100,-50,-25,-10,-5}'::double precision[]);

create or replace function execlog.rollup_own_slot()
returns integer
language sql
return 64 + (pg_catalog.pg_current_xact_id()::text::numeric % 2147000000)::integer;

-- Each bound is asked for once: of a partition that goes meanwhile there is none any more.
create or replace function execlog.partitions()
returns table (id oid, is_default boolean, begins timestamptz, ends timestamptz)
language sql
stable
set datestyle = 'ISO'
set timezone = 'UTC'
set search_path = pg_catalog, pg_temp
as $$
    with said as materialized (
        select
            child.oid as id,
            pg_get_expr(child.relpartbound, child.oid) as expression
        from pg_inherits as link
        join pg_class as child on child.oid = link.inhrelid
        where link.inhparent = 'execlog.strategy_execution_log'::regclass
    ),
    bound as (
        select
            id,
            expression,
            substring(expression from 'FROM \(''([^'']+)''\)')::timestamptz as begins,
            substring(expression from 'TO \(''([^'']+)''\)')::timestamptz as ends
        from said
        where expression is not null
    )
    select
        id,
        expression = 'DEFAULT',
        case
            when begins is null or begins < '0001-01-02 00:00:00+00' then '-infinity'
            when begins > '9999-12-30 00:00:00+00' then 'infinity'
            else begins
        end,
        case
            when ends is null or ends > '9999-12-30 00:00:00+00' then 'infinity'
            when ends < '0001-01-02 00:00:00+00' then '-infinity'
            else ends
        end
    from bound
$$;

-- On a cluster these two are others, which read rows alone (`execlog distribute`).
do $migration$
begin
    if exists (
        select from pg_catalog.pg_proc
        where oid = to_regprocedure('execlog.rollup_cut(timestamptz, timestamptz, boolean)')
            and prolang = (select oid from pg_catalog.pg_language where lanname = 'sql')
    ) then
        return;
    end if;
    create or replace function execlog.rollup_cut(since timestamptz, until timestamptz, follows boolean default false)
    returns table (grain integer, begins timestamptz, ends timestamptz)
    language plpgsql
    stable
    rows 5
    set search_path = pg_catalog, pg_temp
    as $function$
    declare
        state record;
        minute constant interval := '1 minute';
        hour constant interval := '1 hour';
        tick constant interval := '1 microsecond';
        origin constant timestamptz := '2000-01-01 00:00:00+00';
        first constant timestamptz := coalesce(since, '-infinity');
        last constant timestamptz := coalesce(until, 'infinity');
        low timestamptz;
        high timestamptz := last + tick;
        low_is_gone boolean;
        high_is_gone boolean;
        unit interval;
        low_minute timestamptz;
        high_minute timestamptz;
        low_hour timestamptz;
        high_hour timestamptz;
    begin
        select * into state from execlog.rollup_state;
        -- The row may be missing, for example after a restore of the schema alone.
        if not found then
            return query select null::integer, first, last;
            return;
        end if;
        -- An hour whose rows are gone in part is taken for gone.
        state.rows_from := date_bin(hour, state.rows_from + hour - tick, origin);
        -- Rows that outlive their rollups are read.
        low := greatest(first, state.complete_from, case when state.hours_from > state.rows_from then state.hours_from end);
        low_is_gone := low < state.rows_from;
        high_is_gone := high < state.rows_from;
        if low_is_gone then
            unit := case when low < state.minutes_from then hour else minute end;
            low := date_bin(unit, case when follows then low + unit - tick else low end, origin);
        end if;
        if high_is_gone then
            unit := case when high < state.minutes_from then hour else minute end;
            high := date_bin(unit, high + unit - tick, origin);
        end if;
        low_hour := date_bin(hour, low + hour - tick, origin);
        high_hour := date_bin(hour, high, origin);
        low_minute := case when low < state.minutes_from then low_hour else date_bin(minute, low + minute - tick, origin) end;
        high_minute := case when high < state.minutes_from then high_hour else date_bin(minute, high, origin) end;
        if state.complete_from = 'infinity' or (low_minute >= high_minute and isfinite(high_minute) and not low_is_gone) then
            return query select null::integer, first, last;
            return;
        end if;
        if since is null and until is null and state.complete_from = '-infinity' then
            return query select 0, '-infinity'::timestamptz, '-infinity'::timestamptz;
        end if;
        -- The ends of the calendar are whole hours, of one instant each.
        if low_hour < high_hour or (low_hour = high_hour and not isfinite(low_hour)) then
            return query select 3600, low_hour, high_hour - hour;
            if low_minute < low_hour then
                return query select 60, low_minute, low_hour - minute;
            end if;
            if high_hour < high_minute then
                return query select 60, high_hour, high_minute - minute;
            end if;
        elsif low_minute < high_minute then
            return query select 60, low_minute, high_minute - minute;
        end if;
        if first < low_minute and not low_is_gone then
            return query select null::integer, first, low_minute - tick;
        end if;
        if high_minute <= last and isfinite(high_minute) and not high_is_gone then
            return query select null::integer, high_minute, last;
        end if;
    end
    $function$;
    create or replace function execlog.rollup_parts(strategy text, since timestamptz, until timestamptz)
    returns table (grain integer, begins timestamptz, ends timestamptz)
    language plpgsql
    stable
    rows 5
    set plan_cache_mode = force_custom_plan
    set search_path = pg_catalog, pg_temp
    as $function$
    declare
        state record;
        runs bigint;
        total bigint := 0;
    begin
        select * into state from execlog.rollup_state;
        if not found or state.complete_from = 'infinity' then
            return query select null::integer, coalesce(since, '-infinity'), coalesce(until, 'infinity');
            return;
        end if;
        if coalesce(since, '-infinity') >= state.rows_from then
            -- As far as need be, and no further.
            for runs in
                select rollup.ok + rollup.error + rollup.timeout + rollup."limit" + rollup.other
                from execlog.rollup_cut(since, until) as part
                cross join lateral (
                    select
                        ok,
                        error,
                        timeout,
                        "limit",
                        other
                    from execlog.rollup as kept
                    where kept.grain = part.grain
                        and kept.begins >= part.begins
                        and kept.begins <= part.ends
                        and (strategy is null or kept.strategy_id = strategy)
                    offset 0
                ) as rollup
            loop
                total := total + runs;
                exit when total > state.exact_runs;
            end loop;
            if total <= state.exact_runs then
                return query select null::integer, coalesce(since, '-infinity'), coalesce(until, 'infinity');
                return;
            end if;
        end if;
        return query select * from execlog.rollup_cut(since, until);
    end
    $function$;
end
$migration$;

-- Adds what a statement has stored. Each transaction at work has a slot of its own, which it holds until
-- it ends: nobody waits for another's rows, and nobody can deadlock. A transaction that would not see
-- what others add meanwhile has rows of its own, and so has one for which no slot is left.
create or replace function execlog.roll_up()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    own integer;
begin
    -- It has its owner's rights: a table of somebody else's is not to be taken for the log.
    if tg_relid <> 'execlog.strategy_execution_log'::regclass
        and not pg_has_role((select relowner from pg_class where oid = tg_relid), current_user, 'member')
    then
        raise insufficient_privilege using message = 'only the owner of the log may add to its rollups';
    end if;
    if not exists (select from stored) then
        return null;
    end if;
    if current_setting('transaction_isolation') not in ('repeatable read', 'serializable') then
        -- What the transaction holds already is not skipped: it can't come to wait for itself.
        select slot
        into own
        from execlog.rollup_slot
        limit 1
        for no key update skip locked;
    end if;
    if own is null then
        own := execlog.rollup_own_slot();
    end if;
    with minute as materialized (
        select
            strategy_id,
            realm_id,
            date_bin('1 minute', created_at, '2000-01-01 00:00:00+00') as begins,
            count(*) filter (where status = 'ok') as ok,
            count(*) filter (where status = 'error') as error,
            count(*) filter (where status = 'timeout') as timeout,
            count(*) filter (where status = 'limit') as "limit",
            count(*) filter (where status not in ('ok', 'error', 'timeout', 'limit')) as other,
            coalesce(sum(1 / greatest(sample_rate, 1e-9)) filter (where status = 'ok'), 0) as ok_weight,
            coalesce(sum(1 / greatest(sample_rate, 1e-9)) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
            coalesce(sum(1 / greatest(sample_rate, 1e-9)) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other_weight,
            sum(duration_ms) as duration_sum_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms,
            sum(nodes_executed) as nodes_sum,
            max(nodes_executed) as nodes_max,
            sum(points) as points_sum,
            sum(points / case when abs(points) < 1e290 then greatest(sample_rate, 1e-9) else 1 end) as points_weighed,
            min(points) as points_min,
            max(points) as points_max,
            count(points) as points_runs,
            max(created_at) as last_run,
            sum(('1e' || 10 * execlog.rollup_edge(duration_ms))::numeric) as bars,
            sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) as durations,
            coalesce(sum(('1e' || 10 * execlog.rollup_bar(points))::numeric) filter (where points >= 0.001), 0) as points,
            coalesce(sum(('1e' || 10 * execlog.rollup_bar(-points))::numeric) filter (where points <= -0.001), 0) as points_below
        from stored
        group by strategy_id, realm_id, date_bin('1 minute', created_at, '2000-01-01 00:00:00+00')
    ),
    -- Most statements hold one minute of an hour: then its numbers are the hour's.
    minute_of_hour as (
        select
            *,
            date_bin('1 hour', begins, '2000-01-01 00:00:00+00') as hour,
            count(*) over (partition by strategy_id, realm_id, date_bin('1 hour', begins, '2000-01-01 00:00:00+00')) as minutes
        from minute
        where begins is not null
    )
    insert into execlog.rollup as kept (
        strategy_id, realm_id, grain, begins, slot,
        ok, error, timeout, "limit", other, ok_weight, failed_weight, other_weight,
        duration_sum_ms, duration_min_ms, duration_max_ms, nodes_sum, nodes_max,
        points_sum, points_weighed, points_min, points_max, points_runs, last_run,
        bars, durations, points, points_below
    )
    select
        strategy_id,
        realm_id,
        case when begins is null then 0 else 60 end,
        coalesce(begins, '-infinity'),
        own,
        ok, error, timeout, "limit", other, ok_weight, failed_weight, other_weight,
        duration_sum_ms, duration_min_ms, duration_max_ms, nodes_sum, nodes_max,
        points_sum, points_weighed, points_min, points_max, points_runs, last_run,
        bars, durations, points, points_below
    from minute
    union all
    select
        strategy_id,
        realm_id,
        3600,
        hour,
        own,
        ok, error, timeout, "limit", other, ok_weight, failed_weight, other_weight,
        duration_sum_ms, duration_min_ms, duration_max_ms, nodes_sum, nodes_max,
        points_sum, points_weighed, points_min, points_max, points_runs, last_run,
        bars, durations, points, points_below
    from minute_of_hour
    where minutes = 1
    union all
    select
        strategy_id,
        realm_id,
        3600,
        hour,
        own,
        sum(ok), sum(error), sum(timeout), sum("limit"), sum(other), sum(ok_weight), sum(failed_weight), sum(other_weight),
        sum(duration_sum_ms), min(duration_min_ms), max(duration_max_ms), sum(nodes_sum), max(nodes_max),
        sum(points_sum), sum(points_weighed), min(points_min), max(points_max), sum(points_runs), max(last_run),
        sum(bars), sum(durations), sum(points), sum(points_below)
    from minute_of_hour
    where minutes > 1
    group by strategy_id, realm_id, hour
    on conflict (strategy_id, grain, begins, realm_id, slot) do update
    set
        ok = kept.ok + excluded.ok,
        error = kept.error + excluded.error,
        timeout = kept.timeout + excluded.timeout,
        "limit" = kept."limit" + excluded."limit",
        other = kept.other + excluded.other,
        ok_weight = kept.ok_weight + excluded.ok_weight,
        failed_weight = kept.failed_weight + excluded.failed_weight,
        other_weight = kept.other_weight + excluded.other_weight,
        duration_sum_ms = kept.duration_sum_ms + excluded.duration_sum_ms,
        duration_min_ms = least(kept.duration_min_ms, excluded.duration_min_ms),
        duration_max_ms = greatest(kept.duration_max_ms, excluded.duration_max_ms),
        nodes_sum = kept.nodes_sum + excluded.nodes_sum,
        nodes_max = greatest(kept.nodes_max, excluded.nodes_max),
        points_sum = case when kept.points_sum is null or excluded.points_sum is null then coalesce(kept.points_sum, excluded.points_sum) else kept.points_sum + excluded.points_sum end,
        points_weighed = case when kept.points_weighed is null or excluded.points_weighed is null then coalesce(kept.points_weighed, excluded.points_weighed) else kept.points_weighed + excluded.points_weighed end,
        points_min = least(kept.points_min, excluded.points_min),
        points_max = greatest(kept.points_max, excluded.points_max),
        points_runs = kept.points_runs + excluded.points_runs,
        last_run = greatest(kept.last_run, excluded.last_run),
        bars = kept.bars + excluded.bars,
        durations = kept.durations + excluded.durations,
        points = kept.points + excluded.points,
        points_below = kept.points_below + excluded.points_below;
    with minute as materialized (
        select
            strategy_id,
            realm_id,
            date_bin('1 minute', created_at, '2000-01-01 00:00:00+00') as begins,
            kind,
            case kind when 'e' then error_code else case_name end as name,
            count(*) as runs
        from stored
        cross join (values ('e'::"char"), ('c'::"char")) as list (kind)
        where kind = 'c' or error_code is not null
        group by 1, 2, 3, 4, 5
    )
    insert into execlog.rollup_name as kept (strategy_id, realm_id, grain, begins, slot, kind, name, runs)
    select
        strategy_id,
        realm_id,
        case when begins is null then 0 else 60 end,
        coalesce(begins, '-infinity'),
        own,
        kind,
        name,
        runs
    from minute
    union all
    select
        strategy_id,
        realm_id,
        3600,
        date_bin('1 hour', begins, '2000-01-01 00:00:00+00'),
        own,
        kind,
        name,
        sum(runs)
    from minute
    where begins is not null
    group by strategy_id, realm_id, date_bin('1 hour', begins, '2000-01-01 00:00:00+00'), kind, name
    on conflict (strategy_id, grain, begins, kind, name, realm_id, slot) do update
    set runs = kept.runs + excluded.runs;
    return null;
end
$$;

-- Only the owner makes triggers of it. (Citus 14 would pass this on without quotes about the schema's name,
-- to machines where nothing calls the function.)
do $$
declare
    propagation constant text := coalesce(nullif(current_setting('citus.enable_ddl_propagation', true), ''), 'on');
begin
    perform set_config('citus.enable_ddl_propagation', 'off', true);
    revoke execute on function execlog.roll_up() from public;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
end
$$;

-- A publication of all tables refuses to update or delete rows that nothing identifies. (A partition takes
-- nothing of this from the log; some tools that make partitions do.) VACUUM is stopped before the log is
-- locked, as in the steps of `maintain`. A partition that is not ours to change stays as it is.
do $$
declare
    relation regclass;
begin
    for relation in
        select tree.relid
        from pg_catalog.pg_partition_tree('execlog.strategy_execution_log') as tree
        join pg_catalog.pg_class as class on class.oid = tree.relid
        where class.relkind = 'r'
            and pg_has_role(class.relowner, 'usage')
        order by tree.relid = to_regclass('execlog.strategy_execution_log_default'), tree.relid
    loop
        execute format('lock table %s in share update exclusive mode', relation);
    end loop;
    lock table only execlog.strategy_execution_log in access exclusive mode;
    for relation in
        select tree.relid
        from pg_catalog.pg_partition_tree('execlog.strategy_execution_log') as tree
        join pg_catalog.pg_class as class on class.oid = tree.relid
        where class.relkind in ('r', 'p')
            and class.relreplident in ('d', 'n')
            and pg_has_role(class.relowner, 'usage')
        order by tree.level, tree.relid
    loop
        execute format('alter table only %s replica identity full', relation);
    end loop;
end
$$;

alter table execlog.rollup replica identity full;

alter table execlog.rollup_name replica identity full;
