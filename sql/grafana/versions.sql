-- Which versions of the chosen strategies ran in the chosen realms?
-- Columns: version text
-- Index: none
--
-- As text, since what is chosen among numbers could not be quoted.
select strategy_version::text as version
from execlog.names_in($__timeFrom(), $__timeTo())
where (array_position(array[${realm}]::text[], null) is not null or realm_id = any(array[${realm}]::text[]))
    and (array_position(array[${strategy}]::text[], null) is not null or strategy_id = any(array[${strategy}]::text[]))
    and strategy_version is not null
group by strategy_version
order by strategy_version desc
limit 1000
