-- Which files hold runs of these days that the log lacks, all or some?
-- $1 days text? always
-- Columns: log_id uuid?, is_subject boolean, folder text?, host text?, path text?, bytes bigint?, sha256 text?, rows bigint?, first_at timestamptz?, last_at timestamptz?, in_log text?, failures_in_log text?
-- Index: none
--
-- As `files`, for who may not read the table of files, and whatever else has these functions' names. Days are parted by
-- commas, since for arrays asyncpg would have to query the arrays' types; NULL: of all days.
select
    file.log_id,
    pg_catalog.row_security_active('execlog.strategy_execution_log'::regclass) as is_subject,
    file.folder,
    file.host,
    file.path,
    file.bytes,
    file.sha256,
    file.rows,
    file.first_at,
    file.last_at,
    (
        select pg_catalog.json_agg(pg_catalog.json_build_array(pg_catalog.lower(span), pg_catalog.upper(span)) order by pg_catalog.lower(span))::text
        from pg_catalog.unnest(file.in_log) as span
    ) as in_log,
    (
        select pg_catalog.json_agg(pg_catalog.json_build_array(pg_catalog.lower(span), pg_catalog.upper(span)) order by pg_catalog.lower(span))::text
        from pg_catalog.unnest(file.failures_in_log) as span
    ) as failures_in_log
from (values (true)) as answer (only_row)
left join execlog.archived_on(pg_catalog.string_to_array($1::text, ',')::date[]) as file on true
order by file.last_at desc nulls last, file.path
limit 100000
