-- Keeps what fires, and holds the state anew; nothing is returned if another process holds it by now.
-- $1 check_id text
-- $2 holder uuid
-- $3 seconds double precision
-- $4 firing text
-- Columns: is_kept boolean
-- Index: alert_state_pkey
update execlog.alert_state
set firing = $4::text::jsonb,
    held_until = now() + $3::double precision * interval '1 second'
where check_id = $1::text
    and holder = $2::uuid
returning true as is_kept
