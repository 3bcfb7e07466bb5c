-- Lets others hold the state of a check; the row goes if nothing fires.
-- $1 check_id text
-- $2 holder uuid
-- Columns: is_removed boolean
-- Index: alert_state_pkey
with released as (
    update execlog.alert_state
    set holder = null,
        held_until = null
    where check_id = $1::text
        and holder = $2::uuid
        and firing <> '[]'
    returning false as is_removed
),
removed as (
    delete from execlog.alert_state
    where check_id = $1::text
        and holder = $2::uuid
        and firing = '[]'
    returning true as is_removed
)
select is_removed
from released
union all
select is_removed
from removed
