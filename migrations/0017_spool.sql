-- Executions that wait in files of a recorder: to which log they belong, which of them it has, and how many wait.
--
-- Locks: execlog.recorder_account, access exclusive, to add a column without touching its rows: a recorder that
-- is storing a batch is waited for; others wait a tenth of a second at most, and then store without their accounts.
-- Expected stall: milliseconds.

alter table execlog.recorder_account add column spooled bigint not null default 0;

comment on column execlog.recorder_account.spooled is 'How many of those that wait lie in files, so that they outlive the process.';
comment on column execlog.recorder_account.pending is 'Waiting, as of last_seen. Those that another process took over since are its recovered ones.';
comment on column execlog.recorder_account.closed_at is 'When it was closed, with nothing pending but what lies in files; NULL: it was not, as far as it is known.';

-- A restored backup and a standby are the same log; one in another schema is not.
create table execlog.log_identity (
    log_id uuid not null default gen_random_uuid(),
    only_row boolean not null default true,
    constraint log_identity_pkey primary key (only_row),
    constraint only_row check (only_row)
);

comment on table execlog.log_identity is 'What tells this log from others; one row.';
comment on column execlog.log_identity.log_id is 'Made by the migration, and never changed.';

insert into execlog.log_identity default values;

create function execlog.log_id()
returns uuid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select log_id
    from execlog.log_identity
$$;

comment on function execlog.log_id() is 'What tells this log from others.';

-- One lookup for each execution, in its partition: with few of them, or many, no partition is read whole. It is
-- volatile, so that it sees what was committed while it waited for a lock: `maintain` moves rows from DEFAULT to
-- a partition of their own, where an older snapshot does not see them.
create function execlog.list_stored_ids(ids uuid[], times timestamptz[])
returns setof uuid
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set jit = off
as $$
    select stored.id
    from unnest(ids, times) as asked (id, created_at)
    join execlog.strategy_execution_log as stored
        on stored.id = asked.id
        and stored.created_at = asked.created_at
$$;

comment on function execlog.list_stored_ids(uuid[], timestamptz[]) is 'Which of these executions the log has: ids and times, pair by pair.';

create or replace function execlog.keep_account(recorder uuid, account jsonb)
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
        spooled = coalesce(given.spooled, 0),
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
        spooled, capacity, last_dropped_at, first_xid, last_xid
    )
    values (
        recorder, this_hour, earlier, given.host, given.pid,
        coalesce(nullif(current_setting('application_name', true), ''), given.application), given.started_at,
        this_time, closing_time,
        given.offered, given.recovered, given.sampled_out, given.rejected, given.dropped, given.written, given.pending,
        coalesce(given.spooled, 0), given.capacity, given.last_dropped_at, this_xid, this_xid
    )
    on conflict (recorder_id, hour) do nothing;
    return found;
end
$$;

-- They are whose the log is. Who may claim a batch may ask these.
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
    revoke execute on function execlog.log_id(), execlog.list_stored_ids(uuid[], timestamptz[]) from public;
    for granted in
        select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
        from pg_proc
        cross join lateral aclexplode(proacl)
        where oid = 'execlog.claim_batch(uuid, bigint, uuid, uuid)'::regprocedure
            and privilege_type = 'EXECUTE'
            and grantee <> proowner
    loop
        execute 'grant execute on function execlog.log_id(), execlog.list_stored_ids(uuid[], timestamptz[]) to ' || granted;
    end loop;
    perform set_config('citus.enable_ddl_propagation', propagation, true);
    if pg_get_userbyid(log_owner) <> current_user then
        execute 'alter table execlog.log_identity owner to ' || quote_ident(pg_get_userbyid(log_owner));
        execute 'alter function execlog.log_id() owner to ' || quote_ident(pg_get_userbyid(log_owner));
        execute 'alter function execlog.list_stored_ids(uuid[], timestamptz[]) owner to ' || quote_ident(pg_get_userbyid(log_owner));
    end if;
    perform set_config('search_path', path, true);
end
$$;
