-- Holds the state of a check for a while, unless another process holds it: then it returns nothing.
-- $1 check_id text
-- $2 holder uuid
-- $3 seconds double precision
-- Columns: firing text
-- Index: alert_state_pkey
--
-- What is held for longer than anyone asks for was held before the server's clock was set back.
insert into execlog.alert_state as kept (
    check_id,
    holder,
    held_until
)
values (
    $1::text,
    $2::uuid,
    now() + $3::double precision * interval '1 second'
)
on conflict (check_id) do update
set holder = excluded.holder,
    held_until = excluded.held_until
where kept.held_until is null
    or kept.held_until < now()
    or kept.held_until > now() + 2 * $3::double precision * interval '1 second'
returning kept.firing::text as firing
