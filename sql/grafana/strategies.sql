-- Which strategies of the chosen realms ran?
-- Columns: strategy_id text
-- Index: none
select distinct strategy_id
from execlog.names_in($__timeFrom(), $__timeTo())
where array_position(array[${realm}]::text[], null) is not null
    or realm_id = any(array[${realm}]::text[])
order by strategy_id
limit 1000
