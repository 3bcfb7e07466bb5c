-- Which runs failed last?
-- Columns: time timestamptz, strategy text, version integer, realm text, status text, error code text, case text, duration double precision, nodes integer, id text
-- Index: strategy_execution_log_newest_failures, strategy_execution_log_realm_failures
--
-- No input, no attributes, no message of an error, no user: `execlog show ID` has them for those who may see them.
select
    created_at as time,
    strategy_id as strategy,
    strategy_version as version,
    realm_id as realm,
    status,
    error_code as "error code",
    case_name as "case",
    duration_ms as duration,
    nodes_executed as nodes,
    id::text as id
from execlog.strategy_execution_log
where $__timeFilter(created_at)
    and status is distinct from 'ok'
    and (array_position(array[${strategy}]::text[], null) is not null or strategy_id = any(array[${strategy}]::text[]))
    and (array_position(array[${realm}]::text[], null) is not null or realm_id = any(array[${realm}]::text[]))
    and (array_position(array[${version}]::integer[], null) is not null or strategy_version = any(array[${version}]::integer[]))
order by created_at desc nulls last, id desc, strategy_id desc
limit 50
