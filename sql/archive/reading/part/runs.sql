-- What follows the columns that are wanted: the runs of files that pass the filters, and that the log lacks.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 and on: filters
--
-- A span is a time of a file whose runs the log holds too: all of them if it is whole, else those that are not ok.
from read_parquet($1::text[], filename = true, hive_partitioning = false) as stored
where true
    and not exists (select 1 from (select unnest($2::text[]) as path, unnest($3::bigint[]) as begins, unnest($4::bigint[]) as ends, unnest($5::boolean[]) as is_whole) as span where span.path = stored.filename and epoch_us(stored.created_at) >= span.begins and epoch_us(stored.created_at) < span.ends and (span.is_whole or stored.status <> 'ok'))  -- if span_paths, span_begins, span_ends, span_whole
    and strategy_id = $6::text  -- if strategy_id
    and strategy_id = any($7::text[])  -- if strategy_ids
    and created_at >= $8::timestamptz  -- if since
    and created_at <= $9::timestamptz  -- if until
    :filters
