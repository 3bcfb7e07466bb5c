-- Rollups: what cards, time series and rankings need of each minute and each hour, kept as rows come in.
--
-- Locks: execlog.strategy_execution_log, share row exclusive, to make a trigger: who stores waits, who
-- reads does not. Expected stall: none, beyond the wait for those who are storing.
--
-- A statement's rows are added in its transaction, so rollups are what the rows are, whoever stores them
-- and whatever fails; no job runs, nothing lags. A log that has rows already is read from them until
-- `execlog rollup rebuild` has gone through it.

create table execlog.rollup_state (
    enabled boolean not null,
    complete_from timestamptz not null,
    rows_from timestamptz not null default '-infinity',
    minutes_from timestamptz not null default '-infinity',
    hours_from timestamptz not null default '-infinity',
    exact_runs bigint not null default 50000,
    only_row boolean not null default true,
    constraint rollup_state_pkey primary key (only_row),
    constraint only_row check (only_row)
);

comment on table execlog.rollup_state is 'What the rollups hold, and what the rows do; one row.';
comment on column execlog.rollup_state.enabled is 'Whether rows are added as they are stored.';
comment on column execlog.rollup_state.complete_from is 'Rollups hold every run from here on; all of them where it is -infinity.';
comment on column execlog.rollup_state.rows_from is 'Rows before this were removed, all or some.';
comment on column execlog.rollup_state.minutes_from is 'Rollups of minutes before this were removed.';
comment on column execlog.rollup_state.hours_from is 'Rollups of hours before this were removed.';
comment on column execlog.rollup_state.exact_runs is 'A window of at most so many runs is read from the rows, and all of it is exact.';

-- A histogram is one number, ten decimal digits for each of its bars: sum() adds histograms, as fast as
-- numbers, and in any order. Bar n counts in the digits that begin with 10^(10 n): ten thousand million.
create table execlog.rollup (
    strategy_id text collate "C" not null,
    realm_id text collate "C",
    grain integer not null,
    begins timestamptz not null,
    slot integer not null,
    ok bigint not null,
    error bigint not null,
    timeout bigint not null,
    "limit" bigint not null,
    other bigint not null,
    ok_weight double precision not null,
    failed_weight double precision not null,
    other_weight double precision not null,
    duration_sum_ms double precision not null,
    duration_min_ms double precision not null,
    duration_max_ms double precision not null,
    nodes_sum bigint not null,
    nodes_max integer not null,
    points_sum double precision,
    points_weighed double precision,
    points_min double precision,
    points_max double precision,
    points_runs bigint not null,
    last_run timestamptz,
    bars numeric not null,
    durations numeric not null,
    points numeric not null,
    points_below numeric not null
) with (
    -- An update finds room beside the row, and long numbers stay in it as they are.
    fillfactor = 50,
    toast_tuple_target = 8160,
    autovacuum_vacuum_scale_factor = 0.02
);

comment on table execlog.rollup is 'The runs of a strategy and realm in each minute and hour, summed up.';
comment on column execlog.rollup.grain is 'Seconds: 60 or 3600; 0 for runs without a time.';
comment on column execlog.rollup.begins is 'First instant of the minute or hour; -infinity where there is no time.';
comment on column execlog.rollup.slot is 'Transactions that store at once each have their own.';
comment on column execlog.rollup.bars is 'Durations by the edges of the dashboard; the bar of 5 ms is bar 0.';
comment on column execlog.rollup.durations is 'Durations by execlog.rollup_bar.';
comment on column execlog.rollup.points is 'Points of 0.001 and more by execlog.rollup_bar; those near zero are what is left of points_runs.';
comment on column execlog.rollup.points_below is 'Points of -0.001 and less, without their sign, by execlog.rollup_bar.';

create unique index rollup_key
    on execlog.rollup (strategy_id, grain, begins, realm_id, slot) nulls not distinct;

-- All strategies of a time, for rankings and for retention.
create index rollup_time on execlog.rollup (grain, begins);

create table execlog.rollup_name (
    strategy_id text collate "C" not null,
    realm_id text collate "C",
    grain integer not null,
    begins timestamptz not null,
    slot integer not null,
    kind "char" not null,
    name text collate "C",
    runs bigint not null
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02
);

comment on table execlog.rollup_name is 'How often each error and each case came, in the minutes and hours of execlog.rollup.';
comment on column execlog.rollup_name.kind is 'e: an error code; c: a case, NULL where none matched.';

