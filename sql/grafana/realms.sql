-- Which realms had runs?
-- Columns: realm_id text
-- Index: none
select distinct realm_id
from execlog.names_in($__timeFrom(), $__timeTo())
where realm_id is not null
order by realm_id
limit 1000
