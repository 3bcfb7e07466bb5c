-- Rollups are made behind the writers, of closed minutes: the functions that make them and that say what is
-- read from where.
--
-- Locks: only objects that this file makes. Expected stall: none.

-- A part of a window, as execlog.rollup_cut says it.
create type execlog.rollup_part as (
    grain integer,
    begins timestamptz,
    ends timestamptz
);

-- The rollups of a time, made of its rows: of these strategies, or of all; grain 0 is of runs without a time.
create function execlog.rollup_of_rows(seconds integer, since timestamptz, until timestamptz, strategies text[])
returns setof execlog.rollup
language sql
stable
rows 100
set search_path = pg_catalog, pg_temp
set jit = off
set work_mem = '64MB'
set enable_nestloop = off
as $$
    with run as materialized (
        select
            strategy_id,
            realm_id,
            strategy_version,
            date_bin(make_interval(secs => $1), created_at, '2000-01-01 00:00:00+00') as begins,
            created_at,
            status,
            error_code,
            case_name,
            duration_ms,
            nodes_executed,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where $1 > 0
            and $4 is null
            and strategy_id is distinct from ''
            and created_at >= $2
            and created_at < $3
        union all
        select
            strategy_id,
            realm_id,
            strategy_version,
            date_bin(make_interval(secs => $1), created_at, '2000-01-01 00:00:00+00'),
            created_at,
            status,
            error_code,
            case_name,
            duration_ms,
            nodes_executed,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where $1 > 0
            and strategy_id = any($4)
            and created_at >= $2
            and created_at < $3
        union all
        select
            strategy_id,
            realm_id,
            strategy_version,
            '-infinity',
            created_at,
            status,
            error_code,
            case_name,
            duration_ms,
            nodes_executed,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where $1 = 0
            and strategy_id = any($4)
            and created_at is null
    ),
    kind as materialized (
        select
            strategy_id,
            realm_id,
            strategy_version,
            begins,
            status,
            error_code,
            case_name,
            1 / greatest(sample_rate, 1e-9) as weight,
            count(*) as runs,
            sum(duration_ms) as duration_sum_ms,
            min(duration_ms) as duration_min_ms,
            max(duration_ms) as duration_max_ms,
            sum(nodes_executed) as nodes_sum,
            max(nodes_executed) as nodes_max,
            sum(points) as points_sum,
            min(points) as points_min,
            max(points) as points_max,
            count(points) as points_runs,
            max(created_at) as last_run
        from run
        group by strategy_id, realm_id, strategy_version, begins, status, error_code, case_name, sample_rate
    ),
    total as (
        select
            strategy_id,
            realm_id,
            coalesce('=' || realm_id, '') as realm,
            strategy_version,
            begins,
            coalesce(sum(runs) filter (where status = 'ok'), 0)::bigint as ok,
            coalesce(sum(runs) filter (where status = 'error'), 0)::bigint as error,
            coalesce(sum(runs) filter (where status = 'timeout'), 0)::bigint as timeout,
            coalesce(sum(runs) filter (where status = 'limit'), 0)::bigint as "limit",
            coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0)::bigint as other,
            coalesce(sum(runs * weight) filter (where status = 'ok'), 0) as ok_weight,
            coalesce(sum(runs * weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
            coalesce(sum(runs * weight) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other_weight,
            sum(duration_sum_ms) as duration_sum_ms,
            sum(duration_sum_ms * case when duration_sum_ms < 1e290 then weight else 1 end) as duration_weighed_ms,
            min(duration_min_ms) as duration_min_ms,
            max(duration_max_ms) as duration_max_ms,
            sum(nodes_sum * weight) as nodes_weighed,
            max(nodes_max) as nodes_max,
            sum(points_sum) as points_sum,
            sum(points_sum * case when abs(points_sum) < 1e290 then weight else 1 end) as points_weighed,
            min(points_min) as points_min,
            max(points_max) as points_max,
            sum(points_runs)::bigint as points_runs,
            max(last_run) as last_run
        from kind
        group by strategy_id, realm_id, strategy_version, begins
    ),
    duration as (
        select
            strategy_id,
            coalesce('=' || realm_id, '') as realm,
            strategy_version,
            begins,
            sum((weight::text || 'e' || 24 * bar)::numeric) as durations,
            sum((runs::text || 'e' || 24 * edge + 8)::numeric) as bars
        from (
            select
                strategy_id,
                realm_id,
                strategy_version,
                begins,
                execlog.rollup_bar(duration_ms) as bar,
                execlog.rollup_edge(duration_ms) as edge,
                count(*) as runs,
                sum((1e8::double precision / greatest(sample_rate, 1e-9))::bigint) as weight
            from run
            group by strategy_id, realm_id, strategy_version, begins, execlog.rollup_bar(duration_ms), execlog.rollup_edge(duration_ms)
        ) as bar
        group by strategy_id, realm_id, strategy_version, begins
    ),
    point as (
        select
            strategy_id,
            coalesce('=' || realm_id, '') as realm,
            strategy_version,
            begins,
            sum((runs::text || 'e' || 24 * execlog.rollup_bar(points) + 8)::numeric) filter (where points >= 0.001) as points,
            sum((runs::text || 'e' || 24 * execlog.rollup_bar(-points) + 8)::numeric) filter (where points <= -0.001) as points_below
        from (
            select
                strategy_id,
                realm_id,
                strategy_version,
                begins,
                points,
                count(*) as runs
            from run
            where points is not null
            group by strategy_id, realm_id, strategy_version, begins, points
        ) as point
        group by strategy_id, realm_id, strategy_version, begins
    ),
    "case" as (
        select
            strategy_id,
            coalesce('=' || realm_id, '') as realm,
            strategy_version,
            begins,
            array_agg(case_name order by place) filter (where place <= 200) as case_names,
            array_agg(runs order by place) filter (where place <= 200) as case_runs,
            array_agg(failures order by place) filter (where place <= 200) as case_failures,
            array_agg(weight order by place) filter (where place <= 200) as case_weights,
            array_agg(failed_weight order by place) filter (where place <= 200) as case_failed_weights,
            coalesce(sum(runs) filter (where place > 200), 0)::bigint as other_cases
        from (
            select
                strategy_id,
                realm_id,
                strategy_version,
                begins,
                case_name,
                sum(runs)::bigint as runs,
                coalesce(sum(runs) filter (where status <> 'ok'), 0)::bigint as failures,
                sum(runs * weight) as weight,
                coalesce(sum(runs * weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
                row_number() over (
                    partition by strategy_id, realm_id, strategy_version, begins
                    order by sum(runs) desc, case_name
                ) as place
            from kind
            group by strategy_id, realm_id, strategy_version, begins, case_name
        ) as named
        group by strategy_id, realm_id, strategy_version, begins
    ),
    code as (
        select
            strategy_id,
            coalesce('=' || realm_id, '') as realm,
            strategy_version,
            begins,
            array_agg(error_code order by place) filter (where place <= 200) as error_codes,
            array_agg(runs order by place) filter (where place <= 200) as error_runs,
            coalesce(sum(runs) filter (where place > 200), 0)::bigint as other_errors
        from (
            select
                strategy_id,
                realm_id,
                strategy_version,
                begins,
                error_code,
                sum(runs)::bigint as runs,
                row_number() over (
                    partition by strategy_id, realm_id, strategy_version, begins
                    order by sum(runs) desc, error_code
                ) as place
            from kind
            where error_code is not null
            group by strategy_id, realm_id, strategy_version, begins, error_code
        ) as named
        group by strategy_id, realm_id, strategy_version, begins
    )
    select
        strategy_id,
        total.realm_id,
        strategy_version,
        $1,
        begins,
        false,
        total.ok,
        total.error,
        total.timeout,
        total."limit",
        total.other,
        total.ok_weight,
        total.failed_weight,
        total.other_weight,
        total.duration_sum_ms,
        total.duration_weighed_ms,
        total.duration_min_ms,
        total.duration_max_ms,
        total.nodes_weighed,
        total.nodes_max,
        total.points_sum,
        total.points_weighed,
        total.points_min,
        total.points_max,
        total.points_runs,
        total.last_run,
        "case".other_cases,
        coalesce(code.other_errors, 0),
        duration.bars,
        duration.durations,
        coalesce(point.points, 0),
        coalesce(point.points_below, 0),
        "case".case_names,
        "case".case_runs,
        "case".case_failures,
        "case".case_weights,
        "case".case_failed_weights,
        coalesce(code.error_codes, '{}'),
        coalesce(code.error_runs, '{}')
    from total
    join duration using (strategy_id, realm, strategy_version, begins)
    join "case" using (strategy_id, realm, strategy_version, begins)
    left join point using (strategy_id, realm, strategy_version, begins)
    left join code using (strategy_id, realm, strategy_version, begins)
$$;

comment on function execlog.rollup_of_rows(integer, timestamptz, timestamptz, text[]) is 'The rollups of a time, made of its rows.';

-- The rollups of a time, made of those of a finer grain: of these strategies, or of all.
create function execlog.rollup_of_rollups(finer integer, seconds integer, since timestamptz, until timestamptz, strategies text[])
returns setof execlog.rollup
language sql
stable
rows 100
set search_path = pg_catalog, pg_temp
set jit = off
set enable_nestloop = off
as $$
    with part as materialized (
        select
            date_bin(make_interval(secs => $2), rollup.begins, '2000-01-01 00:00:00+00') as start,
            coalesce('=' || realm_id, '') as realm,
            coalesce(strategy_version::text, '') as version,
            rollup.*
        from execlog.rollup
        where grain = $1
            and begins >= $3
            and begins < $4
            and ($5 is null or strategy_id = any($5))
    ),
    total as (
        select
            strategy_id,
            realm,
            version,
            start,
            min(realm_id) as realm_id,
            min(strategy_version) as strategy_version,
            sum(ok)::bigint as ok,
            sum(error)::bigint as error,
            sum(timeout)::bigint as timeout,
            sum("limit")::bigint as "limit",
            sum(other)::bigint as other,
            sum(ok_weight) as ok_weight,
            sum(failed_weight) as failed_weight,
            sum(other_weight) as other_weight,
            sum(duration_sum_ms) as duration_sum_ms,
            sum(duration_weighed_ms) as duration_weighed_ms,
            min(duration_min_ms) as duration_min_ms,
            max(duration_max_ms) as duration_max_ms,
            sum(nodes_weighed) as nodes_weighed,
            max(nodes_max) as nodes_max,
            sum(points_sum) as points_sum,
            sum(points_weighed) as points_weighed,
            min(points_min) as points_min,
            max(points_max) as points_max,
            sum(points_runs)::bigint as points_runs,
            max(last_run) as last_run,
            sum(other_cases)::bigint as other_cases,
            sum(other_errors)::bigint as other_errors,
            sum(bars) as bars,
            sum(durations) as durations,
            sum(points) as points,
            sum(points_below) as points_below
        from part
        group by strategy_id, realm, version, start
    ),
    "case" as (
        select
            strategy_id,
            realm,
            version,
            start,
            array_agg(name order by place) filter (where place <= 200) as case_names,
            array_agg(runs order by place) filter (where place <= 200) as case_runs,
            array_agg(failures order by place) filter (where place <= 200) as case_failures,
            array_agg(weight order by place) filter (where place <= 200) as case_weights,
            array_agg(failed_weight order by place) filter (where place <= 200) as case_failed_weights,
            coalesce(sum(runs) filter (where place > 200), 0)::bigint as other_cases
        from (
            select
                strategy_id,
                realm,
                version,
                start,
                named.name,
                sum(named.runs)::bigint as runs,
                sum(named.failures)::bigint as failures,
                sum(named.weight) as weight,
                sum(named.failed_weight) as failed_weight,
                row_number() over (
                    partition by strategy_id, realm, version, start
                    order by sum(named.runs) desc, named.name
                ) as place
            from part
            cross join lateral unnest(case_names, case_runs, case_failures, case_weights, case_failed_weights)
                as named (name, runs, failures, weight, failed_weight)
            group by strategy_id, realm, version, start, named.name
        ) as named
        group by strategy_id, realm, version, start
    ),
    code as (
        select
            strategy_id,
            realm,
            version,
            start,
            array_agg(name order by place) filter (where place <= 200) as error_codes,
            array_agg(runs order by place) filter (where place <= 200) as error_runs,
            coalesce(sum(runs) filter (where place > 200), 0)::bigint as other_errors
        from (
            select
                strategy_id,
                realm,
                version,
                start,
                named.name,
                sum(named.runs)::bigint as runs,
                row_number() over (
                    partition by strategy_id, realm, version, start
                    order by sum(named.runs) desc, named.name
                ) as place
            from part
            cross join lateral unnest(error_codes, error_runs) as named (name, runs)
            group by strategy_id, realm, version, start, named.name
        ) as named
        group by strategy_id, realm, version, start
    )
    select
        strategy_id,
        total.realm_id,
        total.strategy_version,
        $2,
        start,
        false,
        total.ok,
        total.error,
        total.timeout,
        total."limit",
        total.other,
        total.ok_weight,
        total.failed_weight,
        total.other_weight,
        total.duration_sum_ms,
        total.duration_weighed_ms,
        total.duration_min_ms,
        total.duration_max_ms,
        total.nodes_weighed,
        total.nodes_max,
        total.points_sum,
        total.points_weighed,
        total.points_min,
        total.points_max,
        total.points_runs,
        total.last_run,
        total.other_cases + coalesce("case".other_cases, 0),
        total.other_errors + coalesce(code.other_errors, 0),
        total.bars,
        total.durations,
        total.points,
        total.points_below,
        coalesce("case".case_names, '{}'),
        coalesce("case".case_runs, '{}'),
        coalesce("case".case_failures, '{}'),
        coalesce("case".case_weights, '{}'),
        coalesce("case".case_failed_weights, '{}'),
        coalesce(code.error_codes, '{}'),
        coalesce(code.error_runs, '{}')
    from total
    left join "case" using (strategy_id, realm, version, start)
    left join code using (strategy_id, realm, version, start)
$$;

comment on function execlog.rollup_of_rollups(integer, integer, timestamptz, timestamptz, text[]) is 'The rollups of a time, made of those of a finer grain.';

-- The partitions whose changes are marked: their tables, files and triggers. None is one that is itself partitioned,
-- lies elsewhere, is being detached, or whose triggers are off.
create function execlog.rollup_watched()
returns table (id oid, name name, file oid, watch oid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select
        class.oid,
        class.relname,
        class.relfilenode,
        max(marks.oid) filter (where marks.tgname = 'mark_removed')
    from pg_inherits as inherits
    join pg_class as class on class.oid = inherits.inhrelid
    join pg_trigger as marks on marks.tgrelid = class.oid
    where inherits.inhparent = 'execlog.strategy_execution_log'::regclass
        and not inherits.inhdetachpending
        and class.relkind = 'r'
        and marks.tgname in ('mark_changed', 'mark_late', 'mark_removed')
        and marks.tgenabled = 'A'
    group by class.oid
    having count(*) = 3
$$;

comment on function execlog.rollup_watched() is 'The partitions whose changes are marked.';

-- When rollups of a strategy are not to be read, marked or for a partition that came or went; NULL: of all.
-- A reader's policies choose among the marks. (On a cluster of Citus this and the next are called on the machine that
-- has the strategy, and read its marks and rollups there.)
create function execlog.rollup_dirty(strategy text)
returns tstzmultirange
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(range_agg(tstzrange(begins, ends)), '{}')
    from (
        select
            begins,
            ends
        from execlog.rollup_mark
        where strategy_id = strategy
        union all
        select
            begins,
            ends
        from execlog.rollup_mark_of_all
        union all
        select
            begins,
            ends
        from execlog.rollup_partition as known
        where (id, name, file, watch) not in (select id, name, file, watch from execlog.rollup_watched())
        union all
        select
            partition.begins,
            partition.ends
        from execlog.partitions() as partition
        where exists (
            select
            from pg_catalog.pg_inherits
            where inhparent = 'execlog.strategy_execution_log'::regclass
                and inhrelid not in (select id from execlog.rollup_partition)
        )
            and partition.id not in (select id from execlog.rollup_partition)
    ) as mark
    where begins < ends
$$;

comment on function execlog.rollup_dirty(text) is 'When rollups of a strategy are not to be read.';

-- Whether every run that finished before a time is in the rollups, or rollups are off: then its rows may go.
-- Partitions that were changed by hand count as marked.
create function execlog.rollup_holds(until timestamptz)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select
        not state.enabled
        or state.complete_until >= until
        and not exists (
            select 1
            from execlog.rollup_mark as mark
            where mark.begins < mark.ends
                and mark.begins < until
                and mark.ends > (select rows_from from execlog.rollup_state)
        )
        and not execlog.rollup_dirty(null) && tstzrange(least(state.rows_from, until), until)
    from execlog.rollup_state as state
$$;

comment on function execlog.rollup_holds(timestamptz) is 'Whether every run that finished before a time is in the rollups.';

-- Which parts of a window are read from where: grain NULL are rows; 60, 3600 and 86400 rollups by their begin; 0
-- the rollup of runs without a time. Both ends are included. A strategy of NULL means all that no mark names;
-- then grain -60 is the rows of those strategies that have no minutes kept of that hour.
--
-- Whole days, whole hours beside them, whole minutes beside those, rows at the ragged ends and wherever a rollup
-- is dirty. Where rows are gone none are read: an hour, or a minute if it is kept, that an end of the window
-- cuts is counted whole, or, if one window follows another, in the window in which it begins. If many windows are
-- cut, dirty is what execlog.rollup_dirty says, once for all.
create function execlog.rollup_cut(
    strategy text,
    since timestamptz,
    until timestamptz,
    follows boolean default false,
    dirty tstzmultirange default null
)
returns table (grain integer, begins timestamptz, ends timestamptz)
language plpgsql
stable
rows 5
set search_path = pg_catalog, pg_temp
as $$
declare
    state execlog.rollup_state;
    minute constant interval := '1 minute';
    hour constant interval := '1 hour';
    day constant interval := '1 day';
    tick constant interval := '1 microsecond';
    origin constant timestamptz := '2000-01-01 00:00:00+00';
    -- Rollups begin with the year 1; -infinity is before it.
    calendar constant timestamptz := '0001-01-01 00:00:00+00';
    has_timeless boolean;
    first constant timestamptz := coalesce(since, '-infinity');
    last constant timestamptz := coalesce(until, 'infinity');
    high constant timestamptz := last + tick;
    gone tstzmultirange := '{}';
    segment tstzrange;
    low_hour timestamptz;
    high_hour timestamptz;
    low_day timestamptz;
    high_day timestamptz;
    pieces timestamptz[];
    piece_low timestamptz;
    piece_high timestamptz;
    piece_hour timestamptz;
    low_minute timestamptz;
    high_minute timestamptz;
    has_minutes boolean;
    is_open boolean;
begin
    select * into state from execlog.rollup_state;
    if not found or not state.enabled or first >= high then
        return query select null::integer, first, last;
        return;
    end if;
    if state.rows_from > calendar then
        gone := tstzmultirange(tstzrange(calendar, state.rows_from));
    end if;
    dirty := coalesce(dirty, execlog.rollup_dirty(strategy));
    -- Runs without a time lie in DEFAULT, which is of all times.
    has_timeless := since is null and until is null and not dirty @> '-infinity'::timestamptz and state.complete_until > calendar;
    dirty := dirty
        + tstzmultirange(tstzrange(null, greatest(calendar, case when state.hours_from > state.rows_from then state.hours_from end)))
        + tstzmultirange(tstzrange(state.complete_until, null))
        - gone;
    if has_timeless and not exists (
        select 1
        from execlog.rollup_mark as mark
        where mark.ends = '-infinity'
            and (mark.strategy_id = strategy or strategy is null)
    ) and not exists (
        select 1
        from execlog.rollup_mark_of_all as mark
        where mark.ends = '-infinity'
    ) then
        return query select 0, '-infinity'::timestamptz, '-infinity'::timestamptz;
    end if;
    for segment in
        select unnest(dirty * tstzmultirange(tstzrange(first, high)))
    loop
        begins := lower(segment);
        ends := case when upper(segment) = high then last else upper(segment) - tick end;
        return query select null::integer, begins, ends;
    end loop;
    for segment in
        select unnest(tstzmultirange(tstzrange(first, high)) - dirty)
    loop
        low_hour := date_bin(hour, lower(segment) + hour - tick, origin);
        high_hour := date_bin(hour, upper(segment), origin);
        if low_hour <= high_hour then
            low_day := date_bin(day, low_hour + day - tick, origin);
            high_day := date_bin(day, high_hour, origin);
            if low_day < high_day then
                return query select 86400, low_day, high_day - day;
                if low_hour < low_day then
                    return query select 3600, low_hour, low_day - hour;
                end if;
                if high_day < high_hour then
                    return query select 3600, high_day, high_hour - hour;
                end if;
            elsif low_hour < high_hour then
                return query select 3600, low_hour, high_hour - hour;
            end if;
            pieces := array[lower(segment), low_hour, high_hour, upper(segment)];
        else
            pieces := array[lower(segment), upper(segment)];
        end if;
        for place in 1..array_length(pieces, 1) by 2 loop
            piece_low := pieces[place];
            piece_high := pieces[place + 1];
            continue when piece_low >= piece_high;
            piece_hour := date_bin(hour, piece_low, origin);
            is_open := piece_hour + hour > state.complete_until;
            has_minutes := is_open or piece_hour >= state.minutes_from and (
                strategy is null and piece_low >= state.rows_from
                or exists (
                    select 1
                    from execlog.rollup as kept
                    where kept.strategy_id = strategy
                        and kept.grain = 3600
                        and kept.begins = piece_hour
                        and kept.has_minutes
                )
            );
            if piece_low < state.rows_from then
                if not has_minutes then
                    if piece_low = piece_hour or not follows then
                        return query select 3600, piece_hour, piece_hour;
                    end if;
                    continue;
                end if;
                low_minute := date_bin(minute, case when follows then piece_low + minute - tick else piece_low end, origin);
                high_minute := date_bin(minute, piece_high + minute - tick, origin);
                if low_minute < high_minute then
                    return query select 60, low_minute, high_minute - minute;
                end if;
                continue;
            end if;
            low_minute := date_bin(minute, piece_low + minute - tick, origin);
            high_minute := date_bin(minute, piece_high, origin);
            if not has_minutes or low_minute >= high_minute then
                return query select null::integer, piece_low, case when piece_high = high then last else piece_high - tick end;
                continue;
            end if;
            return query select 60, low_minute, high_minute - minute;
            if strategy is null and not is_open then
                return query select -60, low_minute, high_minute - tick;
            end if;
            if piece_low < low_minute then
                return query select null::integer, piece_low, low_minute - tick;
            end if;
            if high_minute < piece_high then
                return query select null::integer, high_minute, case when piece_high = high then last else piece_high - tick end;
            end if;
        end loop;
    end loop;
end
$$;

comment on function execlog.rollup_cut(text, timestamptz, timestamptz, boolean, tstzmultirange) is 'Which parts of a window are read from rows, minutes, hours and days.';

-- The same, but for few runs all are rows, so that all of the answer is exact.
create function execlog.rollup_parts(strategy text, since timestamptz, until timestamptz)
returns setof execlog.rollup_part
language plpgsql
stable
rows 5
set plan_cache_mode = force_custom_plan
set search_path = pg_catalog, pg_temp
as $$
declare
    first constant timestamptz := coalesce(since, '-infinity');
    last constant timestamptz := coalesce(until, 'infinity');
    state execlog.rollup_state;
    parts execlog.rollup_part[];
    part execlog.rollup_part;
    runs bigint;
    total bigint := 0;
begin
    select * into state from execlog.rollup_state;
    select array_agg(row(cut.grain, cut.begins, cut.ends)::execlog.rollup_part)
    into parts
    from execlog.rollup_cut(strategy, since, until) as cut;
    if found and first >= state.rows_from and exists (select from unnest(parts) as one where one.grain is not null) then
        -- As far as need be, and no further: first what is summed up, then the rows.
        foreach part in array parts loop
            exit when total > state.exact_runs;
            continue when part.grain is null or part.grain < 0;
            for runs in
                select ok + error + timeout + "limit" + other
                from execlog.rollup as kept
                where kept.grain = part.grain
                    and kept.begins >= part.begins
                    and kept.begins <= part.ends
                    and (strategy is null or kept.strategy_id = strategy)
                limit state.exact_runs + 1
            loop
                total := total + runs;
                exit when total > state.exact_runs;
            end loop;
        end loop;
        foreach part in array parts loop
            exit when total > state.exact_runs;
            continue when part.grain >= 0;
            select total + count(*)
            into total
            from (
                select 1
                from execlog.strategy_execution_log as log
                where (strategy is null or log.strategy_id = strategy)
                    and log.strategy_id is distinct from ''
                    and log.created_at >= part.begins
                    and log.created_at <= part.ends
                limit state.exact_runs - total + 1
            ) as run;
        end loop;
        if total <= state.exact_runs then
            return query select null::integer, first, last;
            return;
        end if;
    end if;
    return query select one.grain, one.begins, one.ends from unnest(parts) as one;
end
$$;

comment on function execlog.rollup_parts(text, timestamptz, timestamptz) is 'Which parts of a window are read from rows, minutes, hours and days; all from rows where there are few.';

-- The value that stands for a bar of execlog.rollup_bar: 1 % from both of its ends.
create function execlog.rollup_middle(bar integer)
returns double precision
language sql
immutable
parallel safe
return case bar
    when 0 then 0
    when 1745 then 0.001 * pg_catalog.power(1.02::double precision, 1744)
    else 0.002 * pg_catalog.power(1.02::double precision, bar) / 2.02
end;

-- The weight of a histogram's bars from this one on, in hundred millionths. Bars are the digits of a number to the
-- base 10^24: the sum of its digits is what division by the greatest of them leaves.
create function execlog.rollup_weight_from(histogram numeric, bar integer)
returns numeric
language sql
immutable
strict
parallel safe
return pg_catalog.mod(pg_catalog.div(histogram, ('1e' || 24 * bar)::numeric), 999999999999999999999999);

-- A quantile of a histogram of execlog.rollup, or of a sum of them, interpolated as percentiles are; at most 1 % off
-- if it lies between 0.001 and 1e12. NULL: it is empty.
create function execlog.quantile(histogram numeric, fraction double precision)
returns double precision
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    one constant numeric := 1e8;
    greatest_digit constant numeric := 999999999999999999999999;
    digits constant text := trunc(histogram)::text;
    size constant integer := length(digits);
    total constant numeric := mod(trunc(histogram), greatest_digit);
    position constant numeric := fraction::numeric * (total - one);
    -- The bar that is looked for is the lowest one above which no more than this weighs.
    most constant numeric := total - one - position;
    low integer;
    high integer := (size + 23) / 24;
    middle integer;
    step integer := 16;
    above numeric;
    above_low numeric := total;
    under numeric;
begin
    if total = 0 or fraction not between 0 and 1 then
        return null;
    end if;
    -- From the top in longer and longer steps, then by halves. Few digits are left near the top.
    loop
        low := greatest(high - step, 0);
        exit when low = 0;
        above := mod(left(digits, size - 24 * low)::numeric, greatest_digit);
        if above > most then
            above_low := above;
            exit;
        end if;
        high := low;
        step := step * 2;
    end loop;
    while high - low > 1 loop
        middle := (low + high) / 2;
        above := mod(left(digits, size - 24 * middle)::numeric, greatest_digit);
        if above > most then
            low := middle;
            above_low := above;
        else
            high := middle;
        end if;
    end loop;
    -- Within the first run of the bar the quantile lies between it and the one before.
    under := (position + one - (total - above_low)) / one;
    if under >= 1 or above_low = total then
        return execlog.rollup_middle(low);
    end if;
    middle := low - 1;
    while mod(left(digits, size - 24 * middle)::numeric, greatest_digit) = above_low loop
        middle := middle - 1;
    end loop;
    return execlog.rollup_middle(middle) + under * (execlog.rollup_middle(low) - execlog.rollup_middle(middle));
end
$$;

comment on function execlog.quantile(numeric, double precision) is 'A quantile of a histogram of execlog.rollup, or of a sum of them.';