create unique index rollup_name_key
    on execlog.rollup_name (strategy_id, grain, begins, kind, name, realm_id, slot) nulls not distinct;

create index rollup_name_time on execlog.rollup_name (grain, begins);

-- The bar of a number of zero or more: 0 below 0.001, then each bar is 2 % wider than the one before, the
-- last one open from 1e12. The middle of a bar is at most 1 % off any number in it.
create function execlog.rollup_bar(value double precision)
returns integer
language sql
immutable
parallel safe
as $$
    select
        case
            when value < 0.001 then 0
            when value < 1e12 then 1 + floor(ln(value * 1000) / 0.01980262729617973)::integer
            else 1745
        end
$$;

comment on function execlog.rollup_bar(double precision) is 'The bar of a histogram that counts a number.';

-- The bar of a duration on the dashboard, edges included.
create function execlog.rollup_edge(value double precision)
returns integer
language sql
immutable
parallel safe
as $$
    select 12 - width_bucket(-value, '{-5000,-2500,-1000,-500,-250,-200,-150,-100,-50,-25,-10,-5}'::double precision[])
$$;

comment on function execlog.rollup_edge(double precision) is 'The bar of the dashboard that counts a duration.';

-- What of a window is read where: grain NULL are rows, 60 and 3600 rollups by their begin, 0 the rollup
-- of runs without a time; both ends are included. Whole hours, whole minutes beside them, and rows at the
-- ragged ends, a minute of them or, where minutes are gone, an hour. Where rows are gone none are read, and
-- what an end cuts is counted whole: by the part in which it begins, where one follows another.
create function execlog.rollup_cut(since timestamptz, until timestamptz, follows boolean default false)
returns table (grain integer, begins timestamptz, ends timestamptz)
language plpgsql
stable
rows 5
as $$
declare
    state execlog.rollup_state;
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
    select * into strict state from execlog.rollup_state;
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
$$;

comment on function execlog.rollup_cut(timestamptz, timestamptz, boolean) is 'Which parts of a window are read from rows, minutes and hours.';

-- The same, but for few runs all are rows, so that all of the answer is exact. A strategy of NULL means all.
create function execlog.rollup_parts(strategy text, since timestamptz, until timestamptz)
returns table (grain integer, begins timestamptz, ends timestamptz)
language plpgsql
stable
rows 5
set plan_cache_mode = force_custom_plan
as $$
declare
    state execlog.rollup_state;
    runs bigint;
    total bigint := 0;
begin
    select * into strict state from execlog.rollup_state;
    if state.complete_from = 'infinity' then
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
$$;

comment on function execlog.rollup_parts(text, timestamptz, timestamptz) is 'Which parts of a window are read from rows, minutes and hours; all from rows where there are few.';

-- A slot that no other transaction has.
create function execlog.rollup_own_slot()
returns integer
language sql
as $$
    select 64 + (pg_current_xact_id()::text::numeric % 2147000000)::integer
$$;

comment on function execlog.rollup_own_slot() is 'A slot that no other transaction has.';

-- Adds what a statement has stored. Each transaction at work has a slot of its own, which it holds until
-- it ends: nobody waits for another's rows, and nobody can deadlock. A transaction that would not see
-- what others add meanwhile has rows of its own, and so has one where more than 64 are at work.
create function execlog.roll_up()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    log constant integer := 'execlog.rollup'::regclass::oid::bigint::bit(32)::integer;
    own integer := 0;
begin
    -- It has its owner's rights: a table of somebody else's is not to be taken for the log.
    if tg_relid <> 'execlog.strategy_execution_log'::regclass and not pg_has_role(session_user, current_user, 'member') then
        raise insufficient_privilege using message = 'only the owner of the log may add to its rollups';
    end if;
    if not exists (select from stored) then
        return null;
    end if;
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        own := execlog.rollup_own_slot();
    else
        while not pg_try_advisory_xact_lock(log, own) loop
            own := own + 1;
            if own = 64 then
                own := execlog.rollup_own_slot();
                exit;
            end if;
        end loop;
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

comment on function execlog.roll_up() is 'Adds the rows of a statement to the rollups, in its transaction.';

create trigger roll_up
    after insert on execlog.strategy_execution_log
    referencing new table as stored
    for each statement execute function execlog.roll_up();

-- Nobody stores from here to the end of the transaction.
insert into execlog.rollup_state (enabled, complete_from)
select
    true,
    case when exists (select from execlog.strategy_execution_log) then 'infinity' else '-infinity' end::timestamptz;
