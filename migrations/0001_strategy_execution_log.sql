-- The execution log: one row for each run of a strategy, partitioned by the time it finished.
--
-- Locks: only objects that this file makes. Expected stall: none.
--
-- Price of the indexes on COPY of 5,000 rows (medians, Postgres 18, two cores, `python -m tests.bench`),
-- as multiples of the time without any: only the id's 1.11; only newest 1.37; only failures 1.00; only
-- newest_failures 1.10; only realm_failures 0.93; only time 1.06; all six 1.89. A full
-- (strategy_id, status, ...) index in the place of the partial one took another third, so it is not here.

create schema if not exists execlog;

comment on schema execlog is 'Execution log of a scoring engine.';

create table execlog.schema_migration (
    name text collate "C" not null,
    checksum text collate "C" not null,
    applied_at timestamptz not null default now(),
    constraint schema_migration_pkey primary key (name)
);

comment on table execlog.schema_migration is 'Migrations applied here, each written in the transaction that applied it.';
comment on column execlog.schema_migration.name is 'File name without .sql.';
comment on column execlog.schema_migration.checksum is 'SHA-256 of the file, in hexadecimal.';

-- Text is compared by bytes (collate "C"): the order is the same on every server, an upgrade of the
-- system's locale can't corrupt an index, and the comparison is the cheapest there is.
create table execlog.strategy_execution_log (
    id uuid not null,
    created_at timestamptz default now(),
    strategy_id text collate "C" not null,
    strategy_version integer not null,
    strategy_type text collate "C" not null,
    realm_id text collate "C",
    external_game_id text collate "C",
    external_task_id text collate "C",
    external_user_id text collate "C",
    status text collate "C" not null,
    error_code text collate "C",
    points double precision,
    case_name text collate "C",
    duration_ms double precision not null,
    nodes_executed integer not null,
    trace jsonb,
    sampled boolean not null default false,
    sample_rate double precision not null default 1,
    parent_strategy_id text collate "C",
    notes text collate "C",
    -- The years that a client can read back. Its first and last instant are the driver's infinities,
    -- so the finite instants of that name stay out: what is read can always be asked for again.
    constraint created_at_in_calendar check (
        (created_at > '0001-01-01 00:00:00+00' and created_at < '9999-12-31 23:59:59.999999+00')
        or not isfinite(created_at)
    ),
    constraint strategy_id_not_empty check (strategy_id <> ''),
    -- A row of an index holds 2,700 bytes: what indexes hold must fit in together.
    constraint keys_fit_indexes check (
        octet_length(strategy_id) <= 512
        and octet_length(realm_id) <= 512
        and octet_length(status) <= 512
        and octet_length(error_code) <= 512
        and octet_length(case_name) <= 512
    ),
    -- 1e300 leaves room to add up a hundred million rows; NaN sorts above every number and fails too.
    constraint duration_ms_in_range check (duration_ms >= 0 and duration_ms <= 1e300),
    constraint points_in_range check (points >= -1e300 and points <= 1e300),
    constraint nodes_executed_in_range check (nodes_executed >= 0),
    constraint sample_rate_in_range check (sample_rate > 0 and sample_rate <= 1),
    constraint trace_is_list check (jsonb_typeof(trace) = 'array')
) partition by range (created_at);

comment on table execlog.strategy_execution_log is 'One row for each run of a strategy that was kept.';
comment on column execlog.strategy_execution_log.id is 'UUID version 7, made by the client.';
comment on column execlog.strategy_execution_log.created_at is 'When the run finished. NULL only in imported rows; they sort last.';
comment on column execlog.strategy_execution_log.strategy_id is 'The rule program. No foreign key: history outlives the strategy.';
comment on column execlog.strategy_execution_log.strategy_version is 'The version of the program that ran.';
comment on column execlog.strategy_execution_log.strategy_type is 'For example DSL_FULL or DSL_EXTEND.';
comment on column execlog.strategy_execution_log.realm_id is 'Tenant.';
comment on column execlog.strategy_execution_log.external_game_id is 'Coordinate of the event, verbatim, for a replay.';
comment on column execlog.strategy_execution_log.external_task_id is 'Coordinate of the event, verbatim, for a replay.';
comment on column execlog.strategy_execution_log.external_user_id is 'Coordinate of the event, verbatim, for a replay.';
comment on column execlog.strategy_execution_log.status is 'ok, error, timeout or limit; any other text counts as other.';
comment on column execlog.strategy_execution_log.error_code is 'Why the run failed, as a code.';
comment on column execlog.strategy_execution_log.points is 'Points awarded; NULL on failed runs.';
comment on column execlog.strategy_execution_log.case_name is 'The rule case that fired; NULL = none matched, default points.';
comment on column execlog.strategy_execution_log.duration_ms is 'Wall clock of the run, milliseconds.';
comment on column execlog.strategy_execution_log.nodes_executed is 'Number of rule nodes visited.';
comment on column execlog.strategy_execution_log.trace is 'List of entries, one for each node visited.';
comment on column execlog.strategy_execution_log.sampled is 'True: an ok run that the sampler chose. False: a failure, or all runs are kept.';
comment on column execlog.strategy_execution_log.sample_rate is 'Share of such runs that is kept, in (0, 1]: the row stands for 1/sample_rate runs.';
comment on column execlog.strategy_execution_log.parent_strategy_id is 'The strategy that an extension wraps.';
comment on column execlog.strategy_execution_log.notes is 'For example "trace truncated: 1000 -> 200 entries".';

