-- Which error codes are frequent, and of which version?
-- Columns: error code text, strategy text, version integer, runs bigint
-- Index: none
--
-- execlog.error_codes reads rollups, which hold the 200 most frequent codes of each strategy, realm and version.
select
    coalesce(error_code, '(others)') as "error code",
    strategy_id as strategy,
    strategy_version as version,
    runs
from execlog.error_codes(
    $__timeFrom(),
    $__timeTo(),
    array[${strategy}]::text[],
    array[${realm}]::text[],
    array[${version}]::integer[]
)
order by runs desc, error_code, strategy_id, strategy_version
limit 50
