-- Rollups are made behind the writers, of closed minutes: the tables.
--
-- Locks: execlog.strategy_execution_log, access exclusive, to drop the trigger that added to rollups as rows
-- were stored: everybody waits. Expected stall: milliseconds.
--
-- What a batch cost was the update of each group's row of the minute, once more by each batch. A minute that
-- has ended is summed up once, by whichever process is at it; until then, and wherever a row came late or
-- was changed, it is read from rows. So nothing lags, and a statement that stores pays nothing.

drop trigger if exists roll_up on execlog.strategy_execution_log;

drop function execlog.roll_up();

drop function execlog.rollup_own_slot();

drop function execlog.rollup_parts(text, timestamptz, timestamptz);

drop function execlog.rollup_cut(timestamptz, timestamptz, boolean);

drop table execlog.rollup_slot;

alter table execlog.rollup rename to rollup_of_slots;

alter index execlog.rollup_key rename to rollup_of_slots_key;

alter index execlog.rollup_time rename to rollup_of_slots_time;

alter table execlog.rollup_state
    drop column complete_from,
    add column complete_until timestamptz not null default '-infinity',
    add column versions_from timestamptz not null default '-infinity',
    add column begun_at timestamptz not null default now(),
    add column lag interval not null default '15 seconds',
    add column minute_runs bigint not null default 1500;

alter table execlog.rollup_state
    add constraint lag_in_range check (lag >= '15 seconds');

comment on column execlog.rollup_state.enabled is 'Whether rollups are made and read.';
comment on column execlog.rollup_state.complete_until is 'Every run that finished before this is in the rollups, but for what execlog.rollup_mark names.';
comment on column execlog.rollup_state.begun_at is 'When rollups were switched on.';
comment on column execlog.rollup_state.versions_from is 'Rollups before this may not tell versions apart.';
comment on column execlog.rollup_state.lag is 'How long after its end a minute is summed up. A row that comes later is marked, so it is 15 s at least.';
comment on column execlog.rollup_state.minute_runs is 'Minutes are kept of a strategy that has so many runs in the hour, times its realms and versions: of fewer, rows are read sooner.';

-- A histogram is one number, 24 decimal digits for each of its bars: sum() adds histograms, as fast as
-- numbers, and in any order. Bar n counts in the digits that begin with 10^(24 n), in hundred millionths.
-- Most digits are zeros, which the server's compression makes a tenth of: hence the storage.
create table execlog.rollup (
    strategy_id text collate "C" not null,
    realm_id text collate "C",
    strategy_version integer,
    grain integer not null,
    begins timestamptz not null,
    has_minutes boolean not null,
    ok bigint not null,
    error bigint not null,
    timeout bigint not null,
    "limit" bigint not null,
    other bigint not null,
    ok_weight double precision not null,
    failed_weight double precision not null,
    other_weight double precision not null,
    duration_sum_ms double precision not null,
    duration_weighed_ms double precision not null,
    duration_min_ms double precision not null,
    duration_max_ms double precision not null,
    nodes_weighed double precision not null,
    nodes_max integer not null,
    points_sum double precision,
    points_weighed double precision,
    points_min double precision,
    points_max double precision,
    points_runs bigint not null,
    last_run timestamptz,
    other_cases bigint not null,
    other_errors bigint not null,
    bars numeric not null,
    durations numeric not null,
    points numeric not null,
    points_below numeric not null,
    case_names text[] collate "C" not null,
    case_runs bigint[] not null,
    case_failures bigint[] not null,
    case_weights double precision[] not null,
    case_failed_weights double precision[] not null,
    error_codes text[] collate "C" not null,
    error_runs bigint[] not null
) with (
    toast_tuple_target = 128,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02
);

alter table execlog.rollup
    alter column bars set storage main,
    alter column durations set storage main,
    alter column points set storage main,
    alter column points_below set storage main,
    alter column case_names set storage main,
    alter column case_runs set storage main,
    alter column case_failures set storage main,
    alter column case_weights set storage main,
    alter column case_failed_weights set storage main,
    alter column error_codes set storage main,
    alter column error_runs set storage main;

alter table execlog.rollup replica identity full;

