-- The outcome of all executions that were offered: the account of each recorder, hour by hour.
--
-- Locks: only objects that this file makes. Expected stall: none.
--
-- Price on COPY of 2,000 rows, whose transaction keeps the account too: see `python -m tests.bench.recorder`.

-- Counts are those since the recorder began, so that to keep them twice changes nothing: the numbers of a
-- window are its last row less the last row before it. An update touches no index (HOT).
create table execlog.recorder_account (
    recorder_id uuid not null,
    hour timestamptz not null,
    earlier timestamptz,
    host text collate "C" not null,
    pid integer not null,
    application text collate "C" not null,
    started_at timestamptz not null,
    last_seen timestamptz not null,
    closed_at timestamptz,
    offered bigint not null,
    recovered bigint not null,
    sampled_out bigint not null,
    rejected jsonb not null,
    dropped jsonb not null,
    written bigint not null,
    pending bigint not null,
    capacity bigint not null,
    last_dropped_at timestamptz,
    first_xid xid8 not null,
    last_xid xid8 not null,
    constraint recorder_account_pkey primary key (recorder_id, hour)
) with (fillfactor = 50);  -- room for an update's new version beside the old one

create index recorder_account_hour on execlog.recorder_account (hour);

comment on table execlog.recorder_account is 'One row for each recorder and hour: the account since the recorder began, as of last_seen.';
comment on column execlog.recorder_account.recorder_id is 'Made by each recorder, in each process anew; it is not that of execlog.recorder_progress.';
comment on column execlog.recorder_account.hour is 'The first instant of the hour of last_seen.';
comment on column execlog.recorder_account.earlier is 'The hour of its row before this one; NULL: this is the first.';
comment on column execlog.recorder_account.host is 'The machine of its process.';
comment on column execlog.recorder_account.pid is 'Its process.';
comment on column execlog.recorder_account.application is 'The application_name of its connection, or the name of its program.';
comment on column execlog.recorder_account.started_at is 'When it was made, by the clock of its machine.';
comment on column execlog.recorder_account.last_seen is 'When the account was kept last, by the clock of the server.';
comment on column execlog.recorder_account.closed_at is 'When it was closed, with nothing pending; NULL: it was not, as far as it is known.';
comment on column execlog.recorder_account.offered is 'Calls of record. With recovered it is the sum of all other counts.';
comment on column execlog.recorder_account.recovered is 'Executions of another process that it took over.';
comment on column execlog.recorder_account.sampled_out is 'Ok runs that the sampler did not choose.';
comment on column execlog.recorder_account.rejected is 'Refused, by reason.';
comment on column execlog.recorder_account.dropped is 'Accepted and then lost, by reason.';
comment on column execlog.recorder_account.written is 'Stored, each once.';
comment on column execlog.recorder_account.pending is 'Waiting, as of last_seen.';
comment on column execlog.recorder_account.capacity is 'The most executions that can be pending.';
comment on column execlog.recorder_account.last_dropped_at is 'When it dropped one last, by the clock of its machine.';
comment on column execlog.recorder_account.first_xid is 'The first transaction of the hour that kept the account.';
comment on column execlog.recorder_account.last_xid is 'The last one: what it stored in this hour has a stored_xid from the first one to this.';

-- An account never goes back: a process that was copied with its memory may know less than the one that
-- goes on, and what a lost client had sent may arrive late. What is offered and not pending can't get less,
-- and one that is closed stays closed as long as that does not get more.
create function execlog.keep_account(recorder uuid, account jsonb)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    this_hour constant timestamptz := date_trunc('hour', now(), 'UTC');
    given constant execlog.recorder_account := jsonb_populate_record(null::execlog.recorder_account, account);
    done constant bigint := given.offered + given.recovered - given.pending;
    is_closed constant boolean := coalesce(account ->> 'closed' = 'true', false);
    -- Values, since a cluster sends no function on whose answer changes.
    this_time constant timestamptz := now();
    closing_time constant timestamptz := case when is_closed then this_time end;
    this_xid constant xid8 := pg_current_xact_id();
    earlier timestamptz;
    most_done bigint;
    was_closed boolean;
