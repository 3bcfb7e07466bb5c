-- Takes the lease if it is free or has ended. Its row may be missing.
--
-- The holder may be in a step, with the row locked: this does not wait for it.
set local lock_timeout = '200ms';

insert into execlog.maintenance as lease (holder, token, held_since, held_until)
values (:'holder', :'token', statement_timestamp(), statement_timestamp() + interval '1 minute')
on conflict (only_row) do update
set
    holder = excluded.holder,
    token = excluded.token,
    held_since = excluded.held_since,
    held_until = excluded.held_until
where lease.token is null
    or lease.held_until < excluded.held_since;
