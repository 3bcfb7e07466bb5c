-- Rollups are made behind the writers, of closed minutes: what makes them, and what marks times whose rows
-- came late or were changed.
--
-- Locks: execlog.strategy_execution_log, share row exclusive, to make triggers: who stores waits, who reads
-- does not. Expected stall: milliseconds.

-- Stores what is summed up of rows.
create function execlog.sum_up_rows(seconds integer, since timestamptz, until timestamptz, strategies text[])
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into execlog.rollup
    select *
    from execlog.rollup_of_rows(seconds, since, until, strategies)
$$;

-- Stores what is summed up of finer rollups.
create function execlog.sum_up_rollups(finer integer, seconds integer, since timestamptz, until timestamptz, strategies text[])
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into execlog.rollup
    select *
    from execlog.rollup_of_rollups(finer, seconds, since, until, strategies)
$$;

-- Makes rollups of an hour of these strategies anew, and of its day; a strategy of NULL means all. From `since` to
-- `until` rows have changed, which is all that minutes are made of, if they are kept.
create function execlog.roll_up_hour(since timestamptz, until timestamptz, strategies text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    hour constant interval := '1 hour';
    day constant interval := '1 day';
    minute constant interval := '1 minute';
    tick constant interval := '1 microsecond';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    start constant timestamptz := date_bin(hour, since, origin);
    start_day constant timestamptz := date_bin(day, since, origin);
    low timestamptz := date_bin(minute, since, origin);
    high timestamptz := date_bin(minute, until + minute - tick, origin);
    state execlog.rollup_state;
    thick text[];
begin
    select * into strict state from execlog.rollup_state;
    if start + hour > state.complete_until then
        high := least(high, state.complete_until);
    elsif strategies is null or start < state.minutes_from or cardinality(strategies) > (
        select count(distinct strategy_id)
        from execlog.rollup
        where grain = 3600
            and begins = start
            and has_minutes
            and strategy_id = any(strategies)
    ) then
        low := start;
        high := start + hour;
    end if;
    delete from execlog.rollup
    where grain = 60
        and begins >= low
        and begins < high
        and (strategies is null or strategy_id = any(strategies));
    delete from execlog.rollup
    where grain = 3600
        and begins = start
        and (strategies is null or strategy_id = any(strategies));
    if start + hour > state.complete_until then
        perform execlog.sum_up_rows(60, low, high, strategies);
        return;
    end if;
    if high < start + hour or low > start then
        thick := strategies;
        perform execlog.sum_up_rows(60, low, high, strategies);
        perform execlog.sum_up_rollups(60, 3600, start, start + hour, strategies);
    else
        perform execlog.sum_up_rows(3600, start, start + hour, strategies);
        select coalesce(array_agg(strategy_id), '{}')
        into thick
        from (
            select strategy_id
            from execlog.rollup
            where grain = 3600
                and begins = start
                and (strategies is null or strategy_id = any(strategies))
            group by strategy_id
            having sum(ok + error + timeout + "limit" + other) >= state.minute_runs * count(*)
        ) as strategy
        where start >= state.minutes_from;
        if thick <> '{}' then
            perform execlog.sum_up_rows(60, start, start + hour, thick);
        end if;
    end if;
    update execlog.rollup
    set has_minutes = true
    where grain = 3600
        and begins = start
        and strategy_id = any(thick);
    if start_day + day <= state.complete_until then
        delete from execlog.rollup
        where grain = 86400
            and begins = start_day
            and (strategies is null or strategy_id = any(strategies));
        perform execlog.sum_up_rollups(3600, 86400, start_day, start_day + day, strategies);
    end if;
end
$$;

create type execlog.rollup_clock as (
    node integer,
    oldest_xid bigint,
    next_xid bigint,
    at timestamptz
);

-- What time it is, the oldest transaction that may have written to the log, prepared ones included, and a number that no
-- transaction had at that time; on a cluster, of each machine. The number is the caller's own: the next one of a
-- snapshot is that after the last which has ended, and may be at work. Who writes has a lock on the log or on a partition until
-- its rows are seen by all. In a transaction whose statements all see the same, the oldest is that of any kind.
create function execlog.rollup_clocks(mine bigint)
returns setof execlog.rollup_clock
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with lock as materialized (
        select
            virtualtransaction,
            relation,
            mode,
            transactionid::text::bigint as xid
        from pg_locks
        where granted
            and (
                transactionid is not null
                or locktype = 'relation'
                    and database = (select oid from pg_database where datname = current_database())
            )
    ),
    writer as materialized (
        -- pg_locks has the lower half of a number.
        select mine - ((mine - own.xid) & 4294967295) as xid
        from lock as own
        where own.mode = 'ExclusiveLock'
            and own.xid is not null
            and (mine - own.xid) & 4294967295 < 2147483648
            and own.virtualtransaction in (
                select virtualtransaction
                from lock
                where relation in (select relid from pg_partition_tree('execlog.strategy_execution_log'))
                    and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            )
    )
    select
        0,
        case
            when current_setting('transaction_isolation') = 'read committed'
            then least(mine, (select min(xid) from writer))
            else pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        end,
        mine,
        now()
$$;

-- Makes anew some of what was marked, and sums up what has closed, an hour of it at most; it says: more, there
-- is more to do; done; busy, another one is at it; off. A role that may store may call it.
create function execlog.roll_up()
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    minute constant interval := '1 minute';
    hour constant interval := '1 hour';
    day constant interval := '1 day';
    tick constant interval := '1 microsecond';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    calendar constant timestamptz := '0001-01-01 00:00:00+00';
    state execlog.rollup_state;
    clocks execlog.rollup_clock[];
    closed timestamptz;
    next_run timestamptz;
    target timestamptz;
    start timestamptz;
    mark record;
    runs bigint;
    mine bigint;
begin
    -- The log before the state, as maintenance locks them.
    lock table execlog.strategy_execution_log in access share mode;
    select * into state from execlog.rollup_state for update skip locked;
    if not found then
        return case when exists (select 1 from execlog.rollup_state where enabled) then 'busy' else 'off' end;
    elsif not state.enabled then
        return 'off';
    end if;
    -- Its own number comes first: who gets a higher one begins to write later than now, who has a lower one has a lock.
    mine := pg_current_xact_id()::text::bigint;
    select array_agg(clock) into clocks from execlog.rollup_clocks(mine) as clock;
    if clocks is null then
        return 'done';
    end if;
    -- The clock was set back: rows of a time that is summed up may come unmarked from now on, until it is that time again.
    select min(clock.at)
    into target
    from unnest(clocks) as clock
    join execlog.rollup_horizon as known on known.node = clock.node and known.at > clock.at;
    if target is not null then
        delete from execlog.rollup_horizon;
        target := greatest(date_bin(hour, target - state.lag, origin), state.rows_from, state.hours_from);
        if target < state.complete_until then
            delete from execlog.rollup
            where (grain in (60, 3600) and begins >= target)
                or (grain = 86400 and begins > target - day);
            update execlog.rollup_state set complete_until = target;
            state.complete_until := target;
        end if;
    end if;
    -- A transaction whose number is this one or higher begins to write after that time.
    insert into execlog.rollup_horizon (node, xid, at)
    select
        node,
        next_xid,
        at
    from unnest(clocks)
    on conflict do nothing;
    with passed as materialized (
        select
            clock.node,
            max(known.at) as at
        from unnest(clocks) as clock
        left join execlog.rollup_horizon as known on known.node = clock.node and known.xid <= clock.oldest_xid
        group by clock.node
    ),
    needless as (
        delete from execlog.rollup_horizon as known
        using passed
        where known.node = passed.node
            and known.at < passed.at
    )
    select date_bin(minute, case when bool_and(at is not null) then min(at) end - state.lag, origin)
    into closed
    from passed;
    -- Partitions that came or went: what they held or hold is looked at once more.
    for mark in
        delete from execlog.rollup_partition as known
        where (id, name, file, watch) not in (select id, name, file, watch from execlog.rollup_watched())
        returning known.begins, known.ends
    loop
        perform execlog.mark_partition(mark.begins, mark.ends);
    end loop;
    for mark in
        insert into execlog.rollup_partition (id, name, file, watch, begins, ends)
        select
            watched.id,
            watched.name,
            watched.file,
            watched.watch,
            partition.begins,
            partition.ends
        from execlog.rollup_watched() as watched
        join execlog.partitions() as partition on partition.id = watched.id
        where watched.id not in (select id from execlog.rollup_partition)
        returning begins, ends
    loop
        perform execlog.mark_partition(mark.begins, mark.ends);
    end loop;
    -- What closed comes first, since it is asked for most, and is done with soon.
    if closed is null or closed <= state.complete_until then
        return case
            when execlog.roll_up_marked(state.complete_until, greatest(state.rows_from, state.hours_from)) then 'more'
            else 'done'
        end;
    end if;
    -- What is not summed up yet needs no mark: its rows are read below.
    delete from execlog.rollup_mark as needless
    where needless.begins < needless.ends
        and needless.begins >= state.complete_until;
    delete from execlog.rollup_mark_of_all as needless
    where needless.begins < needless.ends
        and needless.begins >= state.complete_until;
    select min(created_at)
    into next_run
    from execlog.strategy_execution_log
    where strategy_id is distinct from ''
        and created_at >= greatest(state.complete_until, state.rows_from, state.hours_from, calendar)
        and created_at < closed;
    start := date_bin(hour, state.complete_until, origin);
    if isfinite(start) and start < state.complete_until then
        -- Minutes of an hour that is open.
        target := least(start + hour, closed);
    elsif next_run is null then
        target := closed;
    else
        start := date_bin(hour, next_run, origin);
        if start > state.complete_until then
            -- Nothing is there until then; the hours and days between are made of nothing.
            update execlog.rollup_state set complete_until = start;
            perform execlog.roll_up_day(state.complete_until, start);
            state.complete_until := start;
        end if;
        target := least(start + hour, closed);
        if target = start + hour then
            select count(*)
            into runs
            from (
                select 1
                from execlog.strategy_execution_log
                where strategy_id is distinct from ''
                    and created_at >= start
                    and created_at < target
                limit 100001
            ) as run;
            if runs <= 100000 then
                update execlog.rollup_state set complete_until = target;
                perform execlog.roll_up_hour(start, target, null);
                return 'more';
            end if;
        end if;
    end if;
    -- As many minutes as there are rows for.
    if next_run is not null then
        select least(target, date_bin(minute, max(created_at), origin) + minute)
        into target
        from (
            select created_at
            from execlog.strategy_execution_log
            where strategy_id is distinct from ''
                and created_at >= greatest(state.complete_until, calendar)
                and created_at < target
            order by created_at nulls first
            limit 100000
        ) as run
        having count(*) = 100000;
        target := coalesce(target, least(start + hour, closed));
        perform execlog.sum_up_rows(60, state.complete_until, target, null);
    end if;
    update execlog.rollup_state set complete_until = target;
    perform execlog.roll_up_end_of_hour(state.complete_until, target);
    perform execlog.roll_up_day(state.complete_until, target);
    return 'more';
end
$$;

comment on function execlog.roll_up() is 'Sums up what has closed, an hour at most: more, done, busy or off.';

-- An hour that ends here is summed up from its minutes, which are kept of busy strategies only.
create function execlog.roll_up_end_of_hour(since timestamptz, until timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    hour constant interval := '1 hour';
    start constant timestamptz := date_bin(hour, since, '2000-01-01 00:00:00+00');
    least_runs bigint;
begin
    if not isfinite(since) or start + hour > until then
        return;
    end if;
    select minute_runs into strict least_runs from execlog.rollup_state;
    perform execlog.sum_up_rollups(60, 3600, start, start + hour, null);
    with thick as materialized (
        select strategy_id
        from execlog.rollup
        where grain = 3600
            and begins = start
        group by strategy_id
        having sum(ok + error + timeout + "limit" + other) >= least_runs * count(*)
    ),
    kept as (
        update execlog.rollup
        set has_minutes = true
        where grain = 3600
            and begins = start
            and strategy_id in (select strategy_id from thick)
    )
    delete from execlog.rollup
    where grain = 60
        and begins >= start
        and begins < start + hour
        and strategy_id not in (select strategy_id from thick);
end
$$;

-- A day that ends here is summed up from its hours.
create function execlog.roll_up_day(since timestamptz, until timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    day constant interval := '1 day';
    start constant timestamptz := date_bin(day, since, '2000-01-01 00:00:00+00');
begin
    if isfinite(since) and start + day <= until then
        delete from execlog.rollup
        where grain = 86400
            and begins = start;
        perform execlog.sum_up_rollups(3600, 86400, start, start + day, null);
    end if;
end
$$;

-- Makes anew what some marks name, and removes them; whether there were any. What is named and not summed up
-- yet, or has no rows or no rollups any more because maintenance removed them, stays as it is.
create function execlog.roll_up_marked(complete_until timestamptz, kept_from timestamptz)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    hour constant interval := '1 hour';
    day constant interval := '1 day';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    floor constant timestamptz := greatest(kept_from, '0001-01-01 00:00:00+00');
    mark record;
    wider record;
    strategies text[];
    thick text[];
    low timestamptz;
    high timestamptz;
    start timestamptz;
    rest timestamptz;
begin
    delete from execlog.rollup_mark as needless
    where needless.begins < needless.ends
        and (needless.begins >= complete_until or needless.ends <= floor);
    delete from execlog.rollup_mark_of_all as needless
    where needless.begins < needless.ends
        and (needless.begins >= complete_until or needless.ends <= floor);
    -- The oldest, so that none waits for ever while others come.
    select *
    into mark
    from (
        (
            select
                strategy_id,
                begins,
                ends,
                null::bigint as xid,
                marked_at
            from execlog.rollup_mark
            order by marked_at, begins desc
            limit 1
        )
        union all
        (
            select
                null,
                begins,
                ends,
                xid,
                marked_at
            from execlog.rollup_mark_of_all
            order by marked_at, begins desc
            limit 1
        )
    ) as oldest
    order by marked_at, begins desc
    limit 1;
    if not found then
        return false;
    end if;
    if mark.strategy_id is not null then
        strategies := array[mark.strategy_id];
        -- What names all strategies is done once for all.
        select
            null::text as strategy_id,
            one.begins,
            one.ends,
            one.xid,
            one.marked_at
        into wider
        from execlog.rollup_mark_of_all as one
        where one.begins < one.ends
            and one.begins <= mark.begins
            and one.ends >= mark.ends
        order by one.marked_at
        limit 1;
        if found then
            mark := wider;
            strategies := null;
        end if;
    end if;
    -- Marks go before rows are read: one that comes in between stays, and so does its hour.
    if mark.ends = '-infinity' then
        if mark.strategy_id is not null then
            delete from execlog.rollup_mark
            where ends = '-infinity'
                and strategy_id = mark.strategy_id;
        else
            delete from execlog.rollup_mark_of_all
            where ends = '-infinity';
        end if;
        delete from execlog.rollup
        where grain = 0
            and (strategies is null or strategy_id = any(strategies));
        if strategies is null then
            select array_agg(distinct strategy_id)
            into strategies
            from execlog.strategy_execution_log
            where created_at is null;
        end if;
        perform execlog.sum_up_rows(0, null, null, strategies);
        return true;
    end if;
    low := greatest(mark.begins, floor);
    high := least(mark.ends, complete_until);
    start := date_bin(hour, low, origin);
    if mark.strategy_id is not null then
        -- All marks of strategies in this hour that are as narrow.
        with done as (
            delete from execlog.rollup_mark as one
            where one.begins >= start
                and one.begins < one.ends
                and one.ends <= start + hour
                and one.ends - one.begins <= mark.ends - mark.begins
            returning
                one.strategy_id,
                one.begins,
                one.ends
        )
        select
            array_agg(distinct done.strategy_id),
            min(done.begins),
            max(done.ends)
        into strategies, low, high
        from done;
        low := greatest(low, floor);
        if start + hour <= complete_until and high < low + hour then
            -- Where minutes are kept the others stay as they are.
            select coalesce(array_agg(distinct strategy_id), '{}')
            into thick
            from execlog.rollup
            where grain = 3600
                and begins = start
                and has_minutes
                and start >= (select minutes_from from execlog.rollup_state)
                and strategy_id = any(strategies);
            if thick <> '{}' then
                perform execlog.roll_up_hour(low, high, thick);
            end if;
            strategies := array(select unnest(strategies) except select unnest(thick));
            low := start;
            high := start + hour;
        end if;
        if strategies <> '{}' then
            perform execlog.roll_up_hour(low, least(high, complete_until), strategies);
        end if;
        return true;
    end if;
    if high <= start + hour then
        -- All of this hour; what is not summed up yet needs no mark.
        with done as (
            delete from execlog.rollup_mark_of_all as one
            where one.begins < one.ends
                and (one.begins >= start or one.begins = mark.begins)
                and least(one.ends, complete_until) <= start + hour
            returning
                one.begins,
                one.ends
        )
        select
            min(done.begins),
            max(done.ends)
        into low, high
        from done;
        low := greatest(low, floor, start);
        high := least(high, complete_until, start + hour);
        delete from execlog.rollup_mark as one
        where one.begins >= low
            and one.begins < one.ends
            and one.ends <= high;
        perform execlog.roll_up_hour(low, high, null);
        return true;
    end if;
    -- A longer time: its first hour, and where it goes on, past what has no rows.
    select min(created_at)
    into rest
    from execlog.strategy_execution_log
    where strategy_id is distinct from ''
        and created_at >= start + hour
        and created_at < high;
    rest := date_bin(hour, coalesce(rest, high), origin);
    delete from execlog.rollup_mark_of_all as one
    where one.begins = mark.begins
        and one.ends = mark.ends
        and one.xid = mark.xid;
    if rest < high then
        insert into execlog.rollup_mark_of_all (begins, ends, xid, marked_at)
        values (rest, mark.ends, mark.xid, mark.marked_at)
        on conflict do nothing;
    end if;
    delete from execlog.rollup
    where grain in (60, 3600)
        and begins >= start + hour
        and begins < rest;
    delete from execlog.rollup
    where grain = 86400
        and begins > date_bin(day, start, origin)
        and begins <= date_bin(day, rest, origin);
    perform execlog.roll_up_hour(start, start + hour, null);
    if date_bin(day, rest, origin) > date_bin(day, start, origin) and date_bin(day, rest, origin) + day <= complete_until then
        perform execlog.sum_up_rollups(3600, 86400, date_bin(day, rest, origin), date_bin(day, rest, origin) + day, null);
    end if;
    return true;
end
$$;

-- Marks the minute or the hour of a time, of a strategy and realm, or of all if there is no strategy; a time of NULL:
-- runs without a time.
create function execlog.mark(strategy text, realm text, finished_at timestamptz, width interval)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    start timestamptz := '-infinity';
begin
    if isfinite(finished_at) then
        start := date_bin(width, finished_at, '2000-01-01 00:00:00+00');
    elsif finished_at is not null then
        return;
    end if;
    if strategy is null then
        insert into execlog.rollup_mark_of_all (begins, ends)
        values (start, start + width)
        on conflict do nothing;
    else
        insert into execlog.rollup_mark (strategy_id, realm_id, begins, ends)
        values (strategy, realm, start, start + width)
        on conflict do nothing;
    end if;
end
$$;

-- Marks the time of a partition; DEFAULT has the runs without a time too.
create function execlog.mark_partition(since timestamptz, until timestamptz)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into execlog.rollup_mark_of_all (begins, ends)
    select since, until
    where since < until
    union all
    select '-infinity', '-infinity'
    where since = '-infinity'
    on conflict do nothing
$$;

-- After so many marks a transaction marks whole times.
create function execlog.most_marks()
returns integer
language sql
immutable
as $$
    select 32
$$;

-- Marks the time of a row that is stored late, or that is changed or removed: its minute, or its hour if that was two
-- hours ago. What the transaction has marked is noted in a setting of its own: to look there takes a tenth of the
-- time of marking again. After many marks it marks whole times, of all strategies.
create function execlog.mark_run()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    marked text := coalesce(current_setting('strategy_execution_log.marked', true), '');
    is_many constant boolean := length(marked) > execlog.most_marks() * 17;
    side text;
    strategy text;
    realm text;
    finished_at timestamptz;
    width interval;
    key text;
begin
    if marked = 'no' then
        -- Maintenance moves or removes what the rollups hold. Others can't say so.
        if pg_has_role(session_user, current_user, 'usage') then
            return null;
        end if;
        marked := '';
    end if;
    if tg_op = 'UPDATE' then
        if row(
            old.created_at, old.strategy_id, old.strategy_version, old.realm_id, old.status, old.error_code,
            old.points, old.case_name, old.duration_ms, old.nodes_executed, old.sample_rate
        ) is not distinct from row(
            new.created_at, new.strategy_id, new.strategy_version, new.realm_id, new.status, new.error_code,
            new.points, new.case_name, new.duration_ms, new.nodes_executed, new.sample_rate
        ) then
            return null;  -- nothing that rollups tell of
        end if;
    end if;
    foreach side in array case tg_op when 'INSERT' then '{new}' when 'DELETE' then '{old}' else '{new,old}' end::text[] loop
        if side = 'new' then
            strategy := new.strategy_id;
            realm := new.realm_id;
            finished_at := new.created_at;
        else
            strategy := old.strategy_id;
            realm := old.realm_id;
            finished_at := old.created_at;
        end if;
        continue when isfinite(finished_at) is false;
        width := case when finished_at > clock_timestamp() - interval '2 hours' then interval '1 minute' else '1 hour' end;
        key := lpad(to_hex(hashtextextended(
            'execlog.rollup_mark'::regclass::oid
                || case when is_many then '' else e'\n' || strategy || e'\n' || coalesce('=' || realm, '-') end,
            coalesce(floor(date_part('epoch', finished_at) / date_part('epoch', width)), 0)::bigint
        )), 16, '0') || ',';
        if position(key in marked) = 0 then
            if is_many then
                perform execlog.mark(null, null, finished_at, width);
            else
                perform execlog.mark(strategy, realm, finished_at, width);
            end if;
            marked := right(marked, 16000) || key;
            perform set_config('strategy_execution_log.marked', marked, true);
        end if;
    end loop;
    return null;
end
$$;

-- Has late, changed and removed rows marked. (A cluster of Citus wants to be told that a trigger on a shard is meant;
-- elsewhere the setting means nothing.)
create function execlog.watch_rows()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('citus.enable_unsafe_triggers', 'on', true);
    create trigger mark_late
        after insert on execlog.strategy_execution_log
        for each row
        when (new.created_at is null or new.created_at < clock_timestamp() - interval '15 seconds')
        execute function execlog.mark_run();
    create trigger mark_changed
        after update on execlog.strategy_execution_log
        for each row
        execute function execlog.mark_run();
    create trigger mark_removed
        after delete on execlog.strategy_execution_log
        for each row
        when (old.created_at is null or old.created_at < clock_timestamp() - interval '15 seconds')
        execute function execlog.mark_run();
    alter table execlog.strategy_execution_log enable always trigger mark_late;
    alter table execlog.strategy_execution_log enable always trigger mark_changed;
    alter table execlog.strategy_execution_log enable always trigger mark_removed;
end
$$;

-- Runs without a time that are there already.
insert into execlog.rollup_mark_of_all (begins, ends)
values ('-infinity', '-infinity');

-- Rollups of hours whose rows are gone are kept: their bars get more digits, each run has the average weight,
-- versions are not told apart, and how cases failed is not known. The rest is summed up from the rows.
create function execlog.rollup_of_slot(bars numeric, weight double precision)
returns numeric
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select
        case
            when bars = 0 then 0
            else regexp_replace(lpad(text, (length(text) + 9) / 10 * 10, '0'), '(.{10})', '00000000000000\1', 'g')::numeric
                * round((weight * 1e8)::numeric)
        end
    from (select bars::text as text) as number
$$;

do $$
declare
    hour timestamptz;
begin
    select date_bin('1 hour', rows_from + interval '1 hour' - interval '1 microsecond', '2000-01-01 00:00:00+00')
    into hour
    from execlog.rollup_state
    where rows_from > '-infinity';
    if found then
        update execlog.rollup_state set rows_from = hour;
    end if;
end
$$;

update execlog.rollup_state
set
    versions_from = rows_from,
    complete_until = rows_from;

with state as (
    select *
    from execlog.rollup_state
),
total as (
    select
        strategy_id,
        realm_id,
        grain,
        begins,
        sum(ok)::bigint as ok,
        sum(error)::bigint as error,
        sum(timeout)::bigint as timeout,
        sum("limit")::bigint as "limit",
        sum(other)::bigint as other,
        sum(ok_weight) as ok_weight,
        sum(failed_weight) as failed_weight,
        sum(other_weight) as other_weight,
        sum(ok_weight + failed_weight + other_weight) / sum(ok + error + timeout + "limit" + other)::double precision as weight,
        sum(duration_sum_ms) as duration_sum_ms,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(nodes_sum)::double precision as nodes_sum,
        max(nodes_max) as nodes_max,
        sum(points_sum) as points_sum,
        sum(points_weighed) as points_weighed,
        min(points_min) as points_min,
        max(points_max) as points_max,
        sum(points_runs)::bigint as points_runs,
        max(last_run) as last_run,
        sum(bars) as bars,
        sum(durations) as durations,
        sum(points) as points,
        sum(points_below) as points_below
    from execlog.rollup_of_slots
    where grain > 0
        and begins > '-infinity'
        and begins < (select rows_from from state)
    group by strategy_id, realm_id, grain, begins
),
name as (
    select
        strategy_id,
        realm_id,
        grain,
        begins,
        kind,
        array_agg(name order by place) filter (where place <= 200) as names,
        array_agg(runs order by place) filter (where place <= 200) as runs,
        array_agg(null::bigint) filter (where place <= 200) as unknown,
        coalesce(sum(runs) filter (where place > 200), 0)::bigint as others
    from (
        select
            strategy_id,
            realm_id,
            grain,
            begins,
            kind,
            name,
            sum(runs)::bigint as runs,
            row_number() over (
                partition by strategy_id, realm_id, grain, begins, kind
                order by sum(runs) desc, name
            ) as place
        from execlog.rollup_name
        where grain > 0
            and begins > '-infinity'
            and begins < (select rows_from from state)
        group by strategy_id, realm_id, grain, begins, kind, name
    ) as named
    group by strategy_id, realm_id, grain, begins, kind
)
insert into execlog.rollup
select
    total.strategy_id,
    total.realm_id,
    null,
    total.grain,
    total.begins,
    total.grain = 3600 and total.begins >= (select minutes_from from state),
    total.ok,
    total.error,
    total.timeout,
    total."limit",
    total.other,
    total.ok_weight,
    total.failed_weight,
    total.other_weight,
    total.duration_sum_ms,
    total.duration_sum_ms * case when total.duration_sum_ms < 1e290 then total.weight else 1 end,
    total.duration_min_ms,
    total.duration_max_ms,
    total.nodes_sum * total.weight,
    total.nodes_max,
    total.points_sum,
    total.points_weighed,
    total.points_min,
    total.points_max,
    total.points_runs,
    total.last_run,
    coalesce(named.others, 0),
    coalesce(coded.others, 0),
    execlog.rollup_of_slot(total.bars, 1),
    execlog.rollup_of_slot(total.durations, total.weight),
    execlog.rollup_of_slot(total.points, 1),
    execlog.rollup_of_slot(total.points_below, 1),
    coalesce(named.names, '{}'),
    coalesce(named.runs, '{}'),
    coalesce(named.unknown, '{}'),
    coalesce(named.unknown::double precision[], '{}'),
    coalesce(named.unknown::double precision[], '{}'),
    coalesce(coded.names, '{}'),
    coalesce(coded.runs, '{}')
from total
left join name as named
    on named.strategy_id = total.strategy_id
    and named.grain = total.grain
    and named.begins = total.begins
    and named.realm_id is not distinct from total.realm_id
    and named.kind = 'c'
left join name as coded
    on coded.strategy_id = total.strategy_id
    and coded.grain = total.grain
    and coded.begins = total.begins
    and coded.realm_id is not distinct from total.realm_id
    and coded.kind = 'e';

drop function execlog.rollup_of_slot(numeric, double precision);

drop table execlog.rollup_of_slots;

drop table execlog.rollup_name;

insert into execlog.rollup
select day.*
from execlog.rollup_state as state
cross join lateral execlog.rollup_of_rollups(
    3600, 86400, '0001-01-01 00:00:00+00', date_bin('1 day', state.rows_from, '2000-01-01 00:00:00+00'), null
) as day
where isfinite(state.rows_from);

-- On a cluster the tables of this file are not on its machines yet: distributing again switches rollups on.
do $$
begin
    if pg_catalog.to_regclass('pg_catalog.pg_dist_partition') is not null then
        if exists (
            select
            from pg_catalog.pg_dist_partition
            where logicalrelid = 'execlog.strategy_execution_log'::pg_catalog.regclass
        ) then
            return;
        end if;
    end if;
    perform execlog.watch_rows();
end
$$;

-- Roles that may store may have rollups made; the rest is the owner's. (Citus 14 would pass
-- rights on without quotes about the schema's name, to machines where nothing calls them.)
do $$
declare
    propagation constant text := coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on');
    writer text;
begin
    perform pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
    revoke execute on function
        execlog.mark(text, text, timestamptz, interval),
        execlog.mark_partition(timestamptz, timestamptz),
        execlog.roll_up(),
        execlog.roll_up_day(timestamptz, timestamptz),
        execlog.roll_up_end_of_hour(timestamptz, timestamptz),
        execlog.roll_up_hour(timestamptz, timestamptz, text[]),
        execlog.roll_up_marked(timestamptz, timestamptz),
        execlog.rollup_clocks(bigint),
        execlog.sum_up_rollups(integer, integer, timestamptz, timestamptz, text[]),
        execlog.sum_up_rows(integer, timestamptz, timestamptz, text[]),
        execlog.watch_rows()
    from public;
    for writer in
        select distinct case acl.grantee when 0 then 'public' else acl.grantee::pg_catalog.regrole::text end
        from pg_catalog.pg_proc as routine
        cross join lateral pg_catalog.aclexplode(routine.proacl) as acl
        where routine.oid = 'execlog.prune_recorders()'::pg_catalog.regprocedure
            and acl.privilege_type = 'EXECUTE'
            and acl.grantee <> routine.proowner
    loop
        execute pg_catalog.format('grant execute on function execlog.roll_up() to %s', writer);
    end loop;
    perform pg_catalog.set_config('citus.enable_ddl_propagation', propagation, true);
end
$$;