begin
    update execlog.recorder_account as kept
    set last_seen = this_time,
        closed_at = closing_time,
        offered = given.offered,
        recovered = given.recovered,
        sampled_out = given.sampled_out,
        rejected = given.rejected,
        dropped = given.dropped,
        written = given.written,
        pending = given.pending,
        capacity = given.capacity,
        last_dropped_at = given.last_dropped_at,
        last_xid = this_xid
    where kept.recorder_id = recorder
        and kept.hour = this_hour
        and kept.offered + kept.recovered - kept.pending <= done
        and (kept.closed_at is null or is_closed or kept.offered + kept.recovered - kept.pending < done);
    if found then
        return true;
    end if;
    -- All rows of the recorder are read, once an hour: by its largest hour alone Postgres might look for it
    -- among all recorders.
    select
        max(hour),
        max(offered + recovered - pending),
        bool_or(closed_at is not null)
    into earlier, most_done, was_closed
    from execlog.recorder_account
    where recorder_id = recorder
        and hour <= this_hour;
    if most_done > done or (most_done = done and was_closed and not is_closed) then
        return false;
    end if;
    insert into execlog.recorder_account (
        recorder_id, hour, earlier, host, pid, application, started_at, last_seen, closed_at,
        offered, recovered, sampled_out, rejected, dropped, written, pending,
        capacity, last_dropped_at, first_xid, last_xid
    )
    values (
        recorder, this_hour, earlier, given.host, given.pid,
        coalesce(nullif(current_setting('application_name', true), ''), given.application), given.started_at,
        this_time, closing_time,
        given.offered, given.recovered, given.sampled_out, given.rejected, given.dropped, given.written, given.pending,
        given.capacity, given.last_dropped_at, this_xid, this_xid
    )
    on conflict (recorder_id, hour) do nothing;
    return found;
end
$$;

comment on function execlog.keep_account(uuid, jsonb) is 'Keeps the account of a recorder, unless a later one is known; whether it was kept.';

create or replace function execlog.prune_recorders()
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    delete from execlog.recorder_progress
    where stored_at < now() - interval '30 days';
    delete from execlog.recorder_account
    where hour < now() - interval '400 days'
$$;

comment on function execlog.prune_recorders() is 'Forgets recorders that have stored nothing for a month, and accounts of more than 400 days ago.';

-- It is whose the log is. Who may claim a batch may keep an account, and who may ask when recorders stored
-- last may ask for accounts.
do $$
declare
    path constant text := pg_catalog.current_setting('search_path');
    propagation constant text := coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on');
    log_owner oid;
    granted text;
begin
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    perform set_config('citus.enable_ddl_propagation', 'off', true);
    select relowner
    into log_owner
    from pg_class
    where oid = 'execlog.strategy_execution_log'::regclass;
    revoke execute on function execlog.keep_account(uuid, jsonb) from public;
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_proc
        cross join lateral aclexplode(proacl)
        where oid = 'execlog.claim_batch(uuid, bigint, uuid, uuid)'::regprocedure
            and privilege_type = 'EXECUTE'
            and grantee <> proowner
    loop
        execute 'grant execute on function execlog.keep_account(uuid, jsonb) to ' || granted;
    end loop;
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_class
        cross join lateral aclexplode(relacl)
        where oid = 'execlog.recorder_progress'::regclass
            and privilege_type = 'SELECT'
            and grantee <> relowner
    loop
        execute 'grant select on execlog.recorder_account to ' || granted;
    end loop;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter table execlog.recorder_account owner to ' || quote_ident(pg_get_userbyid(log_owner));
        execute 'alter function execlog.keep_account(uuid, jsonb) owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform set_config('search_path', path, true);
end
$$;
