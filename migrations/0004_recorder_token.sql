-- A batch has a token beside its number, so that a recorder's claim proves whose it is.
--
-- Locks: execlog.recorder_progress, access exclusive, to add a column without touching its rows: a
-- recorder that is storing a batch is waited for, others wait meanwhile. Expected stall: milliseconds.
--
-- Two processes of one memory image have the same id and the same number; and any writer could raise
-- the number of another one, which then took its next batch for stored. Now the last token is asked for,
-- and recorders write here through functions only. A recorder of the first wave goes on as it did, with
-- the rights that it has on the table, and without a token.

alter table execlog.recorder_progress add column token uuid;

comment on column execlog.recorder_progress.token is 'Of the last batch, and of no other; NULL for recorders of the first wave.';

comment on column execlog.recorder_progress.recorder_id is 'Made by each recorder when it stores its first batch.';

create function execlog.claim_batch(recorder uuid, number bigint, own_token uuid, last_token uuid)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_token uuid;
begin
    -- Whose claim it is not locks no row: it would hold the other one up.
    if exists (
        select from execlog.recorder_progress as progress
        where progress.recorder_id = recorder
            and progress.token is distinct from last_token
            and not (progress.batch = number and progress.token = own_token)
    ) then
        return 'another';
    end if;
    insert into execlog.recorder_progress as progress (recorder_id, batch, token)
    values (recorder, number, own_token)
    on conflict (recorder_id) do update
    set batch = excluded.batch, token = excluded.token, stored_at = excluded.stored_at
    where progress.token = last_token;
    if found then
        return 'claimed';
    end if;
    select progress.token
    into found_token
    from execlog.recorder_progress as progress
    where progress.recorder_id = recorder
        and progress.batch = number;
    return case when found_token = own_token then 'stored' else 'another' end;
end
$$;

comment on function execlog.claim_batch(uuid, bigint, uuid, uuid) is 'Whether a batch is to be stored now (claimed), is stored already, or the recorder is another one.';

create function execlog.prune_recorders()
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    delete from execlog.recorder_progress
    where stored_at < now() - interval '30 days'
$$;

comment on function execlog.prune_recorders() is 'Forgets recorders that have stored nothing for a month.';

-- Only who could claim a batch until now goes on with it. (Citus 14 would pass rights on without quotes
-- about the schema's name: `execlog distribute` says them to the other machines.)
do $$
declare
    propagation constant text := coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on');
    writer text;
begin
    perform pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
    revoke execute on function execlog.claim_batch(uuid, bigint, uuid, uuid) from public;
    revoke execute on function execlog.prune_recorders() from public;
    for writer in
        select distinct case acl.grantee when 0 then 'public' else acl.grantee::pg_catalog.regrole::text end
        from pg_catalog.pg_class as class
        cross join lateral pg_catalog.aclexplode(class.relacl) as acl
        where class.oid = 'execlog.recorder_progress'::pg_catalog.regclass
            and acl.privilege_type = 'INSERT'
    loop
        execute pg_catalog.format('grant execute on function execlog.claim_batch(uuid, bigint, uuid, uuid) to %s', writer);
        execute pg_catalog.format('grant execute on function execlog.prune_recorders() to %s', writer);
    end loop;
    perform pg_catalog.set_config('citus.enable_ddl_propagation', propagation, true);
end
$$;