comment on table execlog.rollup is 'The runs of a strategy, realm and version in each minute, hour and day, summed up.';
comment on column execlog.rollup.strategy_version is 'NULL: of all versions, summed up before versions were told apart.';
comment on column execlog.rollup.grain is 'Seconds: 60, 3600 or 86400; 0 for runs without a time.';
comment on column execlog.rollup.begins is 'First instant of the minute, hour or day in UTC; -infinity where there is no time.';
comment on column execlog.rollup.has_minutes is 'Of an hour: whether its minutes are kept too; of a strategy, all its realms and versions or none.';
comment on column execlog.rollup.bars is 'Stored runs by the edges of the dashboard; the bar of 5 ms is bar 0.';
comment on column execlog.rollup.durations is 'Weights by execlog.rollup_bar of the duration.';
comment on column execlog.rollup.points is 'Stored runs by execlog.rollup_bar of points of 0.001 and more; those near zero are what is left of points_runs.';
comment on column execlog.rollup.points_below is 'Stored runs by execlog.rollup_bar of points of -0.001 and less, without their sign.';
comment on column execlog.rollup.case_names is 'The most frequent cases, 200 at most; NULL if no rule matched. What follows is of each of them.';
comment on column execlog.rollup.other_cases is 'Runs of the cases that are not among them.';
comment on column execlog.rollup.error_codes is 'The most frequent error codes, 200 at most. What follows is of each of them.';
comment on column execlog.rollup.other_errors is 'Runs of the codes that are not among them.';

create unique index rollup_key
    on execlog.rollup (strategy_id, grain, begins, realm_id, strategy_version) nulls not distinct;

-- All strategies of a time, for rankings and for retention.
create index rollup_time on execlog.rollup (grain, begins);

-- What the rollups do not hold, though it lies before complete_until: it is read from rows until they are
-- summed up again. Each transaction has rows of its own, so that none waits for another.
create table execlog.rollup_mark (
    strategy_id text collate "C" not null,
    realm_id text collate "C",
    begins timestamptz not null,
    ends timestamptz not null,
    xid bigint not null default pg_current_xact_id()::text::bigint,
    marked_at timestamptz not null default now()
);

comment on table execlog.rollup_mark is 'Times of a strategy whose rows came late or were changed: their rollups are not to be read.';
comment on column execlog.rollup_mark.realm_id is 'Of this realm, or of runs without one.';
comment on column execlog.rollup_mark.begins is 'From here on; -infinity to -infinity: runs without a time.';
comment on column execlog.rollup_mark.ends is 'Before this.';

create unique index rollup_mark_key
    on execlog.rollup_mark (strategy_id, begins, ends, realm_id, xid) nulls not distinct;

alter table execlog.rollup_mark replica identity full;

-- The same, of all strategies. By itself, since on a cluster each machine has its own strategies.
create table execlog.rollup_mark_of_all (
    begins timestamptz not null,
    ends timestamptz not null,
    xid bigint not null default pg_current_xact_id()::text::bigint,
    marked_at timestamptz not null default now(),
    constraint rollup_mark_of_all_pkey primary key (begins, ends, xid)
);

comment on table execlog.rollup_mark_of_all is 'Times whose rollups are not to be read, of any strategy.';
comment on column execlog.rollup_mark_of_all.begins is 'From here on; -infinity to -infinity: runs without a time.';
comment on column execlog.rollup_mark_of_all.ends is 'Before this.';

-- When each transaction number had not been given yet: the oldest that writes to the log tells from which time on
-- rows may come that no session sees yet. (pg_stat_activity hides other roles' transactions.)
create table execlog.rollup_horizon (
    node integer not null,
    xid bigint not null,
    at timestamptz not null,
    constraint rollup_horizon_pkey primary key (node, at)
);

comment on table execlog.rollup_horizon is 'At this time no transaction had this number yet.';
comment on column execlog.rollup_horizon.node is 'On this machine of a cluster; 0 if there is one only.';

-- The partitions as they were when last seen: rows come and go with one that is attached, detached, dropped or
-- truncated by hand, and no trigger tells. A truncated table has another file, and one that was away has another
-- trigger.
create table execlog.rollup_partition (
    id oid not null,
    name name not null,
    file oid not null,
    watch oid not null,
    begins timestamptz not null,
    ends timestamptz not null,
    constraint rollup_partition_pkey primary key (id)
);

comment on table execlog.rollup_partition is 'The partitions whose rows the rollups tell of.';