-- One execution by its id. Led by id, whose time-ordered values touch only the right edge on COPY.
-- It holds strategy_id and created_at too, so that the table can be distributed on Citus.
create unique index strategy_execution_log_id
    on execlog.strategy_execution_log (id, strategy_id, created_at) nulls not distinct;

-- Newest first of one strategy, and every aggregate over a window as an index-only scan.
create index strategy_execution_log_newest
    on execlog.strategy_execution_log (strategy_id, created_at desc nulls last, id desc)
    include (status, error_code, case_name, duration_ms, nodes_executed, points, sample_rate);

-- Newest failures of one kind: few rows, so it costs 5 % where a full index costs a third.
create index strategy_execution_log_failures
    on execlog.strategy_execution_log (strategy_id, status, created_at desc nulls last, id desc)
    where status <> 'ok';

-- The next three say "is distinct from" where "<>" would mean the same: that keeps them to the
-- statements that say it too. The planner would otherwise take them for others: look for one strategy's
-- failures among everybody's, or for its runs among all.

-- Newest failures of all strategies together.
create index strategy_execution_log_newest_failures
    on execlog.strategy_execution_log (created_at desc nulls last, id desc)
    where status is distinct from 'ok';

-- Newest failures of one realm.
create index strategy_execution_log_realm_failures
    on execlog.strategy_execution_log (realm_id, created_at desc nulls last, id desc)
    where status is distinct from 'ok';

-- All runs, whichever strategy's, by their time, at 39 bytes a row. Ascending, to be read backwards: rows
-- come in the order of time, and pages that are filled at the right end are left full, others half empty.
create index strategy_execution_log_time
    on execlog.strategy_execution_log (created_at nulls first, id)
    where strategy_id is distinct from '';

-- Rows with no time, or with one that no other partition covers: nothing is ever refused.
create table execlog.strategy_execution_log_default
    partition of execlog.strategy_execution_log default;

-- Rows leave it when their partition appears. Where a publication tells of deletes, it could not otherwise.
alter table execlog.strategy_execution_log_default replica identity full;

-- The partitions, with their times. Their bounds are to be had as text only, which is written as the
-- session likes it: hence the two settings. What lies outside of the years that a client reads is infinity.
create function execlog.partitions()
returns table (id oid, is_default boolean, begins timestamptz, ends timestamptz)
language sql
stable
set datestyle = 'ISO'
set timezone = 'UTC'
as $$
    select
        bound.id,
        bound.expression = 'DEFAULT',
        case
            when bound.begins is null or bound.begins < '0001-01-02 00:00:00+00' then '-infinity'
            when bound.begins > '9999-12-30 00:00:00+00' then 'infinity'
            else bound.begins
        end,
        case
            when bound.ends is null or bound.ends > '9999-12-30 00:00:00+00' then 'infinity'
            when bound.ends < '0001-01-02 00:00:00+00' then '-infinity'
            else bound.ends
        end
    from (
        select
            child.oid as id,
            pg_catalog.pg_get_expr(child.relpartbound, child.oid) as expression,
            substring(pg_catalog.pg_get_expr(child.relpartbound, child.oid) from 'FROM \(''([^'']+)''\)')::timestamptz as begins,
            substring(pg_catalog.pg_get_expr(child.relpartbound, child.oid) from 'TO \(''([^'']+)''\)')::timestamptz as ends
        from pg_catalog.pg_inherits as link
        join pg_catalog.pg_class as child on child.oid = link.inhrelid
        where link.inhparent = 'execlog.strategy_execution_log'::regclass
    ) as bound
$$;

comment on function execlog.partitions() is 'The partitions of the log; begins is in the partition, ends is not.';

-- This month and the three after it (in UTC), so that a new log is partitioned from its first row.
do $$
declare
    month timestamp := date_trunc('month', now() at time zone 'UTC');
begin
    for ahead in 0..3 loop
        execute 'create table execlog.strategy_execution_log_'
            || to_char(month + make_interval(months => ahead), 'YYYYMM')
            || ' partition of execlog.strategy_execution_log for values from '
            || to_char(month + make_interval(months => ahead), '(''YYYY-MM-DD 00:00:00+00'') "to" ')
            || to_char(month + make_interval(months => ahead + 1), '(''YYYY-MM-DD 00:00:00+00'')');
    end loop;
end
$$;
